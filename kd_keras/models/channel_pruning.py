"""Starts a network from the channels of a wider one of the same layers.

For each layer, the channels of the wide network are chosen that the layers
after it can best be computed from. Then, from the first layer to the last,
the kernels of the narrow network are fitted to these channels by least
squares, on its own inputs. No label is needed, and no gradient.

Reference:
    - [He, Zhang and Sun, 2017](https://arxiv.org/abs/1707.06168), section 3.1:
      the reconstruction by least squares. The channels are chosen greedily.
"""

import collections
import typing

import keras
import numpy as np

from kd_keras.models import interface, kernel_fits

# Kernels of these are fitted; the channels of other layers keep their order.
_PRODUCTS = (keras.layers.Conv2D, keras.layers.Dense)
# As a share of the mean variance of channels.
_LEAST_VARIANCE = 1e-3


def start_from_teacher(student, teacher, images):
    """Sets the weights of a student so that it imitates a wider teacher.

    Args:
        student: Functional or Sequential `keras.Model` that computes in
            float32. Its weights are replaced.
        teacher: a model of the same layers, which may have more filters.
        images: float32 or uint8 array `(n, height, width, channels)` of
            training images; their labels are not needed.

    Returns:
        float, the share of the images for which student and teacher then have
        the same largest output.

    Raises:
        ValueError: if the layers differ in more than their filters, or a
            layer mixes channels in a way that is not known.
    """
    pairs = _Pairs(student, teacher)
    pairs.choose_channels(images)
    return pairs.fit(images)


