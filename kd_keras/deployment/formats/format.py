"""The interface of an export format."""

import dataclasses
from collections.abc import Callable

from kd_keras.utils import packages


@dataclasses.dataclass(frozen=True)
class Format:
    """A format that a model can be exported to.

    A written file takes `images` `(batch, height, width, channels)`, of the
    type and range of the training images, and returns `logits`; the
    normalisation is part of it.

    Attributes:
        name: str, as in `--formats` and `exports.json`.
        title: str, short, for the tables of a report.
        description: str, a line for the help of the command.
        suffix: str, the end of the file's name. `teachers.loading` must have a
            kind for it.
        packages: names of the packages that convert and run it; the extra
            `export` installs them.
        write: function of `(source, calibration)`, a `Source` and a
            `Calibration` -> bytes of the file.
        tolerance: float, the largest difference of the logits from the
            model's, as a share of the largest logit; None for a format that
            rounds, which must agree with the model's classes instead.
        max_examples: int, test examples to compare on; None for all.
    """

    name: str
    title: str
    description: str
    suffix: str
    packages: tuple
    write: Callable
    tolerance: float | None = None
    max_examples: int | None = None

    def check_packages(self):
        """Raises a ValueError if a package is not installed."""
        for package in self.packages:
            packages.optional(package.replace("-", "_"), package)
