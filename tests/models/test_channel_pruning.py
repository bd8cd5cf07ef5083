"""Students that start from channels of a wider teacher."""

import keras
import numpy as np
import pytest

from kd_keras.models import channel_pruning
from kd_keras.utils import progress

_layers = keras.layers


def _convolutional(filters, *, units=12, seed=0):
    """Convolutions with BatchNorm, a residual connection, and two heads."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    x = _layers.Normalization(mean=[120, 130, 140], variance=[9e3, 8e3, 7e3])(
        inputs
    )
    x = _layers.Conv2D(filters, 3, use_bias=False)(x)
    x = shortcut = _layers.ReLU()(_layers.BatchNormalization()(x))
    x = _layers.DepthwiseConv2D(3, padding="same")(x)
    x = _layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = _layers.Add()([x, shortcut])
    x = _layers.Flatten()(_layers.MaxPooling2D()(x))
    x = _layers.ReLU()(_layers.BatchNormalization()(x))
    x = _layers.Dense(units, activation="relu")(x)
    return keras.Model(inputs, _layers.Dense(5)(x))


def _trained(network, seed=1):
    """Gives a network averages of BatchNorm, biases and larger logits."""
    draw = np.random.default_rng(seed)
    for variable in network.weights:
        if len(variable.shape) == 1:
            noise = draw.uniform(0.5, 1.5, variable.shape)
            variable.assign(noise if "variance" in variable.name else noise - 1)
    network.layers[-1].kernel.assign(5 * network.layers[-1].kernel)
    return network


def _joined(filters, *, units=12, seed=0):
    """Channels that are joined, as in DenseNet, and operators."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    first = _layers.Conv2D(filters, 3, padding="same")(inputs / 255)
    x = _layers.ReLU()(first + 3.0) * (1 / 6)
    second = _layers.Conv2D(filters, 3, padding="same")(x)
    x = 2.0 - _layers.Concatenate()([x, second * first])
    x = _layers.ReLU()(_layers.BatchNormalization()(x))
    x = _layers.Conv2D(units, 3)(x)
    x = _layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, _layers.Dense(5)(x))


def _doubled(network, wide):
    """Gives a network of twice as many channels weights to compute the same.

    Each channel is there twice, in an order of its own; the layers after it
    take a part from both.
    """
    draw = np.random.default_rng(2)
    orders = {size: draw.permutation(2 * size) % size for size in (4, 12)}
    # Two groups of channels, and flattened maps of 3 x 3 positions.
    orders[8] = np.concatenate([orders[4], 4 + orders[4]])
    orders[36] = (4 * np.arange(9)[:, None] + orders[4]).reshape(-1)
    for layer, narrow in zip(wide.layers, network.layers):
        for variable, source in zip(layer.weights, narrow.weights):
            array = source.numpy()
            for axis, size in enumerate(array.shape):
                if variable.shape[axis] == size:
                    continue
                array = array.take(orders[size], axis)
                is_depthwise = isinstance(layer, _layers.DepthwiseConv2D)
                if axis == array.ndim - 2 and not is_depthwise:
                    array = array / 2
            variable.assign(array)
    return wide


@pytest.fixture(scope="module")
def images():
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (400, 8, 8, 3)).astype("float32")


