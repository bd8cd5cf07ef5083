"""Features that are stored beside logits, or instead of them."""

import itertools
import json
import shutil

import numpy as np
import pytest
import stores
import tensorflow as tf

import kd_keras
from kd_keras.data import datasets, pipeline
from kd_keras.store import answers
from kd_keras.store import manifest as manifests
from kd_keras.teachers.outputs import Outputs
from kd_keras.utils import records


def live_outputs(teacher, examples, ids, view):
    images = pipeline.make_views(
        examples, tf.constant(ids), view=view, spec=stores.SPEC
    )
    return stores.with_features(teacher)(images)


def rounded(values):
    return np.asarray(values).astype("float16").astype("float32")


def test_stored_features_are_those_of_the_live_teacher_rounded(
    with_features, parts, teacher
):
    opened = kd_keras.LogitStore.open(with_features)
    assert opened.feature_shapes == [(4,), (6,)]
    ids = np.random.default_rng(0).permutation(parts["train"].ids)[:700]
    for view in range(stores.VIEWS):
        live = live_outputs(teacher, parts["train"], ids, view)
        for kept, expected in zip(
            opened.features(ids, view), live.features, strict=True
        ):
            assert kept.dtype == np.float32
            np.testing.assert_array_equal(kept, rounded(expected))
        # The product of a batch of another size may differ in its last bit.
        np.testing.assert_allclose(
            opened.logits(ids, view), live.logits, atol=2e-3
        )
    plain = stores.with_features(teacher)(parts["test"].images)
    np.testing.assert_array_equal(
        opened.features(parts["test"].ids, part="test")[1],
        rounded(plain.features[1]),
    )


@pytest.mark.slow
def test_the_files_of_the_logits_are_those_of_a_store_without_features(
    with_features, parts, teacher, tmp_path
):
    assert stores.write(tmp_path, parts, teacher, dtype="float16")
    whole, logits = map(stores.contents, (with_features, tmp_path))
    added = sorted(set(whole) - set(logits))
    assert added == sorted(
        f"{part}-feature{i}-0000{k}-of-0000{n}.npy"
        for part, n in (("train", 3), ("test", 1))
        for i, k in itertools.product(range(2), range(n))
    )
    for name in set(logits) - {"manifest.json"}:
        assert whole[name] == logits[name], name
    assert "features" not in json.loads(logits["manifest.json"])


def test_batches_bring_logits_and_features(with_features, parts):
    opened = kd_keras.LogitStore.open(with_features)
    ids = parts["train"].ids[:6]
    batches = tf.data.Dataset.from_tensor_slices((ids, np.zeros(6))).batch(6)
    _, y = next(iter(opened.attach(batches, view=1)))
    assert set(y) == {"teacher_logits", "teacher_features"}
    np.testing.assert_array_equal(y["teacher_logits"], opened.logits(ids, 1))
    for given, kept in zip(
        y["teacher_features"], opened.features(ids, 1), strict=True
    ):
        np.testing.assert_array_equal(given, kept)
    spec = opened.attach(batches).element_spec[1]["teacher_features"]
    assert [tuple(x.shape) for x in spec] == [(None, 4), (None, 6)]


@pytest.mark.slow
def test_a_store_may_hold_features_alone(parts, teacher, tmp_path):
    outputs = stores.with_features(teacher, logits=False)
    options = {"features": stores.FEATURES, "num_classes": 0}
    assert stores.write(tmp_path, parts, outputs, **options)
    opened = kd_keras.LogitStore.open(tmp_path)
    ids = parts["train"].ids[::5]
    live = live_outputs(teacher, parts["train"], ids, 2)
    np.testing.assert_array_equal(opened.features(ids, 2)[0], live.features[0])
    looked_up = opened.lookup(ids, 2)
    assert looked_up.logits is None
    np.testing.assert_array_equal(looked_up.features[1], live.features[1])
    batches = tf.data.Dataset.from_tensors((ids, ids))
    _, y = next(iter(opened.attach(batches)))
    assert set(y) == {"teacher_features"}
    stored = answers.StoredAnswers(lambda: opened, manifest=opened.manifest)
    assert stored.num_classes is None
    assert stored.record["store.features.1.shape"] == [6]
    with pytest.raises(ValueError, match="of 2 features alone"):
        opened.logits(ids)
    with pytest.raises(ValueError, match="logits, features or both"):
        stores.plan(parts, num_classes=0)
    with pytest.raises(ValueError, match="top_k .* Received: 2 of 0"):
        stores.plan(parts, top_k=2, **options)


