"""Equal ONNX graphs have equal bytes, and compute the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from kd_keras.deployment import onnx_graph, source
from kd_keras.deployment.formats import onnx as onnx_format


def _graph(prefix, order):
    """A graph with a condition, whose inner names begin with `prefix`."""
    p = prefix

    def branch(name, operation):
        nodes = [
            helper.make_node(operation, [f"{p}sum", f"{p}two"], [f"{p}{name}"])
        ]
        output = helper.make_tensor_value_info(
            f"{p}{name}", TensorProto.FLOAT, None
        )
        return helper.make_graph(nodes, f"{p}{name}", [], [output])

    nodes = [
        helper.make_node("Add", ["x", f"{p}two"], [f"{p}sum"]),
        helper.make_node("ReduceSum", ["x"], [f"{p}total"], keepdims=0),
        helper.make_node("Greater", [f"{p}total", f"{p}two"], [f"{p}large"]),
        helper.make_node(
            "If",
            [f"{p}large"],
            ["y"],
            then_branch=branch("then", "Mul"),
            else_branch=branch("else", "Sub"),
        ),
        helper.make_node("Neg", ["x"], [f"{p}unused"]),
    ]
    return helper.make_graph(
        [nodes[i] for i in order],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [p, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [p, 3])],
        [numpy_helper.from_array(np.float32(2), f"{p}two")],
    )


def _model(graph):
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString(deterministic=True)


def test_names_and_order_do_not_change_the_bytes():
    graphs = [_graph("a", [0, 1, 2, 3, 4]), _graph("b", [4, 1, 2, 0, 3])]
    for graph in graphs:
        onnx_graph.make_canonical(graph)
    assert _model(graphs[0]) == _model(graphs[1])


@pytest.mark.parametrize("x", [[[1.0, 2.0, 3.0]], [[-1.0, 0.0, 0.5]]])
def test_a_renamed_graph_computes_the_same(x):
    graph = _graph("a", [0, 1, 2, 3, 4])
    before = onnxruntime.InferenceSession(_model(graph))
    onnx_graph.make_canonical(graph)
    after = onnxruntime.InferenceSession(_model(graph))
    feeds = {"x": np.array(x, "float32")}
    np.testing.assert_array_equal(
        before.run(["y"], feeds)[0], after.run(["y"], feeds)[0]
    )


def test_another_graph_has_other_bytes():
    first, second = _graph("a", [0, 1, 2, 3]), _graph("a", [0, 1, 2, 3])
    second.node[1].op_type = "ReduceMean"
    for graph in (first, second):
        onnx_graph.make_canonical(graph)
    assert _model(first) != _model(second)


@pytest.mark.slow
def test_a_model_is_converted_to_the_same_bytes_again(saved_digits, output):
    # The converter's counters continue in a process, so all names differ.
    written = (output / "digits.onnx").read_bytes()
    again = onnx_format.write(source.Source(saved_digits), None)
    assert again == written
    model = onnx.load_from_string(written)
    assert [value.name for value in model.graph.input] == ["images"]
    assert [value.name for value in model.graph.output] == ["logits"]
