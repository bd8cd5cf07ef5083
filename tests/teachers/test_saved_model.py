"""Teachers from SavedModels, of this project and of others."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.deployment import saved_model as exports
from kd_keras.teachers import ensemble, loading, options


@pytest.fixture
def network():
    return nets.make_network()


@pytest.fixture
def images():
    return nets.make_images(8)


def write_foreign(path, outputs, *, signature="serving_default", inputs=1):
    """Writes a SavedModel as another program might export it.

    Args:
        outputs: dict of functions of the logits, by the output's name.
    """
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    specs = [
        tf.TensorSpec((None, *nets.IMAGE_SHAPE), tf.float32, f"input_{i}")
        for i in range(inputs)
    ]

    def serve(*images):
        sums = module.scale * tf.reduce_sum(images[0], axis=(1, 2, 3))
        logits = tf.stack([sums, sums / 2], axis=-1)
        return {name: f(logits) for name, f in outputs.items()}

    function = tf.function(serve, input_signature=specs)
    tf.saved_model.save(
        module, str(path), {signature: function.get_concrete_function()}
    )
    return path


def test_our_export_takes_uint8_and_float_images(network, images, tmp_path):
    exports.export_saved_model(network, tmp_path / "teacher")
    teacher = kd_keras.load_teacher(tmp_path / "teacher")
    expected = network.predict(images, verbose=0)
    for dtype in (tf.uint8, tf.float32, tf.bfloat16):
        logits = teacher(tf.cast(images, dtype))
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert teacher.num_classes == nets.NUM_CLASSES
    assert teacher.image_shape == nets.IMAGE_SHAPE


@pytest.mark.slow
def test_arrays_are_taken_like_tensors(network, images, tmp_path):
    exports.export_saved_model(network, tmp_path / "model")
    network.save(tmp_path / "model.keras")
    for path in (tmp_path / "model", tmp_path / "model.keras"):
        teacher = loading.load_teacher(path)
        for array in (images, images.astype("uint8")):
            np.testing.assert_array_equal(
                teacher(array), teacher(tf.constant(array))
            )


@pytest.mark.slow
def test_the_export_of_keras_has_the_network_s_logits(
    network, images, tmp_path
):
    network.export(tmp_path / "exported", verbose=False)
    teacher = kd_keras.load_teacher(tmp_path / "exported")
    np.testing.assert_allclose(
        teacher(images), network.predict(images, verbose=0), atol=1e-5
    )


@pytest.mark.slow
def test_probabilities_become_logits(network, images, tmp_path):
    softmax = keras.Sequential([network, keras.layers.Softmax()])
    softmax.build((None, *nets.IMAGE_SHAPE))
    softmax.export(tmp_path / "softmax", verbose=False)
    teacher = kd_keras.load_teacher(
        tmp_path / "softmax", outputs="probabilities"
    )
    np.testing.assert_allclose(
        tf.nn.softmax(teacher(images)),
        softmax.predict(images, verbose=0),
        atol=1e-5,
    )


def test_a_probability_of_zero_is_a_finite_logit(images, tmp_path):
    path = write_foreign(
        tmp_path / "sure", {"p": lambda z: tf.one_hot([0] * 8, 2)}
    )
    teacher = kd_keras.load_teacher(path, outputs="probabilities")
    # The logarithm of the smallest normal float32.
    np.testing.assert_allclose(teacher(images)[0], [0, -87.3], atol=0.1)


def test_outputs_are_found_by_their_names(tmp_path):
    path = write_foreign(
        tmp_path / "two", {"scores": lambda z: z, "other": lambda z: -z}
    )
    images = nets.make_images(3)
    teacher = kd_keras.load_teacher(path, outputs="scores", features=["other"])
    sums = images.sum(axis=(1, 2, 3))
    outputs = teacher.outputs(images)
    np.testing.assert_allclose(
        outputs.logits, np.stack([2 * sums, sums], -1), rtol=1e-5
    )
    np.testing.assert_allclose(-outputs.features[0], outputs.logits)
    assert teacher.feature_shapes == [(2,)]
    for wrong, message in (
        ({}, "'logits'; .* has other, scores"),
        ({"outputs": "score"}, "has other, scores. Did you mean 'scores'"),
        (
            {"outputs": "scores", "features": ["othr"]},
            "'othr'; .* has other, scores. Did you mean 'other'",
        ),
        ({"outputs": "scores", "features": [""]}, "must be named outputs"),
    ):
        with pytest.raises(ValueError, match=message):
            kd_keras.load_teacher(path, **wrong)


def test_a_model_without_a_classifier_is_an_embedding(tmp_path):
    path = write_foreign(tmp_path / "embedding", {"pooled": lambda z: z})
    images = nets.make_images(3)
    teacher = kd_keras.load_teacher(path, outputs="features")
    outputs = teacher.outputs(images)
    assert outputs.logits is None and not teacher.has_logits
    np.testing.assert_allclose(
        outputs.features[0][:, 1], images.sum(axis=(1, 2, 3)), rtol=1e-5
    )
    with pytest.raises(ValueError, match="logits need a teacher"):
        teacher(images)


def write_signatures(path):
    """Writes signatures of any batch, of 3 images, and of text."""
    module = tf.Module()
    module.scale = tf.Variable(2.0)

    def sums(images):
        sums = module.scale * tf.reduce_sum(images, axis=(1, 2, 3))
        return {"out": tf.stack([sums, -sums], axis=-1)}

    def of_text(text):
        return sums(tf.ones((1, 8, 8, 1)) * tf.strings.to_number(text))

    def signature(function, shape, dtype=tf.float32):
        return tf.function(function).get_concrete_function(
            tf.TensorSpec(shape, dtype, "images")
        )

    signatures = {
        "any": signature(lambda images: sums(-images), (None, 8, 8, 1)),
        "three": signature(sums, (3, 8, None, 1)),
        "text": signature(of_text, (), tf.string),
    }
    tf.saved_model.save(module, str(path), signatures)
    return path


@pytest.fixture(scope="module")
def signatures(tmp_path_factory):
    return write_signatures(tmp_path_factory.mktemp("signatures") / "model")


@pytest.mark.parametrize("count", [0, 3, 7])
def test_a_signature_of_a_fixed_batch_takes_any_number(signatures, count):
    teacher = kd_keras.load_teacher(signatures, signature="three")
    images = nets.make_images(7)[:count]
    sums = 2 * images.sum(axis=(1, 2, 3))
    spec = tf.TensorSpec((None, *nets.IMAGE_SHAPE))
    in_graph = tf.function(teacher).get_concrete_function(spec)
    assert in_graph.structured_outputs.shape.as_list() == [None, 2]
    for logits in (teacher(images), in_graph(tf.constant(images))):
        np.testing.assert_allclose(
            logits, np.stack([sums, -sums], -1), rtol=1e-5
        )


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("", "without 'serving_default', which has any, text, three"),
        ("tree", "without 'tree', .*Did you mean 'three'"),
        ("text", "images as numbers.* takes string"),
    ],
)
def test_signatures_that_cannot_teach_are_refused(
    signatures, signature, message
):
    with pytest.raises(ValueError, match=message):
        kd_keras.load_teacher(signatures, signature=signature)


def test_a_teacher_is_identified_by_its_signature(signatures, tmp_path):
    found = {
        name: ensemble.TeacherFiles(
            [signatures], options=[options.TeacherOptions(signature=name)]
        ).record
        for name in ("any", "three")
    }
    assert found["any"]["signature"] == "any"
    assert found["any"]["graph"] != found["three"]["graph"]
    nets.make_network().save(tmp_path / "teacher.keras")
    with pytest.raises(ValueError, match="must be empty .*'any' for .*keras"):
        kd_keras.load_teacher(tmp_path / "teacher.keras", signature="any")


def test_a_single_signature_may_have_any_name(tmp_path):
    path = write_foreign(
        tmp_path / "odd", {"out": lambda z: z}, signature="predict"
    )
    assert kd_keras.load_teacher(path).num_classes == 2


def test_a_model_with_two_inputs_is_refused(tmp_path):
    path = write_foreign(tmp_path / "m", {"out": lambda z: z}, inputs=2)
    with pytest.raises(ValueError, match="must take one input"):
        kd_keras.load_teacher(path)


def test_weights_in_an_unknown_order_are_refused(tmp_path):
    foreign = write_foreign(tmp_path / "foreign", {"logits": tf.identity})
    with pytest.raises(ValueError, match="exported by this project"):
        loading.network_weights(foreign)
