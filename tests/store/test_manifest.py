"""Plans of stores, and refusal of other plans."""

import dataclasses

import numpy as np
import pytest
import stores
from example_sets import encoded, numbered

from kd_keras.data import augmentation as views
from kd_keras.data import datasets
from kd_keras.data.augmentation import table
from kd_keras.store import manifest as manifest_lib


@pytest.mark.slow
def test_another_plan_is_refused_with_its_differences(
    written, parts, teacher, tmp_path
):
    def refused(field, changed=parts, **options):
        with pytest.raises(ValueError, match=rf"Differing: .*{field} \(was"):
            stores.write(written, changed, teacher, **options)

    refused(r"teacher\.fingerprint", record={"fingerprint": "def"})
    refused("num_classes", num_classes=6)
    refused("dtype", dtype="float16")
    refused(
        r"spec\.seed", spec=views.ViewSpec(**{**vars(stores.SPEC), "seed": 6})
    )
    refused(
        r"spec\.cutout",
        spec=views.ViewSpec(**{**vars(stores.SPEC), "cutout": 3}),
    )
    refused(r"parts\.train\.views", views_count=4)
    fewer = {**parts, "train": parts["train"].subset(np.arange(1199))}
    refused(r"parts\.train\.fingerprint", fewer)
    brighter = datasets.Examples(
        np.maximum(parts["train"].images, 1), ids=parts["train"].ids
    )
    refused(r"parts\.train\.fingerprint", {**parts, "train": brighter})
    # An unfinished store is refused, too: it would become half of each.
    stores.write(tmp_path, parts, teacher, num_shards=2)
    with pytest.raises(ValueError, match=r"Differing: dtype \(was"):
        stores.write(tmp_path, parts, teacher, dtype="float16")


@pytest.mark.slow
def test_another_version_of_an_augmentation_is_refused(
    parts, teacher, tmp_path, monkeypatch
):
    few = {"train": parts["train"].subset(np.arange(20))}
    spec = views.ViewSpec(seed=1, erasing=0.5, mirror="random")
    assert stores.write(tmp_path, few, teacher, spec=spec)
    assert stores.write(tmp_path, few, teacher, spec=spec)
    changed = dataclasses.replace(spec, order=("erasing", "translate_mirror"))
    with pytest.raises(ValueError, match=r"Differing: spec\.steps \(was"):
        stores.write(tmp_path, few, teacher, spec=changed)
    newer = dataclasses.replace(table.ALL["erasing"], version=2)
    monkeypatch.setitem(table.ALL, "erasing", newer)
    with pytest.raises(
        ValueError,
        match=r"spec\.steps \(was \['translate_mirror 0', 'erasing 1'\], "
        r"is \['translate_mirror 0', 'erasing 2'\]",
    ):
        stores.write(tmp_path, few, teacher, spec=spec)


@pytest.mark.slow
def test_the_size_of_files_makes_no_other_store(
    written, parts, teacher, tmp_path
):
    assert stores.write(written, parts, teacher, shard_views=10**6)
    # A store that was begun resumes with its own size of files.
    assert not stores.write(tmp_path, parts, teacher, num_shards=2)
    assert stores.write(tmp_path, parts, teacher, shard_views=10**6)
    assert stores.contents(tmp_path) == stores.contents(written)


def test_an_encoded_set_is_compared_to_its_end(caplog):
    def contents(change=None):
        examples = numbered(300)
        if change is not None:
            examples.images[change, 0, 0, 2] += 1
        parts = {"train": encoded(examples)}
        return manifest_lib.comparable({"parts": manifest_lib.describe(parts)})

    was = contents()
    manifest_lib.check_same(was, contents(), "here")
    with pytest.raises(ValueError, match=r"parts\.train\.contents \(was"):
        manifest_lib.check_same(was, contents(change=299), "here")
    assert not caplog.messages
    # Version 0.1 recorded the first 256 images alone.
    del was["parts.train.contents"]
    manifest_lib.check_same(was, contents(change=299), "here")
    assert "here: parts.train.contents could not" in caplog.text
    with pytest.raises(ValueError, match=r"parts\.train\.fingerprint \(was"):
        manifest_lib.check_same(was, contents(change=255), "here")