@pytest.mark.slow
def test_same_widths_copy_the_teacher(images):
    teacher = _trained(_convolutional(8))
    student = _convolutional(8, seed=5)
    agreement = channel_pruning.start_from_teacher(student, teacher, images)
    assert agreement == 1
    for own, other in zip(student.weights, teacher.weights):
        np.testing.assert_array_equal(own.numpy(), other.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("form", [_convolutional, _joined])
def test_half_of_the_channels_computes_what_a_doubled_teacher_does(
    images, form
):
    original = _trained(form(4))
    teacher = _doubled(original, form(8, units=24))
    expected = original.predict(images, verbose=0)
    np.testing.assert_allclose(
        teacher.predict(images, verbose=0), expected, atol=1e-3
    )
    student = form(4, seed=5)
    agreement = channel_pruning.start_from_teacher(student, teacher, images)
    found = student.predict(images, verbose=0)
    assert agreement == np.mean(found.argmax(-1) == expected.argmax(-1))
    assert agreement > 0.97
    # Ridge regression shrinks a little.
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995


@pytest.mark.slow
def test_teacher_is_unchanged(images):
    teacher = _trained(_convolutional(8))
    before = teacher.get_weights()
    activation = teacher.layers[-2].activation
    channel_pruning.start_from_teacher(_convolutional(4), teacher, images)
    for was, now in zip(before, teacher.get_weights()):
        np.testing.assert_array_equal(was, now)
    assert teacher.layers[-2].activation is activation


def test_batch_norm_has_the_averages_of_its_inputs(images):
    def network(filters):
        return keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                _layers.Conv2D(filters, 3),
                _layers.Conv2D(filters, 3, use_bias=False),
                _layers.BatchNormalization(epsilon=1e-6),
                _layers.GlobalMaxPooling2D(),
                _layers.Dense(5),
            ]
        )

    student = network(4)
    channel_pruning.start_from_teacher(student, network(8), images / 255)
    batch_norm = student.layers[2]
    normalised = keras.Sequential(student.layers[:3])(images / 255).numpy()
    np.testing.assert_allclose(normalised.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(normalised.std((0, 1, 2)), 1, atol=1e-3)
    assert np.ptp(batch_norm.moving_variance) > 0


@pytest.mark.parametrize(
    ("size", "count"), [(16, 1000), (64, 1000), (96, 455), (512, 100)]
)
def test_fewer_of_large_images_are_needed(size, count):
    assert channel_pruning.images_needed((size, size, 3)) == count


def test_chosen_channels_explain_the_others():
    draw = np.random.default_rng(0)
    basis = draw.normal(size=(1000, 3))
    # The second is nearly the first; the last two are sums of others.
    values = np.stack(
        [
            5 * basis[:, 0],
            5 * basis[:, 0] + 0.01 * basis[:, 1],
            3 * basis[:, 1],
            2 * basis[:, 2],
            0.1 * (basis[:, 0] + basis[:, 1]),
            0.1 * (basis[:, 1] - basis[:, 2]),
        ],
        axis=-1,
    ).astype("float32")
    channels = channel_pruning._Channels(6, 3)
    channels.add_use(values, np.ones(6))
    channels.choose()
    assert channels.chosen[0] in (0, 1)
    assert list(channels.chosen[1:]) == [2, 3]


def test_channels_that_the_next_layer_ignores_are_not_chosen(images):
    def network(filters):
        inputs = keras.Input((8, 8, 3))
        x = _layers.Conv2D(filters, 3, use_bias=False)(inputs)
        x = _layers.Conv2D(6, 3)(x)
        return keras.Model(inputs, _layers.GlobalMaxPooling2D()(x))

    teacher, student = network(6), network(3)
    first, second = teacher.layers[1:3]
    kernel = second.kernel.numpy()
    kernel[:, :, ::2] = 0
    second.kernel.assign(kernel)
    first.kernel.assign(first.kernel.numpy() * [9, 1, 9, 1, 9, 1])
    channel_pruning.start_from_teacher(student, teacher, images)
    np.testing.assert_array_equal(
        student.layers[1].kernel.numpy(), first.kernel.numpy()[..., 1::2]
    )


def test_tensors_that_are_added_have_the_same_channels(images):
    def network(filters):
        inputs = keras.Input((8, 8, 3))
        x = _layers.Conv2D(filters, 3)(inputs)
        y = _layers.Conv2D(filters, 3, padding="same")(x)
        return keras.Model(inputs, _layers.Add()([y, x]))

    teacher, student = network(8), network(7)
    pairs, bar = channel_pruning._Pairs(student, teacher), progress.bar(0, "x")
    # The first layer's last channel is small, and the second one's first.
    for layer, factors in zip(
        (teacher.layers[1], teacher.layers[2]),
        ([9, 1, 1, 1, 1, 1, 1, 0.01], [0.01, 1, 1, 1, 1, 1, 1, 9]),
    ):
        layer.kernel.assign(layer.kernel.numpy() * factors)
    pairs.choose_channels(images / 255, bar)
    pairs.fit(images / 255, bar)
    kernel = student.layers[1].kernel.numpy()
    chosen = [
        int(np.argmin([np.abs(one - other).sum() for other in kernels]))
        for kernels in [np.moveaxis(teacher.layers[1].kernel.numpy(), -1, 0)]
        for one in np.moveaxis(kernel, -1, 0)
    ]
    expected = teacher(images / 255).numpy()[..., chosen]
    found = student(images / 255).numpy()
    for channel in range(7):
        pair = found[..., channel].ravel(), expected[..., channel].ravel()
        assert np.corrcoef(*pair)[0, 1] > 0.99


def test_channels_of_flattened_maps_are_chosen_at_each_position():
    channels = channel_pruning._Channels(4, 2)
    channels.chosen = np.array([1, 3])
    tensor = channel_pruning._Tensor((channels,), positions=3)
    assert list(tensor.chosen()) == [1, 3, 5, 7, 9, 11]


def test_channels_are_equal_where_groups_are_added_in_other_places():
    def network(filters):
        inputs = keras.Input((8, 8, 3))
        x, y = [_layers.Conv2D(filters, 3)(inputs) for _ in range(2)]
        joined = [_layers.Concatenate()(pair) for pair in ([x, y], [y, x])]
        return keras.Model(inputs, _layers.Add()(joined))

    pairs = channel_pruning._Pairs(network(4), network(8))
    assert len({x for t in pairs._tensors.values() for x in t.groups}) == 2
    (output,) = pairs._student.outputs
    first, second = pairs._tensors[id(output)].groups
    assert first is second


def test_choice_is_stable_where_there_are_more_channels_than_rows():
    values = np.random.default_rng(0).normal(size=(32, 480))
    channels = channel_pruning._Channels(480, 240)
    channels.add_use(values.astype("float32"), np.ones(480, "float32"))
    with np.errstate(all="raise", under="ignore"):
        channels.choose()
    assert len(set(channels.chosen)) == 240


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (lambda x: x + np.arange(x.shape[-1]), "order of channels.*Add to"),
        (lambda x: keras.ops.flip(x, -1), "order of channels.*Flip to"),
        (lambda x: _layers.Concatenate(1)([x, x]), "in the last axis"),
        (
            lambda x: _layers.Concatenate()([_layers.Flatten()(x)] * 2),
            "before Flatten",
        ),
        (lambda x: _layers.Conv2D(4, 3, groups=2)(x), "one group"),
    ],
    ids=["array", "flipped", "rows", "flat", "groups"],
)
def test_layers_whose_channels_are_not_known_are_refused(last, message):
    def network(filters):
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, last(_layers.Conv2D(filters, 3)(inputs)))

    with pytest.raises(ValueError, match=message):
        channel_pruning.start_from_teacher(network(4), network(8), None)


