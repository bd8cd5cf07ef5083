"""TorchScript files, which `torch.jit.save` wrote: `.pt`, `.torchscript`."""

import warnings

import numpy as np

from kd_keras.teachers import (
    image_input,
    kind,
    torch_archive,
    torch_network,
)
from kd_keras.teachers.options import TeacherOptions
from kd_keras.utils import digests

# `.pth` files are weights, nearly always; they are refused with a remedy.
_SUFFIXES = (".pt", ".pth", ".torchscript")


def can_load(path):
    return path.suffix in _SUFFIXES and path.is_file()


def load(path, threads=None):
    made = load_teacher(path, TeacherOptions())
    return torch_network.classifier(made, threads, kind=KIND.name)


def load_teacher(path, options):
    torch_archive.check_script(path)
    torch = torch_network.import_torch()
    with kind.errors_of_loading(path), warnings.catch_warnings():
        # PyTorch announces that TorchScript will go.
        warnings.simplefilter("ignore")
        network = torch.jit.load(path, map_location=torch_network.device())
        network.eval()
    return torch_network.teacher(
        network,
        path=str(path),
        options=options,
        images=_images(network),
    )


def weight_arrays(path):
    torch_archive.check_script(path)
    with kind.errors_of_loading(path):
        for _, contents in torch_archive.script_entries(path, "data/"):
            yield np.frombuffer(contents, "uint8")


def graph(path):
    torch_archive.check_script(path)
    with kind.errors_of_loading(path):
        found = [
            (name, digests.sha256(contents))
            for name, contents in torch_archive.script_entries(
                path, "code/", "constants", "data"
            )
        ]
    return digests.sha256_of_text(str(found))


def _images(network):
    """The `ImageInput` that the first convolution implies."""
    kernels = (x for x in network.state_dict().values() if x.ndim == 4)
    kernel = next(kernels, None)
    channels = None if kernel is None else kernel.shape[1]
    channels = torch_network.usual_channels(channels)
    return image_input.ImageInput(image_shape=(None, None, channels))


KIND = kind.TeacherKind(
    name="torch_script",
    title="TorchScript",
    expected=".pt or .torchscript file",
    can_load=can_load,
    load=load,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
)
