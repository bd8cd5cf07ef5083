"""Equal weights that are used in another way are another teacher."""

import pathlib

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.deployment import saved_model as exports
from kd_keras.teachers import fingerprint

OLD_RUN = pathlib.Path(__file__).parents[1] / "files" / "run_of_0_1"
KINDS = ("saved_model", "keras", "exported by Keras")


def make_network(*, activation="relu", scale=1.0, logits_scale=1.0, name=None):
    """Two square layers, so that their weights can change places."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(nets.IMAGE_SHAPE)
    x = keras.layers.Rescaling(scale)(inputs)
    x = keras.layers.Dense(4)(keras.layers.Flatten()(x))
    x = keras.layers.Dense(4)(x)
    x = keras.layers.Activation(activation, name=name)(x)
    x = keras.layers.Dense(4)(x)
    x = keras.layers.Rescaling(logits_scale)(x)
    return keras.Model(inputs, x)


def with_swapped_layers():
    network = make_network()
    first, second = (network.layers[i] for i in (4, 6))
    weights = first.get_weights()
    first.set_weights(second.get_weights())
    second.set_weights(weights)
    return network


@pytest.fixture(scope="module")
def graph_of(tmp_path_factory):
    """Writes a network as a file of a kind; returns its fingerprints."""
    folder = tmp_path_factory.mktemp("graphs")

    def graph_of(network, kind):
        path = folder / f"{len(list(folder.iterdir()))}"
        if kind == "keras":
            path = path.with_suffix(".keras")
            network.save(path)
        elif kind == "saved_model":
            exports.export_saved_model(network, path)
        else:
            network.export(path, verbose=False)
        return (
            fingerprint.fingerprint(path),
            fingerprint.graph_fingerprint(path),
        )

    return graph_of


@pytest.fixture(scope="module")
def first(graph_of):
    """The fingerprints of `make_network()`, by kind."""
    return {kind: graph_of(make_network(), kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_is_written_again_has_the_same_graph(
    graph_of, first, kind
):
    # Keras has counted its names further.
    network = make_network(name="mine")
    network.trainable = False
    assert graph_of(network, kind) == first[kind]


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize(
    "other",
    [
        lambda: make_network(activation="tanh"),
        lambda: make_network(scale=1 / 255),
        lambda: make_network(logits_scale=-5.0),
        with_swapped_layers,
    ],
)
def test_equal_weights_in_another_graph_are_noticed(
    graph_of, first, kind, other
):
    weights, graph = first[kind]
    other_weights, other_graph = graph_of(other(), kind)
    assert other_weights == weights
    assert other_graph != graph
    assert graph.startswith(f"{kind}:")


def test_the_name_of_a_layer_hides_no_activation(graph_of):
    graphs = {
        graph_of(make_network(activation=a, name=name), "keras")[1]
        for a in ("relu", "tanh")
        for name in ("relu", "tanh")
    }
    assert len(graphs) == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "models/tiny_teacher",
            "saved_model:"
            "8f552642cfa8675a99af6c9b980e9e982475b639eab6c354a1cebb754dec2751",
        ),
        (
            "work/teacher/teacher.keras",
            "keras:"
            "8735eb3ad17ae0481e9f1db2e008271506f58a5e4bc71852e906091510a97dbb",
        ),
    ],
)
def test_a_graph_has_one_fingerprint_in_every_process(path, expected):
    assert fingerprint.graph_fingerprint(OLD_RUN / path) == expected


def test_functions_in_functions_and_loops_are_in_the_graph(tmp_path):
    def graph(change):
        module = tf.Module()
        module.weights = [tf.Variable(np.eye(3, dtype="float32"))]

        def step(x):
            return tf.matmul(x, module.weights[0]) * change

        def serve(images):
            x = tf.while_loop(
                lambda i, x: i < 3, lambda i, x: (i + 1, step(x)), [0, images]
            )[1]
            return {"logits": x}

        spec = tf.TensorSpec((None, 3), tf.float32, "images")
        signature = tf.function(serve, input_signature=[spec])
        path = tmp_path / str(change)
        tf.saved_model.save(module, path, {"serving_default": signature})
        return fingerprint.graph_fingerprint(path)

    assert graph(2.0) != graph(3.0)


def test_the_code_of_own_layers_is_in_the_graph(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    code = (
        "import keras\n"
        "@keras.saving.register_keras_serializable('mine')\n"
        "class Scale(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2 * x\n"
    )
    (tmp_path / "own_layers_of_a_test.py").write_text(code)
    import own_layers_of_a_test

    inputs = keras.Input(nets.IMAGE_SHAPE)
    x = own_layers_of_a_test.Scale()(keras.layers.Flatten()(inputs))
    keras.Model(inputs, x).save(tmp_path / "a.keras")
    before = fingerprint.graph_fingerprint(tmp_path / "a.keras")
    (tmp_path / "own_layers_of_a_test.py").write_text(code + "#\n")
    assert fingerprint.graph_fingerprint(tmp_path / "a.keras") != before
