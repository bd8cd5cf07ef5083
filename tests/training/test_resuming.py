"""A training that is interrupted within an epoch ends in the same bits."""

import signal

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
from stage_runs import (
    Interrupted,
    export_dummy_teacher,
    interrupt_after_batches,
    read_metrics,
    same_bits,
    save_every_minute,
    small_config,
)

from kd_keras.distillation import trainer
from kd_keras.training import callbacks, checkpoints, resuming

STEPS = 7  # of an epoch of 400 examples


def network_with_dropout(*, image_shape, num_classes):
    inputs = keras.Input(image_shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(16)(x))
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))


def config_of(role, **overrides):
    """Three epochs, with a state every two minutes."""
    return small_config(
        **{
            "checkpoint_minutes": 2.0,
            f"{role}.model": f"{__name__}:network_with_dropout",
            f"{role}.widths": (),
            f"{role}.epochs": 3,
            **overrides,
        }
    )


ANNEALED = {
    "precision": "mixed_float16",
    "distill.final_temperature": 1.0,
    "distill.hard_loss_weight": 0.5,
    "distill.final_hard_loss_weight": 0.1,
}


def spy_on_seconds(monkeypatch, seen):
    """Lists the seconds of an epoch that a training is entered with."""
    original = callbacks.MetricsLog.__init__

    def init(self, *args, seconds, **options):
        seen.append(seconds)
        original(self, *args, seconds=seconds, **options)

    monkeypatch.setattr(callbacks.MetricsLog, "__init__", init)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "role", "overrides", "interruptions"),
    [
        ("teacher", "teacher", {}, 2),
        ("student", "student", ANNEALED, 1),
        ("baseline", "student", {"devices": "2"}, 1),
    ],
    ids=["teacher", "student-annealed-float16", "baseline-two-devices"],
)
def test_a_run_interrupted_within_an_epoch_ends_in_the_bits_of_a_whole_one(
    run, tmp_path, caplog, monkeypatch, stage, role, overrides, interruptions
):
    caplog.set_level("INFO")
    config = config_of(role, **overrides)
    if stage == "student":
        config.teacher.path = str(tmp_path / "teacher")
        export_dummy_teacher(tmp_path / "teacher")
    run(stage, config=config, workdir="whole")
    # In step 4 of the third epoch, and then in step 6.
    for batches in (2 * STEPS + 3, 3)[:interruptions]:
        with pytest.MonkeyPatch.context() as patch:
            save_every_minute(patch)
            interrupt_after_batches(patch, batches)
            with pytest.raises(Interrupted):
                run(stage, config=config, workdir="broken")
    folder, whole = (tmp_path / name / stage for name in ("broken", "whole"))
    assert not (folder / "report.json").exists()
    # The result does not depend on it.
    config.checkpoint_minutes = 0.0
    seconds = []
    spy_on_seconds(monkeypatch, seconds)
    run(stage, config=config, workdir="broken")
    assert len(seconds) == 1 and seconds[0] > 0
    for step in (2, 4)[:interruptions]:
        assert f"after epoch 2 of 3, step {step} of 7, from " in caplog.text
    assert same_bits(whole / f"{stage}.keras", folder / f"{stage}.keras")
    for line, expected in zip(
        read_metrics(folder / "metrics.jsonl"),
        read_metrics(whole / "metrics.jsonl"),
        strict=True,
    ):
        for timing in ("seconds", "examples_per_second"):
            del line[timing], expected[timing]
        assert line == expected


@pytest.fixture
def heeded():
    """SIGINT interrupts, also where a shell's background job ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("heeded")
def test_an_interruption_saves_the_state_at_its_step(run, tmp_path):
    config = config_of("teacher", checkpoint_minutes=0.0)
    original = callbacks.StopOnNaN.on_train_batch_end
    steps = []

    def interrupt(self, batch, logs=None):
        original(self, batch, logs)
        steps.append(batch + 1)
        if batch + 1 == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.StopOnNaN, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run("teacher", config=config)
    assert steps == [1, 2, 3]
    saved = checkpoints.saved_positions(tmp_path / "work/teacher/checkpoints")
    assert saved == [(0, 3)]


@pytest.mark.slow
def test_no_state_is_saved_within_an_epoch_once_the_weights_are_not_finite(
    run, tmp_path, monkeypatch
):
    class Spoil(callbacks.MetricsLog):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if batch + 1 == 4:
                bias = self.model.network.layers[-1].bias
                bias.assign(np.full(10, np.nan))

    monkeypatch.setattr(callbacks, "MetricsLog", Spoil)
    save_every_minute(monkeypatch)
    with pytest.raises(ValueError, match="step 5 .*after epoch 0, step 2 is k"):
        run("teacher", config=config_of("teacher"))
    saved = checkpoints.saved_positions(tmp_path / "work/teacher/checkpoints")
    assert saved == [(0, 2)]


class Spy(keras.callbacks.Callback):
    """Keeps the numbers of all batches, and may stop after an epoch."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.epochs, self.batches = [], []
        self._stop_after = stop_after

    def on_train_batch_begin(self, batch, logs=None):
        self._began = batch

    def on_train_batch_end(self, batch, logs=None):
        assert batch == self._began
        self.batches.append(batch)

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)
        if epoch == self._stop_after:
            self.model.stop_training = True


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [None, 1])
def test_the_rest_of_an_epoch_is_followed_by_whole_ones(stop_after):
    steps, first_step, rest = 4, 3, [3, 0, 1, 2, 3]
    images, labels = nets.make_images(5), nets.make_labels(5)
    model = trainer.SupervisedTrainer(nets.make_network())
    model.compile("sgd")
    spy, restored = Spy(stop_after), []
    # TensorFlow's autotuning would wait for seconds at the end.
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(1)
    history = model.fit(
        batches.with_options(options),
        shuffle=False,
        initial_epoch=1,
        epochs=3,
        steps_per_epoch=steps,
        callbacks=resuming.ResumedCallbacks(
            [spy],
            first_step=first_step,
            restore_metrics=lambda: restored.append(True),
            model=model,
            steps=steps,
            add_history=True,
        ),
    )
    assert restored == [True]
    assert spy.batches == (rest if stop_after is None else rest[:1])
    assert spy.epochs == history.epoch
    assert spy.epochs == ([1, 2] if stop_after is None else [1])
