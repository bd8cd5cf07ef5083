"""Folders of images: flat, with a subfolder per class, or in splits."""

import logging
import os
import pathlib

import numpy as np

from kd_keras.data.sources import copied, file_sets, trees
from kd_keras.models import class_names as class_name_checks
from kd_keras.utils import files, suggestions

_log = logging.getLogger(__name__)

_TABLES = (".csv", ".tsv", ".parquet")


def load(fields):
    """Loads the images of one or several folders.

    A flat folder is a transfer set without labels. With one subfolder per
    class, the images at any depth below it have labels. Either may lie in
    `train/`, beside `val/` (or `valid/`, `validation/`), `test/` or both.

    Args:
        fields: `config.data`. `data_dir` is the folder, or several with
            commas between; see `file_sets.load` for the others. With
            `labels="none"` all images of a tree are without labels.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if a folder is missing or empty, its subfolders are no
            classes, or as `file_sets.load`.
    """
    roots = _roots(copied.folders(fields.data_dir))
    parts = _parts(roots)
    if fields.labels == "none":
        parts = {"train": parts["train"]}
        class_names = []
    else:
        class_names = _class_names(parts["train"])
        _check_same_classes(parts, class_names)
        _check_splits(parts, class_names)
    listings = {
        part: _listing(folders, class_names, fields)
        for part, folders in parts.items()
    }
    scans = file_sets.scan(listings, fields)
    _check_beside(scans, class_names)
    _check_several(class_names, parts["train"])
    return file_sets.load(
        scans,
        class_names,
        fields,
        name=", ".join(pathlib.Path(root).name for root in roots),
        source=f"folder {fields.data_dir}",
    )


def _roots(data_dir):
    """The folders that `data.data_dir` names: list of absolute str."""
    names = [os.path.expanduser(data_dir)]
    if not os.path.isdir(names[0]):
        names = [os.path.expanduser(n.strip()) for n in data_dir.split(",")]
    for name in names:
        if not os.path.isdir(name):
            hint = ""
            if name.endswith(_TABLES):
                hint = "; a table of images is data.name=table"
            raise ValueError(
                "data.data_dir must be a folder of images, or several with "
                f"commas between{hint}. Received: {name!r}"
                + suggestions.did_you_mean(name, _neighbours(name))
            )
    roots = [os.path.abspath(name) for name in names]
    real = sorted(os.path.realpath(root) + os.sep for root in roots)
    for outer, inner in zip(real, real[1:]):
        if inner.startswith(outer):
            raise ValueError(
                "the folders of data.data_dir must not lie in each other, "
                f"which has images twice. Received: {inner} in {outer}"
            )
    return roots


def _neighbours(name):
    """The folders beside one that does not exist: list of str."""
    parent = os.path.dirname(name)
    if not name or not os.path.isdir(parent or "."):
        return []
    return [
        os.path.join(parent, other) for other in trees.subfolders(parent or ".")
    ]


def _parts(roots):
    """The folders of each part: dict of `train` and others to lists of str."""
    parts = {}
    for root in roots:
        for part, folder in _parts_of(root).items():
            parts.setdefault(part, []).append(folder)
    return parts


def _parts_of(root):
    """As `_parts`, of one root: dict of a part to a folder."""
    names = trees.subfolders(root)
    found = {}
    for name in names:
        part = file_sets.PARTS.get(name.lower())
        if part in found:
            raise ValueError(
                f"a set must have one folder of {part} images. Received: "
                f"{found[part]} and {name} in {root}"
            )
        if part:
            found[part] = name
    if not found or ("train" not in found and len(found) < len(names)):
        return {"train": root}
    if "train" not in found:
        raise ValueError(
            "a folder with test or validation images must have those of "
            f"training in train/. Received: {root} with {files.named(names)}"
        )
    if len(found) == 1 < len(names):
        # Then `train` is a class, for instance among vehicles.
        return {"train": root}
    unused = [name for name in names if name not in found.values()]
    if unused:
        _log.warning(
            "%s: %s taken for splits, so that %s is not used",
            root,
            files.named(found.values()),
            files.named(unused),
        )
    return {part: os.path.join(root, name) for part, name in found.items()}


def _class_names(folders):
    """The names of all visible subfolders, sorted.

    Raises:
        ValueError: if one cannot be the name of a class.
    """
    found = set()
    for folder in folders:
        names = trees.subfolders(folder)
        class_name_checks.check_printable(names, place=folder)
        found.update(names)
    return sorted(found)


def _check_same_classes(parts, class_names):
    """Raises a ValueError if another part has classes that `train` lacks."""
    for part, folders in parts.items():
        unknown = sorted(set(_class_names(folders)) - set(class_names))
        if unknown:
            known = files.named(class_names) or "none"
            raise ValueError(
                f"{part} images must have the subfolders of train/, one per "
                f"class. Received: {files.named(unknown)} in {folders[0]}, "
                f"{known} in train/"
            )


def _check_splits(parts, class_names):
    """Raises a ValueError if splits may be classes: they have no subfolders."""
    if len(parts) > 1 and not class_names:
        # Of several roots, not all need have splits.
        split = next(f[0] for part, f in parts.items() if part != "train")
        root = os.path.dirname(split)
        names = sorted(
            os.path.basename(folder)
            for folders in parts.values()
            for folder in folders
            if os.path.dirname(folder) == root
        )
        raise ValueError(
            "folders that are taken for splits must have one subfolder per "
            f"class, because test images need labels. Received: {root} with "
            f"{files.named(names)} without subfolders; if these are classes, "
            f"move all class folders into a new folder {root}/train; "
            "data.labels=none takes the images of train/ without labels"
        )


def _listing(folders, class_names, fields):
    """Finds the files of a part: `scanning.Listing`."""
    finder = trees.Finder()
    numbers = {name: number for number, name in enumerate(class_names)}
    for folder in folders:
        if fields.labels == "none":
            finder.add_tree(folder, group=-1)
            continue
        finder.add_files(folder, group=-1)
        for name in trees.subfolders(folder):
            finder.add_tree(os.path.join(folder, name), numbers[name])
    return finder.listing(place=folders[0])


def _check_beside(scans, class_names):
    """Raises a ValueError if some images lie beside the class folders."""
    for scan in scans.values():
        if class_names and (scan.groups < 0).any():
            first = scan.paths[int(np.argmax(scan.groups < 0))]
            raise ValueError(
                "images must lie in one subfolder per class, or all in one "
                "flat folder; data.labels=none takes all of them without "
                f"labels. Received: {first} beside {files.named(class_names)}"
            )


def _check_several(class_names, folders):
    """Raises a ValueError if there is one class."""
    if len(class_names) == 1:
        path = os.path.join(folders[0], class_names[0])
        raise ValueError(
            "there must be two classes or more. Received: 1 class, "
            f"{path}; if its subfolders are the classes, set data.data_dir="
            f"{path}; data.labels=none takes the images without labels"
        )
