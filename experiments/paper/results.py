"""The file of results: one JSON object a line."""

import json
import pathlib

from kd_keras.utils import files


class Results:
    """Results of experiments in a file.

    Args:
        path: path of the file; made when the first result is kept.
    """

    def __init__(self, path):
        self._path = pathlib.Path(path)

    @property
    def lines(self):
        """All results: list of dicts, in the file's order."""
        if not self._path.exists():
            return []
        try:
            lines = self._path.read_text().splitlines()
            results = [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise self._refusal() from error
        if not all(map(_is_result, results)):
            raise self._refusal()
        return results

    def find(self, key):
        """The first line with all items of a dict, or None."""
        found = (line for line in self.lines if key.items() <= line.items())
        return next(found, None)

    def keep(self, line):
        """Adds a line; one of the same experiment and seed is replaced."""
        key = ("experiment", "seed")
        others = [
            old for old in self.lines if any(old[k] != line[k] for k in key)
        ]
        self._write([*others, line])

    def forget(self, names):
        """Removes the lines of the experiments with these names."""
        self._write([x for x in self.lines if x["experiment"] not in names])

    def _refusal(self):
        return ValueError(
            "--results must be a file of this command, a JSON object with an "
            f"experiment and a seed in each line. Received: {self._path}"
        )

    def _write(self, lines):
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        files.write_text(self._path, text)


def _is_result(value):
    return isinstance(value, dict) and {"experiment", "seed"} <= value.keys()
