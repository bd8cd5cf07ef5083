"""Runs a command line of `kd-keras` in this process, or only checks it.

A module for `forked_commands.py`. The test set has 500 examples at most. With
`--check` as the first argument the command stops when its flags and its
configuration are checked.
"""

import dataclasses
import importlib
import sys

from kd_keras import __main__ as kd_keras_main


def cli():
    _, *arguments = sys.argv
    if arguments[0] == "--check":
        arguments = arguments[1:]
        sys.argv = ["kd-keras", *arguments]
        _stop_after_the_flags(f"kd_keras.{arguments[0]}")
    else:
        _test_on_few()
    sys.argv = ["kd-keras", *arguments]
    sys.exit(kd_keras_main.main())


def _stop_after_the_flags(name):
    """Replaces what a command does by a check of its configuration."""
    module = importlib.import_module(name)

    def main(*_):
        for name in ("run_flags", "config_flags"):
            if hasattr(module, name):
                getattr(module, name).config()
        if hasattr(module, "data_flags"):
            module.data_flags.data()

    module.main = main


def _test_on_few():
    """Keeps the first examples alone of each test set that is loaded."""
    from kd_keras.data import sources

    load = sources.load_dataset

    def load_dataset(fields):
        dataset = load(fields)
        if dataset.test is None:
            return dataset
        few = range(min(500, len(dataset.test)))
        return dataclasses.replace(dataset, test=dataset.test.subset(few))

    sources.load_dataset = load_dataset
