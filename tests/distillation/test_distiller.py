"""The Distiller on one device: what it updates, logs, saves and refuses."""

import json
import zipfile

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.distillation import losses

T = 3.0


def distil(
    student,
    teacher,
    x,
    y=None,
    sample_weight=None,
    *,
    epochs=1,
    batch_size=16,
    **options,
):
    optimizer = options.pop("optimizer", None) or keras.optimizers.SGD(0.05)
    metrics = options.pop("metrics", None)
    distiller = kd_keras.Distiller(
        student, teacher, **{"temperature": T, **options}
    )
    distiller.compile(optimizer=optimizer, metrics=metrics)
    history = distiller.fit(
        x,
        y,
        sample_weight=sample_weight,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=False,
        verbose=0,
    )
    return distiller, {
        key: values[-1] for key, values in history.history.items()
    }


def plain_step(student, gradient_of_loss, learning_rate=0.05):
    """One SGD step by hand."""
    with tf.GradientTape() as tape:
        loss = gradient_of_loss()
    variables = student.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        variable.assign(variable - learning_rate * gradient)


def test_one_step_is_the_gradient_of_the_mean_loss():
    teacher, student = nets.make_network(units=32), nets.make_network()
    by_hand, images = nets.copy_of(student), nets.make_images(16)
    distil(student, teacher, images)
    plain_step(
        by_hand,
        lambda: tf.reduce_mean(
            losses.distillation_loss(
                teacher_logits=teacher(images),
                student_logits=by_hand(images),
                temperature=T,
            )
        ),
    )
    nets.assert_same_weights(student, by_hand, atol=1e-6)


def test_hard_loss_and_regularisation_are_added():
    regularizer = keras.regularizers.L2(0.01)
    teacher = nets.make_network()
    student = nets.make_network(regularizer=regularizer)
    by_hand = nets.copy_of(student)
    images, labels = nets.make_images(16), nets.make_labels(16)
    _, logs = distil(student, teacher, images, labels, hard_loss_weight=0.3)

    def terms():
        logits = by_hand(images)
        return (
            tf.reduce_mean(
                losses.distillation_loss(
                    teacher_logits=teacher(images),
                    student_logits=logits,
                    temperature=T,
                )
            ),
            tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(
                    labels, logits, from_logits=True
                )
            ),
            tf.add_n(by_hand.losses),
        )

    soft, hard, penalty = (float(term) for term in terms())
    assert logs["soft_loss"] == pytest.approx(soft, rel=1e-5)
    assert logs["hard_loss"] == pytest.approx(hard, rel=1e-5)
    assert logs["regularization_loss"] == pytest.approx(penalty, rel=1e-5)
    assert logs["loss"] == pytest.approx(soft + 0.3 * hard + penalty, rel=1e-5)

    def loss():
        soft, hard, penalty = terms()
        return soft + 0.3 * hard + penalty

    plain_step(by_hand, loss)
    nets.assert_same_weights(student, by_hand, atol=1e-6)


def test_without_a_hard_loss_labels_only_feed_metrics():
    teacher, images = nets.make_network(), nets.make_images()
    first = nets.make_network()
    second, third = nets.copy_of(first), nets.copy_of(first)
    labels = nets.make_labels()
    _, logs = distil(first, teacher, images, labels)
    distil(second, teacher, images, np.random.permutation(labels))
    _, without = distil(third, teacher, images)
    nets.assert_same_weights(first, second)
    nets.assert_same_weights(first, third)
    assert "accuracy" in logs and "accuracy" not in without


@pytest.mark.parametrize(
    "make_y",
    [
        lambda labels, logits: labels,
        lambda labels, logits: labels[:, np.newaxis],
        lambda labels, logits: {"labels": labels},
        lambda labels, logits: {"labels": labels, "teacher_logits": logits},
    ],
)
def test_labels_in_every_form_give_the_same_accuracy(make_y):
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(), nets.make_labels()
    distiller = kd_keras.Distiller(student, teacher)
    distiller.compile()
    y = make_y(labels, teacher.predict(images, verbose=0))
    logs = distiller.evaluate(images, y, return_dict=True, verbose=0)
    right = student.predict(images, verbose=0).argmax(-1) == labels
    assert logs["accuracy"] == pytest.approx(right.mean())


def test_given_teacher_logits_equal_the_live_teacher():
    teacher, images = nets.make_network(), nets.make_images()
    live = nets.make_network()
    stored = nets.copy_of(live)
    distil(live, teacher, images, epochs=2)
    logits = teacher.predict(images, verbose=0)
    distil(stored, None, images, {"teacher_logits": logits}, epochs=2)
    nets.assert_same_weights(live, stored, atol=1e-6)


