"""Compares the record of a run or a store with the current settings and data.

A record is the `config.json` of a run or the manifest of a store, as a flat
dict.
"""

import logging
import re

from kd_keras.config import flat, schema
from kd_keras.utils import digests

_log = logging.getLogger(__name__)

# Records of version 0.1 lack these entries. Its images had the channels of the
# first one, so a difference in channels shows in their fingerprint.
_NEWER = re.compile(
    r"data\.channels|data\.(train|validation|test)\..+|code\..+|(store\.)?teacher\.graph"
    r"|(store\.)?parts\.\w+\.contents"
)
# Entries about the contents of files: errors name the files.
_CONTENTS = re.compile(
    r"(store\.)?(?:parts\.\w+\.(?!views)|(data)\.(?:train|validation|test)\.|(teacher)\."
    r"(?:fingerprint|graph))"
)
# Entries that are recorded only where they differ from these values.
_USUAL = {"workers": 1}
# Entries of the store of a run that have another name than their field.
_FIELDS = {"store.parts.train.views": "store.views"}
_DATA = re.compile(r"data\..+")
# A digest that follows the kind of its file, such as `keras:ab12`.
_KIND = re.compile(r"(\w+):[0-9a-f]{64}")


def differing(was, now, places=None):
    """Describes the entries of a record that differ, for an error.

    A field of the configuration that the record lacks counts as its default.
    Entries that `incomparable` lists are left out, and so is the place of
    data whose contents are recorded.

    Args:
        was: flat dict, the record.
        now: flat dict, the entries that it must have.
        places: dict of `data` and `teacher` to where they come from now.

    Returns:
        List of str, such as `seed (was 0, is 1)`.
    """
    defaults = {**_USUAL, **flat.flatten(schema.default_config())}
    return [
        _described(name, {**defaults, **was}, {**_USUAL, **now}, places or {})
        for name in _differing_names(was, now, defaults)
    ]


def incomparable(was, now):
    """Lists the entries that cannot be compared.

    These are entries that version 0.1 did not record, and the graphs of two
    model files of different kinds.

    Args:
        was, now: as in `differing`.

    Returns:
        str, such as `data, teacher.graph`; empty if there are none.
    """
    names = (name for name in now if _is_incomparable(name, was, now))
    return ", ".join(sorted({_DATA.sub("data", name) for name in names}))


def log_incomparable(was, now, path):
    """Logs a line if some entries of a record cannot be compared.

    Args:
        was, now: as in `differing`.
        path: path of the run or the store.
    """
    names = incomparable(was, now)
    if names:
        _log.warning(
            "%s: %s could not be compared, which its record lacks or has of "
            "another kind of file",
            path,
            names,
        )


def _differing_names(was, now, defaults):
    ignored = set()
    if "data.train.fingerprint" in was and "data.train.fingerprint" in now:
        # The same images and labels may lie elsewhere.
        ignored.add("data.data_dir")
    return [
        name
        for name in sorted((was.keys() | now.keys()) - ignored)
        if was.get(name, defaults.get(name)) != now.get(name)
        and not _is_incomparable(name, was, now)
    ]


def _is_incomparable(name, was, now):
    if name not in was:
        return bool(_NEWER.fullmatch(name))
    kinds = [_KIND.findall(str(record.get(name))) for record in (was, now)]
    return all(kinds) and kinds[0] != kinds[1]


def _described(name, was, now, places):
    if name.startswith("code.") and name in was and name in now:
        return f"the code of {name.removeprefix('code.')} has changed"
    before, after = (
        digests.abbreviated(repr(record.get(name))) for record in (was, now)
    )
    about = _CONTENTS.match(name)
    subject = about and (about[2] or about[3] or "data")
    place = f"; {places[subject]}" if subject in places else ""
    shown = _FIELDS.get(name, name)
    return f"{shown} (was {before}, is {after}{place})"
