"""Reads the headers of image files, and logs a summary."""

import collections
import dataclasses
import functools
import logging
import os
import struct

import numpy as np

from kd_keras.data import image_files
from kd_keras.utils import file_cache, path_lists

_log = logging.getLogger(__name__)

# Another number makes caches of earlier versions invalid.
_VERSION = 1
_UNREADABLE, _IMAGE, _OTHER_TYPE = range(3)
_ROW = np.dtype(
    [
        ("height", "<u4"),
        ("width", "<u4"),
        ("channels", "u1"),
        ("has_alpha", "u1"),
        ("state", "u1"),
    ]
)
_PACKED = struct.Struct("<IIBBB")
# Files, classes and suffixes that a message names, at most.
_NAMED = 10


@dataclasses.dataclass
class Listing:
    """Files that a folder or a table lists, before they are read.

    Attributes:
        paths: `path_lists.PathList`.
        groups: int32 array `(n,)`, the class of each file; -1 for none.
        place: str, the folder or table; the cache has a file for each.
        all_images: bool, whether each file must be an image, as in a table.
        skipped: dict of a reason to the number of entries left out.
        failures: dict of each folder that cannot be read to a line about it.
    """

    paths: path_lists.PathList
    groups: np.ndarray
    place: str
    all_images: bool = False
    skipped: dict = dataclasses.field(default_factory=dict)
    failures: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Scan:
    """The images of a listing that can be read.

    Attributes:
        paths, groups, place: as of `Listing`.
        headers: array `(n,)` of `height`, `width`, `channels` and `has_alpha`.
        skipped: dict of a reason to a number, with files of other types.
        failures: dict of each file that cannot be read to a line about it.
    """

    paths: path_lists.PathList
    groups: np.ndarray
    place: str
    headers: np.ndarray
    skipped: dict
    failures: dict

    def __len__(self):
        return len(self.paths)

    def without(self, damaged):
        """A scan of the other images; its only failures are the damaged ones.

        Args:
            damaged: dict of a row to a line about it.
        """
        kept = np.ones(len(self), bool)
        kept[list(damaged)] = False
        return Scan(
            paths=self.paths.select(kept),
            groups=self.groups[kept],
            place=self.place,
            headers=self.headers[kept],
            skipped={},
            failures={self.paths[row]: line for row, line in damaged.items()},
        )


def scan(listing):
    """Reads the headers of all files, from the cache if they are in it.

    Args:
        listing: `Listing`.

    Returns:
        `Scan`. Files that cannot be read are in its `failures`: see
        `check_readable`.
    """
    errors = {}
    read = functools.partial(
        _read_header, errors=errors, all_images=listing.all_images
    )
    rows = file_cache.values(
        listing.paths,
        read,
        kind=f"headers{_VERSION}",
        width=_ROW.itemsize,
        place=listing.place,
    )
    headers = rows.view(_ROW).reshape(-1)
    state = headers["state"]
    others = np.flatnonzero(state == _OTHER_TYPE)
    skipped = dict(listing.skipped)
    if len(others):
        skipped[_of_other_types(listing.paths, others)] = len(others)
    failed = np.flatnonzero(state == _UNREADABLE)
    failures = {
        path: errors[path] for path in map(listing.paths.__getitem__, failed)
    }
    used = state == _IMAGE
    return Scan(
        paths=listing.paths.select(used),
        groups=listing.groups[used],
        place=listing.place,
        headers=headers[used],
        skipped=skipped,
        failures=listing.failures | failures,
    )


def _read_header(path, *, errors, all_images):
    """Returns a packed `_ROW`, or None after an error, which is noted."""
    try:
        header = image_files.read_header(os.fsdecode(path))
    except image_files.UnknownFormatError as error:
        suffix = os.path.splitext(os.fsdecode(path))[1].lower()
        if not all_images and suffix not in image_files.SUFFIXES:
            return _PACKED.pack(0, 0, 0, 0, _OTHER_TYPE)
        errors[os.fsdecode(path)] = str(error)
    except ValueError as error:
        errors[os.fsdecode(path)] = str(error)
    except OSError as error:
        errors[os.fsdecode(path)] = f"{error.strerror}: {os.fsdecode(path)}"
    else:
        size = header.height, header.width
        return _PACKED.pack(*size, header.channels, header.has_alpha, _IMAGE)
    return None


