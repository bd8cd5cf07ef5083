"""Small trainings for one process, or for each worker of a cluster.

    python worker_cases.py DIRECTORY DEVICES

trains the cases as a worker of TF_CONFIG with so many CPU devices, and half of
them alone. It writes `<index>.npz`, which `test_many_workers` reads.
"""

import os
import pathlib
import sys
import time

import keras
import nets
import numpy as np
import tensorflow as tf

import kd_keras
from kd_keras.data import augmentation, datasets, pipeline
from kd_keras.models import optimizers
from kd_keras.teachers import answers, outputs
from kd_keras.training import callbacks
from kd_keras.training import devices as training_devices
from kd_keras.utils import keras_internals, strategies

# Batches of 3, 4 and 4: of four replicas the last has no row of the first.
COUNT, BATCH = 11, 4


def examples(count=COUNT):
    return datasets.Examples(
        nets.make_images(count).astype("uint8"),
        nets.make_labels(count),
        num_classes=nets.NUM_CLASSES,
        ids=np.arange(count) * 3,
    )


def sgd(**options):
    return keras.optimizers.SGD(0.1, momentum=0.9, **options)


def fit(
    strategy,
    make_optimizer=sgd,
    *,
    network_options=None,
    labels=True,
    first=(0, 0),
    metrics=lambda: None,
    spec=None,
    join=pipeline.drop_ids,
    **distiller_options,
):
    """Trains two epochs: dict of weights, own variables and logs."""
    keras.utils.set_random_seed(7)
    teacher = nets.make_network(units=12)
    with strategy.scope():
        network = nets.make_network(**(network_options or {}))
        model = kd_keras.Distiller(network, teacher, **distiller_options)
        model.compile(make_optimizer(), metrics=metrics())
    data = examples()
    steps = pipeline.steps_per_epoch(COUNT, BATCH)
    batches = pipeline.training_batches(
        data,
        batch_size=BATCH,
        seed=0,
        epochs=2,
        first_epoch=first[0],
        first_step=first[1],
        spec=spec or augmentation.ViewSpec(),
        labels=labels,
        join=join,
        strategy=strategy,
    )
    history = model.fit(
        batches,
        epochs=2,
        initial_epoch=first[0],
        steps_per_epoch=steps - first[1],
        validation_data=pipeline.evaluation_batches(
            data, batch_size=BATCH, strategy=strategy
        ),
        shuffle=False,
        verbose=0,
    ).history
    return result(model, history)


def result(model, history):
    weights = [*model.network.get_weights(), *model.own_variables]
    return {
        **{
            f"weight {i}": keras.ops.convert_to_numpy(x)
            for i, x in enumerate(weights)
        },
        **{f"log {name}": values[-1] for name, values in history.items()},
    }


def features_and_statistics_of_the_batch(strategy):
    return fit(
        strategy,
        lambda: sgd(global_clipnorm=0.1),
        soft_loss="dist",
        features=[
            # The queue ends within a batch: the order of its rows counts.
            kd_keras.FeatureMatch(loss="queue_kl", queue_size=6),
            kd_keras.FeatureMatch(loss="relational", projection="none"),
            kd_keras.FeatureMatch(projection="orthogonal"),
        ],
    )


def labels_and_penalties(strategy):
    return fit(
        strategy,
        lambda: keras.optimizers.AdamW(1e-3, clipnorm=0.05),
        soft_loss="dkd",
        hard_loss_weight=0.5,
        metrics=lambda: [keras.metrics.SparseTopKCategoricalAccuracy(2)],
        network_options={
            "batch_norm": True,
            "regularizer": keras.regularizers.L2(0.01),
        },
    )


def mixed_and_joined_from_a_step_on(strategy):
    data = examples()
    logits = np.random.default_rng(5).normal(size=(COUNT, nets.NUM_CLASSES))
    given = outputs.Outputs(logits.astype("float32"))
    return fit(
        strategy,
        lambda: optimizers.Muon(0.1, momentum=0.9, clipvalue=0.01),
        network_options={"convolution": True},
        labels=False,
        first=(1, 1),
        spec=augmentation.ViewSpec(
            seed=4, mirror="random", translate=1, mixup=1.0
        ),
        join=lambda batches, view: answers.join_by_id(batches, data.ids, given),
    )


def own_data(strategy, images, batch_size, *, policy="float32", nan_row=None):
    """As a user who distributes data and calls `fit`."""
    keras.utils.set_random_seed(3)
    keras.mixed_precision.set_dtype_policy(policy)
    with strategy.scope():
        network = nets.make_network()
        model = kd_keras.Distiller(network, soft_loss=squares)
        model.compile(sgd())
        model.optimizer.build(network.trainable_variables)
    keras.mixed_precision.set_dtype_policy("float32")
    count = len(images)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(count, nets.NUM_CLASSES)).astype("float32")
    weights = rng.uniform(size=count).astype("float32")
    if nan_row is not None:
        logits[nan_row] = 1e9
    batches = tf.data.Dataset.from_tensor_slices(
        (images, {"teacher_logits": logits}, weights)
    ).batch(batch_size)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    batches = batches.with_options(options)
    if strategies.num_workers(strategy) > 1:
        batches = strategy.experimental_distribute_dataset(batches)
    stopping = callbacks.StopOnNaN(
        steps_per_epoch=3, checkpoints_dir=pathlib.Path("none")
    )
    history = model.fit(
        batches,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=None if nan_row is None else [stopping],
    ).history
    return model, result(model, history)