def _with_head(images, first, last=lambda x: x):
    """A network between images and five logits."""
    inputs = keras.Input(images.shape[1:])
    x = _layers.Conv2D(8, 3, padding="same", activation="relu")(first(inputs))
    x = _layers.Flatten()(last(x))
    return keras.Model(inputs, _layers.Dense(5)(x))


@pytest.mark.parametrize(
    "last",
    [
        lambda x: _layers.SeparableConv2D(6, 3)(x),
        lambda x: _layers.Conv2DTranspose(6, 3)(x),
        lambda x: _layers.Concatenate(1)([x, x]),
        lambda x: _layers.RandomFlip()(_layers.RandomRotation(0.5)(x)),
        lambda x: x - keras.ops.mean(x, axis=(1, 2), keepdims=True),
    ],
    ids=["separable", "transposed", "rows", "random", "mean"],
)
def test_layers_of_equal_widths_are_copied(images, last):
    networks = [_with_head(images, lambda x: x / 255, last) for _ in range(2)]
    agreement = channel_pruning.start_from_teacher(*networks, images[:50])
    assert agreement == 1
    for found, expected in zip(*[x.get_weights() for x in networks]):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_kernels_are_fitted_where_the_inputs_have_another_scale(images):
    student, teacher = [
        _with_head(images, _layers.Normalization(mean=mean, variance=variance))
        for mean, variance in ((130, 5000), (60, 2000))
    ]
    channel_pruning.start_from_teacher(student, teacher, images)
    found, expected = [x(images).numpy().ravel() for x in (student, teacher)]
    assert np.corrcoef(found, expected)[0, 1] > 0.999


