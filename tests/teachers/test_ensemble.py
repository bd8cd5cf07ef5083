"""Several teachers as one, with numbers worked by hand."""

import pathlib

import keras
import nets
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import kd_keras
from kd_keras.teachers import ensemble
from kd_keras.teachers.options import TeacherOptions
from kd_keras.teachers.teacher import Teacher


def two_teachers():
    """Two teachers with fixed predictions: (0.8, 0.2) and (0.4, 0.6)."""
    logits = ([[np.log(4.0), 0.0]], [[0.0, np.log(1.5)]])
    return [
        Teacher(
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
def test_the_mean_of_two_teachers_by_hand(options, expected):
    images = nets.make_images(8)
    combined = ensemble.combine(two_teachers(), **options)
    p = tf.nn.softmax(combined(images)).numpy()
    np.testing.assert_allclose(p[:, 0], expected, atol=2e-5)
    assert p.shape == (len(images), 2)


@pytest.mark.slow
@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_the_gradient_does_not_grow_with_the_number_of_teachers(mean):
    """The mean of a teacher with itself is that teacher."""
    network, images = nets.make_network(), nets.make_images(16)
    member = Teacher(
        network, path="here", image_shape=None, num_classes=nets.NUM_CLASSES
    )
    one = nets.make_network()
    three = nets.copy_of(one)
    combined = ensemble.combine([member] * 3, mean=mean)
    for student, teacher in ((one, network), (three, combined)):
        distiller = kd_keras.Distiller(student, teacher)
        distiller.compile(optimizer=keras.optimizers.SGD(0.05))
        distiller.fit(images, shuffle=False, verbose=0)
    nets.assert_same_weights(one, three, atol=1e-5)


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


def test_files_are_identified_before_they_are_loaded(tmp_path):
    paths = [tmp_path / "a.keras", tmp_path / "b.keras"]
    networks = [nets.make_network() for _ in paths]
    for network, path in zip(networks, paths):
        network.save(path)
    files = ensemble.TeacherFiles(paths, mean="geometric", weights=(1.0, 3.0))
    single = [ensemble.TeacherFiles([path]).record for path in paths]
    assert single[0].keys() == {"fingerprint", "graph", "outputs"}
    assert files.record == {
        "fingerprint": f"{single[0]['fingerprint']} {single[1]['fingerprint']}",
        "graph": f"{single[0]['graph']} {single[1]['graph']}",
        "outputs": "logits",
        "mean": "geometric",
        "weights": [1.0, 3.0],
    }
    images = nets.make_images(4)
    a, b = (tf.nn.log_softmax(network(images)) for network in networks)
    np.testing.assert_allclose(
        files.teacher(images), 0.25 * a + 0.75 * b, atol=1e-5
    )


@pytest.mark.parametrize("weights", [(), (1.0, 3.0)])
def test_mirrored_predictions_are_averaged(weights, tmp_path):
    paths = [tmp_path / "a.keras", tmp_path / "b.keras"][: len(weights) or 1]
    networks = [nets.make_network() for _ in paths]
    for network, path in zip(networks, paths):
        network.save(path)
    files = ensemble.TeacherFiles(paths, weights=weights, mirrored=True)
    assert files.record == {
        **ensemble.TeacherFiles(paths).record,
        "mirrored": True,
        "mean": "arithmetic",
        "weights": list(weights),
    }
    images = np.float32(nets.make_images(4))
    shares = np.float64(weights or [1.0]) / sum(weights or [1.0])
    expected = sum(
        share * (tf.nn.softmax(network(x)).numpy() / 2)
        for share, network in zip(shares, networks)
        for x in (images, images[:, :, ::-1])
    )
    teacher = files.teacher
    p = tf.nn.softmax(teacher(images))
    np.testing.assert_allclose(p, expected, atol=1e-6)
    np.testing.assert_allclose(
        teacher(images), teacher(images[:, :, ::-1]), atol=1e-5
    )
    np.testing.assert_array_equal(
        teacher(images), teacher.preprocessed_by("none")(images)
    )


def test_features_are_averaged_with_those_of_the_mirror_image(tmp_path):
    network = nets.make_network(convolution=True)
    network.save(tmp_path / "a.keras")
    maps = next(x.name for x in network.layers if "conv" in x.name)
    options = [TeacherOptions(features=(maps, ""))]
    files = ensemble.TeacherFiles(
        [tmp_path / "a.keras"], options=options, mirrored=True
    )
    outputs_of = keras.Model(
        network.input,
        [network.get_layer(maps).output, network.layers[-1].input],
    )
    images = nets.make_images(4)
    seen, mirrored = outputs_of(images), outputs_of(images[:, :, ::-1])
    answer = files.teacher.outputs(images)
    assert len(answer.features) == 2
    np.testing.assert_allclose(
        answer.features[0],
        (seen[0] + mirrored[0][:, :, ::-1]) / 2,
        atol=1e-6,
    )
    np.testing.assert_allclose(
        answer.features[1], (seen[1] + mirrored[1]) / 2, atol=1e-6
    )


def test_an_embedding_is_averaged_with_that_of_the_mirror_image(tmp_path):
    network = nets.make_network()
    network.save(tmp_path / "a.keras")
    options = [TeacherOptions(outputs="features", features=("",))]
    files = ensemble.TeacherFiles(
        [tmp_path / "a.keras"], options=options, mirrored=True
    )
    images = nets.make_images(4)
    answer = files.teacher.outputs(images)
    assert answer.logits is None
    expected = (network(images) + network(images[:, :, ::-1])) / 2
    np.testing.assert_allclose(answer.features[0], expected, atol=1e-6)


def test_tokens_cannot_be_mirrored(tmp_path):
    inputs = keras.Input((4, 4, 1))
    tokens = keras.layers.Reshape((16, 1), name="tokens")(inputs)
    x = keras.layers.Flatten()(tokens)
    path = tmp_path / "a.keras"
    keras.Model(inputs, keras.layers.Dense(3)(x)).save(path)
    options = [TeacherOptions(features=("tokens",))]
    files = ensemble.TeacherFiles([path], options=options, mirrored=True)
    with pytest.raises(ValueError, match=r"tokens.*Received.*\(16, 1\), .*a.k"):
        _ = files.teacher


def test_features_of_several_teachers_are_refused(tmp_path):
    path = tmp_path / "a.keras"
    nets.make_network().save(path)
    options = [TeacherOptions(features=("",))] * 2
    files = ensemble.TeacherFiles([path, path], options=options)
    with pytest.raises(ValueError, match="no features.*Received:.*a.keras"):
        _ = files.teacher


@pytest.mark.parametrize("num_labels", [1, 3])
@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_sigmoids_are_combined_for_each_label(num_labels, mean):
    networks = [nets.make_network(num_classes=num_labels) for _ in range(2)]
    members = [
        Teacher(network, path="", image_shape=(), num_classes=num_labels)
        for network in networks
    ]
    # One logit can only be of a sigmoid.
    activation = None if num_labels == 1 else "sigmoid"
    combined = ensemble.combine(
        members, weights=(1, 3), mean=mean, activation=activation
    )
    images = nets.make_images(4)
    a, b = (np.float64(network(images)) for network in networks)
    expected = 0.25 * a + 0.75 * b
    if mean == "arithmetic":
        p = 0.25 * scipy.special.expit(a) + 0.75 * scipy.special.expit(b)
        expected = scipy.special.logit(p)
    np.testing.assert_allclose(combined(images), expected, atol=1e-5)


def test_teachers_of_several_kinds_and_sizes_are_combined(tmp_path):
    inputs = keras.Input((4, 4, 3))
    flat = keras.layers.Flatten()(inputs / 255)
    p = keras.layers.Dense(3, activation="softmax")(flat)
    network = keras.Model(inputs, p)
    network.save(tmp_path / "small.keras")
    onnx_file = str(
        pathlib.Path(__file__).parents[1] / "files/pytorch/dynamic.onnx"
    )
    paths = [str(tmp_path / "small.keras"), onnx_file]
    options = [
        TeacherOptions(outputs="probabilities", image_size=4),
        TeacherOptions(classes="4,0+1,2"),
    ]
    files = ensemble.TeacherFiles(paths, options=options)
    assert files.record["options"] == [
        {"outputs": "probabilities", "image_size": 4},
        {"outputs": "logits", "classes": [[4], [0, 1], [2]]},
    ]
    assert files.teacher.image_shape == (8, 8, 3)
    images = np.float32(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)))
    small = network(tf.image.resize(images, (4, 4), antialias=True))
    q = tf.nn.softmax(kd_keras.load_teacher(onnx_file)(images)).numpy()
    merged = np.stack([q[:, 4], q[:, 0] + q[:, 1], q[:, 2]], axis=1)
    merged /= merged.sum(1, keepdims=True)
    np.testing.assert_allclose(
        tf.nn.softmax(files.teacher(images)),
        (small + merged) / 2,
        atol=1e-5,
    )


def test_members_of_different_sizes_must_resize_the_images():
    first, second = two_teachers()
    other = second.replaced(image_shape=(16, 16, 1))
    with pytest.raises(ValueError, match=r"same shape, or resize.*image_sizes"):
        ensemble.combine([first, other])
    any_size = second.replaced(image_shape=(None, None, 1))
    combined = ensemble.combine([any_size, first])
    assert combined.image_shape == nets.IMAGE_SHAPE
    # A colour model repeats the channel of grey images.
    coloured = second.replaced(image_shape=(None, None, 3))
    combined = ensemble.combine([coloured, first])
    assert combined.image_shape == nets.IMAGE_SHAPE
    images = nets.make_images(2)
    np.testing.assert_allclose(
        tf.nn.softmax(combined(images))[:, 0], [0.6, 0.6], atol=2e-5
    )
