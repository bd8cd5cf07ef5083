"""Students that learn the features of their teacher."""

import distilling
import keras
import nets
import numpy as np
import pytest
import subclassed
import tensorflow as tf

import kd_keras
from kd_keras.distillation import feature_losses

ALL_LOSSES = [
    kd_keras.FeatureMatch(loss="queue_kl", queue_size=24),
    kd_keras.FeatureMatch("conv", "conv", loss="attention"),
    kd_keras.FeatureMatch(loss="relational", angle_weight=2.0),
    kd_keras.FeatureMatch(
        "conv", "conv", loss="mse", projection="orthogonal", pool="none"
    ),
]


def make_network(*, channels=4, stride=1, batch_norm=True):
    inputs = keras.Input(nets.IMAGE_SHAPE)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(channels, 3, stride, name="conv")(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(synchronized=True)(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(nets.NUM_CLASSES)(x))


def own_values(distiller):
    return [np.array(x) for x in distiller.own_variables]


def features_of(network, layer, images):
    return keras.Model(network.input, network.get_layer(layer).output)(images)


@pytest.mark.slow
def test_one_step_is_the_gradient_of_the_sum_of_losses():
    teacher = make_network(channels=6)
    student = make_network(batch_norm=False)
    by_hand, images = nets.copy_of(student), nets.make_images(16)
    match = kd_keras.FeatureMatch(loss="mse", weight=3.0)
    distiller = kd_keras.Distiller(student, teacher, features=[match])
    kernel, bias = (tf.Variable(x) for x in own_values(distiller))
    distiller.compile(keras.optimizers.SGD(0.05))
    logs = distiller.fit(images, batch_size=16, verbose=0).history

    target = features_of(teacher, "pool", images)
    with tf.GradientTape() as tape:
        features = features_of(by_hand, "pool", images)
        feature_loss = 3.0 * tf.reduce_mean(
            (features @ kernel + bias - target) ** 2
        )
        soft_loss = tf.reduce_mean(
            kd_keras.losses.distillation_loss(
                teacher_logits=teacher(images),
                student_logits=by_hand(images),
                temperature=4.0,
            )
        )
        loss = feature_loss + soft_loss
    variables = [*by_hand.trainable_variables, kernel, bias]
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        variable.assign(variable - 0.05 * gradient)
    nets.assert_same_weights(student, by_hand, atol=1e-6)
    for found, expected in zip(own_values(distiller), (kernel, bias)):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert logs["feature_loss"] == [pytest.approx(float(feature_loss), 1e-5)]
    assert logs["loss"] == [pytest.approx(float(loss), 1e-5)]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mse", "cosine"])
def test_equals_keras_s_feature_distillation(loss):
    """Where both apply: equal shapes, no state, mean over all positions."""
    teacher, start = (make_network(batch_norm=False) for _ in range(2))
    images, labels = nets.make_images(16), nets.make_labels(16)
    ours, theirs = nets.copy_of(start), nets.copy_of(start)
    distiller, logs = distilling.distil(
        ours,
        teacher,
        images,
        soft_loss=None,
        features=[
            kd_keras.FeatureMatch(
                "conv", "conv", loss=loss, projection="none", pool="none"
            )
        ],
    )
    keras_loss = {"mse": "mse", "cosine": "cosine_similarity"}[loss]
    other = keras.distillation.Distiller(
        teacher,
        theirs,
        distillation_losses=keras.distillation.FeatureDistillation(
            keras_loss, "conv", "conv"
        ),
        student_loss_weight=0.0,
    )
    other.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = other.fit(images, labels, batch_size=16, verbose=0).history
    nets.assert_same_weights(ours, theirs, atol=1e-7)
    assert not np.array_equal(ours.get_weights()[0], start.get_weights()[0])
    # Keras's cosine loss is the negative cosine.
    shift = {"mse": 0.0, "cosine": 1.0}[loss]
    assert logs["feature_loss"] == pytest.approx(
        history["distillation_loss"][0] + shift, rel=1e-5
    )


@pytest.mark.slow
def test_stored_targets_train_the_same_student_without_a_teacher():
    teacher, images = make_network(channels=6, stride=2), nets.make_images(24)
    live = make_network()
    stored = nets.copy_of(live)
    logits = teacher.predict(images, verbose=0)
    targets = tuple(
        np.array(
            match.teacher_target(
                features_of(teacher, match.teacher or "pool", images)
            )
        )
        for match in ALL_LOSSES
    )
    y = {"teacher_logits": logits, "teacher_features": targets}
    results = []
    for student, given, labels in ((live, teacher, None), (stored, None, y)):
        keras.utils.set_random_seed(5)
        distiller, logs = distilling.distil(
            student, given, images, labels, features=ALL_LOSSES, epochs=2
        )
        results.append((own_values(distiller), logs))
    nets.assert_same_weights(live, stored, atol=1e-6)
    for one, two in zip(results[0][0], results[1][0]):
        np.testing.assert_allclose(one, two, atol=1e-6)
    assert results[1][1] == pytest.approx(results[0][1], rel=1e-5)
    # 48 embeddings went through a queue of 24.
    assert 24 in [int(x) for x in results[0][0] if x.ndim == 0]


@pytest.mark.slow
def test_networks_run_once_a_step_and_evaluate_changes_nothing():
    calls = {"teacher": 0, "student": 0}

    class Counting(keras.layers.Layer):
        def __init__(self, role):
            super().__init__(name=role)
            self.role = role
            self.updates = self.add_weight(
                initializer="zeros", trainable=False, name="updates"
            )

        def call(self, x, training=None):
            calls[self.role] += tf.executing_eagerly()
            if training:
                self.updates.assign_add(1.0)
            return x

    def make(role):
        inner = make_network()
        inputs = keras.Input(nets.IMAGE_SHAPE)
        return keras.Model(inputs, inner(Counting(role)(inputs)))

    teacher, student = make("teacher"), make("student")
    distiller = kd_keras.Distiller(
        student,
        teacher,
        features=[kd_keras.FeatureMatch(), ALL_LOSSES[0], ALL_LOSSES[1]],
    )
    distiller.compile("adam", run_eagerly=True)
    images = nets.make_images(16)
    before = nets.snapshot(teacher)
    distiller.fit(images, batch_size=16, verbose=0)
    assert calls == {"teacher": 1, "student": 1}
    assert student.get_layer("student").updates == 1.0
    assert not any(nets.moved(teacher, before))
    before = [np.array(x) for x in distiller.variables]
    logs = distiller.evaluate(images, batch_size=16, verbose=0)
    assert len(logs) == 4
    for variable, value in zip(distiller.variables, before):
        if "loss" not in variable.path and "agreement" not in variable.path:
            np.testing.assert_array_equal(variable, value)


@pytest.mark.slow
def test_embeddings_alone_train_the_backbone():
    """The teacher is a function that computes outside of TensorFlow."""
    matrix = np.random.default_rng(0).normal(size=(64, 12)).astype("f") / 255

    def embed(images):
        return images.numpy().reshape(-1, 64) @ matrix

    student, images = make_network(), nets.make_images(32)
    before = nets.snapshot(student)
    distiller, logs = distilling.distil(
        student,
        embed,
        images,
        soft_loss=None,
        features=[kd_keras.FeatureMatch()],
        epochs=2,
    )
    assert logs.keys() == {"loss", "feature_loss"}
    # All but the head, which nothing depends on.
    moved = nets.moved(student, before)
    assert moved == [True] * (len(moved) - 2) + [False] * 2
    with pytest.raises(ValueError, match="metrics must be None"):
        distiller.compile("sgd", metrics=["accuracy"])


@pytest.mark.slow
def test_a_backbone_learns_from_a_backbone_in_float16():
    teacher, head = make_network(channels=6), make_network()
    backbones = [
        keras.Model(x.input, x.get_layer("pool").output)
        for x in (teacher, head)
    ]
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    student = keras.models.clone_model(backbones[1])
    keras.mixed_precision.set_dtype_policy("float32")
    distiller, logs = distilling.distil(
        student,
        backbones[0],
        nets.make_images(32),
        soft_loss=None,
        features=[kd_keras.FeatureMatch(), ALL_LOSSES[2]],
        optimizer=keras.optimizers.Adam(0.01),
        epochs=3,
    )
    assert np.isfinite(logs["loss"])
    assert {x.dtype for x in distiller.own_variables} == {"float32"}


@pytest.mark.slow
def test_labels_beside_features_without_a_soft_loss():
    student, images = make_network(), nets.make_images(32)
    teacher = make_network(channels=6)
    _, logs = distilling.distil(
        student,
        teacher,
        images,
        nets.make_labels(32),
        soft_loss=None,
        hard_loss_weight=0.5,
        features=[kd_keras.FeatureMatch("conv", weight=2.0)],
    )
    assert logs.keys() == {"loss", "feature_loss", "hard_loss", "accuracy"}
    total = logs["feature_loss"] + 0.5 * logs["hard_loss"]
    assert logs["loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.slow
def test_a_subclassed_student_is_built_by_its_first_batch():
    student = subclassed.Heads()
    match = kd_keras.FeatureMatch("conv", "features")
    _, logs = distilling.distil(
        student, make_network(), nets.make_images(16), features=[match]
    )
    assert 0.0 < logs["feature_loss"] < 2.0


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (
            [kd_keras.FeatureMatch("cnov")],
            {},
            "Received: 'cnov'. Did you mean 'conv'.*has .*conv",
        ),
        (
            [kd_keras.FeatureMatch(student="pol")],
            {},
            "Received: 'pol'. Did you mean 'pool'",
        ),
        (
            [kd_keras.FeatureMatch("conv", "", pool="none")],
            {},
            r"take pool='average'.*\(batch, 6, 6, 6\) of the teacher and "
            r"\(batch, 4\) of the student",
        ),
        (
            [kd_keras.FeatureMatch(projection="none")],
            {},
            r"take projection='linear'.*\(batch, 6\).*\(batch, 4\)",
        ),
        (
            [kd_keras.FeatureMatch(loss="attention")],
            {},
            r"must have the shape \(batch, height, width, channels\)",
        ),
        ([], {"soft_loss": None}, "soft_loss must be a loss if there are no"),
        (["pool"], {}, "features must be a list of kd_keras.FeatureMatch"),
        (
            [kd_keras.FeatureMatch()],
            {"feature_shapes": [(4,), (4,)]},
            "a target for each FeatureMatch, 1. Received: 2",
        ),
        (
            [kd_keras.FeatureMatch()],
            {"feature_shapes": [4]},
            r"feature_shapes must be a list .*Received: \[4\]",
        ),
    ],
)
def test_features_that_cannot_be_matched(features, options, message):
    with pytest.raises(ValueError, match=message):
        kd_keras.Distiller(
            make_network(),
            make_network(channels=6),
            features=features,
            **options,
        )


