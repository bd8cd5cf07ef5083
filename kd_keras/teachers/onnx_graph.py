"""Inner tensors and fingerprints of ONNX graphs."""

from kd_keras.teachers import array_model, kind
from kd_keras.utils import digests

# Layers that a classifier may end with; their input is the pooled features.
_LAST_LAYERS = ("Gemm", "MatMul", "Conv")
# Operations whose images have their channels first.
_CHANNELS_FIRST = ("BatchNormalization", "Conv", "InstanceNormalization")


class Graph:
    """The nodes of a graph by the tensors that they compute.

    Args:
        graph: `onnx.GraphProto` with one input besides its weights.
        path: path of its file, for errors.
    """

    def __init__(self, graph, path):
        weights = {tensor.name for tensor in graph.initializer}
        self._path = path
        self._nodes = {}
        # Tensors that are computed from the images.
        known = {x.name for x in graph.input if x.name not in weights}
        # Nodes are in the order of computation.
        for node in graph.node:
            if not known.isdisjoint(_inputs(node)):
                known.update(filter(None, node.output))
                self._nodes.update(dict.fromkeys(node.output, node))
        self._known = known

    def tensor(self, name, logits=None):
        """The tensor that the name of a feature stands for.

        Args:
            name: str, a tensor's or a node's name; "" for the input of the
                last layer before the logits.
            logits: str, the tensor of the logits.

        Raises:
            ValueError: if there is none.
        """
        if not name:
            return self._pooled(logits)
        for node in self._nodes.values():
            if node.name == name and name not in self._nodes:
                return node.output[0]
        array_model.check_feature(
            name,
            list(filter(None, self._nodes)),
            what="tensor or node that is computed from the images",
            path=self._path,
        )
        return name

    def _pooled(self, logits):
        """The input of the layer that computes the logits."""
        waiting, seen = [logits], set()
        # The nearest one, if there are several.
        while waiting:
            name = waiting.pop(0)
            if name not in self._nodes or name in seen:
                continue
            seen.add(name)
            node = self._nodes[name]
            inputs = [x for x in _inputs(node) if x in self._known]
            if node.op_type in _LAST_LAYERS:
                return inputs[0]
            waiting += inputs
        raise kind.Unusable(
            "features must be named for a model whose logits are of none of "
            f"the layers {', '.join(_LAST_LAYERS)}. Received: {self._path}"
        )

    def has_channels_first(self, name, of_images):
        """Whether a tensor of four axes has its channels second.

        Args:
            name: str, the tensor.
            of_images: bool, whether the images have their channels second.
        """
        while name in self._nodes:
            node = self._nodes[name]
            if node.op_type in _CHANNELS_FIRST or "Pool" in node.op_type:
                return True
            if node.op_type == "Transpose":
                (axes,) = [x.ints for x in node.attribute] or [()]
                return list(axes) == [0, 3, 1, 2]
            name = next(x for x in _inputs(node) if x in self._known)
        return of_images


def add_outputs(graph, names):
    """Makes inner tensors outputs of a graph, unless they are already.

    Args:
        graph: `onnx.GraphProto`, changed in place.
        names: list of str.
    """
    found = {output.name for output in graph.output}
    for name in dict.fromkeys(names):
        if name not in found:
            # The runtime infers its type and its shape.
            graph.output.add().name = name


def weight_arrays(model, directory):
    """Yields the weights of a model, one after the other.

    Args:
        model: `onnx.ModelProto`.
        directory: str, where the files of its large weights are.
    """
    from onnx import numpy_helper

    for graph in _graphs(model.graph):
        for tensor in graph.initializer:
            yield numpy_helper.to_array(tensor, directory)


def digest(model, directory):
    """SHA-256 of what a model computes, whatever the names in it.

    Args:
        model, directory: as in `weight_arrays`.

    Returns:
        str, 64 hex digits.
    """
    versions = sorted((x.domain, x.version) for x in model.opset_import)
    functions = sorted(
        digests.sha256(function.SerializeToString(deterministic=True))
        for function in model.functions
    )
    outputs = [output.name for output in model.graph.output]
    found = _digest_outputs(model.graph, {}, directory)
    return digests.sha256_of_text(f"{versions} {functions} {outputs} {found}")


def _digest_outputs(graph, known, directory):
    """Digests of the operations that compute a graph's outputs.

    Args:
        graph: `onnx.GraphProto`.
        known: dict of the tensors around it to their digests.
        directory: as in `weight_arrays`.
    """
    from onnx import numpy_helper

    known = dict(known)
    for i, value in enumerate(graph.input):
        known[value.name] = f"input {i} {_type(value)}"
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor, directory)
        known[tensor.name] = digests.sha256_of_arrays(array)
    for tensor in graph.sparse_initializer:
        contents = tensor.SerializeToString(deterministic=True)
        known[tensor.values.name] = digests.sha256(contents)
    for node in graph.node:
        attributes = [
            (x.name, _digest_attribute(x, known, directory))
            for x in sorted(node.attribute, key=lambda x: x.name)
        ]
        inputs = [known.get(name, "") for name in node.input]
        text = f"{node.domain} {node.op_type} {attributes} {inputs}"
        found = digests.sha256_of_text(text)
        for i, name in enumerate(node.output):
            known[name] = f"{found}:{i}"
    return [known[output.name] for output in graph.output]


def _digest_attribute(attribute, known, directory):
    subgraphs = _subgraphs(attribute)
    if subgraphs:
        return [_digest_outputs(x, known, directory) for x in subgraphs]
    copy = type(attribute).FromString(attribute.SerializeToString())
    copy.ClearField("doc_string")
    if copy.HasField("t"):
        copy.t.ClearField("name")
    return digests.sha256(copy.SerializeToString(deterministic=True))


def _type(value):
    """The element type and the sizes of a tensor; other types as they are."""
    tensor = value.type.tensor_type
    sizes = [x.dim_value or None for x in tensor.shape.dim]
    return f"{value.type.WhichOneof('value')} {tensor.elem_type} {sizes}"


def _inputs(node):
    """Names that a node and the graphs inside it read."""
    yield from node.input
    for attribute in node.attribute:
        for subgraph in _subgraphs(attribute):
            for inner in subgraph.node:
                yield from _inputs(inner)


def _graphs(graph):
    """A graph and the graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for subgraph in _subgraphs(attribute):
                yield from _graphs(subgraph)


def _subgraphs(attribute):
    own = [attribute.g] if attribute.HasField("g") else []
    return [*own, *attribute.graphs]
