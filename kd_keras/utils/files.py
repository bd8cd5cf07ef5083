"""Writes files and directories whole or not at all, and only over our own.

An output file of this program holds the words `written by kd_keras`; an output
directory holds a manifest of its files with their SHA-256. Whatever lacks the
mark, or differs from the manifest, was written by somebody else: it is never
replaced or removed.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil

from kd_keras.utils import digests, locks, manifests, records, remote
from kd_keras.utils import scratch as scratch_lib

MARK = manifests.GENERATOR
# The part of a file that is searched for the mark.
_HEAD_BYTES = 4096
# The mark's place in a file of JSON, Markdown, HTML, SVG or PNG. Elsewhere it
# may be a part of somebody's text.
_PLACES = (
    r'\s*\{\s*"generator":\s*"',
    r"<!-- ",
    r'\s*<!doctype html>.*?<meta name="generator" content="',
    r"<\?xml .*?<dc:creator>\s*<cc:Agent>\s*<dc:title>",
    r"\x89PNG\r\n.*?[it][TE]Xt" r"Software\0+",
)
# The command that wrote a file: it follows the mark, or in files of version
# 0.2 and earlier, it is in the command line there.
_WRITER = re.compile(
    rf"(?:{'|'.join(_PLACES)}){MARK}"
    r"(?: (\w+)| \((?:kd-keras |python -m \w+\W)(\w+))",
    re.DOTALL,
)
# Pages of version 0.2 and earlier do not name the command.
_OLD_PAGE = re.compile(rf'{_PLACES[2]}{MARK}"', re.DOTALL)
# Files of somebody else that an error names, at most.
_NAMED = 5


def write_json(path, value):
    """Writes a value as an indented JSON file; see `replacing_file`."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path, text):
    """Writes a text file; see `replacing_file`."""
    with replacing_file(path) as temporary:
        temporary.write_text(text)


def write_output(path, contents, *, by):
    """Writes a file that a user named; it must hold `MARK` and the command.

    Args:
        path: str or path. The target of a symbolic link is written.
        contents: str or bytes.
        by: str, the command that writes it: `report`.

    Raises:
        ValueError: as `check_output`.
    """
    if isinstance(contents, str):
        contents = contents.encode()
    assert _writer(contents[:_HEAD_BYTES]) == by, "the mark must be in place"
    check_output(path, by=by)
    with replacing_file(pathlib.Path(path).resolve()) as temporary:
        temporary.write_bytes(contents)


def write_json_output(path, value, *, by, command):
    """Writes a dict as a JSON file that a user named, with a seal.

    Args:
        path, by: as `write_output`.
        value: dict.
        command: str, the command line as it was typed.
    """
    marked = {"generator": f"{MARK} {by} ({command})", **value}
    text = json.dumps(records.sealed(marked), indent=2) + "\n"
    write_output(path, text, by=by)


