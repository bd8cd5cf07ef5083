"""Counts of parameters and multiply-accumulates, against the literature."""

import built
import keras
import pytest
import subclassed

from kd_keras.models import macs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "num_parameters", "num_macs"),
    [
        # MLPerf Tiny's reference, and facts of the literature.
        ("resnet8", {}, 78_666, 12_501_632),
        ("resnet20", {}, 274_442, 40_813_184),
        # Sums over its layers, computed apart from Keras.
        ("resnet12", {}, 298_794, 19_530_688),
        # 27 x 64 x 3 and so on, by hand.
        ("mlp", {"widths": (20,)}, 3072 * 20 + 20 + 210, 3072 * 20 + 200),
        ("airbench", {"widths": (64, 128, 128)}, 570_296, 54_223_904),
        ("airbench", {"widths": (32, 64, 128)}, 295_544, 19_887_392),
    ],
)
def test_parameters_and_macs(name, options, num_parameters, num_macs):
    model = built.network(name, **options)
    assert model.count_params() == num_parameters
    assert macs.count_macs(model) == num_macs


@pytest.mark.slow
def test_resnet18_has_the_parameters_and_macs_of_the_literature():
    model = built.network("resnet18", shape=(224, 224, 3), num_classes=1000)
    # He et al. (2015), table 1: 1.8e9. BatchNorm's averages do not train.
    assert macs.count_macs(model) == 1_814_073_344
    assert sum(w.numpy().size for w in model.trainable_weights) == 11_689_512


def test_macs_of_a_small_network_by_hand():
    model = built.network("cnn", shape=(28, 28, 1), widths=(8, 16))
    # 3x3 convolutions at 28 and at 14 pixels, then 7 x 7 x 16 -> 10.
    by_hand = 28 * 28 * 9 * 8 + 14 * 14 * 72 * 16 + 784 * 10
    assert macs.count_macs(model) == by_hand
    tiny = built.network("cnn_tiny", shape=(28, 28, 1))
    assert macs.count_macs(tiny) == by_hand


def test_macs_are_of_one_example_of_a_known_size():
    def network(shape, **options):
        layers = [
            keras.Input(shape, **options),
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
        return keras.Sequential(layers)

    by_hand = 8 * 8 * 27 * 4 + 4 * 2
    any_size = network((None, None, 3))
    assert macs.count_macs(any_size, (8, 8, 3)) == by_hand
    assert macs.count_macs(network((8, 8, 3), batch_size=5)) == by_hand
    with pytest.raises(ValueError, match="give image_shape"):
        macs.count_macs(any_size)
    own = subclassed.Heads()
    assert macs.count_macs(own, (2, 2, 1)) == 4 * subclassed.NUM_CLASSES