def test_sample_weights_weigh_the_loss_and_the_logs():
    teacher, images = nets.make_network(), nets.make_images(48)
    labels = nets.make_labels(48)
    # The second half of each batch of 16 counts for nothing, the first twice.
    weights = np.tile(np.repeat([2.0, 0.0], 8), 3)
    half = np.tile(np.repeat([True, False], 8), 3)
    weighted = nets.make_network()
    halved = nets.copy_of(weighted)
    _, logs = distil(weighted, teacher, images, labels, weights)
    _, expected = distil(
        halved, teacher, images[half], labels[half], batch_size=8
    )
    nets.assert_same_weights(weighted, halved, atol=1e-6)
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-4), name


def test_logs_are_means_over_examples_not_batches():
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(50), nets.make_labels(50)
    distiller = kd_keras.Distiller(student, teacher, temperature=T)
    distiller.compile(metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2)])
    # Batches of 32 and 18.
    logs = distiller.evaluate(
        images, labels, batch_size=32, return_dict=True, verbose=0
    )
    logits = student.predict(images, verbose=0)
    teacher_logits = teacher.predict(images, verbose=0)
    soft = losses.distillation_loss(
        teacher_logits=teacher_logits, student_logits=logits, temperature=T
    )
    same = logits.argmax(-1) == teacher_logits.argmax(-1)
    top2 = np.argsort(-logits, -1)[:, :2] == labels[:, np.newaxis]
    assert logs == {
        "loss": pytest.approx(np.mean(soft), rel=1e-5),
        "soft_loss": pytest.approx(np.mean(soft), rel=1e-5),
        "accuracy": pytest.approx(np.mean(logits.argmax(-1) == labels)),
        "agreement": pytest.approx(np.mean(same)),
        "sparse_top_k_categorical_accuracy": pytest.approx(
            np.mean(top2.any(-1))
        ),
    }


def test_metrics_by_name_and_validation_data():
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(), nets.make_labels()
    distiller = kd_keras.Distiller(student, teacher)
    distiller.compile(optimizer="sgd", metrics=["accuracy"])
    # Training without labels, validation with.
    history = distiller.fit(
        images, validation_data=(images, labels), epochs=2, verbose=0
    ).history
    right = student.predict(images, verbose=0).argmax(-1) == labels
    assert history["val_accuracy"][-1] == pytest.approx(right.mean())
    assert "accuracy" not in history
    assert history["loss"][1] < history["loss"][0]


def test_training_works_with_keras_callbacks(tmp_path):
    teacher, student = nets.make_network(), nets.make_network()
    images = nets.make_images()
    distiller = kd_keras.Distiller(student, teacher)
    distiller.compile(optimizer=keras.optimizers.Adam(0.01))
    distiller.fit(
        images,
        validation_data=(images, None),
        epochs=3,
        verbose=0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                str(tmp_path / "best.weights.h5"),
                save_best_only=True,
                save_weights_only=True,
            ),
            keras.callbacks.ModelCheckpoint(str(tmp_path / "last.keras")),
            keras.callbacks.BackupAndRestore(str(tmp_path / "backup")),
            keras.callbacks.EarlyStopping("val_agreement", mode="max"),
            keras.callbacks.ReduceLROnPlateau("val_loss"),
            keras.callbacks.TensorBoard(str(tmp_path / "logs")),
            keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        ],
    )
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert "val_soft_loss" in header
    assert list((tmp_path / "logs" / "train").iterdir())
    reloaded = keras.models.load_model(tmp_path / "last.keras")
    np.testing.assert_allclose(
        reloaded.predict(images, verbose=0),
        student.predict(images, verbose=0),
        atol=1e-6,
    )


