"""Exports models to other runtimes, and times models of any kind."""
