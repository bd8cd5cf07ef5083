"""Weights of a file that a network starts from."""

import keras
import nets
import numpy as np
import pytest

from kd_keras import load_weights
from kd_keras.deployment import saved_model
from kd_keras.teachers import starting_weights, stored_layers


def network(classes=5, *, filters=4, extra=False, head="logits"):
    """A network whose layers but the last have the names that Keras gives."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(3, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(filters, 3)(x)
    if extra:
        x = keras.layers.Conv2D(filters, 3, name="extra")(x)
    # A network within the network, as keras.applications in a resizing one.
    inner = keras.Input(x.shape[1:])
    inner_model = keras.Model(inner, keras.layers.Dropout(0.5)(inner))
    x = keras.layers.Flatten()(inner_model(x))
    x = keras.layers.Dense(classes, name=head)(x)
    model = keras.Model(inputs, x)
    generator = np.random.default_rng(classes)
    model.set_weights([generator.random(w.shape) for w in model.get_weights()])
    return model


def save(model, path):
    if path.suffix == ".h5" or path.suffix == ".keras":
        is_weights = path.name.endswith(".weights.h5")
        (model.save_weights if is_weights else model.save)(path)
    else:
        saved_model.export_saved_model(model, path)
    return path


KINDS = ["a.keras", "a.weights.h5", "a.h5", "a_student"]


@pytest.mark.parametrize("name", KINDS)
def test_all_layers_of_another_instance_are_loaded(tmp_path, name, capsys):
    source, target = network(), network()
    target.set_weights([0 * w for w in target.get_weights()])
    loaded = load_weights(target, save(source, tmp_path / name))
    nets.assert_same_weights(source, target)
    assert not loaded.skipped and not loaded.unused
    printed = capsys.readouterr().out
    assert "loaded 4 of 4 layers, 100.0 % of" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("name", KINDS)
def test_layers_of_other_shapes_and_names_are_left_alone(tmp_path, name):
    source = network(classes=5)
    target = network(classes=3, extra=True, filters=4)
    before = [np.array(x) for x in target.get_layer("extra").get_weights()]
    loaded = load_weights(target, save(source, tmp_path / name))
    extra, head = loaded.skipped
    assert extra == "extra (not in the file)"
    assert head.startswith("logits (") and "in the file (64, 5) (5,)" in head
    assert len(loaded.layers) == 3 and loaded.unused == []
    for old, new in zip(before, target.get_layer("extra").get_weights()):
        np.testing.assert_array_equal(old, new)
    first = [model.layers[1].get_weights()[0] for model in (source, target)]
    np.testing.assert_array_equal(*first)


def test_layers_of_the_file_alone_are_named(tmp_path):
    path = save(network(extra=True), tmp_path / "a.keras")
    loaded = load_weights(network(classes=9), path)
    assert loaded.unused == ["extra"]
    assert "in the file alone: extra" in str(loaded)


def test_the_fingerprint_is_of_the_contents(tmp_path):
    source = network()
    weights = [
        starting_weights.StartingWeights(
            save(source, tmp_path / name), field="student.weights"
        ).fingerprint
        for name in ("a.keras", "b.keras")
    ]
    source.layers[1].bias.assign_add([0, 0, 1e-6])
    other = stored_layers.read(save(source, tmp_path / "c.keras"))
    assert weights[0] == weights[1] != stored_layers.fingerprint(other)


def test_a_file_that_fits_nowhere_is_refused_with_a_suggestion(tmp_path):
    path = save(network(head="logit"), tmp_path / "a.keras")
    inputs = keras.Input((2,))
    target = keras.Model(inputs, keras.layers.Dense(3, name="logits")(inputs))
    before = nets.snapshot(target)
    with pytest.raises(ValueError, match="Did you mean 'logit'") as error:
        load_weights(target, path)
    assert "logits (not in the file)" in str(error.value)
    assert "\n" not in str(error.value)
    assert not any(nets.moved(target, before))


def test_a_layer_of_another_shape_is_not_suggested(tmp_path):
    path = save(network(head="logits"), tmp_path / "a.keras")
    inputs = keras.Input((2,))
    target = keras.Model(inputs, keras.layers.Dense(3, name="logits")(inputs))
    with pytest.raises(ValueError, match="in the file .64, 5.") as error:
        load_weights(target, path)
    assert "Did you mean" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("absent.keras", None, "does not exist"),
        ("a.txt", b"text", "must be a .keras file, a .weights.h5 file"),
        ("a.keras", b"text", "must be whole"),
        ("a.weights.h5", b"text", "must be whole"),
        ("folder", None, "must be a .keras file"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, name, contents, message):
    if contents:
        (tmp_path / name).write_bytes(contents)
    if name == "folder":
        (tmp_path / name).mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        load_weights(network(), tmp_path / name)
    assert "\n" not in str(error.value)
