"""SHA-256 of what a SavedModel computes, whatever its names.

TensorFlow renumbers functions and nodes in each export, and its own fingerprint
of a SavedModel leaves out the bodies of the functions.
"""

import graphlib

from kd_keras.utils import digests

# Attributes that name things, or tell how a function is run.
_UNUSED_ATTRIBUTES = {
    "config",
    "config_proto",
    "container",
    "debug_name",
    "executor_type",
    "shared_name",
}
_VARIABLES = ("VarHandleOp", "VariableV2")


def digest(meta_graph, signature, reader):
    """SHA-256 of a signature's graph and of the variables in their places.

    Args:
        meta_graph: `MetaGraphDef`.
        signature: `SignatureDef`, one of its signatures.
        reader: the checkpoint reader of its variables.

    Returns:
        str, 64 hex digits.
    """
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    functions = _Functions(meta_graph.graph_def.library.function)
    outputs = {
        key: signature.outputs[key].name for key in sorted(signature.outputs)
    }
    known = _variable_digests(meta_graph, nodes, reader)
    try:
        found = _digest_tensors(outputs.values(), nodes, known, functions)
    except graphlib.CycleError:
        # A loop of TensorFlow 1: the bytes of the graph are compared instead.
        contents = meta_graph.graph_def.SerializeToString(deterministic=True)
        return digests.sha256(contents)
    return digests.sha256_of_text(f"{[*outputs]} {found}")


class _Functions:
    """Digests of the functions of a graph, by name."""

    def __init__(self, definitions):
        self._definitions = {f.signature.name: f for f in definitions}
        self._digests = {}

    def digest(self, name):
        if name not in self._digests:
            function = self._definitions[name]
            arguments = [arg.name for arg in function.signature.input_arg]
            found = _digest_tensors(
                [function.ret[o.name] for o in function.signature.output_arg],
                {node.name: node for node in function.node_def},
                {name: f"argument {i}" for i, name in enumerate(arguments)},
                self,
            )
            self._digests[name] = digests.sha256_of_text(str(found))
        return self._digests[name]


def _digest_tensors(tensors, nodes, known, functions):
    """Digests of the operations that compute some tensors.

    Args:
        tensors: collection of str, names such as `MatMul:product:0`.
        nodes: dict of the graph's nodes by name.
        known: dict of nodes and arguments to their digests.
        functions: `_Functions`.

    Returns:
        List of str.
    """
    known = dict(known)
    # Sorted, not recursive: networks are deeper than Python's stack.
    for name in _sorted_nodes([_split(t)[0] for t in tensors], nodes, known):
        node = nodes[name]
        attributes = {
            key: _digest_attribute(node.attr[key], functions)
            for key in sorted(node.attr)
            if key[0] != "_" and key not in _UNUSED_ATTRIBUTES
        }
        inputs = [
            (known[source], index)
            for source, index in map(_split, _data_inputs(node))
        ]
        known[name] = digests.sha256_of_text(f"{node.op} {attributes} {inputs}")
    return [(known[name], index) for name, index in map(_split, tensors)]


def _sorted_nodes(names, nodes, known):
    """The nodes that some nodes need and that are not known, inputs first."""
    needs, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        if name not in needs and name not in known:
            inputs = [_split(i)[0] for i in _data_inputs(nodes[name])]
            needs[name] = [i for i in inputs if i not in known]
            waiting += needs[name]
    return graphlib.TopologicalSorter(needs).static_order()


def _data_inputs(node):
    return [name for name in node.input if not name.startswith("^")]


def _split(tensor):
    """`("MatMul", "product:0")` of `MatMul:product:0`."""
    name, _, index = tensor.partition(":")
    return name, index


def _digest_attribute(value, functions):
    kind = value.WhichOneof("value")
    called = [value.func] if kind == "func" else value.list.func
    if called:
        return [functions.digest(function.name) for function in called]
    return digests.sha256(value.SerializeToString(deterministic=True))


def _variable_digests(meta_graph, nodes, reader):
    """Digests of the values of a graph's variables, by node."""
    keys = {
        name: node.attr["shared_name"].s.decode() or name
        for name, node in nodes.items()
        if node.op in _VARIABLES
    }
    # Since TensorFlow 2, names are not the keys of the checkpoint.
    keys |= _keys_of_captures(meta_graph, nodes, reader)
    return {
        name: digests.sha256_of_arrays(reader.get_tensor(key))
        for name, key in keys.items()
        if reader.has_tensor(key)
    }


def _keys_of_captures(meta_graph, nodes, reader):
    """Keys in the checkpoint of the variables that functions capture."""
    saved = meta_graph.object_graph_def
    keys, captures = _checkpoint_keys(saved, reader), {}
    for node in nodes.values():
        called = node.attr["f"].func.name if "f" in node.attr else ""
        if called in saved.concrete_functions:
            # Variables are the last inputs.
            bound = saved.concrete_functions[called].bound_inputs
            for name, number in zip(reversed(node.input), reversed(bound)):
                if number in keys:
                    captures[name] = keys[number]
    return captures


def _checkpoint_keys(saved, reader):
    """Keys in the checkpoint by the number of an object of a SavedModel."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2 as graph

    if not reader.has_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"):
        return {}
    stored = graph.TrackableObjectGraph()
    stored.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    keys, seen, waiting = {}, set(), [(0, 0)]
    while waiting:
        number, twin = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        for attribute in stored.nodes[twin].attributes:
            keys[number] = attribute.checkpoint_key
        twins = {c.local_name: c.node_id for c in stored.nodes[twin].children}
        waiting += [
            (child.node_id, twins[child.local_name])
            for child in saved.nodes[number].children
            if child.local_name in twins
        ]
    return keys