def check_output(path, *, by):
    """Raises a ValueError unless a command may write a file at `path`.

    It may where nothing exists, over an empty file, and over a file that the
    same command wrote.

    Args:
        path, by: as `write_output`.
    """
    remote.check_local(path, "an output file")
    target = pathlib.Path(path).resolve()
    if not target.exists():
        _check_parents(path, "file")
        return
    if target.is_dir():
        raise ValueError(
            f"an output file must not be a directory. Received: {path}; add a "
            "file name"
        )
    if not target.is_file():
        raise ValueError(
            f"an output file must be a regular file. Received: {path}"
        )
    with open(target, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return
    writer = _writer(head)
    if writer is None:
        raise ValueError(
            "an output file must be new or written by a command of this "
            f"program. Received: {path}, which is another file; take another "
            "name or remove it"
        )
    if writer != by:
        raise ValueError(
            "an output file must be new or written by the same command. "
            f"Received: {path}, written by {writer}; take another name or "
            "remove it"
        )


def _writer(head):
    """The command that wrote a file, None for a file of somebody else.

    Args:
        head: bytes, the beginning of the file.
    """
    # A PNG file is no text; each of its bytes is a character of this one.
    text = head.decode("latin-1")
    found = _WRITER.match(text)
    if found:
        return found[1] or found[2]
    return "report" if _OLD_PAGE.match(text) else None


@contextlib.contextmanager
def replacing_file(path):
    """Yields a temporary path that takes the place of `path` at the end.

    Several processes may write the same file at once. After an exception
    `path` is unchanged.

    Args:
        path: path of a file that this program wrote, or of none.

    Raises:
        ValueError: if `path` is a directory.
    """
    path = pathlib.Path(path)
    with scratch_lib.writing(path.parent) as scratch:
        yield scratch / path.name
        check_no_directory(path)
        os.replace(scratch / path.name, path)


def check_no_directory(path):
    """Raises a ValueError if a directory is where a file is written."""
    if path.is_dir():
        raise ValueError(
            "a file must not take the place of a directory. Received: "
            f"{path}; move it away"
        )


@contextlib.contextmanager
def adding_files(directory):
    """Yields a new directory whose files are put into `directory` at the end.

    They are put there one after the other, in the order of their names.

    Args:
        directory: path; made if needed.
    """
    with scratch_lib.writing(directory) as scratch:
        new = scratch / "new"
        new.mkdir()
        yield new
        for path in sorted(new.iterdir()):
            os.replace(path, pathlib.Path(directory) / path.name)


def check_directory(path, *, remedy="take another directory, or remove it"):
    """Raises a ValueError unless a directory may be written at `path`.

    It may be written where nothing exists, over an empty directory, and over
    a directory that holds only files that this program wrote.

    Args:
        path: str or path.
        remedy: str, the end of the message.
    """
    remote.check_local(path, "an output directory")
    path = pathlib.Path(path)
    if not path.exists() and not path.is_symlink():
        _check_parents(path, "directory")
        return
    if not path.is_dir():
        raise ValueError(
            f"an output directory must not be a file. Received: {path}"
        )
    foreign = foreign_files(path)
    if foreign:
        raise ValueError(
            "an output directory must be new or hold only what this program "
            f"wrote. Received: {path} with {named(foreign)}; {remedy}"
        )


def _check_parents(path, kind):
    """Raises a ValueError if a file stands where a directory is needed."""
    parents = pathlib.Path(path).resolve().parents
    blocked = next(parent for parent in parents if parent.exists())
    if not blocked.is_dir():
        raise ValueError(
            f"an output {kind} must lie in a directory. Received: {path}, "
            f"where {blocked} is a file"
        )


@contextlib.contextmanager
def replacing_directory(path):
    """Yields a new directory that takes the place of `path` at the end.

    Its manifest is written at the end. After an exception `path` is
    unchanged.

    Args:
        path: path of a directory that this program wrote, or of none. The
            target of a symbolic link is replaced.

    Raises:
        ValueError: as `check_directory`.
    """
    check_directory(path)
    path = pathlib.Path(path).resolve()
    with scratch_lib.writing(path.parent) as scratch:
        new = scratch / "new"
        new.mkdir()
        yield new
        _write_manifest(new, _digests(new))
        # Again: much may have happened while it was written.
        check_directory(path)
        if path.exists():
            # A directory cannot replace one that is not empty.
            os.replace(path, scratch / "old")
        os.replace(new, path)


def remove_directory(path):
    """Removes a directory that this program wrote, if there is one.

    Raises:
        ValueError: as `check_directory`.
    """
    check_directory(path)
    path = pathlib.Path(path).resolve()
    if path.exists():
        shutil.rmtree(path)


class OutputDirectory:
    """Files that are written one by one into a directory of the user's.

    Files of others may lie beside them. The manifest lists the files that
    this program wrote. A file that it does not list, or that has changed
    since, is not replaced.

    Args:
        path: str or path; made when the first file is written.
        all_ours: bool; True for a directory whose files are known to be this
            program's, such as a run's: they are replaced in any case.
    """

    def __init__(self, path, *, all_ours=False):
        self.path = pathlib.Path(path)
        self._all_ours = all_ours

    def check(self, names):
        """Raises a ValueError unless files of these names may be written."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"an output directory must not be a file. Received: {self.path}"
            )
        if self._all_ours:
            return
        listed = manifests.read(self.path)
        foreign = [
            name
            for name in names
            if _exists(self.path / name)
            and not manifests.is_as_written(self.path, name, listed)
        ]
        if foreign:
            raise ValueError(
                "output files must be new or written by this program. "
                f"Received: {self.path} with other files of the names "
                f"{named(foreign)}; take another --output, or remove them"
            )

    @contextlib.contextmanager
    def replacing(self, name):
        """As `replacing_file`, for the file `name` of the directory."""
        with scratch_lib.writing(self.path) as scratch:
            yield scratch / name
            self.check([name])
            check_no_directory(self.path / name)
            listed = manifests.read(self.path)
            digest = digests.sha256_of_file(scratch / name)
            # The old digest stays valid until the new file is in place.
            kept = [d for d in listed.get(name, []) if d != digest][:1]
            _write_manifest(self.path, {**listed, name: [digest, *kept]})
            os.replace(scratch / name, self.path / name)

    def write_text(self, name, text):
        """Writes a text file; see `replacing`."""
        with self.replacing(name) as temporary:
            temporary.write_text(text)

    def list_only(self, names):
        """Lists these files and no others; adds the digests of new ones."""
        listed = manifests.read(self.path)
        for name in names:
            if name not in listed and (self.path / name).is_file():
                with contextlib.suppress(PermissionError):
                    listed[name] = [digests.sha256_of_file(self.path / name)]
        kept = {name: listed[name] for name in names if name in listed}
        _write_manifest(self.path, kept)


def foreign_files(path):
    """The files below a directory that its manifest does not account for.

    Returns:
        Sorted list of str, relative paths; symbolic links are among them.
    """
    listed = manifests.read(path)
    return sorted(
        name
        for name in files_below(path)
        if name != manifests.NAME
        and not manifests.is_as_written(path, name, listed)
    )


def files_below(path):
    """Relative paths of all files and links below `path`: list of str.

    Links are not followed. Scratch directories and lock files of this program
    are left out.
    """
    found = []
    for folder, folders, names in os.walk(path):
        here = pathlib.Path(folder)
        folders[:] = [
            f for f in folders if not scratch_lib.is_scratch(here / f)
        ]
        links = [f for f in folders if (here / f).is_symlink()]
        found += [here / name for name in [*names, *links]]
    return [
        str(item.relative_to(path)) for item in found if not locks.is_lock(item)
    ]


def named(names):
    """A few of many names, as text: `a, b and 3 more`."""
    names = list(names)
    more = len(names) - _NAMED
    text = ", ".join(names[:_NAMED])
    return f"{text} and {more} more" if more > 0 else text


def _exists(path):
    return path.exists() or path.is_symlink()


def _write_manifest(directory, listed):
    write_json(
        pathlib.Path(directory) / manifests.NAME, manifests.record(listed)
    )


def _digests(directory):
    return {
        name: [digests.sha256_of_file(pathlib.Path(directory) / name)]
        for name in sorted(files_below(directory))
        if (pathlib.Path(directory) / name).is_file()
    }
