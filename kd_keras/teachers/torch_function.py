"""PyTorch networks that a Python function builds: `torch:module:function`."""

import importlib
import inspect

from kd_keras.teachers import image_input, kind, torch_network
from kd_keras.utils import digests, source_code

_PREFIX = "torch:"


def is_name(name):
    return name.startswith(_PREFIX)


def load_teacher(name, options):
    network = _network(name)
    if not _is_module(network):
        return torch_network.teacher(network, path=name, options=options)
    torch = torch_network.import_torch()
    network = network.to(torch_network.device()).eval()
    convolutions = (
        x for x in network.modules() if isinstance(x, torch.nn.Conv2d)
    )
    first = next(convolutions, None)
    channels = first and torch_network.usual_channels(first.in_channels)
    dtypes = [x.dtype for x in network.parameters() if x.is_floating_point()]
    return torch_network.teacher(
        lambda images: network(images.to((dtypes or [images.dtype])[0])),
        path=name,
        options=options,
        images=image_input.ImageInput(image_shape=(None, None, channels)),
        record=lambda names: torch_network.ModuleRecord(network, names, name),
    )


def weight_arrays(name):
    network = _network(name)
    if _is_module(network):
        yield from torch_network.arrays(network.state_dict().values())


def graph(name):
    network = _network(name)
    found = [source_code.fingerprint(name.split(":")[1])]
    if _is_module(network):
        found += [repr(network), torch_network.digest(network.state_dict())]
    return digests.sha256_of_text(str(found))


def _is_module(network):
    return isinstance(network, torch_network.import_torch().nn.Module)


def _network(name):
    """The `torch.nn.Module` or the function of a batch that a name stands for.

    Args:
        name: str, `torch:module:function`. A function without required
            arguments builds the network; another one is the network.
    """
    torch_network.import_torch()
    user_name = name.removeprefix(_PREFIX)
    if not source_code.is_name(user_name):
        raise kind.Unusable(
            f"a PyTorch teacher must be torch:module:function. Received: {name}"
        )
    module, _, function = user_name.partition(":")
    try:
        network = getattr(importlib.import_module(module), function)
        if not _is_module(network) and not _takes_images(network):
            network = network()
    except Exception as error:
        raise kind.Unusable(
            "torch:module:function must name an importable function that "
            "builds a torch.nn.Module, or a function of a batch of images. "
            f"Received: {name}, and {type(error).__name__}: "
            f"{kind.first_line(error)}"
        ) from error
    if not callable(network):
        raise kind.Unusable(
            "torch:module:function must build a torch.nn.Module or a function "
            f"of a batch of images. Received: {name}, which returned "
            f"{type(network).__name__}"
        )
    return network


def _takes_images(function):
    """Whether a function has an argument that must be given."""
    parameters = inspect.signature(function).parameters.values()
    return any(
        parameter.default is parameter.empty
        and parameter.kind
        in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )


KIND = kind.TeacherKind(
    name="torch",
    title="PyTorch function",
    expected="",
    can_load=lambda path: False,
    load=None,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
    is_name=is_name,
    expected_name="torch:module:function",
)
