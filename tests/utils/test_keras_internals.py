"""Private names of other packages: they exist, work, and stay in one module."""

import ast
import pathlib

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kd_keras.utils import keras_internals

PACKAGE = pathlib.Path(keras_internals.__file__).parents[1]
KERAS_CLASSES = (keras.Model, keras.layers.Layer, keras.optimizers.Optimizer)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (keras.Model, "_maybe_symbolic_build"),
        (keras.Model, "_get_metrics_result_or_logs"),
        (keras.Model, "_flatten_layers"),
        (keras.optimizers.Optimizer, "_get_variable_index"),
        (tfds.core.GeneratorBasedBuilder, "_split_generators"),
    ],
)
def test_private_methods_exist(owner, name):
    assert hasattr(owner, name), (
        f"{owner.__name__} has no {name} in this version: change "
        "kd_keras/utils/keras_internals.py"
    )


class Hooked(keras_internals.TrainingHooks, keras.Model):
    """A model that counts the calls of its hooks."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.called = []
        self.iterated = []

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        super()._maybe_symbolic_build(iterator, data_batch)
        self.iterated.append(iterator._distributed_dataset)

    def call(self, inputs):
        return self.network(inputs)

    def build_under_strategy(self):
        self.called.append("build")
        self.optimizer.build(self.network.trainable_variables)

    def logs_of_epoch(self, logs):
        self.called.append("logs")
        return {**logs, "epoch_loss": 7.0}


def fit(strategy):
    with strategy.scope():
        model = Hooked(nets.make_network())
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    history = model.fit(
        nets.make_images(8), nets.make_labels(8), batch_size=8, verbose=0
    ).history
    return model.called, history


@pytest.mark.slow
def test_fit_takes_an_epoch_s_logs_from_the_hook():
    called, history = fit(tf.distribute.get_strategy())
    assert called == ["logs"], "Keras calls other methods in this version"
    assert history["epoch_loss"] == [7.0]


@pytest.mark.slow
def test_fit_builds_under_a_strategy_by_the_hook():
    # Without collectives, which a second strategy in a process confuses.
    called, _ = fit(tf.distribute.OneDeviceStrategy("CPU:0"))
    assert called[0] == "build", "Keras calls other methods in this version"


def batches():
    arrays = nets.make_images(8), nets.make_labels(8)
    return tf.data.Dataset.from_tensor_slices(arrays).batch(8)


def iterated_options(data):
    model = Hooked(nets.make_network())
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    given = data if isinstance(data, tuple) else (data,)
    model.fit(*given, steps_per_epoch=1, validation_data=batches(), verbose=0)
    return [data.options().autotune.enabled for data in model.iterated]


@pytest.mark.parametrize(
    "make",
    [
        lambda: (nets.make_images(8), nets.make_labels(8)),
        batches,
        lambda: batches().repeat(),
        lambda: (batch for batch in batches().repeat(3).as_numpy_iterator()),
    ],
    ids=["arrays", "dataset", "infinite", "generator"],
)
def test_fit_iterates_without_autotuning(make):
    # Its thread may delay the end of an iterator, and so of each epoch.
    assert iterated_options(make()) == [False, False]


def test_fit_leaves_autotuning_that_was_asked_for():
    options = tf.data.Options()
    options.autotune.enabled = True
    tuned = batches().with_options(options)
    assert iterated_options(tuned) == [True, False]


def test_metrics_from_compile():
    model = Hooked(nets.make_network())
    assert model.metrics_from_compile is None
    model.compile("sgd", metrics=["accuracy"])
    metrics = model.metrics_from_compile
    metrics.update_state(np.array([0, 1]), np.array([[0.2, 0.8]] * 2))
    assert float(metrics.result()["accuracy"]) == 0.5


def test_all_layers_finds_layers_inside_layers():
    inner = keras.Sequential([keras.layers.Dense(2)])
    model = keras.Sequential([keras.Input((3,)), inner])
    found = keras_internals.all_layers(model)
    assert inner.layers[0] in found and inner in found


def test_variable_index_is_the_order_of_build():
    variables = [keras.Variable(np.zeros(n)) for n in (1, 2)]
    optimizer = keras.optimizers.SGD()
    optimizer.build(variables)
    assert [
        keras_internals.variable_index(optimizer, v) for v in variables
    ] == [0, 1]


def test_with_constants_leaves_no_variable():
    variable = tf.Variable(3.0)
    function = tf.function(lambda x: x * variable).get_concrete_function(
        tf.TensorSpec((), tf.float32)
    )
    constant = keras_internals.with_constants(function)
    assert not constant.variables
    assert float(constant(tf.constant(2.0))[0]) == 6.0


def test_prepare_from_files_downloads_nothing():
    prepared = []

    class Builder:
        def _split_generators(self, dl_manager):
            return dl_manager.download_and_extract("https://somewhere/a.zip")

        def download_and_prepare(self):
            prepared.append(self._split_generators("downloads"))

    keras_internals.prepare_from_files(
        Builder(), lambda url: url.replace("https://somewhere", "/files")
    )
    assert prepared == ["/files/a.zip"]


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def attributes(tree):
    """`(owner, name, line)` of all private attributes, as source text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield ast.unparse(node.value), node.attr, node.lineno


def names_defined(tree):
    """Private names that a file defines: functions and its own attributes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if isinstance(node, ast.AnnAssign) and isinstance(
            node.target, ast.Name
        ):
            yield node.target.id


def trees():
    """`{path: syntax tree}` of the package except `keras_internals`."""
    return {
        path: ast.parse(path.read_text())
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != pathlib.Path(keras_internals.__file__)
    }


def foreign(path_to_tree):
    """Uses of private names that the package does not define itself."""
    own = {
        name
        for tree in path_to_tree.values()
        for name in names_defined(tree)
        if is_private(name)
    }
    of_keras = {name for owner in KERAS_CLASSES for name in dir(owner)}
    internal = ast.parse(pathlib.Path(keras_internals.__file__).read_text())
    of_keras |= {name for _, name, _ in attributes(internal)}
    found = []
    for path, tree in path_to_tree.items():
        for owner, name, line in attributes(tree):
            if (owner, name) == ("os", "_exit"):
                # It is documented.
                continue
            if name not in own or name in of_keras:
                found.append(f"{path}:{line} uses {owner}.{name}")
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [getattr(node, "module", None) or ""]
                names += [alias.name for alias in node.names]
                if any(
                    name.startswith(("tensorflow.python", "keras.src"))
                    for name in names
                ):
                    found.append(f"{path}:{node.lineno} imports {names}")
            if (
                isinstance(node, ast.FunctionDef)
                and is_private(node.name)
                and node.name in of_keras
                and node.args.args[:1]
                and node.args.args[0].arg == "self"
            ):
                found.append(f"{path}:{node.lineno} defines {node.name}")
    return found


@pytest.mark.slow
def test_no_other_module_uses_private_names_of_other_packages():
    assert not foreign(trees()), (
        "private names of Keras, TensorFlow and other packages may be used in "
        "kd_keras/utils/keras_internals.py alone"
    )


@pytest.mark.parametrize(
    "source",
    [
        "model._flatten_layers()",
        "class A:\n def f(self): self._compile_metrics",
        "class A:\n def _maybe_symbolic_build(self): pass",
        "from tensorflow.python.framework import ops",
        "import keras.src.layers",
    ],
)
def test_uses_of_private_names_are_found(source):
    assert len(foreign({"file": ast.parse(source)})) == 1
