"""Teachers from KerasHub presets that its own `save_to_preset` wrote."""

import json
import shutil
import sys

import h5py
import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.teachers import fingerprint, hub_preset, loading

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)


def make_converter():
    return keras_hub.layers.ViTImageConverter(
        image_size=(16, 16), scale=1 / 127.5, offset=-1.0
    )


def make_backbone():
    return keras_hub.models.ViTBackbone(
        image_shape=(16, 16, 3),
        patch_size=8,
        num_layers=1,
        num_heads=1,
        hidden_dim=8,
        mlp_dim=8,
    )


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A classifier that ends in softmax, and the directory of its preset."""
    classifier = keras_hub.models.ViTImageClassifier(
        backbone=make_backbone(),
        num_classes=5,
        activation="softmax",
        intermediate_dim=6,
        preprocessor=keras_hub.models.ViTImageClassifierPreprocessor(
            image_converter=make_converter()
        ),
    )
    directory = tmp_path_factory.mktemp("presets") / "vit"
    classifier.save_to_preset(str(directory))
    return classifier, directory


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A backbone without a classifier, and the directory of its preset."""
    backbone = make_backbone()
    directory = tmp_path_factory.mktemp("presets") / "backbone"
    backbone.save_to_preset(str(directory))
    make_converter().save_to_preset(str(directory))
    return backbone, directory


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_classifier_has_the_logits_of_keras_hub_s_predict(classifier, dtype):
    model, directory = classifier
    expected = np.log(model.predict(IMAGES.astype(dtype), verbose=0))
    teacher = kd_keras.load_teacher(directory)
    images = tf.constant(IMAGES.astype(dtype))
    # Inside the graph of a pipeline, as in training, and outside of it.
    batches = tf.data.Dataset.from_tensors(images).map(teacher)
    for logits in (teacher(images), *batches):
        np.testing.assert_allclose(
            tf.nn.log_softmax(logits), expected, atol=1e-4
        )
    # The logarithms of softmax would sum to 1.
    assert np.abs(tf.reduce_logsumexp(logits, axis=-1)).max() > 0.01
    assert teacher.image_shape == (None, None, 3)
    assert teacher.num_classes == 5


@pytest.mark.slow
def test_a_name_may_be_a_directory(classifier):
    _, directory = classifier
    teacher = kd_keras.load_teacher(f"keras_hub:{directory}")
    np.testing.assert_array_equal(
        teacher(IMAGES), kd_keras.load_teacher(directory)(IMAGES)
    )


@pytest.mark.slow
def test_a_preset_is_measured_like_any_classifier(classifier):
    model, directory = classifier
    loaded = loading.load_classifier(directory)
    np.testing.assert_allclose(
        tf.nn.softmax(loaded(IMAGES)),
        model.predict(IMAGES, verbose=0),
        atol=1e-5,
    )
    assert loaded.kind == "keras_hub"


def test_features_are_of_the_head_s_input_and_of_layers(classifier):
    model, directory = classifier
    teacher = kd_keras.load_teacher(directory, features=("", "vit_encoder"))
    logits, (last, encoded) = teacher.outputs(IMAGES)
    head = model.get_layer("predictions")
    np.testing.assert_allclose(
        logits, last @ head.kernel + head.bias, atol=1e-5
    )
    np.testing.assert_allclose(
        encoded,
        model.backbone(make_converter()(IMAGES.astype("float32"))),
        atol=1e-5,
    )
    assert teacher.feature_shapes == [(6,), (5, 8)]
    with pytest.raises(ValueError, match="mean 'vit_encoder'.* in .*vit"):
        kd_keras.load_teacher(directory, features=("vit_enocder",))


@pytest.mark.slow
def test_a_backbone_is_a_teacher_of_its_class_token(backbone):
    model, directory = backbone
    teacher = kd_keras.load_teacher(directory, outputs="features")
    outputs = teacher.outputs(IMAGES)
    expected = model(make_converter()(IMAGES.astype("float32")))
    np.testing.assert_allclose(outputs.features[0], expected[:, 0], atol=1e-5)
    assert outputs.logits is None and not teacher.has_logits
    assert teacher.feature_shapes == [(8,)]
    with pytest.raises(ValueError, match="outputs='features'.*Received"):
        kd_keras.load_teacher(directory)


