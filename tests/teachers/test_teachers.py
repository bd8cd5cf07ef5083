"""Teachers from files: found, frozen, float32 logits; or refused."""

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.deployment import saved_model as exports
from kd_keras.teachers import ensemble, loading
from kd_keras.teachers import fingerprint as fingerprints
from kd_keras.teachers import teacher as teachers


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return nets.make_network()


@pytest.fixture
def images():
    return nets.make_images(8)


def write_module(path, outputs, *, signature="serving_default", inputs=1):
    """A SavedModel as somebody else might export it."""
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


def test_our_saved_model_takes_uint8_and_float_pictures(
    network, images, tmp_path
):
    exports.export_saved_model(network, tmp_path / "teacher")
    teacher = kd_keras.load_teacher(tmp_path / "teacher")
    expected = network.predict(images, verbose=0)
    for dtype in (tf.uint8, tf.float32, tf.bfloat16):
        logits = teacher(tf.cast(images, dtype))
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert teacher.num_classes == nets.NUM_CLASSES
    assert teacher.image_shape == nets.IMAGE_SHAPE


def test_a_keras_file(network, images, tmp_path):
    network.save(tmp_path / "teacher.keras")
    teacher = kd_keras.load_teacher(str(tmp_path / "teacher.keras"))
    np.testing.assert_allclose(
        teacher(images), network.predict(images, verbose=0), atol=1e-6
    )


def test_the_keras_export_of_somebody_else(network, images, tmp_path):
    network.export(tmp_path / "exported", verbose=False)
    teacher = kd_keras.load_teacher(tmp_path / "exported")
    np.testing.assert_allclose(
        teacher(images), network.predict(images, verbose=0), atol=1e-5
    )


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_probabilities_become_logits(network, images, tmp_path, kind):
    softmax = keras.Sequential([network, keras.layers.Softmax()])
    softmax.build((None, *nets.IMAGE_SHAPE))
    if kind == "keras":
        path = tmp_path / "softmax.keras"
        softmax.save(path)
    else:
        path = tmp_path / "softmax"
        softmax.export(path, verbose=False)
    teacher = kd_keras.load_teacher(path, outputs="probabilities")
    np.testing.assert_allclose(
        tf.nn.softmax(teacher(images)),
        softmax.predict(images, verbose=0),
        atol=1e-5,
    )


def test_a_probability_of_zero_is_a_finite_logit(tmp_path):
    path = write_module(
        tmp_path / "sure", {"p": lambda z: tf.one_hot([0] * 8, 2)}
    )
    teacher = kd_keras.load_teacher(path, outputs="probabilities")
    logits = teacher(nets.make_images(8)).numpy()
    np.testing.assert_allclose(logits[0], [0, -87.3], atol=0.1)


def test_a_named_output_is_found_among_several(tmp_path):
    path = write_module(
        tmp_path / "two", {"scores": lambda z: z, "other": lambda z: -z}
    )
    images = nets.make_images(3)
    teacher = kd_keras.load_teacher(path, outputs="scores")
    sums = images.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(
        teacher(images), np.stack([2 * sums, sums], -1), rtol=1e-5
    )
    with pytest.raises(ValueError, match="'logits'; .* has other, scores"):
        kd_keras.load_teacher(path)


def test_a_single_signature_of_any_name_is_found(tmp_path):
    path = write_module(
        tmp_path / "odd", {"out": lambda z: z}, signature="predict"
    )
    assert kd_keras.load_teacher(path).num_classes == 2


def test_a_model_of_two_inputs_is_refused(tmp_path):
    path = write_module(tmp_path / "m", {"out": lambda z: z}, inputs=2)
    with pytest.raises(ValueError, match="must take one input"):
        kd_keras.load_teacher(path)


def test_a_missing_teacher_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*does not exist"):
        kd_keras.load_teacher(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["keras", "saved_model", "foreign"])
def test_a_damaged_or_foreign_teacher_is_refused(network, tmp_path, kind):
    if kind == "keras":
        path = tmp_path / "teacher.keras"
        network.save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "saved_model":
        path = tmp_path / "teacher"
        exports.export_saved_model(network, path)
        (path / "saved_model.pb").write_bytes(b"nonsense")
    else:
        path = tmp_path / "teacher.pt"
        path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="Received: .*teacher"):
        kd_keras.load_teacher(path)


