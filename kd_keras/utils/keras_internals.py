"""Private names of Keras, TensorFlow and TensorFlow Datasets that we use.

No other module may use one (`tests/utils/test_keras_internals.py` checks it),
so a new version of these packages breaks this file alone.
"""

import collections
import contextlib
import inspect
import os
import typing


class TrainingHooks:
    """Mixin for `keras.Model`: hooks of `fit` under names of our own.

    Subclasses override `build_for`, `build_under_strategy`, `logs_of_epoch`
    and `list_of_logs`.
    """

    def build_for(self, specs):
        """Creates variables whose shapes depend on the data.

        Args:
            specs: `(x, y, sample_weight)` or the part that the data has:
                structures of objects with `shape` and `dtype`.
        """

    def build_under_strategy(self):
        """Creates variables before the first batch.

        Called by a model that was created in the scope of a `tf.distribute`
        strategy, and by a `Distiller` whose shapes are known.
        """
        raise NotImplementedError

    def logs_of_epoch(self, logs):
        """Returns the logs of an epoch, given the logs of its last step."""
        raise NotImplementedError

    def list_of_logs(self, logs):
        """Returns the numbers of some logs: a list, without `return_dict`."""
        raise NotImplementedError

    @property
    def metrics_from_compile(self):
        """The metrics given to `compile` as one metric, or None."""
        return self._compile_metrics

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        self.build_for(_specs(iterator, data_batch))
        if iterator is not None:
            _stop_autotuning(iterator)
        if self._distribute_strategy is not None:
            self.build_under_strategy()

    def _get_metrics_result_or_logs(self, logs):
        return self.logs_of_epoch(logs)

    def _flatten_metrics_in_order(self, logs):
        return self.list_of_logs(logs)


def _specs(iterator, data_batch):
    """The shapes of the batches that a model is called with."""
    if iterator is None:
        return data_batch
    import tensorflow as tf

    # With several replicas, the shapes of the first replica's part.
    return tf.nest.map_structure(
        lambda spec: getattr(spec, "_value_specs", (spec,))[0],
        iterator._distributed_dataset.element_spec,
    )


def _stop_autotuning(iterator):
    """Turns autotuning off in the data of a `fit` or `evaluate`.

    Keras makes datasets of arrays and generators itself, with an iterator for
    each epoch. Data for several replicas stay as they are. See
    `tf_data.without_autotuning`.
    """
    import tensorflow as tf

    from kd_keras.utils import tf_data

    data = iterator._distributed_dataset
    if isinstance(data, tf.data.Dataset):
        iterator._distributed_dataset = tf_data.without_autotuning(data)


def with_steps(distributed, steps):
    """Tells Keras the number of steps of a distributed dataset.

    TensorFlow counts the elements of a worker; a step takes one element for
    each of the worker's replicas.

    Args:
        distributed: `tf.distribute.DistributedDataset`.
        steps: int.
    """
    distributed._cardinality = steps
    return distributed


def with_direction(metric, *, up):
    """Tells callbacks whether more of a metric is better; returns the metric.

    `EarlyStopping`, `ModelCheckpoint` and `ReduceLROnPlateau` look for this
    direction if their `mode` is `auto`.
    """
    metric._direction = "up" if up else "down"
    return metric


def as_list(metrics):
    """Metrics as the list in which callbacks look for their directions."""
    from keras.src.trainers import compile_utils

    return compile_utils.MetricsList(metrics, name="terms")


def variables_read(graph):
    """Variables that a `tf.function`, as traced so far, reads: list."""
    return list(graph._watched_variables)


def all_layers(model):
    """The model and all of its layers, however deep they lie: list."""
    return model._flatten_layers()


def variable_index(optimizer, variable):
    """Index of a variable among those that the optimizer was built with."""
    return optimizer._get_variable_index(variable)


def with_constants(function):
    """A concrete function whose variables are constants of its graph."""
    from tensorflow.python.framework import convert_to_constants

    return convert_to_constants.convert_variables_to_constants_v2(function)


