"""Training: divergence, devices, precisions, logs."""

import commands
import keras
import numpy as np
import pytest
import tensorflow as tf
from shipped import SHIPPED
from stage_runs import (
    Interrupted,
    export_dummy_teacher,
    read_metrics,
    small_config,
    weights_of,
)

from kd_keras.distillation import divergence
from kd_keras.training import callbacks, checkpoints


@pytest.mark.slow
def test_an_epoch_recorded_before_a_kill_is_not_recorded_twice(run, tmp_path):
    def die(self, epoch, logs=None):
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.SaveCheckpoint, "on_epoch_end", die)
        with pytest.raises(Interrupted):
            run("teacher")
    metrics = tmp_path / "work" / "teacher" / "metrics.jsonl"
    assert [line["epoch"] for line in read_metrics(metrics)] == [1]
    run("teacher")
    assert [line["epoch"] for line in read_metrics(metrics)] == [1, 2]


@pytest.mark.slow
def test_a_nan_loss_stops_the_training_and_keeps_the_last_good_state(
    run, tmp_path
):
    config = small_config(
        **{"teacher.optimizer.name": "sgd", "teacher.epochs": 4}
    )
    good = None

    class Poison(callbacks.MetricsLog):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == 2:
                nonlocal good
                good = self.model.network.get_weights()
                self.model.network.layers[-1].bias.assign([np.nan] * 10)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "MetricsLog", Poison)
        with pytest.raises(
            ValueError, match=r"nan at step 15 \(epoch 3\).*after epoch 2"
        ):
            run("teacher", config=config)
    folder = tmp_path / "work" / "teacher" / "checkpoints"
    assert checkpoints.saved_positions(folder) == [(1, 0), (2, 0)]
    kept = tf.train.load_checkpoint(folder / "ckpt-2")
    names = kept.get_variable_to_shape_map()
    arrays = [kept.get_tensor(n) for n in names if n.startswith("network")]
    assert all(np.isfinite(array).all() for array in arrays)
    assert len(arrays) == len(good)
    for weight in good:
        assert any(
            array.shape == weight.shape and (array == weight).all()
            for array in arrays
        )


def spoil(monkeypatch, epoch, value):
    """Makes a weight that value after the last step of an epoch."""

    class Spoil(callbacks.MetricsLog):
        def on_epoch_begin(self, current, logs=None):
            super().on_epoch_begin(current, logs)
            self._current = current

        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if (self._current, batch) == (epoch, 6):
                self.model.network.layers[-1].bias.assign([value] * 10)

    monkeypatch.setattr(callbacks, "MetricsLog", Spoil)


@pytest.mark.slow
def test_weights_that_are_not_finite_are_not_saved(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        spoil(patch, 1, np.inf)
        with pytest.raises(
            ValueError, match="weights that are not, after epoch 2.*epoch 1 is"
        ):
            run("teacher")
    assert not (tmp_path / "models").exists()
    metrics = tmp_path / "work" / "teacher" / "metrics.jsonl"
    assert [line["epoch"] for line in read_metrics(metrics)] == [1]
    # The same command resumes from the last good state.
    assert "warning" not in run("teacher")[0]


@pytest.mark.slow
def test_saved_weights_that_are_not_finite_are_not_resumed(run, monkeypatch):
    with monkeypatch.context() as patch:
        spoil(patch, 0, np.nan)
        # Version 0.1 saved them.
        patch.setattr(divergence, "is_finite", lambda network: True)
        patch.setattr(callbacks.SampleViews, "on_epoch_end", lambda *_, **__: 0)
        with pytest.raises(ValueError, match="nan at step 8"):
            run("teacher")
    with pytest.raises(ValueError, match="resume from must be finite.*restart"):
        run("teacher")


class Steep(keras.layers.Layer):
    """The identity, with a gradient that no loss scale makes finite."""

    def call(self, inputs):
        return tf.grad_pass_through(lambda x: x)(inputs) + self._steep(inputs)

    @tf.custom_gradient
    def _steep(self, inputs):
        return 0 * inputs, lambda gradient: gradient * float("inf")


def steep_network(*, image_shape, num_classes):
    inputs = keras.Input(image_shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, Steep()(keras.layers.Dense(num_classes)(x)))


@pytest.mark.slow
def test_float16_that_overflows_at_every_step_stops_the_training(run):
    config = small_config(
        precision="mixed_float16",
        **{
            "teacher.model": f"{__name__}:steep_network",
            "teacher.widths": (),
            "teacher.epochs": 6,
        },
    )
    with pytest.raises(ValueError, match="fit into float16.*up to 30, at any"):
        run("teacher", config=config)


@pytest.mark.slow
def test_two_devices_give_the_student_of_one(tmp_path):
    # In processes of their own: TensorFlow numbers the collectives of a process
    # and confuses two strategies, and another test may have one.
    cases = []
    for devices in ("1", "2"):
        flags = [
            "train",
            "--stage=student",
            f"--config.devices={devices}",
            f"--config.teacher.path={SHIPPED / 'mnist_teacher'}",
            "--config.data.max_train_examples=400",
            "--config.data.validation_examples=100",
            "--config.student.epochs=1",
            "--config.student.batch_size=64",
            # AdamW divides by the size of the gradient, rounding errors too.
            "--config.student.optimizer.name=sgd",
            "--config.student.optimizer.momentum=0.0",
            "--config.student.optimizer.learning_rate=1e-3",
            f"--workdir={devices}",
            f"--savedmodels={devices}",
        ]
        cases.append([str(tmp_path), flags])
    answers = commands.run_forked("documented_command", cases)
    weights = []
    for devices, (code, output) in zip(("1", "2"), answers, strict=True):
        # 1: at such a rate the student is no better than chance yet.
        assert code == 1, output
        assert f"{devices} x CPU" in output
        weights.append(weights_of(tmp_path / devices / "student/student.keras"))
    for one, two in zip(*weights):
        np.testing.assert_allclose(two, one, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_exports_float32(run, tmp_path, precision):
    run("teacher", config=small_config(precision=precision))
    model = keras.models.load_model(tmp_path / "work/teacher/teacher.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


def read_scalars(folder):
    scalars = {}
    for file in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                scalars.setdefault(value.tag, []).append(value)
    return scalars


@pytest.mark.slow
def test_tensorboard_has_scalars_learning_rate_and_views(run, tmp_path):
    export_dummy_teacher(tmp_path / "teacher")
    config = small_config(**{"teacher.path": str(tmp_path / "teacher")})
    run("student", config=config)
    folder = tmp_path / "work" / "student" / "tensorboard"
    train = read_scalars(folder / "train")
    assert len(train["epoch_soft_loss"]) == 2
    rates = [
        float(tf.make_ndarray(v.tensor)) for v in train["epoch_learning_rate"]
    ]
    # Cosine from 1e-2, half-way and at the end.
    np.testing.assert_allclose(rates, [5e-3, 0], atol=1e-6)
    assert "epoch_accuracy" in read_scalars(folder / "validation")
    (first, _) = read_scalars(folder / "views")["views"]
    image = tf.io.decode_png(first.tensor.string_val[2]).numpy()
    assert image.shape == (28 * 3 + 60, 8 * 28 * 3, 3)
