"""Records of tasks that have ended: the checksums of their files.

A record is a small file beside the files of its task, until the store is
finished and its manifest has all checksums. So no task overwrites what another
one has written.
"""

import re

from kd_keras.utils import files, records

_NAME = re.compile(r"(train|validation|test)-\d+-of-\d+\.json")
_FORM = {"checksums": {str: str}}


def name(shard_file):
    """The name of the record of a task.

    Args:
        shard_file: str, the name of the file of its logits, if it has any.
    """
    return shard_file.removesuffix(".npy") + ".json"


def is_record(name):
    """Whether a file of a store is the record of a task, by its name."""
    return _NAME.fullmatch(name) is not None


def write(path, checksums):
    """Writes a record.

    Args:
        path: path of the file.
        checksums: dict of the names of a task's files to their SHA-256.
    """
    files.write_json(path, records.sealed({"checksums": checksums}))


def read(path):
    """Reads the checksums in a record; empty if it is missing or damaged."""
    if not path.exists():
        return {}
    try:
        return records.read_json(
            path, _FORM, what="a record", remedy="the task is done again"
        )["checksums"]
    except ValueError:
        return {}
