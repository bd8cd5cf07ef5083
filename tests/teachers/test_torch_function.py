"""PyTorch networks that a function of the user builds."""

import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from pytorch_files import EXPECTED, FILES, IMAGES, assert_close

import kd_keras
from kd_keras.teachers import fingerprint

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    """A module `networks` of a user, and the one that made the files."""
    monkeypatch.syspath_prepend(FILES)
    module = types.ModuleType("networks")
    monkeypatch.setitem(sys.modules, "networks", module)
    return module


def make_files():
    import make_files

    return make_files


def test_logits_and_features_are_those_of_the_module():
    teacher = kd_keras.load_teacher(
        "torch:make_files:network", features=("", "stem", "head")
    )
    assert teacher.image_shape == (None, None, 3) and teacher.num_classes == 5
    assert teacher.feature_shapes == [(7,), (None, None, 6), (5,)]
    logits, (pooled, maps, head) = teacher.outputs(IMAGES)
    assert_close(logits, EXPECTED["logits"])
    assert_close(pooled, EXPECTED["features"])
    assert_close(maps, EXPECTED["stem"])
    assert_close(head, EXPECTED["logits"])


def test_a_module_runs_inside_a_pipeline_with_static_shapes():
    teacher = kd_keras.load_teacher(
        "torch:make_files:network", features=("stem",), image_size=8
    )
    batches = tf.data.Dataset.from_tensor_slices(IMAGES).batch(4)
    answers = batches.map(teacher.outputs, num_parallel_calls=2)
    logits, (maps,) = answers.element_spec
    assert logits.shape.as_list() == [None, 5]
    assert maps.shape.as_list() == [None, None, None, 6]
    found = list(answers)
    assert_close(np.concatenate([x.logits for x in found]), EXPECTED["logits"])
    maps = np.concatenate([x.features[0] for x in found])
    assert_close(maps, EXPECTED["stem"])
    assert teacher.outputs(IMAGES[:0]).logits.shape == (0, 5)


def test_a_function_of_a_batch_is_a_teacher(networks):
    module = make_files().network()
    networks.classify = lambda images: {"logits": module(images), "other": 0}
    teacher = kd_keras.load_teacher("torch:networks:classify")
    assert teacher.num_classes == 5
    assert_close(teacher(IMAGES), EXPECTED["logits"])
    with pytest.raises(ValueError, match="model without them"):
        kd_keras.load_teacher("torch:networks:classify", features=("",))


def test_an_embedding_has_no_logits(networks):
    networks.build = lambda: make_files().network(make_files().Embedding)
    teacher = kd_keras.load_teacher(
        "torch:networks:build", outputs="features", features=("", "stem.2")
    )
    assert not teacher.has_logits
    logits, (embedding, maps) = teacher.outputs(IMAGES)
    assert logits is None
    assert_close(embedding, EXPECTED["features"])
    assert_close(maps, EXPECTED["stem"])


def test_one_of_several_outputs_is_chosen(networks):
    networks.build = lambda: make_files().network(make_files().TwoOutputs)
    teacher = kd_keras.load_teacher("torch:networks:build", outputs="1")
    assert_close(teacher(IMAGES), EXPECTED["logits"])
    with pytest.raises(ValueError, match=r"outputs are 0 \(7,\), 1 \(5,\)"):
        kd_keras.load_teacher("torch:networks:build")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_images_have_the_type_of_the_weights(networks, dtype):
    networks.build = lambda: make_files().network().to(getattr(torch, dtype))
    logits = kd_keras.load_teacher("torch:networks:build")(IMAGES)
    np.testing.assert_allclose(logits, EXPECTED["logits"], atol=0.01)


def test_grey_images_are_tried_where_colour_ones_fail(networks):
    networks.build = lambda: torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(28 * 28, 4)
    )
    teacher = kd_keras.load_teacher("torch:networks:build", features=("",))
    assert teacher.num_classes == 4
    assert teacher.feature_shapes == [(28 * 28,)]


def test_a_network_is_in_eval_mode_and_needs_no_gradients(networks):
    module = make_files().network().train()
    networks.build = lambda: module
    teacher = kd_keras.load_teacher("torch:networks:build")
    before = {key: x.clone() for key, x in module.state_dict().items()}
    assert_close(teacher(IMAGES), EXPECTED["logits"])
    after = module.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_fingerprint_is_of_the_weights_and_the_code(networks):
    name = "torch:make_files:network"
    weights = fingerprint.fingerprint(name)
    graph = fingerprint.graph_fingerprint(name)
    assert graph.startswith("torch:")
    module = make_files().network()
    networks.build = lambda: module
    name = "torch:networks:build"
    assert fingerprint.fingerprint(name) == weights
    with torch.no_grad():
        module.head.bias[0] += 1
    assert fingerprint.fingerprint(name) != weights
    first = fingerprint.graph_fingerprint(name)
    module.stem[2] = torch.nn.ELU()
    assert fingerprint.graph_fingerprint(name) not in (first, graph)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch:networks", "must be torch:module:function"),
        ("torch:nowhere:build", "importable .*ModuleNotFoundError"),
        ("torch:networks:nothing", "importable .*AttributeError"),
        ("torch:networks:fails", "RuntimeError: first line$"),
        ("torch:networks:number", "which returned int"),
        ("torch:networks:text", r"teacher must return logits.*Received: 'a'"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(networks, name, message):
    def fails():
        raise RuntimeError("first line\nsecond line")

    networks.fails = fails
    networks.number = lambda: 3
    networks.text = lambda images: "a"
    with pytest.raises(ValueError, match=message) as caught:
        kd_keras.load_teacher(name)
    assert "\n" not in str(caught.value)


def test_features_that_are_not_there_are_refused(networks):
    name = "torch:make_files:network"
    with pytest.raises(ValueError, match="has stem, stem.0, .*mean 'stem'"):
        kd_keras.load_teacher(name, features=("sten",))
    networks.build = lambda: torch.nn.Flatten()
    with pytest.raises(ValueError, match="must have a Linear or Conv2d"):
        kd_keras.load_teacher("torch:networks:build", features=("",))


def test_a_size_that_the_network_does_not_take_is_refused(networks):
    networks.build = lambda: torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(8 * 8 * 3, 4)
    )
    with pytest.raises(ValueError, match="must take images .*mat1 and mat2"):
        kd_keras.load_teacher("torch:networks:build", image_size=9)
    with pytest.raises(ValueError, match=r"give teacher\.image_size"):
        kd_keras.load_teacher("torch:networks:build", features=("0",))
    teacher = kd_keras.load_teacher("torch:networks:build", image_size=8)
    assert teacher.num_classes == 4