def _of_other_types(paths, rows):
    """A reason with the suffixes of files: `of another type (.txt, .csv)`."""
    suffixes = collections.Counter(
        os.path.splitext(paths[row])[1].lower() or "no suffix" for row in rows
    )
    return f"of another type ({_list(s for s, _ in suffixes.most_common())})"


def check_readable(scans, *, skip):
    """Logs each file that cannot be read, and refuses them.

    Args:
        scans: list of `Scan`.
        skip: bool; True leaves these files out instead.

    Raises:
        ValueError: unless all files can be read or are left out.
    """
    failures = {}
    for scan in scans:
        failures |= scan.failures
    for line in failures.values():
        _log.warning("cannot be read: %s", _printable(line))
    if failures and not skip:
        raise ValueError(
            "every image must be readable: mend or remove those that the lines "
            "above name, or leave them out by data.on_error=skip. Received: "
            f"{len(failures):,} that cannot be read: {_list(failures)}"
        )


def log_summary(name, scan):
    """Logs the numbers of files found, used and skipped, and the sizes.

    Args:
        name: str, the part: `train`.
        scan: `Scan`.
    """
    skipped = dict(scan.skipped)
    if scan.failures:
        skipped["unreadable"] = len(scan.failures)
    found = len(scan) + sum(skipped.values())
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in skipped.items())
    _log.info(
        "%s: %s found, %s images used; skipped: %s",
        name,
        f"{found:,}",
        f"{len(scan):,}",
        reasons or "none",
    )
    if len(scan):
        sizes = [
            f"{side} {_extent(values)}, median {median:.0f}"
            for side in ("height", "width")
            for values in [scan.headers[side]]
            for median in [np.median(values)]
        ]
        _log.info("%s: %s", name, "; ".join(sizes))


def log_damaged(name, scan):
    """Logs how many images with whole headers are left out after all.

    Args:
        name: as in `log_summary`.
        scan: `Scan`, as `without` returns it.
    """
    _log.info(
        "%s: %s images used; %s with damaged pixels skipped",
        name,
        f"{len(scan):,}",
        f"{len(scan.failures):,}",
    )


def log_classes(name, scan, class_names):
    """Logs the classes of images with their numbers.

    Args:
        name, scan: as in `log_summary`.
        class_names: list of str.
    """
    counts = np.bincount(scan.groups, minlength=len(class_names))
    _log.info(
        "%s: %d classes of %s images: %s",
        name,
        len(class_names),
        _extent(counts),
        _list(f"{c} {n:,}" for c, n in zip(class_names, counts)),
    )


def log_conversions(name, scan, channels):
    """Logs how many images lose transparency or colour.

    Args:
        name, scan: as in `log_summary`.
        channels: int, of the images that are read: 1 for grey.
    """
    transparent = scan.headers["has_alpha"].sum()
    if transparent:
        _log.info(
            "%s: %s images may have transparent pixels, which get the colour "
            "data.background",
            name,
            f"{transparent:,}",
        )
    coloured = (scan.headers["channels"] > channels).sum()
    if coloured:
        _log.info("%s: %s images of colour become grey", name, f"{coloured:,}")


def _extent(values):
    """The least and the largest value as text: `3 to 5`, or `3`."""
    least, largest = f"{values.min():,}", f"{values.max():,}"
    return least if least == largest else f"{least} to {largest}"


def _list(items):
    """The first items as text, and how many more there are."""
    items = list(items)
    more = len(items) - _NAMED
    text = _printable(", ".join(items[:_NAMED]))
    return f"{text} and {more:,} more" if more > 0 else text


def _printable(text):
    """A text with escapes for line feeds and other control characters."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