@pytest.mark.slow
def test_a_model_within_may_be_called_twice(images):
    def network(filters):
        inputs = keras.Input((8, 8, 3))
        within = keras.Sequential([_layers.AveragePooling2D(2), _layers.ReLU()])
        first, second = [
            within(_layers.Conv2D(filters, 3)(inputs)) for _ in range(2)
        ]
        x = keras.ops.concatenate([first, second], axis=-1)
        return keras.Model(inputs, _layers.Dense(5)(_layers.Flatten()(x)))

    teacher, student = network(8), network(4)
    found = channel_pruning.start_from_teacher(student, teacher, images / 255)
    answers = [x(images / 255).numpy().argmax(-1) for x in (student, teacher)]
    assert found == np.mean(answers[0] == answers[1])


def test_positions_are_kept_by_a_second_flatten():
    def network(filters):
        inputs = keras.Input((2, 2, 3))
        x = _layers.Flatten()(_layers.Conv2D(filters, 1)(inputs))
        x = _layers.BatchNormalization()(_layers.Flatten()(x))
        return keras.Model(inputs, _layers.Dense(5)(x))

    student, teacher = network(4), network(8)
    pairs = channel_pruning._Pairs(student, teacher)
    flat = student.layers[3]
    assert isinstance(flat, _layers.Flatten)
    assert pairs._tensors[id(flat.output)].positions == 4
    images = np.random.default_rng(0).normal(size=(60, 2, 2, 3))
    channel_pruning.start_from_teacher(student, teacher, images)


def test_a_layer_of_zeros_is_fitted(images):
    def network(filters):
        inputs = keras.Input((8, 8, 3))
        x = _layers.GlobalMaxPooling2D()(
            _layers.Conv2D(filters, 3, kernel_initializer="zeros")(inputs)
        )
        return keras.Model(inputs, _layers.Dense(5, use_bias=False)(x))

    student = network(4)
    channel_pruning.start_from_teacher(student, network(8), images[:20])
    # NaN would not be 0.
    np.testing.assert_array_equal(student(images[:2]), np.zeros((2, 5)))


@pytest.mark.parametrize(
    ("own", "other", "message"),
    [
        (
            lambda x, y: _layers.Concatenate()([y, x]),
            lambda x, y: _layers.Concatenate()([x, y]),
            "same inputs, in the same order",
        ),
        (
            lambda x, y: _layers.Activation("gelu")(x),
            lambda x, y: _layers.Activation("relu")(x),
            "the same activation",
        ),
        (
            lambda x, y: keras.ops.split(x, 2, axis=1)[1],
            lambda x, y: keras.ops.split(x, 2, axis=1)[1],
            "one output with channels",
        ),
        (
            lambda x, y: x / keras.ops.max(x),
            lambda x, y: x / keras.ops.max(x),
            "one output with channels",
        ),
        (lambda x, y: x, lambda x, y: y, "a student of"),
    ],
    ids=["order", "activation", "outputs", "scalar", "length"],
)
def test_networks_of_another_form_are_refused(own, other, message):
    def network(join):
        inputs = keras.Input((8, 8, 3))
        x = _layers.Conv2D(4, 3)(inputs)
        return keras.Model(inputs, join(x, _layers.Conv2D(4, 1)(x)[:, :6, :6]))

    with pytest.raises(ValueError, match=message):
        channel_pruning._Pairs(network(own), network(other))


def test_outputs_and_images_that_do_not_fit_are_refused(images):
    networks = [_convolutional(4), _convolutional(8)]
    for wrong, message in (
        (None, "Received: NoneType"),
        (images[:0], r"\(n, 8, 8, 3\). Received: \(0, 8, 8, 3\)"),
        (images[:9, :6], r"Received: \(9, 6, 8, 3\)"),
        (np.full((2, 8, 8, 3), np.nan), "must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            channel_pruning.start_from_teacher(*networks, wrong)
    student = keras.Sequential([keras.Input((8, 8, 3)), _layers.Conv2D(4, 3)])
    other = keras.Sequential([keras.Input((8, 8, 3)), _layers.Conv2D(8, 3)])
    with pytest.raises(ValueError, match="outputs of the same shape"):
        channel_pruning.start_from_teacher(student, other, images)
    with pytest.raises(ValueError, match="Functional or Sequential"):
        channel_pruning.start_from_teacher(student, print, images)


def test_networks_of_two_inputs_are_refused(images):
    inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    network = keras.Model(inputs, _layers.Add()(inputs))
    message = "starts from its teacher needs a Functional.* one input"
    with pytest.raises(ValueError, match=message):
        channel_pruning.start_from_teacher(network, network, images)