def squares(teacher_logits, student_logits, temperature):
    """A loss that is NaN for logits that are too large."""
    errors = tf.reduce_mean((teacher_logits - student_logits) ** 2, axis=-1)
    return tf.where(errors > 1e9, np.nan, errors) / temperature


def data_of_a_user(strategy):
    return own_data(strategy, nets.make_images(13), 4)[1]


def overflow(strategy):
    """Float16 overflows in the last row of the first step."""
    images = nets.make_images(12)
    images[3] *= 1e6
    model, found = own_data(strategy, images, 4, policy="mixed_float16")
    return {**found, "scale": model.optimizer.dynamic_scale.numpy()}


def divergence(strategy):
    """The loss of the last row of the second step is NaN."""
    images = nets.make_images(12)
    return {
        "message": message_of(lambda: own_data(strategy, images, 4, nan_row=7))
    }


def refused(strategy):
    """Mistakes of a user: dict of the messages."""
    with strategy.scope():
        model = kd_keras.Distiller(nets.make_network(), nets.make_network())
        model.compile("sgd")
        other = kd_keras.Distiller(nets.make_network(), nets.make_network())
    metric = keras.metrics.SparseTopKCategoricalAccuracy(2)

    def compile_in_scope(metric):
        with strategy.scope():
            other.compile("sgd", metrics=[metric])

    return {
        "arrays": message_of(lambda: model.fit(nets.make_images(8))),
        "an optimizer": message_of(lambda: other.compile("sgd")),
        "a metric": message_of(lambda: compile_in_scope(metric)),
        "a name": message_of(lambda: compile_in_scope("mse")),
    }


def message_of(function):
    try:
        function()
    except ValueError as error:
        return str(error)
    return "none"


def exchanges(strategy):
    """Counts the collective operations of a step: dict."""
    with strategy.scope():
        model = kd_keras.Distiller(nets.make_network(), soft_loss=squares)
        model.compile(sgd())
    images = nets.make_images(8)
    logits = np.zeros((8, nets.NUM_CLASSES), "float32")
    batches = tf.data.Dataset.from_tensors((images, {"teacher_logits": logits}))
    distributed = strategy.distribute_datasets_from_function(lambda _: batches)
    model.fit(distributed, validation_data=distributed, verbose=0)
    steps = {"train": model.train_function, "test": model.test_function}
    return {
        name: _count_collectives(step.__wrapped__, iter(distributed))
        for name, step in steps.items()
    }


def _count_collectives(function, iterator):
    graph = function.get_concrete_function(iterator).graph.as_graph_def()
    nodes = [
        *graph.node,
        *(n for f in graph.library.function for n in f.node_def),
    ]
    return sum(node.op.startswith("CollectiveReduce") for node in nodes)


def reads(strategy):
    """The ids that are read of each batch, by all replicas of a process."""
    data, read = examples(), []
    original = type(data.reader).read

    def spy(self, ids, crop=None):
        tf.numpy_function(lambda x: read.append(x.tolist()), [ids], [])
        return original(self, ids, crop)

    type(data.reader).read = spy
    try:
        batches = pipeline.training_batches(
            data,
            batch_size=BATCH,
            seed=0,
            epochs=1,
            spec=augmentation.ViewSpec(),
            labels=False,
            strategy=strategy,
        )
        rows = [
            part.numpy().sum(axis=(1, 2, 3))
            for batch in batches
            for part in strategy.experimental_local_results(batch)
        ]
    finally:
        type(data.reader).read = original
    own = pipeline.own_examples(data, strategy, batch_size=BATCH)
    return {
        "ids": np.array(sorted(sum(read, [])), "int64"),
        "rows": np.concatenate(rows),
        "steps": int(batches.cardinality),
        "sizes": np.array([len(part) for part in rows]),
        "validation ids": own.ids,
    }


CASES = (
    features_and_statistics_of_the_batch,
    labels_and_penalties,
    mixed_and_joined_from_a_step_on,
    data_of_a_user,
    overflow,
)
OTHERS = (divergence, refused, exchanges, reads)
# A few on two devices each, which take twice as long to trace; they are not
# repeated on one.
OF_DEVICES = {
    1: (
        features_and_statistics_of_the_batch,
        labels_and_penalties,
        overflow,
        *OTHERS,
    ),
    2: (mixed_and_joined_from_a_step_on, data_of_a_user, reads),
}


def alone(case):
    """The result of a case in one process, without a cluster."""
    found = case(tf.distribute.get_strategy())
    return {f"{case.__name__}/alone/{key}": x for key, x in found.items()}


def main(directory, devices):
    cases = OF_DEVICES[int(devices)]
    training_devices.divide_cpu(int(devices))
    with keras_internals.local_cpus(int(devices)):
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    index = strategy.cluster_resolver.task_id
    found = {}
    for case in cases:
        for key, value in case(strategy).items():
            found[f"{case.__name__}/{key}"] = value
    # The results to compare with, half of them in each process.
    for case in [case for case in cases if case in CASES][index::2]:
        found.update(alone(case))
    directory = pathlib.Path(directory)
    np.savez(directory / f"{index}.npz", **found)
    (directory / f"{index}.end").touch()
    # The usual exit waits a minute for the other worker, which has left.
    while not all((directory / f"{i}.end").exists() for i in range(2)):
        time.sleep(0.05)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
