"""ONNX files as teachers, compared with what PyTorch computed of them."""

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper
from pytorch_files import EXPECTED, FILES, IMAGES, assert_close

import kd_keras
from kd_keras.teachers import fingerprint, loading


def made(tmp_path, nodes, shape, outputs, *, dtype="FLOAT", weights=()):
    """Writes a model of some nodes; `outputs` are names with shapes."""
    kind = getattr(TensorProto, dtype)
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(*output) for output in outputs],
        [numpy_helper.from_array(x, name) for name, x in weights],
    )
    versions = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def pooling(tmp_path, shape, *, dtype="FLOAT", axes=(1, 2)):
    """A model whose three logits are the means of the channels."""
    mean = helper.make_node(
        "ReduceMean", ["floats"], ["logits"], axes=list(axes), keepdims=0
    )
    cast = helper.make_node("Cast", ["images"], ["floats"], to=1)
    output = ("logits", TensorProto.FLOAT, (shape[0], 3))
    return made(tmp_path, [cast, mean], shape, [output], dtype=dtype)


@pytest.mark.parametrize("name", ["dynamic.onnx", "batch_of_3.onnx"])
def test_logits_and_features_are_those_of_pytorch(name):
    teacher = kd_keras.load_teacher(
        FILES / name, features=("", "node_mean", "relu")
    )
    assert teacher.image_shape == (8, 8, 3)
    assert teacher.num_classes == 5
    assert teacher.feature_shapes == [(7,), (7,), (4, 4, 6)]
    logits, (pooled, mean, relu) = teacher.outputs(IMAGES)
    assert_close(logits, EXPECTED["logits"])
    assert_close(pooled, EXPECTED["features"])
    assert_close(mean, EXPECTED["features"])
    assert_close(relu, EXPECTED["stem"])


@pytest.mark.slow
def test_a_model_runs_inside_a_pipeline_with_static_shapes():
    teacher = kd_keras.load_teacher(FILES / "batch_of_3.onnx", features=("",))
    batches = tf.data.Dataset.from_tensor_slices(IMAGES).batch(4)
    answers = batches.map(teacher.outputs)
    logits, (features,) = answers.element_spec
    assert logits.shape.as_list() == [None, 5]
    assert features.shape.as_list() == [None, 7]
    found = list(answers)
    assert_close(np.concatenate([x.logits for x in found]), EXPECTED["logits"])
    empty = teacher.outputs(IMAGES[:0])
    assert empty.logits.shape == (0, 5) and empty.features[0].shape == (0, 7)


def test_a_classifier_of_channels_first_is_measured_as_others():
    classifier = loading.load_classifier(FILES / "batch_of_3.onnx")
    assert classifier.image_shape == (8, 8, 3)
    assert_close(classifier(IMAGES), EXPECTED["logits"])


def test_an_output_is_chosen_by_name():
    path = FILES / "two_outputs.onnx"
    teacher = kd_keras.load_teacher(
        path, outputs="scores", features=("embedding", "")
    )
    logits, features = teacher.outputs(IMAGES)
    assert_close(logits, EXPECTED["logits"])
    assert_close(features[0], EXPECTED["features"])
    assert_close(features[1], EXPECTED["features"])
    for outputs in ("logits", "score"):
        with pytest.raises(ValueError, match="has embedding, scores"):
            kd_keras.load_teacher(path, outputs=outputs)
    with pytest.raises(ValueError, match="embedding among .* scores"):
        kd_keras.load_teacher(path, outputs="features")


def test_an_embedding_has_no_logits():
    teacher = kd_keras.load_teacher(
        FILES / "embedding.onnx", outputs="features"
    )
    assert not teacher.has_logits and teacher.num_classes is None
    assert teacher.feature_shapes == [(7,)]
    logits, (embedding,) = teacher.outputs(IMAGES)
    assert logits is None
    assert_close(embedding, EXPECTED["features"])