def test_a_network_s_weights_come_in_its_order(tmp_path):
    # Over ten, whose names do not sort as their numbers do.
    layers = [keras.layers.Dense(4) for _ in range(7)]
    deep = keras.Sequential([keras.Input((4,)), *layers])
    deep.save(tmp_path / "deep.keras")
    exports.export_saved_model(deep, tmp_path / "deep")
    for name in ("deep.keras", "deep"):
        weights = loading.network_weights(tmp_path / name)
        for a, b in zip(weights, deep.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    foreign = write_module(tmp_path / "foreign", {"logits": tf.identity})
    with pytest.raises(ValueError, match="exported by this project"):
        loading.network_weights(foreign)


def test_the_fingerprint_follows_the_weights_not_the_path(network, tmp_path):
    exports.export_saved_model(network, tmp_path / "a")
    exports.export_saved_model(network, tmp_path / "b")
    other = nets.copy_of(network)
    other.layers[-1].bias.assign_add(np.full(nets.NUM_CLASSES, 1e-3))
    exports.export_saved_model(other, tmp_path / "c")
    network.save(tmp_path / "a.keras")
    a, b, c, file = (
        fingerprints.fingerprint(tmp_path / name)
        for name in ("a", "b", "c", "a.keras")
    )
    assert a == b == file != c


@pytest.mark.parametrize("kind", ["path", "loaded", "teacher", "keras path"])
def test_a_distiller_takes_every_kind_of_teacher(
    network, images, tmp_path, kind
):
    path = tmp_path / "teacher"
    exports.export_saved_model(network, path)
    network.save(tmp_path / "teacher.keras")
    given = {
        "path": lambda: str(path),
        "loaded": lambda: tf.saved_model.load(str(path)),
        "teacher": lambda: loading.load_teacher(path),
        "keras path": lambda: tmp_path / "teacher.keras",
    }[kind]()
    distiller = kd_keras.Distiller(nets.copy_of(network), given)
    distiller.compile()
    logs = distiller.evaluate(images, return_dict=True, verbose=0)
    assert logs["agreement"] == 1
    assert logs["loss"] == pytest.approx(0, abs=1e-4)


def test_something_that_is_no_teacher_is_refused():
    with pytest.raises(ValueError, match="Received: 3"):
        kd_keras.Distiller(nets.make_network(), 3)


def two_teachers():
    """Two of fixed predictions: (0.8, 0.2) and (0.2, 0.8) to (0.4, 0.6)."""
    logits = ([[np.log(4.0), 0.0]], [[0.0, np.log(1.5)]])
    return [
        teachers.Teacher(
            lambda images, z=z: tf.repeat(
                tf.constant(z, tf.float32), len(images), axis=0
            ),
            path=str(number),
            image_shape=nets.IMAGE_SHAPE,
            num_classes=2,
        )
        for number, z in enumerate(logits)
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # (0.8 + 0.4) / 2
        ({}, 0.6),
        # 0.25 * 0.8 + 0.75 * 0.4
        ({"weights": (1.0, 3.0)}, 0.5),
        # sqrt(0.8 * 0.4) : sqrt(0.2 * 0.6) = 0.5657 : 0.3464
        ({"mean": "geometric"}, 0.62020),
        # 0.8^0.25 0.4^0.75 : 0.2^0.25 0.6^0.75 = 0.4757 : 0.4559
        ({"mean": "geometric", "weights": (1, 3)}, 0.51061),
    ],
)
def test_several_teachers_by_hand(options, expected, images):
    combined = ensemble.combine(two_teachers(), **options)
    p = tf.nn.softmax(combined(images)).numpy()
    np.testing.assert_allclose(p[:, 0], expected, atol=2e-5)
    assert p.shape == (len(images), 2)


def test_teachers_that_do_not_fit_together_are_refused():
    first, second = two_teachers()
    with pytest.raises(ValueError, match="weight > 0 for each.*for 2"):
        ensemble.combine([first, second], weights=(1.0,))
    with pytest.raises(ValueError, match="weight > 0"):
        ensemble.combine([first, second], weights=(1.0, 0.0))
    with pytest.raises(ValueError, match="arithmetic, geometric.*'mean'"):
        ensemble.combine([first, second], mean="mean")
    second.num_classes = 3
    with pytest.raises(ValueError, match=r"same num_classes.*\[2, 3\]"):
        ensemble.combine([first, second])