def prepare_from_files(builder, find_files):
    """Prepares a set of TensorFlow Datasets from files that exist already.

    Args:
        builder: `tfds.core.DatasetBuilder`.
        find_files: function of what the builder would download, a URL or a
            dict of URLs; returns paths in the same form.
    """

    class LocalFiles:
        def download_and_extract(self, urls):
            return find_files(urls)

    split_generators = builder._split_generators
    builder._split_generators = lambda dl_manager: split_generators(
        LocalFiles()
    )
    builder.download_and_prepare()


def downloads():
    """The folder below which `keras.utils.get_file` downloads: str."""
    from keras.src.backend import config

    home = os.path.expanduser(config.keras_home())
    return home if os.access(home, os.W_OK) else "/tmp/.keras"


def producer(tensor):
    """The layer or operation that computes a symbolic tensor of Keras."""
    return tensor._keras_history.operation


def inputs_of(tensor):
    """The symbolic inputs of the call that computes a symbolic tensor: list.

    `layer.input` is that of the layer's first call, of any network.
    """
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index].input_tensors


def run(network, inputs, function_of, *, training=None):
    """Runs a Functional or Sequential model with functions of one's own.

    Args:
        network: Keras model.
        inputs: its inputs.
        function_of: function of a layer or operation -> the function that is
            called in its place, with the same arguments.
        training: bool, as in a call of the network: layers have it in place
            of a `training` of their own. None leaves them theirs.

    Raises:
        AttributeError: for a model that is neither, or has a `call` of its
            own, which may compute something else.
    """
    from keras.src.models import functional

    return _function(network)._run_through_graph(
        inputs,
        operation_fn=lambda operation: functional.operation_fn(
            function_of(operation), training=training
        ),
    )


class Call(typing.NamedTuple):
    """A call of a layer or operation within a network.

    Attributes:
        operation: layer or operation.
        inputs: list of `keras.KerasTensor`.
        output: `keras.KerasTensor`.
        arguments: dict of the other arguments by name, as `training` or
            `mask`, without None. `constants` are values among the inputs
            that the network does not compute.
        node: the call as Keras stores it.
    """

    operation: object
    inputs: list
    output: object
    arguments: dict
    node: object

    def of(self, values):
        """Calls the operation with other inputs, and else the same arguments.

        As in `predict`, it is not in training, whatever the network says.

        Args:
            values: list of arrays or tensors, one for each of `inputs`.
        """
        # A model's own tensors, also where it is called within another.
        own = map(id, self.node.input_tensors)
        given, options = self.node.arguments.fill_in(dict(zip(own, values)))
        names = list(inspect.signature(self.operation.call).parameters)
        if "training" in names:
            position = names.index("training")
            given = given[:position]
            options["training"] = False
        return self.operation(*given, **options)


class Graph(typing.NamedTuple):
    """The graph of a network.

    Attributes:
        inputs: list of `keras.KerasTensor`.
        calls: list of `Call`, each after the calls whose outputs it takes.
        outputs: list of `keras.KerasTensor`.
    """

    inputs: list
    calls: list
    outputs: list


def graph(network):
    """The graph of a Functional or Sequential model and of models in it.

    The calls of a model that is a layer of the network are calls of the
    graph, with the `training` that the model is called with. A model that is
    called twice, with a mask or with constants is one call.

    Args:
        network: Keras model.

    Returns:
        `Graph`.

    Raises:
        AttributeError: for a model that is neither, or has a `call` of its
            own, which may compute something else.
    """
    # By the identity of an input of a model within the network, the tensor
    # that it is called with; of what the call returns, the model's output.
    same = {}
    calls = list(_calls(network, same))
    outputs = [same.get(id(x), x) for x in network.outputs]
    return Graph(network.inputs, calls, outputs)


def calls_of(layer, network):
    """The calls of one layer in a network.

    Args:
        layer: Keras layer, one of the network's own.
        network: Functional or Sequential model.

    Returns:
        list of `Call`, the last one computed last.
    """
    return [
        Call(
            layer,
            node.input_tensors,
            node.outputs[0],
            _arguments(node)[1],
            node,
        )
        for node in _nodes(network)
        if node.operation is layer
    ]


