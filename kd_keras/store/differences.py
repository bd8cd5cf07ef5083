"""Describes how two stores differ, in the names that a user types."""

import dataclasses
import re

from kd_keras import config as config_lib
from kd_keras.data import augmentation

_SEED = "spec.seed"
# Fields of the configuration; the steps are no field, but follow from others.
_MIXING = re.compile(r"^spec\.(?=(mixup|cutmix)\b)")
_AUGMENT = re.compile(r"^spec\.(?!steps\b)")
# Other entries of a manifest that fields of the configuration set.
_STORE = {
    "parts.train.views": "store.views",
    "dtype": "store.dtype",
    "top_k": "store.top_k",
}
_PLAIN = "of images without augmentation, as with store.share_views=true"

# A record lacks the fields of augmentations that are not used.
_DEFAULTS = config_lib.flatten(
    {"spec": dataclasses.asdict(augmentation.ViewSpec())}
)


def described(was, now):
    """Describes the entries in which two stores differ.

    Args:
        was: dict, entries of a store's manifest, as `manifest.comparable`
            returns.
        now: dict, the entries that it must have.

    Returns:
        List of str, such as `data.augment.translate (was 1, is 0)`. All
        differences between augmented views and images without augmentation
        are one entry, which names `store.share_views`.
    """
    before, after = _spec(was), _spec(now)
    if before and after:
        was, now = {**_DEFAULTS, **was}, {**_DEFAULTS, **now}
    found = config_lib.differing(was, now)
    if before and after:
        plain = [augmentation.is_plain(spec) for spec in (before, after)]
        if plain[0] != plain[1]:
            words = [_PLAIN if x else "augmented" for x in plain]
            views = f"views (were {words[0]}, are {words[1]})"
            return [*map(_field, filter(_is_apart_from_views, found)), views]
    return list(map(_field, found))


def _is_apart_from_views(entry):
    # There is one view of an image without augmentation.
    return not entry.startswith(("spec.", "parts.train.views "))


def _field(entry):
    """An entry that differs, with the name of the field that sets it."""
    name, space, values = entry.partition(" ")
    name = _AUGMENT.sub("data.augment.", _MIXING.sub("data.", name))
    return _STORE.get(name, name) + space + values


def seed_remedy(was, now):
    """What to do where the seed of views alone differs, or empty text.

    Args:
        was: as of `described`.
        now: as of `described`.
    """
    found = config_lib.differing(was, now)
    if len(found) == 1 and found[0].startswith(f"{_SEED} "):
        return f"Set --config.data.augment.seed={was[_SEED]} for its views. "
    return ""


def _spec(entries):
    """The record of a `ViewSpec` in the entries of a store, perhaps empty."""
    return {
        name.removeprefix("spec."): value
        for name, value in entries.items()
        if name.startswith("spec.")
    }
