"""Callbacks: the drawing of predictions."""

import numpy as np

from kd_keras.training import callbacks


def test_predictions_are_drawn_as_bars_in_their_proportions():
    images = np.full((2, 4, 4, 1), 7, np.uint8)
    drawing = callbacks.draw_predictions(
        images,
        {
            "teacher": np.array([[0.5, 0.5], [1.0, 0.0]]),
            "student": np.array([[0.25, 0.75], [0.0, 1.0]]),
        },
        scale=4,
        bar_height=20,
    )
    assert drawing.shape == (36, 32, 3)
    assert (drawing[:16] == 7).all()
    is_bar = (drawing[16:] != 255).any(-1)
    np.testing.assert_array_equal(
        is_bar.sum(0)[::4], [10, 5, 10, 15, 20, 0, 0, 20]
    )


def test_a_drawing_that_fails_is_logged_once_and_stops_nothing(
    tmp_path, caplog
):
    calls = []
    views = callbacks.SampleViews(tmp_path, lambda epoch: calls.append(1 / 0))
    views.on_epoch_end(0)
    views.on_epoch_end(1)
    (record,) = caplog.records
    assert "ZeroDivisionError: division by zero" in record.message
