"""Programs that `torch.export.save` wrote: `.pt2` files."""

import logging
import warnings

from kd_keras.teachers import (
    array_model,
    image_input,
    kind,
    torch_archive,
    torch_network,
)
from kd_keras.teachers.options import TeacherOptions
from kd_keras.utils import digests

# Layers that a classifier may end with, and the position of their input.
_LAST_LAYERS = {"linear": 0, "addmm": 1, "mm": 0, "conv2d": 0, "convolution": 0}
# Layers that differ in training, and the position of the argument that sets it.
_MODES = {"dropout": 2, "batch_norm": 5, "native_dropout": 2}


def can_load(path):
    return path.suffix == ".pt2" and path.is_file()


def load(path, threads=None):
    made = load_teacher(path, TeacherOptions())
    return torch_network.classifier(made, threads, kind=KIND.name)


def load_teacher(path, options):
    program = _program(path)
    _check_mode(program, path)
    images = _images(program, path)
    network = _Network(_moved(program).module(check_guards=False), path)
    return torch_network.teacher(
        network,
        path=str(path),
        options=options,
        images=images,
        record=network.record,
    )


def weight_arrays(path):
    program = _program(path)
    torch = torch_network.import_torch()
    constants = program.constants.values()
    yield from torch_network.arrays(
        [
            *program.state_dict.values(),
            *(x for x in constants if isinstance(x, torch.Tensor)),
        ]
    )


def graph(path):
    program = _program(path)
    nodes = [
        (node.op, str(node.target), str(node.args), str(node.kwargs))
        for node in program.graph.nodes
    ]
    signature = program.graph_signature
    weights = torch_network.digest({**program.state_dict, **program.constants})
    return digests.sha256_of_text(f"{nodes} {signature} {weights}")


def _program(path):
    """The `torch.export.ExportedProgram` of a file."""
    torch = torch_network.import_torch()
    with kind.errors_of_loading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        contents = torch_archive.exported_without_code(path)
        # PyTorch logs the errors that it raises.
        logger = logging.getLogger("torch.export")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            return torch.export.load(contents)
        finally:
            logger.setLevel(level)


def _moved(program):
    from torch.export import passes

    if torch_network.device() == "cpu":
        return program
    return passes.move_to_device_pass(program, torch_network.device())


def _images(program, path):
    """The `ImageInput` of a program's only input."""
    names = program.graph_signature.user_inputs
    name = kind.only(names, "input", path)
    (node,) = [x for x in program.graph.nodes if x.name == name]
    value = node.meta["val"]
    # Sizes that may vary are symbols.
    sizes = [x if isinstance(x, int) else None for x in value.shape]
    dtype = str(value.dtype).removeprefix("torch.")
    return image_input.of_shape(sizes, dtype, path)


def _check_mode(program, path):
    """Raises a ValueError for a network that was exported for training."""
    for node in program.graph.nodes:
        name = _operation(node)
        position = _MODES.get(name)
        if position is not None and node.args[position : position + 1] == (
            True,
        ):
            raise kind.Unusable(
                "a network must be exported for prediction (network.eval() "
                f"before torch.export.export). Received: {path}, whose "
                f"{node.name} is in training"
            )


def _operation(node):
    """The name of a node's operation: `linear` of `aten.linear.default`."""
    if node.op != "call_function":
        return ""
    return str(node.target).removeprefix("aten.").partition(".")[0]


class _Network:
    """An exported program as a function of a batch, with inner outputs."""

    def __init__(self, module, path):
        self._path = path
        self._module = module
        self._interpreter = None
        self._nodes = []
        self._found = {}

    def __call__(self, images):
        if self._interpreter is None:
            return self._module(images)
        return self._interpreter.run(images)

    def record(self, names):
        """Keeps inner outputs from now on; see `torch_network.teacher`."""
        import torch

        self._nodes = [self._node(name) for name in names]
        kept, found = set(self._nodes), self._found

        class Interpreter(torch.fx.Interpreter):
            """Runs the nodes one by one, and keeps some results."""

            def run_node(self, node):
                result = super().run_node(node)
                if node in kept:
                    found[node] = torch_network.first_of(result)
                return result

        self._interpreter = Interpreter(self._module)
        return self

    def values(self):
        """The inner outputs of the last call."""
        values = [self._found[node] for node in self._nodes]
        self._found.clear()
        return values

    def _node(self, name):
        """The node of the graph that the name of a feature stands for."""
        nodes = [x for x in self._module.graph.nodes if x.op == "call_function"]
        if not name:
            for node in reversed(nodes):
                if _operation(node) in _LAST_LAYERS:
                    return node.args[_LAST_LAYERS[_operation(node)]]
            raise kind.Unusable(
                "features must be named for a network without a linear layer "
                f"or convolution. Received: {self._path}"
            )
        # The last operation of a module computes its output.
        named = {}
        for node in nodes:
            for module, _ in node.meta.get("nn_module_stack", {}).values():
                named[module] = node
        named |= {node.name: node for node in nodes}
        array_model.check_feature(
            name,
            list(filter(None, named)),
            what="module or a node",
            path=self._path,
        )
        return named[name]


KIND = kind.TeacherKind(
    name="torch_export",
    title="PyTorch program",
    expected=".pt2 file",
    can_load=can_load,
    load=load,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
)