def _calls(network, same, training=None):
    nodes = list(_nodes(network))
    num_calls = collections.Counter(id(node.operation) for node in nodes)
    for node in nodes:
        inner = node.operation
        inputs, arguments = _arguments(node, training)
        # Both calls of a model would have the same tensors.
        if (
            _computes_its_graph(inner)
            and arguments.keys() <= {"training"}
            and num_calls[id(inner)] == 1
        ):
            inputs = [same.get(id(x), x) for x in _in_order(inner, inputs)]
            same.update(zip(map(id, inner.inputs), inputs))
            yield from _calls(inner, same, arguments.get("training"))
            outputs = [same.get(id(x), x) for x in inner.outputs]
            same.update(zip(map(id, node.outputs), outputs))
        else:
            inputs = [same.get(id(x), x) for x in node.input_tensors]
            yield Call(inner, inputs, node.outputs[0], arguments, node)


def _nodes(network):
    """The calls of a network without its inputs, as Keras stores them."""
    by_depth = _function(network)._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from (node for node in by_depth[depth] if not node.is_input)


def _arguments(node, training=None):
    """The inputs of a call as given, and `Call.arguments`.

    As in Keras, `training` of an enclosing model comes before the call's own.
    """
    import keras

    names = list(inspect.signature(node.operation.call).parameters)
    given = node.arguments
    found = {**dict(zip(names, given.args)), **given.kwargs}
    inputs = found.pop(names[0], None)
    if training is not None:
        found["training"] = training
    if "training" not in names:
        # Keras leaves it out.
        found.pop("training", None)
    found["constants"] = [
        x
        for x in keras.tree.flatten(inputs)
        if not isinstance(x, keras.KerasTensor)
    ]
    # Keras itself adds `mask=[None, None]` where there are two inputs.
    return inputs, {
        name: value
        for name, value in found.items()
        if any(x is not None for x in keras.tree.flatten(value))
    }


def _in_order(model, inputs):
    """The inputs that a model is called with, in the order of its own."""
    import keras

    function = _function(model)
    if isinstance(inputs, dict) and not isinstance(function.input, dict):
        return [inputs[x.name] for x in function.inputs]
    return keras.tree.flatten(inputs)


def _function(network):
    """The Functional model that computes a network."""
    if not _computes_its_graph(network):
        raise AttributeError(f"{network.name} is no graph of layers")
    return getattr(network, "_functional", network)


def _computes_its_graph(layer):
    """Whether a layer is a Functional or Sequential model, and no more."""
    from keras.src.models import sequential

    if has_own_call(layer):
        return False
    is_sequential = isinstance(layer, sequential.Sequential)
    return not is_sequential or layer._functional is not None


def has_own_call(model):
    """Whether a model is called by another method than a graph's.

    Its graph of layers, if it has one, may then not be what it computes.

    Args:
        model: Keras model, layer or operation.
    """
    from keras.src.models import functional, sequential

    calls = (functional.Functional.call, sequential.Sequential.call)
    return type(model).call not in calls


@contextlib.contextmanager
def fresh_names():
    """Context in which layers are named as in a new process: `conv2d` first.

    Keras numbers the layers of all models of a process.
    """
    from keras.src.backend.common import global_state

    key = "object_name_uids"
    before = global_state.get_global_attribute(key)
    global_state.set_global_attribute(key, collections.defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute(key, before)


@contextlib.contextmanager
def local_cpus(count):
    """Context in which a strategy of several workers has CPUs on each.

    TensorFlow itself gives each worker all of its GPUs, or one CPU.

    Args:
        count: int, the logical CPU devices of each worker; None for
            TensorFlow's choice.
    """
    from tensorflow.python.distribute import collective_all_reduce_strategy

    extended = collective_all_reduce_strategy.CollectiveAllReduceExtended
    before = extended._initialize_local_devices

    def cpus(self, cluster_resolver, worker_device):
        devices = [f"{worker_device}/device:CPU:{i}" for i in range(count)]
        return tuple(devices), "CPU"

    if count:
        extended._initialize_local_devices = cpus
    try:
        yield
    finally:
        extended._initialize_local_devices = before


def abort_cluster(message):
    """Ends the waits of all workers of a cluster, which get an AbortedError.

    Args:
        message: str, which the error contains.
    """
    import tensorflow as tf
    from tensorflow.python.eager import context

    context.context().report_error_to_cluster(tf.errors.ABORTED, message)