def images_needed(image_shape):
    """The number of images to fit a network to: int.

    Args:
        image_shape: `(height, width, channels)`. Fewer of large images are
            needed: each position of a map is an example.
    """
    height, width, _ = image_shape
    return min(1000, max(100, 2**22 // (height * width)))


class _Channels:
    """Channels that some tensors of both networks have in common.

    Attributes:
        teacher, student: int, how many there are in each network.
        chosen: int array, the teacher's channels that the student has.
    """

    def __init__(self, teacher, student):
        self.teacher = teacher
        self.student = student
        self.chosen = None
        self._moments = np.zeros((teacher, teacher))

    def add_use(self, values, importance):
        """Adds the values of the channels where a layer takes them.

        Args:
            values: array `(rows, teacher)`.
            importance: array `(teacher,)`, the size of the layer's weights.
        """
        if self.student == self.teacher:
            return
        values = (values - values.mean(0)) * importance
        self._moments += values.T @ values / len(values)

    def choose(self):
        """Chooses channels that the others can best be computed from.

        Each is the one that, by linear regression, explains most of the
        variance that those before it leave.
        """
        if self.student == self.teacher:
            self.chosen = np.arange(self.teacher)
            return
        left, chosen = self._moments.copy(), []
        # What is left of a channel that is nearly the sum of others is noise.
        least = _LEAST_VARIANCE * np.trace(left) / self.teacher
        least += np.finfo("float32").tiny
        for _ in range(self.student):
            variances = np.maximum(np.diag(left), least)
            explained = np.square(left).sum(0) / variances
            explained[chosen] = -1.0
            best = int(np.argmax(explained))
            chosen.append(best)
            column = left[:, best] / np.sqrt(variances[best])
            left -= np.outer(column, column)
        self.chosen = np.sort(chosen)


class _Tensor(typing.NamedTuple):
    """What is known about a tensor of the student.

    Attributes:
        channels: `_Channels` of its last axis.
        positions: int, how often the channels are repeated in the last axis,
            as after `Flatten`.
    """

    channels: _Channels
    positions: int = 1

    def rows(self, values):
        """Values of the tensor as an array `(rows, channels)`."""
        return values.reshape(-1, values.shape[-1] // self.positions)

    def chosen(self):
        """Indices of the teacher's last axis that the student has."""
        offsets = np.arange(self.positions)[:, None] * self.channels.teacher
        return (offsets + self.channels.chosen).reshape(-1)


class _Pairs:
    """The calls of two networks of the same layers, side by side."""

    def __init__(self, student, teacher):
        self._student, self._teacher = [
            interface.plain_graph(
                network, user="a student that starts from its teacher"
            )
            for network in (student, teacher)
        ]
        self._calls = list(zip(self._student.calls, self._teacher.calls))
        self._check_lengths(student, teacher)
        self._num_calls = collections.Counter(
            id(own.operation) for own, _ in self._calls
        )
        self._tensors = {}
        for own, other in zip(self._student.inputs, self._teacher.inputs):
            self._tensors[id(own)] = _Tensor(_new_channels(own, other))
        for own, other in self._calls:
            self._tensors[id(own.output)] = self._output(own, other)

    def choose_channels(self, images):
        """Chooses the teacher's channels that the student has."""
        values = kernel_fits.Values(self._teacher, images)
        for own, other in self._calls:
            if _is_product(other.operation):
                tensor = self._tensors[id(own.inputs[0])]
                kernel = other.operation.kernel.numpy()
                kernel = kernel.reshape(
                    -1, tensor.channels.teacher, kernel.shape[-1]
                )
                tensor.channels.add_use(
                    tensor.rows(values[other.inputs[0]]),
                    np.sqrt(np.square(kernel).sum((0, 2))),
                )
            values.compute(other)
        for own, other in zip(self._student.outputs, self._teacher.outputs):
            tensor = self._tensors[id(own)]
            tensor.channels.add_use(tensor.rows(values[other]), 1.0)
        for channels in {x.channels for x in self._tensors.values()}:
            channels.choose()

    def fit(self, images):
        """Sets the student's weights; returns the share of equal answers."""
        own_values = kernel_fits.Values(self._student, images)
        values = kernel_fits.Values(self._teacher, images)
        # Tensors that have the values of the teacher's chosen channels.
        exact = set(map(id, self._student.inputs))
        for own, other in self._calls:
            given = own_values[own.inputs[0]], values[other.inputs[0]]
            is_exact = all(id(x) in exact for x in own.inputs)
            if _is_product(own.operation):
                is_exact = is_exact and self._is_whole(own.inputs[0])
                self._set_product(own, other, given, is_exact)
            else:
                self._copy(own, other)
                if _is_batch_norm(own.operation) and not is_exact:
                    kernel_fits.measure(own.operation, given[0])
            if is_exact:
                exact.add(id(own.output))
            own_values.compute(own)
            values.compute(other)
        (own,), (other,) = self._student.outputs, self._teacher.outputs
        same = own_values[own].argmax(-1) == values[other].argmax(-1)
        return float(np.mean(same))

    def _set_product(self, own, other, given, is_exact):
        """Copies the chosen filters of a layer, or fits its weights to them.

        Args:
            own, other: the calls of the student and of the teacher.
            given: the arrays that they take.
            is_exact: bool, whether these arrays are the same.
        """
        if is_exact:
            self._copy(own, other)
            return
        targets = kernel_fits.product(other.operation, given[1])
        chosen = self._tensors[id(own.output)].chosen()
        kernel_fits.fit(own.operation, given[0], targets[..., chosen])

    def _is_whole(self, tensor):
        channels = self._tensors[id(tensor)].channels
        return channels.student == channels.teacher

    def _copy(self, own, other):
        """Copies the chosen channels of a layer's weights."""
        layer = own.operation
        if not isinstance(layer, keras.layers.Layer):
            return
        given = self._tensors[id(own.inputs[0])].chosen()
        made = self._tensors[id(own.output)].chosen()
        for variable, source in zip(layer.weights, other.operation.weights):
            array = source.numpy()
            for axis, size in enumerate(array.shape):
                if size != variable.shape[axis]:
                    is_input = axis < array.ndim - 1
                    array = array.take(given if is_input else made, axis)
            variable.assign(array)

    def _output(self, own, other):
        """The `_Tensor` of a call's output, from those of its inputs."""
        self._check(own, other)
        given = [self._tensors[id(x)] for x in own.inputs]
        if _is_product(own.operation):
            return _Tensor(_new_channels(own.output, other.output))
        if isinstance(own.operation, keras.layers.Flatten):
            (tensor,) = given
            positions = own.output.shape[-1] // tensor.channels.student
            return _Tensor(tensor.channels, positions)
        return self._same_channels(own, other, given)

    def _check(self, own, other):
        """Checks that two calls differ in their channels alone."""
        layer, others = own.operation, other.operation
        if type(layer) is not type(others):
            _refuse(own, other, "layers of the same class")
        if own.output.shape[1:-1] != other.output.shape[1:-1]:
            _refuse(own, other, "maps of the same size")
        for call in (own, other):
            if not call.arguments.keys() <= {"training"}:
                _refuse(
                    own, other, "layers that take no constants and no masks"
                )
        weights = getattr(layer, "weights", [])
        if len(weights) != len(getattr(others, "weights", [])):
            _refuse(own, other, "as many weights")
        if weights and self._num_calls[id(layer)] > 1:
            _refuse(own, other, "layers that are called once")
        if _is_batch_norm(layer) and layer.axis not in (
            -1,
            len(own.output.shape) - 1,
        ):
            _refuse(own, other, "channels in the last axis")
        if _is_product(layer):
            self._check_product(own, other)

    def _check_product(self, own, other):
        layer, others = own.operation, other.operation
        if layer.kernel.shape[:-2] != others.kernel.shape[:-2]:
            _refuse(own, other, "kernels of the same size")
        if getattr(layer, "groups", 1) != 1:
            _refuse(own, other, "convolutions of one group")
        if getattr(layer, "data_format", "") == "channels_first":
            _refuse(own, other, "channels in the last axis")

    def _same_channels(self, own, other, given):
        """As `_output`, of a call whose output has the channels it takes."""
        first = given[0]
        widths = (own.output.shape[-1], other.output.shape[-1])
        known = (
            first.channels.student * first.positions,
            first.channels.teacher * first.positions,
        )
        if widths != known or any(x.positions != 1 for x in given[1:]):
            _refuse(own, other, "layers that keep the order of channels")
        for tensor in given[1:]:
            self._unite(own, other, first.channels, tensor.channels)
        self._check_weights(own, other)
        return first

    def _unite(self, own, other, channels, others):
        """Lets tensors that are added have the same channels chosen."""
        if (others.student, others.teacher) != (
            channels.student,
            channels.teacher,
        ):
            _refuse(own, other, "inputs of as many channels each")
        for key, tensor in self._tensors.items():
            if tensor.channels is others:
                self._tensors[key] = _Tensor(channels, tensor.positions)

    def _check_weights(self, own, other):
        """Weights may differ in the axis of channels alone."""
        layer = own.operation
        if not isinstance(layer, keras.layers.Layer):
            return
        for variable, source in zip(layer.weights, other.operation.weights):
            sizes = list(zip(variable.shape, source.shape))
            differing = [pair for pair in sizes if pair[0] != pair[1]]
            if len(variable.shape) != len(source.shape) or len(differing) > 1:
                _refuse(own, other, "weights of one axis of channels")

    def _check_lengths(self, student, teacher):
        counts = len(self._student.calls), len(self._teacher.calls)
        shapes = [interface.input_shape(x) for x in (student, teacher)]
        if counts[0] != counts[1] or shapes[0] != shapes[1]:
            raise ValueError(
                "a student that starts from its teacher must have the "
                "teacher's layers and images; the number of filters may be "
                f"smaller. Received: a student of {counts[0]} layers and "
                f"images {shapes[0]}, a teacher of {counts[1]} and {shapes[1]}"
            )


def _new_channels(own, other):
    student, teacher = own.shape[-1], other.shape[-1]
    if student > teacher:
        raise ValueError(
            "a student that starts from its teacher must not have more "
            f"channels. Received: {own.name} of {student}, for {teacher} of "
            "the teacher"
        )
    return _Channels(teacher, student)


def _refuse(own, other, needed):
    raise ValueError(
        f"a student that starts from its teacher needs {needed} in both. "
        f"Received: {_described(own)}, in the teacher {_described(other)}"
    )


def _described(call):
    operation = call.operation
    kind, shape = type(operation).__name__, call.output.shape[1:]
    return f"{operation.name} ({kind} to {shape})"


def _is_product(operation):
    return type(operation) in _PRODUCTS


def _is_batch_norm(operation):
    return isinstance(operation, keras.layers.BatchNormalization)
