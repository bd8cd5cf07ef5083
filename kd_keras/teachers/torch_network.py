"""Runs PyTorch's networks, and finds their inner outputs."""

import threading

from kd_keras.teachers import array_model, image_input, kind
from kd_keras.teachers.options import MEANINGS
from kd_keras.utils import digests, packages

_CHANNELS = (1, 3, 4)


def import_torch():
    """Imports PyTorch; the error without it names the extra."""
    return packages.optional("torch", extra="torch")


def device():
    """The device that networks run on: `cuda` where there is one."""
    return "cuda" if import_torch().cuda.is_available() else "cpu"


def classifier(made, threads, *, kind):
    """Makes a `Classifier` of a teacher.

    Args:
        made: `Teacher`.
        threads: int, PyTorch's threads, or None for its default.
        kind: str, the kind of its file.
    """
    from kd_keras.teachers import teacher as teachers

    if threads:
        import_torch().set_num_threads(threads)
    return teachers.classifier_of(made, kind=kind)


def arrays(tensors):
    """Yields arrays of the values of tensors.

    Args:
        tensors: iterable of `torch.Tensor`.
    """
    torch = import_torch()
    for tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        if tensor.dtype == torch.bfloat16:
            # NumPy does not have it.
            tensor = tensor.view(torch.int16)
        yield tensor.numpy()


def digest(weights):
    """SHA-256 of weights in their order.

    Args:
        weights: dict of `torch.Tensor` by name.
    """
    found = map(digests.sha256_of_arrays, arrays(weights.values()))
    return digests.sha256_of_text(str([*zip(weights, found)]))


def first_of(output):
    """The first of several outputs of a module, or the only one."""
    several = isinstance(output, (tuple, list)) and output
    return output[0] if several else output


def usual_channels(count):
    """A number of channels if images have so many, else None.

    Args:
        count: int, the channels of a network's first layer, which may follow
            a reshaping of the images.
    """
    return count if count in _CHANNELS else None


def teacher(network, *, path, options, record=None, images=None):
    """Makes a teacher of a network.

    Args:
        network: function of a tensor `(batch, channels, height, width)` ->
            logits, or a dict, list or tuple of outputs.
        path: str, its path or name.
        options: `TeacherOptions`.
        record: function of names of features -> an object whose method
            `values` returns the features of the last call; None for a
            network without inner outputs.
        images: `ImageInput`; None for float32 of any size.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if it cannot be run, or has no such output or feature.
    """
    names = array_model.feature_names(options)
    runner = _Runner(network, names, record, path, options)
    features = [
        array_model.Feature(name, channels_first=True, is_pooled=not name)
        for name in names
    ]
    return array_model.teacher(
        runner,
        images=images or image_input.ImageInput(),
        path=path,
        options=options,
        logits=() if options.has_logits else None,
        features=[(feature, ()) for feature in features],
    )


class _Runner:
    """A network as a function of an array -> list of arrays."""

    def __init__(self, network, names, record, path, options):
        self._network = network
        self._names = names
        self._path = path
        self._options = options
        self._device = device()
        # One call at a time: a record holds the outputs of the last call.
        self._lock = threading.Lock()
        inner = [name for name in names if name or options.has_logits]
        if inner and record is None:
            raise kind.Unusable(
                "features (distill.features.teacher) must not be inner ones of "
                "a model without them; a torch.nn.Module or a .pt2 file has "
                "some. "
                f"Received: {', '.join(map(repr, inner))} for {path}"
            )
        self._record = record(inner) if inner else None

    def __call__(self, images):
        torch = import_torch()
        # The mode is set for this thread alone.
        with self._lock, torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device)
            found = self._chosen(self._network(batch))
            return [x.detach().float().cpu().numpy() for x in found]

    def _chosen(self, outputs):
        """The logits, if there are any, and the features."""
        has_logits = self._options.has_logits
        output = self._output(outputs)
        inner = iter(self._record.values() if self._record else ())
        features = [
            next(inner) if name or has_logits else output
            for name in self._names
        ]
        return [output, *features] if has_logits else features

    def _output(self, outputs):
        """The logits, or the embedding."""
        # Imported here, since it needs Keras.
        from kd_keras.models import interface

        name = self._options.outputs
        if hasattr(outputs, "items"):
            # Other values are no outputs: a cache, or attention maps.
            outputs = {
                key: value
                for key, value in outputs.items()
                if hasattr(value, "shape")
            }
        try:
            return interface.logits_of(
                None,
                outputs,
                None if name in MEANINGS else name,
                role="teacher",
                option="teacher.outputs",
            )
        except ValueError as error:
            raise kind.Unusable(f"{error} ({self._path})") from None


class ModuleRecord:
    """Inner outputs of a `torch.nn.Module`, recorded by hooks.

    Args:
        module: the `torch.nn.Module`.
        names: list of str, names of modules inside it; "" for the input of
            the last Linear or Conv2d layer that is called.
        path: str, the network's name, for errors.

    Raises:
        ValueError: if it has no such module.
    """

    def __init__(self, module, names, path):
        self._names = names
        self._found = {}
        self._path = path
        modules = dict(module.named_modules())
        for name in {*names} - {""}:
            array_model.check_feature(
                name, list(filter(None, modules)), what="module", path=path
            )
            modules[name].register_forward_hook(self._keep_output(name))
        if "" in names:
            torch = import_torch()
            last = (torch.nn.Linear, torch.nn.Conv2d)
            for inner in modules.values():
                if isinstance(inner, last):
                    inner.register_forward_pre_hook(self._keep_input)

    def values(self):
        """Returns the features of the last call, in the order of names.

        Raises:
            ValueError: if one was not called, or returned no tensor.
        """
        values = [self._found.get(name) for name in self._names]
        self._found.clear()
        for name, value in zip(self._names, values):
            if not hasattr(value, "shape"):
                raise kind.Unusable(
                    "features (distill.features.teacher) must name modules "
                    "that are called and return a tensor (without a name: the "
                    "network must have a Linear or Conv2d layer). Received: "
                    f"{name!r}, of which "
                    f"there is {type(value).__name__}, for {self._path}"
                )
        return values

    def _keep_output(self, name):
        def keep(module, inputs, output):
            self._found[name] = first_of(output)

        return keep

    def _keep_input(self, module, inputs):
        if inputs:
            self._found[""] = inputs[0]
