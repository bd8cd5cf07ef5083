"""Edits the graphs of ONNX models."""

import numpy as np


def replace_erfc(graph):
    """Replaces `Erfc`, which ONNX lacks, by 1 - `Erf`.

    TensorFlow computes GELU with it.

    Args:
        graph: `onnx.GraphProto`, changed in place.
    """
    from onnx import helper, numpy_helper

    nodes = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        (source,), (target,) = node.input, node.output
        one, erf = f"{target}/one", f"{target}/erf"
        graph.initializer.append(
            numpy_helper.from_array(np.float32(1), name=one)
        )
        nodes.append(helper.make_node("Erf", [source], [erf]))
        nodes.append(helper.make_node("Sub", [one, erf], [target]))
    _set(graph.node, nodes)


def missing_operations(graph):
    """Names of operations that ONNX does not have, sorted.

    A converter keeps the name of an operation that it cannot convert.
    """
    from onnx import defs

    found = set()
    for node in graph.node:
        if not defs.has(node.op_type, node.domain):
            found.add(node.op_type)
        for subgraph in _subgraphs(node):
            found.update(missing_operations(subgraph))
    return sorted(found)


def make_canonical(graph):
    """Gives equal graphs equal bytes, whatever order they were built in.

    Sorts the nodes as the outputs need them, and names values and nodes by
    their positions. Names of inputs and outputs remain.

    Args:
        graph: `onnx.GraphProto`, changed in place.
    """
    _sort(graph)
    kept = [*graph.input, *graph.output]
    _rename(graph, {value.name: value.name for value in kept})
    sizes = {}
    for value in kept:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                new = f"size_{len(sizes)}"
                size.dim_param = sizes.setdefault(size.dim_param, new)


def _sort(graph):
    """Sorts nodes in the order of a depth-first search, and drops the rest."""
    producers = {name: node for node in graph.node for name in node.output}
    ordered, seen = [], set()
    waiting = [producers.get(value.name) for value in reversed(graph.output)]
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        needed = [producers.get(name) for name in _used_by(node)]
        needed = [n for n in needed if n is not None and id(n) not in seen]
        if needed:
            waiting += [node, *reversed(needed)]
        else:
            seen.add(id(node))
            ordered.append(node)
    _set(graph.node, ordered)
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    used = dict.fromkeys(name for node in ordered for name in _used_by(node))
    _set(
        graph.initializer,
        [initializers[name] for name in used if name in initializers],
    )


def _rename(graph, names):
    """Renames by position; `names` maps old names of outer graphs to new."""
    del graph.value_info[:]
    for tensor in graph.initializer:
        tensor.name = names.setdefault(tensor.name, f"constant_{len(names)}")
    for node in graph.node:
        for subgraph in _subgraphs(node):
            _sort(subgraph)
            subgraph.name = "subgraph"
            for value in subgraph.input:
                value.name = names.setdefault(value.name, f"input_{len(names)}")
            _rename(subgraph, names)
            for value in subgraph.output:
                value.name = names[value.name]
        _set(node.input, [names[name] if name else "" for name in node.input])
        outputs = []
        for name in node.output:
            new = f"{node.op_type.lower()}_{len(names)}"
            outputs.append(names.setdefault(name, new) if name else "")
        _set(node.output, outputs)
        node.name = outputs[0]
        _set(node.attribute, sorted(node.attribute, key=lambda a: a.name))


def _used_by(node):
    """Names that a node and its subgraphs read, in their order."""
    yield from node.input
    for subgraph in _subgraphs(node):
        for inner in subgraph.node:
            yield from _used_by(inner)
        yield from (value.name for value in subgraph.output)


def _subgraphs(node):
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _set(field, values):
    """Replaces the values of a repeated field."""
    copies = list(values)
    copies = [
        type(value).FromString(value.SerializeToString())
        if hasattr(value, "SerializeToString")
        else value
        for value in copies
    ]
    del field[:]
    field.extend(copies)
