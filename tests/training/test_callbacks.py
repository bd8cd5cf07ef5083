"""Callbacks: the drawing of predictions, seconds, times of checkpoints."""

import types

import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.training import callbacks, run_directory, save_times
from kd_keras.utils import interruption


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


def test_the_seconds_of_an_epoch_include_those_before_an_interruption(tmp_path):
    run_dir = run_directory.RunDir(tmp_path, "teacher")
    log = callbacks.MetricsLog(
        run_dir, num_examples=10, first_epoch=0, seconds=5.0
    )
    for epoch in (0, 1):
        log.on_epoch_begin(epoch)
        log.on_train_batch_end(6)
        log.on_epoch_end(epoch, {})
    first, second = run_dir.metrics()
    assert 5 <= first["seconds"] < 6 and second["seconds"] < 1
    assert first["examples_per_second"] == pytest.approx(2, abs=0.3)


def test_a_state_is_saved_whenever_the_minutes_have_passed():
    now, saved = [0], []
    states = types.SimpleNamespace(
        save=lambda position, **options: saved.append(tuple(position))
    )
    save = callbacks.SaveCheckpoint(
        states,
        times=save_times.SaveTimes(1.0, clock=lambda: now[0]),
        steps_per_epoch=5,
        log=types.SimpleNamespace(seconds=0.0),
        interruption=interruption.Deferral(),
    )
    save.set_model(
        types.SimpleNamespace(
            network=nets.make_network(),
            distribute_strategy=tf.distribute.get_strategy(),
        )
    )
    save.on_train_begin()
    for epoch in range(2):
        save.on_epoch_begin(epoch)
        for batch in range(5):
            now[0] += 31
            save.on_train_batch_end(batch)
        save.on_epoch_end(epoch)
    assert saved == [(0, 2), (0, 4), (1, 0), (1, 2), (1, 4), (2, 0)]


def test_a_drawing_that_fails_is_logged_once_and_stops_nothing(
    tmp_path, caplog
):
    calls = []
    views = callbacks.SampleViews(tmp_path, lambda epoch: calls.append(1 / 0))
    views.on_epoch_end(0)
    views.on_epoch_end(1)
    (record,) = caplog.records
    assert "ZeroDivisionError: division by zero" in record.message
