"""Stored numbers: float16, and the top k with the rest."""

import numpy as np
import pytest
import stores
import tensorflow as tf

import kd_keras


@pytest.mark.slow
def test_float16_is_the_same_rounded(written, parts, teacher, tmp_path):
    stores.write(tmp_path, parts, teacher, dtype="float16")
    ids = parts["train"].ids
    exact = kd_keras.LogitStore.open(written).logits(ids, 1)
    np.testing.assert_array_equal(
        kd_keras.LogitStore.open(tmp_path).logits(ids, 1),
        exact.astype("float16").astype("float32"),
    )


@pytest.mark.slow
def test_the_top_classes_are_exact_and_the_rest_keeps_its_probability(
    written, parts, teacher, tmp_path
):
    stores.write(tmp_path, parts, teacher, top_k=2)
    ids = parts["train"].ids[::7]
    whole = kd_keras.LogitStore.open(written).logits(ids, 2)
    kept = kd_keras.LogitStore.open(tmp_path).logits(ids, 2)
    p, q = (tf.nn.softmax(logits).numpy() for logits in (whole, kept))
    top = np.argsort(-whole, axis=-1)[:, :2]
    np.testing.assert_array_equal(
        np.take_along_axis(kept, top, -1), np.take_along_axis(whole, top, -1)
    )
    np.testing.assert_allclose(
        np.take_along_axis(q, top, -1),
        np.take_along_axis(p, top, -1),
        rtol=1e-4,
    )
    # Spread evenly over the three others.
    rest = np.argsort(-whole, axis=-1)[:, 2:]
    others = np.take_along_axis(q, rest, -1)
    np.testing.assert_allclose(
        others, np.repeat(others[:, :1], 3, axis=-1), rtol=1e-5
    )
    for top_k in (5, -1):
        with pytest.raises(ValueError, match=f"top_k .*: {top_k} of 5"):
            stores.plan(parts, top_k=top_k)