def test_an_unknown_feature_is_refused_with_a_suggestion():
    with pytest.raises(ValueError, match=r"'relu_2'; .* has div, getitem, "):
        kd_keras.load_teacher(FILES / "dynamic.onnx", features=("relu_2",))
    with pytest.raises(ValueError, match="Did you mean 'relu_1'"):
        kd_keras.load_teacher(FILES / "dynamic.onnx", features=("relu__1",))
    with pytest.raises(ValueError, match="computed from the images"):
        kd_keras.load_teacher(FILES / "dynamic.onnx", features=("body.weight",))


@pytest.mark.parametrize("dtype", ["FLOAT", "FLOAT16", "DOUBLE", "UINT8"])
@pytest.mark.parametrize("received", ["uint8", "float32"])
def test_images_are_converted_to_the_type_of_the_input(
    tmp_path, dtype, received
):
    path = pooling(tmp_path, (None, 8, 8, 3), dtype=dtype)
    images = IMAGES.astype(received)
    # The mean of 64 values of up to 255; float16 has 11 bits.
    teacher = kd_keras.load_teacher(path)
    np.testing.assert_allclose(teacher(images), IMAGES.mean((1, 2)), atol=1e-3)


def test_floats_are_rounded_to_integers_and_cut_off(tmp_path):
    path = pooling(tmp_path, (None, 8, 8, 3), dtype="UINT8")
    images = IMAGES.astype("float32")
    images += np.where(IMAGES == 255, 0.6, -0.4)
    assert_close(kd_keras.load_teacher(path)(images), IMAGES.mean((1, 2)))


@pytest.mark.parametrize(
    ("shape", "axes", "image_shape"),
    [
        ((None, 3, None, None), (2, 3), (None, None, 3)),
        ((2, None, None, 3), (1, 2), (None, None, 3)),
        ((None, 3, 4, 4), (2, 3), (4, 4, 3)),
        ((None, 4, 4, 3), (1, 2), (4, 4, 3)),
        ((None, 6, 8, 8), (2, 3), (8, 8, 6)),
        ((None, 8, 8, 6), (1, 2), (8, 8, 6)),
    ],
)
def test_the_shape_tells_the_layout(tmp_path, shape, axes, image_shape):
    teacher = kd_keras.load_teacher(pooling(tmp_path, shape, axes=axes))
    assert teacher.image_shape == image_shape
    images = np.random.default_rng(0).uniform(
        size=(3, *(x or 5 for x in image_shape))
    )
    assert_close(teacher(images.astype("float32")), images.mean((1, 2)))


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((None, 3, 8, 3), "FLOAT", r"tell its channels .*\(any, 3, 8, 3\)"),
        ((None, None, None, None), "FLOAT", "tell its channels"),
        ((None, 8, 9, 10), "FLOAT", "tell its channels"),
        ((None, 3, 8), "FLOAT", r"\(batch, channels, height, width\) or"),
        ((None, 8, 8, 3), "INT32", r"must take one of .*tensor\(int32\)"),
    ],
)
def test_other_inputs_are_refused(tmp_path, shape, dtype, message):
    path = pooling(tmp_path, shape, dtype=dtype, axes=(1,))
    with pytest.raises(ValueError, match=message) as caught:
        kd_keras.load_teacher(path)
    assert "\n" not in str(caught.value)


