"""Steps of a training by several workers, without a wait for their logs."""

import tensorflow as tf

from kd_keras.utils import strategies, tf_data


class WorkerSteps:
    """Mixin for `keras.Model`: steps on the workers of a cluster.

    Keras averages the logs of each step over all workers, with an exchange
    for each log. Here a step returns the logs of the first replica of this
    process; the metrics are summed over all workers at the end of an epoch.
    """

    def make_train_function(self, force=False):
        if strategies.num_workers(self.distribute_strategy) == 1:
            super().make_train_function(force)
        else:
            self.train_function = _step_function(self, self.train_step)

    def make_test_function(self, force=False):
        if strategies.num_workers(self.distribute_strategy) == 1:
            super().make_test_function(force)
        else:
            self.test_function = _step_function(self, self.test_step)


def check_data(strategy, x):
    """Raises a ValueError if workers would train on wrong parts of the data.

    Args:
        strategy: `tf.distribute.Strategy` of the model.
        x: the data for `fit` or `evaluate`.
    """
    if strategies.num_workers(strategy) == 1:
        return
    if not isinstance(x, tf.distribute.DistributedDataset):
        raise ValueError(
            "data for several workers must be a distributed dataset, in which "
            "each has its part of every batch: "
            "strategy.distribute_datasets_from_function, or "
            "strategy.experimental_distribute_dataset with an "
            f"auto_shard_policy of DATA. Received: {type(x).__name__}"
        )


def _step_function(model, step):
    strategy = model.distribute_strategy

    @tf_data.unconverted
    def run(iterator):
        logs = strategy.run(step, args=(iterator.get_next(),))
        return {
            name: strategy.experimental_local_results(log)[0]
            for name, log in logs.items()
        }

    if model.run_eagerly:
        return run
    return tf.function(
        run, reduce_retracing=True, jit_compile=model.jit_compile
    )
