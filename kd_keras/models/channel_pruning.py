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
from kd_keras.utils import progress

# Kernels of these are fitted; the channels of other layers keep their order.
_PRODUCTS = (keras.layers.Conv2D, keras.layers.Dense)
_ROWS_AT_ONCE = 2**16
# As a share of the largest value. Networks normalise by samples of images,
# which differ a little.
_SMALL_DIFFERENCE = 0.02
# What a kernel is applied to.
_PLACES = ("strides", "padding", "dilation_rate")
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
        ValueError: if the layers differ in more than their filters and
            constants, a layer mixes channels in a way that is not known, or
            the images are not such an array.

    Reference:
        - [He, Zhang and Sun, 2017](https://arxiv.org/abs/1707.06168), section
          3.1: the fit by least squares
    """
    pairs = _Pairs(student, teacher)
    pairs.check_outputs()
    images = _checked_images(images, interface.input_shape(student))
    bar = progress.bar(2 * len(pairs), "layer")
    pairs.choose_channels(images, bar)
    return pairs.fit(images, bar)


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
        # With less precision, rounding errors grow with each chosen channel
        # where there are more channels than rows.
        mean = values.mean(0, dtype="float64")
        for start in range(0, len(values), _ROWS_AT_ONCE):
            part = (values[start : start + _ROWS_AT_ONCE] - mean) * importance
            self._moments += part.T @ part / len(values)

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
        groups: tuple of `_Channels`, which follow each other in the last axis.
        positions: int, how often they are repeated there, as after `Flatten`.
    """

    groups: tuple
    positions: int = 1

    def width(self, side):
        """Size of the last axis; `side` is `student` or `teacher`."""
        return self.positions * sum(getattr(x, side) for x in self.groups)

    def of_groups(self, array, axis):
        """Parts of an axis of the teacher's channels, one for each group."""
        ends = np.cumsum([x.teacher for x in self.groups])
        return zip(self.groups, np.split(array, ends[:-1], axis))

    def add_use(self, values, importance):
        """As `_Channels.add_use`, of values with the tensor's last axis."""
        width = self.width("teacher") // self.positions
        rows = self.of_groups(values.reshape(-1, width), 1)
        parts = self.of_groups(np.broadcast_to(importance, width), 0)
        for (channels, part), (_, sizes) in zip(rows, parts):
            channels.add_use(part, sizes)

    def chosen(self):
        """Indices of the teacher's last axis that the student has."""
        width = self.width("teacher") // self.positions
        parts = self.of_groups(np.arange(width), 0)
        kept = np.concatenate([part[x.chosen] for x, part in parts])
        offsets = np.arange(self.positions)[:, None] * width
        return (offsets + kept).reshape(-1)


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
        # The identities of the teacher's tensors, by those of the student's.
        self._pairs = {}
        for own, other in zip(self._student.inputs, self._teacher.inputs):
            self._tensors[id(own)] = _new_tensor(own, other)
            self._pairs[id(own)] = id(other)
        for own, other in self._calls:
            self._check(own, other)
            self._tensors[id(own.output)] = self._output(own, other)
            self._pairs[id(own.output)] = id(other.output)

    def __len__(self):
        return len(self._calls)

    def choose_channels(self, images, bar):
        """Chooses the teacher's channels that the student has."""
        values = kernel_fits.Values(self._teacher, images)
        for own, other in self._calls:
            if _is_product(other.operation):
                tensor = self._tensors[id(own.inputs[0])]
                kernel = other.operation.kernel.numpy()
                width = tensor.width("teacher") // tensor.positions
                kernel = kernel.reshape(-1, width, kernel.shape[-1])
                tensor.add_use(
                    values[other.inputs[0]],
                    np.sqrt(np.square(kernel).sum((0, 2))),
                )
            values.compute(other)
            bar.add(1)
        for own, other in zip(self._student.outputs, self._teacher.outputs):
            self._tensors[id(own)].add_use(values[other], 1.0)
        for channels in {x for t in self._tensors.values() for x in t.groups}:
            channels.choose()

    def fit(self, images, bar):
        """Sets the student's weights; returns the share of equal answers."""
        own_values = kernel_fits.Values(self._student, images)
        values = kernel_fits.Values(self._teacher, images)
        for own, other in self._calls:
            given = own_values[own.inputs[0]], values[other.inputs[0]]
            is_equal = all(
                self._is_equal(x, own_values[x], values[y])
                for x, y in zip(own.inputs, other.inputs)
            )
            if _is_product(own.operation):
                is_copied = is_equal and _is_same_product(own, other)
                is_copied = is_copied and self._is_whole(own.inputs[0])
                self._set_product(own, other, given, is_copied)
            else:
                self._copy(own, other)
                if _is_batch_norm(own.operation) and not is_equal:
                    kernel_fits.measure(own.operation, given[0])
            own_values.compute(own)
            values.compute(other)
            bar.add(1)
        (own,), (other,) = self._student.outputs, self._teacher.outputs
        same = own_values[own].argmax(-1) == values[other].argmax(-1)
        return float(np.mean(same))

    def _is_equal(self, tensor, values, teacher_values):
        """Whether a tensor has the values of the teacher's chosen channels."""
        expected = teacher_values[..., self._tensors[id(tensor)].chosen()]
        difference = np.abs(values - expected).max()
        return difference <= _SMALL_DIFFERENCE * np.abs(expected).max()

    def _set_product(self, own, other, given, is_copied):
        """Copies the chosen filters of a layer, or fits its weights to them.

        Args:
            own, other: the calls of the student and of the teacher.
            given: the arrays that they take.
            is_copied: bool, False to fit.
        """
        if is_copied:
            self._copy(own, other)
            return
        targets = kernel_fits.product(other.operation, given[1])
        chosen = self._tensors[id(own.output)].chosen()
        kernel_fits.fit(own.operation, given[0], targets[..., chosen])

    def _is_whole(self, tensor):
        found = self._tensors[id(tensor)]
        return found.width("student") == found.width("teacher")

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
        given = [self._tensors[id(x)] for x in own.inputs]
        if _is_product(own.operation) or self._is_whole_call(own, other):
            return _new_tensor(own.output, other.output)
        if isinstance(own.operation, keras.layers.Flatten):
            (tensor,) = given
            repeats = own.output.shape[-1] // tensor.width("student")
            return _Tensor(tensor.groups, tensor.positions * repeats)
        # The layer or the operation.
        if type(own.operation).__name__ == "Concatenate":
            return self._joined(own, other, given)
        return self._same_channels(own, other, given)

    def _is_whole_call(self, own, other):
        """Whether all channels are there, whatever becomes of them."""
        weights = [getattr(x.operation, "weights", []) for x in (own, other)]
        shapes = [[x.shape for x in variables] for variables in weights]
        return (
            all(map(self._is_whole, own.inputs))
            and own.output.shape[-1] == other.output.shape[-1]
            and shapes[0] == shapes[1]
        )

    def _joined(self, own, other, given):
        """As `_output`, of a call that joins channels."""
        if own.operation.axis not in _last_axis(own):
            _refuse(own, other, "channels in the last axis")
        if any(x.positions != 1 for x in given):
            _refuse(own, other, "channels that are joined before Flatten")
        return _Tensor(tuple(group for x in given for group in x.groups))

    def _check(self, own, other):
        """Checks that two calls differ in their channels alone."""
        layer, others = own.operation, other.operation
        if type(layer) is not type(others):
            _refuse(own, other, "layers of the same class")
        for call in (own, other):
            shape = call.output.shape
            has_channels = len(shape) > 1 and shape[-1] is not None
            if len(call.node.outputs) != 1 or not has_channels:
                _refuse(own, other, "layers of one output with channels")
        taken = [self._pairs[id(x)] for x in own.inputs]
        if taken != list(map(id, other.inputs)):
            _refuse(own, other, "the same inputs, in the same order,")
        if _activation(layer) != _activation(others):
            _refuse(own, other, "the same activation")
        if own.output.shape[1:-1] != other.output.shape[1:-1]:
            _refuse(own, other, "maps of the same size")
        weights = getattr(layer, "weights", [])
        if len(weights) != len(getattr(others, "weights", [])):
            _refuse(own, other, "as many weights")
        if weights and self._num_calls[id(layer)] > 1:
            _refuse(own, other, "layers that are called once")
        if _is_batch_norm(layer) and layer.axis not in _last_axis(own):
            _refuse(own, other, "channels in the last axis")
        for call in (own, other):
            if weights and not call.arguments.keys() <= {"training"}:
                _refuse(own, other, "layers without constants and masks")
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
        keeps = _keeps_number if _has_weights(own) else _keeps_order
        is_flat = any(x.positions != 1 for x in given[1:])
        if is_flat or not (keeps(own) and keeps(other)):
            _refuse(own, other, "layers that keep the order of channels")
        for tensor in own.inputs[1:]:
            self._unite(own, other, own.inputs[0], tensor)
        self._check_weights(own, other)
        return self._tensors[id(own.inputs[0])]

    def _unite(self, own, other, *added):
        """Lets two tensors that are added have the same channels chosen."""
        sizes = [
            [(x.student, x.teacher) for x in self._tensors[id(tensor)].groups]
            for tensor in added
        ]
        if sizes[0] != sizes[1]:
            _refuse(own, other, "inputs of as many channels each")
        # One by one: a group may be in both tensors, in another place.
        for index in range(len(sizes[0])):
            kept, same = [self._tensors[id(x)].groups[index] for x in added]
            for key, (groups, positions) in self._tensors.items():
                groups = tuple(kept if x is same else x for x in groups)
                self._tensors[key] = _Tensor(groups, positions)

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

    def check_outputs(self):
        """Raises a ValueError if the networks have other outputs."""
        (own,), (other,) = self._student.outputs, self._teacher.outputs
        if own.shape[1:] != other.shape[1:]:
            raise ValueError(
                "a student that starts from its teacher must have outputs of "
                f"the same shape. Received: {own.shape[1:]}, in the teacher "
                f"{other.shape[1:]}"
            )

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


def _checked_images(images, shape):
    """The images as an array; `shape` is that of the network's batch."""
    wanted = f"(n, {', '.join(map(str, shape[1:]))})"
    is_array = isinstance(images, np.ndarray) and len(images)
    if (
        not is_array
        or images.ndim != len(shape)
        or any(b not in (None, a) for a, b in zip(images.shape[1:], shape[1:]))
    ):
        raise ValueError(
            f"images must be an array of shape {wanted}. Received: "
            f"{getattr(images, 'shape', type(images).__name__)}"
        )
    if not np.isfinite(images).all():
        raise ValueError("images must be finite. Received: NaN or infinity")
    return images


def _new_tensor(own, other):
    student, teacher = own.shape[-1], other.shape[-1]
    if student > teacher:
        raise ValueError(
            "a student that starts from its teacher must not have more "
            f"channels. Received: {own.name} of {student}, for {teacher} of "
            "the teacher"
        )
    return _Tensor((_Channels(teacher, student),))


def _refuse(own, other, needed):
    raise ValueError(
        f"a student that starts from its teacher needs {needed} in both. "
        f"Received: {_described(own)}, in the teacher {_described(other)}"
    )


def _described(call):
    operation = call.operation
    kind, shape = type(operation).__name__, call.output.shape[1:]
    return f"{operation.name} ({kind} to {shape})"


def _has_weights(call):
    return bool(getattr(call.operation, "weights", []))


def _keeps_number(call):
    """Whether inputs and output of a call have as many channels."""
    tensors = [*call.inputs, call.output]
    return len({x.shape[-1] for x in tensors}) == 1


def _keeps_order(call):
    """Whether a call without weights treats all channels alike.

    If so, with channels in another order, its output has the same order.
    """
    if not _keeps_number(call):
        return False
    draw = np.random.default_rng(0)
    order = draw.permutation(call.output.shape[-1])
    arrays = [
        # Large enough for pools and crops where the size is unknown.
        draw.uniform(0.5, 1.5, [size or 16 for size in x.shape])
        for x in call.inputs
    ]
    arrays = [array.astype("float32") for array in arrays]
    expected = np.asarray(call.of(arrays))[..., order]
    found = np.asarray(call.of([array[..., order] for array in arrays]))
    return np.allclose(found, expected, atol=1e-4)


def _is_product(operation):
    return type(operation) in _PRODUCTS


def _is_same_product(own, other):
    """Whether equal kernels compute the same of equal inputs."""
    options = [
        [getattr(x.operation, name, None) for name in _PLACES]
        for x in (own, other)
    ]
    return options[0] == options[1]


def _activation(operation):
    """The name of the activation that a layer is or ends in."""
    function = getattr(operation, "activation", None)
    return getattr(function, "__name__", type(function).__name__)


def _last_axis(call):
    return (-1, len(call.output.shape) - 1)


def _is_batch_norm(operation):
    return isinstance(operation, keras.layers.BatchNormalization)