@pytest.mark.slow
def test_a_convolutional_backbone_is_pooled_where_its_head_was(tmp_path):
    # The head of MobileNet has layers that a backbone's preset has no weights
    # for.
    each = {
        "expansion": 4,
        "num_filters": 4,
        "kernel_size": 3,
        "num_strides": 1,
        "se_ratio": None,
        "activation": "relu",
        "padding": 1,
    }
    model = keras_hub.models.MobileNetBackbone(
        **{f"stackwise_{name}": [[value] * 2] for name, value in each.items()},
        stackwise_num_blocks=[2],
        input_num_filters=4,
        output_num_filters=4,
        depthwise_filters=4,
        depthwise_stride=1,
        depthwise_residual=False,
        last_layer_filter=4,
        image_shape=(8, 8, 3),
    )
    model.save_to_preset(str(tmp_path))
    teacher = kd_keras.load_teacher(tmp_path, outputs="features")
    images = IMAGES[:, :8, :8]
    np.testing.assert_allclose(
        teacher.outputs(images).features[0],
        tf.reduce_mean(model(images.astype("float32")), (1, 2)),
        atol=1e-5,
    )
    # Without a preprocessor, the images must have the network's size.
    with pytest.raises(ValueError, match=r"\(None, 8, 8, 3\)"):
        teacher.outputs(IMAGES)


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="KerasHub for Python 3.10 saves no classifier without preprocessor",
)
def test_a_classifier_of_the_base_class_that_ends_in_sigmoid(tmp_path):
    """KerasHub saves it, and cannot load it."""
    model = keras_hub.models.ImageClassifier(
        backbone=keras_hub.models.DenseNetBackbone(
            stackwise_num_repeats=[1],
            compression_ratio=0.5,
            growth_rate=2,
            image_shape=(16, 16, 3),
        ),
        num_classes=3,
        activation="sigmoid",
    )
    model.save_to_preset(str(tmp_path))
    images = IMAGES[:, :16, :16].astype("float32")
    teacher = kd_keras.load_teacher(tmp_path, outputs="label_probabilities")
    np.testing.assert_allclose(
        keras.ops.sigmoid(teacher(images)), model(images), atol=1e-5
    )


@pytest.mark.slow
def test_a_preset_is_identified_by_weights_and_preprocessing(
    classifier, tmp_path
):
    def identify(path):
        # Both from one loading of the preset.
        weights = fingerprint.fingerprint(path)
        return weights, fingerprint.graph_fingerprint(path)

    _, directory = classifier
    moved = tmp_path / "moved"
    shutil.copytree(directory, moved)
    expected = identify(directory)
    # Each process numbers the names of its models.
    file = moved / "task.json"
    task = json.loads(file.read_text())
    task["config"]["name"] += "_7"
    task["config"]["backbone"]["config"]["name"] += "_7"
    file.write_text(json.dumps(task))
    assert identify(moved) == expected
    converter = task["config"]["preprocessor"]["config"]["image_converter"]
    converter["config"]["scale"] = 1.0
    file.write_text(json.dumps(task))
    weights, graph = identify(moved)
    assert weights == expected[0] and graph != expected[1]
    with h5py.File(moved / "task.weights.h5", "a") as arrays:
        arrays["layers/dense/vars/1"][0] += 1
    assert identify(moved)[0] != weights


@pytest.mark.slow
def test_outputs_must_be_those_of_the_head(classifier):
    _, directory = classifier
    logits = kd_keras.load_teacher(directory)(IMAGES)
    told = kd_keras.load_teacher(directory, outputs="probabilities")
    np.testing.assert_array_equal(told(IMAGES), logits)
    with pytest.raises(ValueError, match="logits or features or prob.*'label"):
        kd_keras.load_teacher(directory, outputs="label_probabilities")


def test_names_that_cannot_be_loaded_are_refused_in_one_line(monkeypatch):
    with pytest.raises(ValueError, match="Did you mean 'resnet_50_imagenet'"):
        kd_keras.load_teacher("keras_hub:resnet_50_imagnet")
    with pytest.raises(ValueError, match="followed by the name.*Received: ''"):
        kd_keras.load_teacher("keras_hub:")

    def fail(preset, **options):
        raise ConnectionError("HTTPSConnectionPool(host=...)\nMax retries")

    monkeypatch.setattr(keras_hub.models.ImageClassifier, "from_preset", fail)
    with pytest.raises(
        ValueError, match=r"can be downloaded.*'resnet_18_im.*\(ConnectionErr"
    ) as caught:
        kd_keras.load_teacher("keras_hub:resnet_18_imagenet")
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named_with_its_extra(classifier, monkeypatch):
    _, directory = classifier
    hub_preset.forget()
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ValueError, match=r"keras-hub must be.*\.\[hub\]"):
        kd_keras.load_teacher(directory)


@pytest.mark.slow
def test_presets_that_are_damaged_or_of_text_are_refused(classifier, tmp_path):
    _, directory = classifier
    damaged = tmp_path / "damaged"
    shutil.copytree(directory, damaged)
    weights = damaged / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="whole.*damaged") as caught:
        kd_keras.load_teacher(damaged)
    assert "\n" not in str(caught.value)
    text = tmp_path / "text"
    keras_hub.models.BertBackbone(
        vocabulary_size=8,
        num_layers=1,
        num_heads=1,
        hidden_dim=4,
        intermediate_dim=4,
    ).save_to_preset(str(text))
    with pytest.raises(ValueError, match="take images.*text, a BertBackbone"):
        kd_keras.load_teacher(text, outputs="features")
