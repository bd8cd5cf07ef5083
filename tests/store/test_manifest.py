"""Plans of stores, and refusal of other plans."""

import dataclasses
import errno
import os
import pathlib

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
    refused(r"store\.dtype", dtype="float16")
    refused(
        r"data\.augment\.seed",
        spec=views.ViewSpec(**{**vars(stores.SPEC), "seed": 6}),
    )
    refused(
        r"data\.augment\.cutout",
        spec=views.ViewSpec(**{**vars(stores.SPEC), "cutout": 3}),
    )
    refused(r"store\.views", views_count=4)
    fewer = {**parts, "train": parts["train"].subset(np.arange(1199))}
    refused(r"parts\.train\.fingerprint", fewer)
    brighter = datasets.Examples(
        np.maximum(parts["train"].images, 1), ids=parts["train"].ids
    )
    refused(r"parts\.train\.fingerprint", {**parts, "train": brighter})
    # An unfinished store is refused, too: it would become half of each.
    stores.write(tmp_path, parts, teacher, num_shards=2)
    with pytest.raises(ValueError, match=r"Differing: store\.dtype \(was"):
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


def test_a_store_that_is_finished_while_its_plan_is_read(
    tmp_path, parts, monkeypatch
):
    manifest_lib.write(tmp_path, stores.plan(parts))
    plan, read_bytes = tmp_path / manifest_lib.PLAN, pathlib.Path.read_bytes

    def finished_meanwhile(path):
        if path == plan:
            plan.rename(tmp_path / manifest_lib.NAME)
        return read_bytes(path)

    monkeypatch.setattr(pathlib.Path, "read_bytes", finished_meanwhile)
    assert manifest_lib.read(tmp_path)["parts"].keys() == parts.keys()


def test_a_manifest_that_cannot_be_read_is_not_called_damaged(
    tmp_path, parts, monkeypatch
):
    manifest_lib.write(tmp_path, stores.plan(parts))

    def refuse(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "read_bytes", refuse)
        with pytest.raises(OSError, match="Input/output error: .*json'$"):
            manifest_lib.read(tmp_path)
    (tmp_path / manifest_lib.PLAN).write_text("{")
    with pytest.raises(ValueError, match="as it was.*or remove this store$"):
        manifest_lib.read(tmp_path)


def test_a_file_in_place_of_a_store_has_no_manifest(tmp_path):
    (tmp_path / "store").touch()
    assert manifest_lib.read(tmp_path / "store") is None


def differing(was, now, **options):
    """The end of the error about a store of other views."""
    with pytest.raises(ValueError) as error:
        manifest_lib.check_same(
            *(
                manifest_lib.comparable({"spec": views.ViewSpec(**x).record()})
                for x in (was, now)
            ),
            "here",
            **options,
        )
    return str(error.value).partition(" Differing: ")[2]


def test_differing_views_are_named_as_the_user_types_them():
    was = {"translate": 1, "mixup": 0.5, "cutmix": 0.1}
    assert differing(was, {"translate": 2}, remedy="Do this") == (
        "data.cutmix (was 0.1, is 0.0); data.mixup (was 0.5, is 0.0); "
        "data.augment.translate (was 1, is 2). Do this"
    )


def test_the_seed_of_views_is_the_remedy_where_it_alone_differs():
    was = {"translate": 1, "seed": 3}
    assert differing(was, {"translate": 1, "seed": 4}) == (
        "data.augment.seed (was 3, is 4). Set --config.data.augment.seed=3 for "
        "its views. Label into another --workdir, or remove this store"
    )
    assert "Set" not in differing(was, {"translate": 2, "seed": 4})


def test_views_that_became_shared_are_one_difference():
    plain = "of images without augmentation, as with store.share_views=true"
    was = {"translate": 1, "seed": 3}
    assert differing(was, {}, remedy="") == (
        f"views (were augmented, are {plain}). "
    )
    assert differing({}, was, remedy="") == (
        f"views (were {plain}, are augmented). "
    )


def test_other_entries_are_named_by_the_fields_that_set_them():
    def entries(views, dtype, top_k, spec):
        return manifest_lib.comparable(
            {
                "parts": {"train": {"views": views, "examples": 9}},
                "dtype": dtype,
                "top_k": top_k,
                "spec": spec.record(),
            }
        )

    one, other = views.ViewSpec(), views.ViewSpec(translate=1)
    was, now = entries(1, "a", 3, one), entries(2, "b", 4, one)
    with pytest.raises(
        ValueError,
        match=r"Differing: store\.dtype \(was 'a', is 'b'\); store\.views "
        r"\(was 1, is 2\); store\.top_k \(was 3, is 4\)\. ",
    ):
        manifest_lib.check_same(was, now, "here")
    # Sharing of views sets their number, too.
    with pytest.raises(ValueError) as error:
        manifest_lib.check_same(was, entries(2, "a", 4, other), "here")
    assert "Differing: store.top_k (was 3, is 4); views (" in str(error.value)
    assert "store.views" not in str(error.value)


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