def test_maps_behind_a_transpose_are_channels_last(tmp_path):
    nodes = [
        helper.make_node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Relu", ["first"], ["maps"]),
        helper.make_node("Transpose", ["maps"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Conv", ["pooled", "weights"], ["logits"]),
    ]
    path = made(
        tmp_path,
        nodes,
        (None, 8, 8, 3),
        [("logits", TensorProto.FLOAT, (None, 5, 1, 1))],
        weights=[("weights", np.ones((5, 3, 1, 1), "float32"))],
    )
    teacher = kd_keras.load_teacher(path, features=("maps", "last", ""))
    logits, (maps, last, pooled) = teacher.outputs(IMAGES)
    assert logits.shape == (7, 5) and teacher.num_classes == 5
    assert_close(maps, IMAGES)
    assert_close(last, IMAGES)
    assert_close(pooled, IMAGES.mean((1, 2)))


def test_labels_are_no_logits(tmp_path):
    best = helper.make_node("ArgMax", ["images"], ["labels"], axis=1)
    output = ("labels", TensorProto.INT64, (None, 1, 8, 3))
    path = made(tmp_path, [best], (None, 8, 8, 3), [output])
    with pytest.raises(ValueError, match=r"floats.*labels is a tensor\(int64"):
        kd_keras.load_teacher(path)
    with pytest.raises(ValueError, match=r"num_classes\).*\(None, None,"):
        mean = helper.make_node("Relu", ["images"], ["maps"])
        output = ("maps", TensorProto.FLOAT, (None, 1, 8, 3))
        kd_keras.load_teacher(made(tmp_path, [mean], (None, 8, 8, 3), [output]))


def test_images_that_a_model_cannot_take_are_refused(tmp_path):
    # The sizes are any in the file, but not in the layer.
    path = made(
        tmp_path,
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        (None, 3, None, None),
        [("logits", TensorProto.FLOAT, (None, 3))],
        weights=[("weights", np.ones((9 * 9 * 3, 3), "float32"))],
    )
    teacher = kd_keras.load_teacher(path)
    with pytest.raises(ValueError, match="must take the images. Received"):
        teacher(IMAGES)
    with pytest.raises(ValueError, match=r"must take images \(8, 8, 3\)"):
        kd_keras.load_teacher(path, image_size=8)
    assert teacher(np.zeros((2, 9, 9, 3), "uint8")).shape == (2, 3)


def test_weights_in_files_of_their_own_are_read_and_fingerprinted(tmp_path):
    inside = FILES / "dynamic.onnx"
    outside = tmp_path / "outside.onnx"
    onnx.save(
        onnx.load(inside),
        outside,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=100,
    )
    teacher = kd_keras.load_teacher(outside, features=("relu",))
    logits, (relu,) = teacher.outputs(IMAGES)
    assert_close(logits, EXPECTED["logits"])
    assert_close(relu, EXPECTED["stem"])
    for function in (fingerprint.fingerprint, fingerprint.graph_fingerprint):
        assert function(outside) == function(inside)
    weights = tmp_path / "weights.bin"
    contents = bytearray(weights.read_bytes())
    contents[0] ^= 1
    weights.write_bytes(contents)
    for function in (fingerprint.fingerprint, fingerprint.graph_fingerprint):
        assert function(outside) != function(inside)
    weights.unlink()
    for function in (kd_keras.load_teacher, fingerprint.fingerprint):
        with pytest.raises(ValueError, match="must be whole.*outside.onnx"):
            function(outside)


def test_a_fingerprint_is_of_the_weights_and_the_graph(tmp_path):
    def prints(change):
        model = onnx.load(FILES / "dynamic.onnx")
        change(model.graph)
        onnx.save(model, tmp_path / "changed.onnx")
        return (
            fingerprint.fingerprint(tmp_path / "changed.onnx"),
            fingerprint.graph_fingerprint(tmp_path / "changed.onnx"),
        )

    def rename(graph):
        for node in graph.node:
            names = [f"new_{x}" if x == "div" else x for x in node.input]
            node.input[:] = names
            node.output[:] = [
                "new_div" if x == "div" else x for x in node.output
            ]
            node.name = f"other_{node.name}"

    def change_padding(graph):
        (pads,) = [x for x in graph.node[1].attribute if x.name == "pads"]
        pads.ints[:] = [2, 2, 0, 0]

    def swap(graph):
        # The scale of the images and the axes are no weights of the layers.
        graph.node[2].op_type = "Elu"

    same = prints(lambda graph: None)
    assert same[1].startswith("onnx:")
    assert prints(rename) == same
    for change in (change_padding, swap):
        weights, graph = prints(change)
        assert weights == same[0] and graph != same[1]


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes((FILES / "dynamic.onnx").read_bytes()[:1000])
    for function in (kd_keras.load_teacher, fingerprint.fingerprint):
        with pytest.raises(ValueError, match="must be whole") as caught:
            function(path)
        assert "\n" not in str(caught.value)