@pytest.mark.slow
def test_the_top_classes_are_kept_beside_features(parts, teacher, tmp_path):
    stores.write(
        tmp_path,
        parts,
        stores.with_features(teacher),
        features=stores.FEATURES,
        top_k=2,
    )
    opened = kd_keras.LogitStore.open(tmp_path)
    ids = parts["train"].ids[:50]
    live = live_outputs(teacher, parts["train"], ids, 0)
    np.testing.assert_array_equal(opened.features(ids)[1], live.features[1])
    np.testing.assert_allclose(
        opened.logits(ids).max(-1), tf.reduce_max(live.logits, -1), atol=1e-4
    )


def test_only_the_wanted_features_are_read(with_features, parts):
    opened = kd_keras.LogitStore.open(with_features)
    ids = parts["train"].ids[:9]
    last, pooled = ({"teacher": name} for name in ("", "pooled"))
    chosen = opened.choose([last])
    assert chosen.feature_shapes == [(6,)]
    assert chosen.manifest["features"] == [stores.FEATURES[1]]
    np.testing.assert_array_equal(
        chosen.lookup(ids, 1).features[0], opened.features(ids, 1)[1]
    )
    assert opened.choose([last, pooled]).feature_shapes == [(6,), (4,)]
    without = opened.choose([])
    assert "features" not in without.manifest
    assert without.lookup(ids).features == ()
    with pytest.raises(ValueError, match="with .*'pooled'.*wanted .*'conv'"):
        opened.choose([{"teacher": "conv"}])


@pytest.mark.slow
def test_a_damaged_feature_is_written_again(
    with_features, parts, teacher, tmp_path
):
    shutil.copytree(with_features, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "train-feature1-00002-of-00003.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    opened = kd_keras.LogitStore.open(tmp_path)
    last = parts["train"].ids[-1:]
    with pytest.raises(ValueError, match="feature1-00002.*is damaged"):
        opened.features(last)
    # Other features are not read.
    opened.choose([{"teacher": "pooled"}]).features(last)
    asked = []

    def counted(images):
        tf.py_function(lambda: asked.append(1), [], [])
        return stores.with_features(teacher)(images)

    options = {"features": stores.FEATURES, "dtype": "float16"}
    assert stores.write(tmp_path, parts, counted, **options)
    # The 200 examples of the shard, 3 views.
    assert len(asked) == 3
    assert stores.contents(tmp_path) == stores.contents(with_features)


@pytest.mark.slow
def test_features_that_do_not_fit_are_named(parts, teacher, tmp_path):
    few = {"train": parts["train"].subset(np.arange(20))}
    good, six = np.ones((20, 4), "float32"), np.ones((20, 6), "float32")

    def refused(message, *features, **options):
        features = tuple(map(tf.constant, features))
        outputs = Outputs(tf.zeros((20, 5)), features)
        with pytest.raises(ValueError, match=message):
            stores.write(
                tmp_path,
                few,
                lambda images: outputs,
                **{"features": stores.FEATURES, **options},
            )

    lost = good.copy()
    lost[3, 1] = np.nan
    large = np.full((20, 6), 1e6, "float32")
    refused("feature 'pooled' must be finite.*from nan to nan", lost, six)
    refused("feature 'pooled' must be of.*shape \\(4,\\).*\\(6,\\)", six, six)
    refused("must return 2 features. Received: 1", good)
    shutil.rmtree(tmp_path)
    refused("feature 1 must .* fit float16", good, large, dtype="float16")


def test_another_feature_makes_another_store(with_features, parts, teacher):
    def refused(field, features):
        with pytest.raises(ValueError, match=rf"Differing: .*{field} \(was"):
            options = {"dtype": "float16", "features": features}
            stores.write(with_features, parts, teacher, **options)

    pooled, last = stores.FEATURES
    refused(r"features\.1\.teacher", [pooled, {**last, "teacher": "conv"}])
    refused(r"features\.0\.shape", [{**pooled, "shape": [5]}, last])
    refused(r"features\.1\.shape", [pooled])
    refused(r"features\.0\.teacher", [])


def test_a_damaged_record_of_features_is_refused(with_features, tmp_path):
    record = json.loads((with_features / "manifest.json").read_text())
    del record["sha256"]
    record["features"][0]["shape"] = "4"
    sealed = records.sealed(record)
    (tmp_path / "manifest.json").write_text(json.dumps(sealed))
    with pytest.raises(ValueError, match=r"features\[0\].shape is text"):
        manifests.read(tmp_path)


def test_files_of_large_features_are_small():
    examples = datasets.Examples(np.zeros((5000, 1, 1, 1), "uint8"))
    manifest = stores.plan(
        {"train": examples},
        features=[{"teacher": "", "shape": [7, 7, 1280]}],
        shard_views=50_000,
    )
    # 500 views of 3 x 250 kB; whole batches.
    assert manifest["parts"]["train"]["shard_examples"] == 500
