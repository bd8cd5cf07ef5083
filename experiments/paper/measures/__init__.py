"""Measures of the experiments, one module a kind.

Each is a function of `(lab, experiment, seed)` and returns a dict, a line of
the results without its key.
"""
