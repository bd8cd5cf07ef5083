"""Teachers that are Python functions, named as `module:function`."""

import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.teachers import fingerprint

SOURCE = """
import numpy as np
import tensorflow as tf

WEIGHTS = np.linspace(-1, 1, 192).reshape(64, 3).astype("float32")
calls = []


def tensors(images):
    flat = tf.reshape(images, (-1, 64)) / 255
    calls.append(images)
    return {"logits": flat @ WEIGHTS, "features": flat, "maps": images}


def arrays(images):
    calls.append(images)
    flat = np.asarray(images).reshape(len(images), 64) / 255
    return {"logits": flat @ WEIGHTS, "features": flat, "maps": images}


def eager(images):
    return arrays(images.numpy())


def embedding(images):
    return tensors(images)["features"]


def several(images):
    return {"a": images, "b": images}


def broken(images):
    raise KeyError("no such thing")


def one(images):
    return np.zeros((1, 3), "float32")


def halves(images):
    return tf.reshape(images, (-1, 32)) @ tf.ones((32, 3))


for function in (
    tensors, arrays, eager, embedding, several, broken, one, halves
):
    function.image_shape = (8, 8, 1)


def plain(images):
    return arrays(images)["logits"]
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The module's name and file."""
    directory = tmp_path_factory.mktemp("modules")
    path = directory / "teachers_of_tests.py"
    path.write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(directory))
        yield path.stem, path


@pytest.mark.parametrize("function", ["tensors", "arrays", "eager"])
def test_a_function_returns_logits_and_features(module, function):
    images = nets.make_images(4)
    teacher = kd_keras.load_teacher(
        f"{module[0]}:{function}", features=["", "maps"]
    )
    assert teacher.num_classes == 3 and teacher.image_shape == (8, 8, 1)
    assert teacher.feature_shapes == [(64,), (8, 8, 1)]
    in_graph = tf.function(teacher.outputs).get_concrete_function(
        tf.TensorSpec((None, 8, 8, 1), tf.uint8)
    )
    static = in_graph.structured_outputs
    assert static.logits.shape.as_list() == [None, 3]
    assert static.features[1].shape.as_list() == [None, 8, 8, 1]
    flat = images.reshape(-1, 64) / 255
    weights = np.linspace(-1, 1, 192).reshape(64, 3)
    for count in (4, 0):
        batch = tf.constant(images[:count], tf.uint8)
        for outputs in (teacher.outputs(batch), in_graph(batch)):
            np.testing.assert_allclose(
                outputs.logits, flat[:count] @ weights, atol=1e-5
            )
            np.testing.assert_allclose(outputs.features[0], flat[:count])
            np.testing.assert_array_equal(outputs.features[1], images[:count])


def test_a_function_of_tensorflow_is_a_part_of_the_graph(module):
    import teachers_of_tests

    teacher = kd_keras.load_teacher(f"{module[0]}:tensors")
    teachers_of_tests.calls.clear()
    step = tf.function(teacher)
    for _ in range(3):
        step(nets.make_images(2))
    assert len(teachers_of_tests.calls) <= 1


def test_a_function_of_images_of_any_shape_returns_logits(module):
    teacher = kd_keras.load_teacher(f"{module[0]}:plain")
    images = nets.make_images(4)
    expected = kd_keras.load_teacher(f"{module[0]}:arrays")(images)
    np.testing.assert_allclose(teacher(images), expected, atol=1e-5)
    with pytest.raises(ValueError, match="image_shape = .28, 28, 1.*plain"):
        kd_keras.load_teacher(f"{module[0]}:plain", features=[""])


def test_a_function_may_return_an_embedding(module):
    teacher = kd_keras.load_teacher(
        f"{module[0]}:embedding", outputs="features"
    )
    outputs = teacher.outputs(nets.make_images(4))
    assert outputs.logits is None and not teacher.has_logits
    np.testing.assert_allclose(
        outputs.features[0], nets.make_images(4).reshape(-1, 64) / 255
    )


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("nowhere", {}, "importable module:function.*'nowhere'"),
        ("WEIGHTS", {}, "must name a function"),
        ("several", {}, "outputs must be the name .*'a' .*'b'.*several"),
        ("several", {"outputs": "a"}, "logits .batch, num_classes.*several"),
        ("broken", {}, "broken.*no such thing"),
        ("one", {}, "the batch as their first axis.*one, which"),
        (
            "tensors",
            {"features": ["map"]},
            "'map'; .* logits, features, maps. Did you mean 'maps'",
        ),
        ("arrays", {"features": ["map"]}, "Did you mean 'maps'"),
        ("tensors", {"outputs": "probabilities"}, "'probabilities' must be"),
    ],
)
def test_functions_that_cannot_teach_are_refused(
    module, function, options, message
):
    with pytest.raises(ValueError, match=message) as caught:
        kd_keras.load_teacher(f"{module[0]}:{function}", **options)
    assert "\n" not in str(caught.value)


def test_logits_of_another_number_of_images_are_refused(module):
    teacher = kd_keras.load_teacher(f"{module[0]}:halves")
    with pytest.raises(tf.errors.InvalidArgumentError, match="for each image"):
        teacher(nets.make_images(4))


def test_a_function_is_identified_by_its_source_and_name(module):
    name, path = module
    first = fingerprint.fingerprint(f"{name}:tensors")
    graph = fingerprint.graph_fingerprint(f"{name}:tensors")
    assert fingerprint.fingerprint(f"{name}:arrays") == first
    assert fingerprint.graph_fingerprint(f"{name}:arrays") != graph
    path.write_text(SOURCE.replace("255", "256"))
    try:
        assert fingerprint.fingerprint(f"{name}:tensors") != first
        assert fingerprint.graph_fingerprint(f"{name}:tensors") != graph
    finally:
        path.write_text(SOURCE)
    with pytest.raises(ValueError, match="module of Python source.*math:sqrt"):
        fingerprint.fingerprint("math:sqrt")
