"""The queue of the teacher's embeddings."""

import numpy as np
import pytest

from kd_keras.distillation.feature_losses import queue_kl


def rows_of(queue):
    inputs = queue.inputs()
    return np.array(inputs["queue"]), int(inputs["num_filled"])


def test_the_oldest_embeddings_are_replaced():
    queue = queue_kl.Queue((2,), queue_size=5)
    angles = np.arange(1.0, 10.0)
    unit = np.stack([np.cos(angles), np.sin(angles)], -1).astype("float32")
    queue.update(2 * unit[:3])
    rows, filled = rows_of(queue)
    assert filled == 3
    np.testing.assert_allclose(rows, [*unit[:3], *[[0, 0]] * 2], atol=1e-6)
    queue.update(unit[3:7])
    rows, filled = rows_of(queue)
    assert filled == 5
    np.testing.assert_allclose(rows, unit[[5, 6, 2, 3, 4]], atol=1e-6)
    # Of more rows than it holds, it keeps the last ones.
    queue.update(unit)
    rows, _ = rows_of(queue)
    np.testing.assert_allclose(rows, unit[[7, 8, 4, 5, 6]], atol=1e-6)


def test_an_empty_queue_gives_no_loss():
    queue = queue_kl.Queue((2,), queue_size=3)
    loss = queue_kl.queue_kl_loss(
        teacher_features=[[1.0, 0.0]],
        student_features=[[0.0, 1.0]],
        **queue.inputs(),
    )
    np.testing.assert_array_equal(loss, [0.0])


def test_maps_are_refused():
    with pytest.raises(ValueError, match="take pool='average'.*batch, 7, 7, 4"):
        queue_kl.Queue((7, 7, 4), queue_size=3)