@pytest.mark.parametrize(
    ("teacher", "y", "message"),
    [
        (None, None, "needs a teacher .* or 'teacher_logits' and 'teacher_fea"),
        (
            lambda images: images[:, 0, :5, 0],
            None,
            "features need a teacher that is a Keras model",
        ),
        (
            None,
            {"teacher_features": np.zeros((16, 4), "f")},
            "must be a tuple with a target for each FeatureMatch, 1",
        ),
        (
            "model",
            {"teacher_features": (np.zeros((16, 7), "f"),)},
            r"must keep their shape \(4,\).*Received: \(7,\)",
        ),
        (
            "model",
            {"teacher_features": (np.full((16, 4), np.nan, "f"),)},
            "the teacher must return finite features. Received: 64 of 64",
        ),
    ],
)
def test_batches_and_teachers_without_what_features_need(teacher, y, message):
    teacher = make_network() if teacher == "model" else teacher
    with pytest.raises(ValueError, match=message):
        distilling.distil(
            make_network(),
            teacher,
            nets.make_images(16),
            y,
            features=[kd_keras.FeatureMatch()],
        )


def test_losses_are_those_of_the_table():
    assert {match.loss for match in ALL_LOSSES} | {"cosine"} == set(
        feature_losses.FEATURE_LOSSES
    )