def test_a_saved_distiller_keeps_its_settings_and_goes_on(tmp_path):
    teacher, student = nets.make_network(), nets.make_network()
    images = nets.make_images()
    distiller, _ = distil(student, teacher, images)
    distiller.save(tmp_path / "distiller.keras")
    reloaded = keras.models.load_model(tmp_path / "distiller.keras")
    assert reloaded.temperature == T and reloaded.soft_loss == "kl"
    logits = teacher.predict(images, verbose=0)
    reloaded.fit(images, {"teacher_logits": logits}, verbose=0)
    with zipfile.ZipFile(tmp_path / "distiller.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert "teacher" not in json.dumps(config)


def test_gradient_clipping_clips_the_whole_gradient():
    teacher, images = nets.make_network(units=64), nets.make_images(16)
    student = nets.make_network()
    before = nets.snapshot(student)
    distil(
        student,
        teacher,
        images,
        optimizer=keras.optimizers.SGD(1.0, global_clipnorm=0.01),
    )
    step = [a - b for a, b in zip(student.get_weights(), before)]
    norm = np.sqrt(sum((part**2).sum() for part in step))
    assert norm == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_with_a_float32_loss(policy):
    keras.mixed_precision.set_dtype_policy(policy)
    student = nets.make_network()
    keras.mixed_precision.set_dtype_policy("float32")
    teacher, images = nets.make_network(), nets.make_images()
    reference = nets.make_network()
    reference.set_weights(student.get_weights())
    distiller, logs = distil(student, teacher, images, epochs=3)
    _, expected = distil(reference, teacher, images, epochs=3)
    assert isinstance(
        distiller.optimizer, keras.optimizers.LossScaleOptimizer
    ) == (policy == "mixed_float16")
    assert student(images[:1]).dtype != tf.float32
    assert logs["loss"] == pytest.approx(expected["loss"], rel=0.02)
    nets.assert_same_weights(student, reference, atol=5e-3)


def test_a_teacher_may_be_any_callable():
    student, images = nets.make_network(), nets.make_images()
    teacher = nets.make_network()
    copy = nets.copy_of(student)
    distil(student, teacher, images)
    distil(copy, lambda x: tf.cast(teacher(x), tf.float16), images)
    nets.assert_same_weights(student, copy, atol=1e-3)


def test_an_unbuilt_student_is_built_by_its_first_batch():
    student = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(nets.NUM_CLASSES)]
    )
    _, logs = distil(student, nets.make_network(), nets.make_images())
    assert student.built and logs["loss"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "Received: temperature=0.0"),
        ({"temperature": float("nan")}, "Received: temperature=nan"),
        ({"hard_loss_weight": -1.0}, "Received: hard_loss_weight=-1.0"),
        ({"soft_loss": "kld"}, "one of kl, dkd, dist, mse.*'kld'"),
    ],
)
def test_impossible_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        kd_keras.Distiller(nets.make_network(), nets.make_network(), **options)


def test_different_class_counts_are_refused_with_both():
    student, images = nets.make_network(), nets.make_images()
    other = nets.make_network(num_classes=7)
    with pytest.raises(ValueError, match="student 5, teacher 7"):
        kd_keras.Distiller(student, other)
    # A callable tells only when it is called, logits when they come.
    with pytest.raises(ValueError, match="student 5, teacher 7"):
        distil(student, lambda x: other(x), images)
    logits = other.predict(images, verbose=0)
    with pytest.raises(ValueError, match="student 5, teacher 7"):
        distil(student, None, images, {"teacher_logits": logits})


def test_a_teacher_that_returns_nan_is_refused_before_any_update():
    student, images = nets.make_network(), nets.make_images(16)
    before = nets.snapshot(student)
    broken = nets.make_network()
    broken.layers[-1].bias.assign([0, 0, np.nan, 0, 0])
    with pytest.raises(ValueError, match="Received: 16 of 80 values"):
        distil(student, broken, images)
    assert not any(nets.moved(student, before))


def test_probabilities_for_logits_are_refused():
    network, images = nets.make_network(), nets.make_images()
    ends_in_softmax = keras.Sequential([network, keras.layers.Softmax()])
    with pytest.raises(ValueError, match=r"sum to (1|0\.99).*up to 1"):
        distil(nets.make_network(), ends_in_softmax, images)
    distiller = kd_keras.Distiller(nets.make_network(), ends_in_softmax)
    distiller.compile()
    with pytest.raises(ValueError, match="not probabilities"):
        distiller.evaluate(images, verbose=0)


@pytest.mark.parametrize(
    ("teacher", "options", "y", "message"),
    [
        (None, {}, None, "needs a teacher"),
        ("teacher", {"hard_loss_weight": 0.1}, None, "needs labels"),
        ("teacher", {}, {"label": nets.make_labels()}, r"\['label'\]"),
        ("teacher", {}, np.ones((50, 5)), r"float.* \(None, 5\)"),
    ],
)
def test_batches_without_what_is_needed_are_refused(
    teacher, options, y, message
):
    if teacher:
        teacher = nets.make_network()
    with pytest.raises(ValueError, match=message):
        distil(nets.make_network(), teacher, nets.make_images(), y, **options)


def test_a_loss_in_compile_is_refused():
    distiller = kd_keras.Distiller(nets.make_network(), nets.make_network())
    with pytest.raises(ValueError, match="Received: loss"):
        distiller.compile(optimizer="sgd", loss="mse")


def test_importing_changes_nothing():
    import subprocess
    import sys

    code = """
import random, sys
import kd_keras
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
import keras, numpy, tensorflow as tf
random.seed(1); numpy.random.seed(1)
states = random.getstate(), numpy.random.get_state()[1].tolist()
import kd_keras.distillation.distiller, kd_keras.training.stages
assert states == (random.getstate(), numpy.random.get_state()[1].tolist())
assert keras.mixed_precision.dtype_policy().name == "float32"
# Fails once TensorFlow has started:
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kl", {"standardize": True}),
        ("dkd", {"beta": 2.0}),
        ("dist", {"gamma": 0.5}),
        ("mse", {}),
    ],
)
def test_every_loss_is_what_one_step_follows(name, options):
    teacher, student = nets.make_network(), nets.make_network()
    by_hand, images = nets.copy_of(student), nets.make_images(16)
    distiller, logs = distil(
        student, teacher, images, soft_loss=name, soft_loss_options=options
    )
    plain_step(
        by_hand,
        lambda: tf.reduce_mean(
            losses.LOSSES[name](
                teacher_logits=teacher(images),
                student_logits=by_hand(images),
                temperature=T,
                **options,
            )
        ),
    )
    nets.assert_same_weights(student, by_hand, atol=1e-5)
    assert logs["loss"] == logs["soft_loss"] > 0


def test_a_loss_may_be_a_function():
    teacher, student = nets.make_network(), nets.make_network()

    def absolute(*, teacher_logits, student_logits, temperature):
        return tf.reduce_sum(tf.abs(teacher_logits - student_logits), axis=-1)

    images = nets.make_images(16)
    expected = np.abs(teacher(images) - student(images)).sum(-1).mean()
    _, logs = distil(student, teacher, images, soft_loss=absolute)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_dkd_takes_labels_only_where_they_may_be_used():
    teacher, images = nets.make_network(), nets.make_images(16)
    labels = (np.argmax(teacher(images), -1) + 1) % nets.NUM_CLASSES

    def soft_loss(y, **options):
        keras.utils.set_random_seed(1)
        student = nets.make_network()
        _, logs = distil(
            student, teacher, images, y, soft_loss="dkd", **options
        )
        return logs["soft_loss"]

    without = soft_loss(None)
    assert soft_loss(labels) == without
    assert soft_loss(labels, hard_loss_weight=0.5) != pytest.approx(without)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_temperature_and_hard_loss_weight_follow_schedules(policy):
    keras.mixed_precision.set_dtype_policy(policy)
    teacher, student = nets.make_network(), nets.make_network()
    images, labels = nets.make_images(8), nets.make_labels(8)
    temperature = keras.optimizers.schedules.PolynomialDecay(6.0, 4, 2.0)
    weight = keras.optimizers.schedules.PolynomialDecay(1.0, 4, 0.0)
    distiller, _ = distil(
        student,
        teacher,
        images,
        labels,
        epochs=2,
        optimizer=keras.optimizers.SGD(0.0),
        temperature=temperature,
        hard_loss_weight=weight,
    )
    # Two steps were made: half of the way.
    logs = distiller.evaluate(images, labels, verbose=0, return_dict=True)
    expected = losses.distillation_loss(
        teacher_logits=teacher(images),
        student_logits=student(images),
        temperature=4.0,
    )
    assert logs["soft_loss"] == pytest.approx(np.mean(expected), rel=1e-3)
    assert logs["loss"] == pytest.approx(
        logs["soft_loss"] + 0.5 * logs["hard_loss"], rel=1e-3
    )


def test_a_saved_distiller_keeps_its_loss_and_schedules(tmp_path):
    student, images = nets.make_network(), nets.make_images()
    distiller, _ = distil(
        student,
        nets.make_network(),
        images,
        temperature=keras.optimizers.schedules.PolynomialDecay(6.0, 4, 2.0),
        soft_loss="dkd",
        soft_loss_options={"beta": 2.0},
    )
    distiller.save(tmp_path / "distiller.keras")
    reloaded = keras.models.load_model(tmp_path / "distiller.keras")
    assert (reloaded.soft_loss, reloaded.soft_loss_options) == (
        "dkd",
        {"beta": 2.0},
    )
    assert float(reloaded.temperature(2)) == 4.0
