"""Arithmetic over the replicas of a `tf.distribute` strategy.

Each replica has a part of the batch. Parts may be unequal, or even empty
where a batch is smaller than the number of replicas.
"""

import keras
import tensorflow as tf

from kd_keras.utils import strategies


def all_reduce(tensors):
    """Sums over all replicas: of a tensor, or of each of a list, at once."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def sum_over_batch(tensor):
    """Sum over the first axis and over all replicas."""
    return all_reduce(tf.reduce_sum(tensor, axis=0))


def gather(tensor):
    """The rows of the whole batch, in its order, on each replica.

    TensorFlow's own gathering has no gradient for unequal parts.

    Args:
        tensor: float tensor `(batch, ...)`, this replica's part.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensor
    index = context.replica_id_in_sync_group
    size = tf.shape(tensor)[0]
    sizes = all_reduce(
        tf.one_hot(index, context.num_replicas_in_sync, dtype=tf.float32)
        * tf.cast(size, tf.float32)
    )
    sizes = tf.cast(sizes, tf.int32)
    shape = tf.concat([[tf.reduce_sum(sizes)], tf.shape(tensor)[1:]], axis=0)
    places = _places(sizes, index)[:, tf.newaxis]
    rows = all_reduce(tf.scatter_nd(places, tensor, shape))
    return tf.ensure_shape(rows, [None, *tensor.shape[1:]])


def _places(sizes, index):
    """Where a replica's rows are in the batch: int32 `(rows,)`.

    Args:
        sizes: int32 tensor `(replicas,)`, the number of rows of each.
        index: int32 scalar, the replica.
    """
    rows = tf.range(sizes[index])
    if strategies.num_workers() == 1:
        # TensorFlow cuts the batch into parts.
        return tf.reduce_sum(sizes[:index]) + rows
    # Row by row, the first of each replica, then the second of each.
    before = tf.minimum(sizes, rows[:, tf.newaxis])
    same = sizes[:index] > rows[:, tf.newaxis]
    return tf.reduce_sum(before, axis=1) + tf.reduce_sum(
        tf.cast(same, tf.int32), axis=1
    )


def weighted_mean(values, weights):
    """This replica's part of the weighted mean over the whole batch.

    The parts of all replicas add up to the mean, even if they are unequal.

    Args:
        values, weights: float32 tensors `(batch,)`.

    Returns:
        float32 scalar; 0 if all weights are 0.
    """
    return tf.math.divide_no_nan(
        tf.reduce_sum(weights * values), sum_over_batch(weights)
    )


def whole_batch(gradients, loss, optimizer):
    """Gradients of the whole batch, to apply on each replica, and its loss.

    Keras's optimizers clip each replica's gradient and then sum them. Here
    the sum is clipped first and divided by the number of replicas, so that
    Keras's own clipping has no effect.

    Args:
        gradients: list of tensors, of this replica's part of the loss.
        loss: float32 scalar, this replica's part.
        optimizer: `keras.optimizers.Optimizer` that will apply them.

    Returns:
        `(gradients, loss)`: a list of tensors, and a float32 scalar, the same
        on all replicas.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return gradients, loss
    *gradients, loss = all_reduce([*gradients, loss])
    scale = 1.0
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        scale = (
            optimizer.dynamic_scale
            if optimizer.built
            else optimizer.initial_scale
        )
        optimizer = optimizer.inner_optimizer
    gradients = _clipped(gradients, optimizer, scale)
    return [gradient / replicas for gradient in gradients], loss


def local_variables(strategy, variables):
    """The variables on each replica that are behind variables of Keras.

    Args:
        strategy: `tf.distribute.Strategy` that the variables were made in.
        variables: list of `keras.Variable`.

    Returns:
        List of `tf.Variable`, which can be read and assigned one by one.
    """
    return [
        local
        for variable in variables
        for local in strategy.experimental_local_results(variable.value)
    ]


def check_compile(strategy, optimizer, metrics, options):
    """Raises a ValueError for settings that fail in Keras on replicas.

    Args:
        strategy: `tf.distribute.Strategy` of the model.
        optimizer: `keras.optimizers.Optimizer`.
        metrics: list of metrics or names, or None.
        options: dict of further arguments of `compile`.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    _check_made_in_scope(strategy, [optimizer, *tf.nest.flatten(metrics)])
    if getattr(optimizer, "gradient_accumulation_steps", None):
        raise ValueError(
            "gradient_accumulation_steps must be None on several replicas "
            "(Keras fails there: keras-team/keras#20582). Received: "
            f"{optimizer.gradient_accumulation_steps}"
        )
    if options.get("steps_per_execution", 1) != 1:
        raise ValueError(
            "steps_per_execution must be 1 on several replicas (Keras fails "
            "there: keras-team/keras#19246). Received: "
            f"{options['steps_per_execution']}"
        )


def _check_made_in_scope(strategy, objects):
    """Raises a ValueError if workers would each have such an object alone."""
    if strategies.num_workers(strategy) == 1:
        return
    in_scope = strategy.extended.variable_created_in_scope
    for made in objects:
        variables = getattr(made, "variables", [])
        # Keras would make the variables of a name within the first step.
        is_name = isinstance(made, str)
        if is_name or not all(in_scope(x.value) for x in variables):
            raise ValueError(
                "several workers need an optimizer and metrics, such as "
                "keras.metrics.SparseTopKCategoricalAccuracy(), that are "
                "created in the strategy's scope, where compile is called, "
                f"too. Received: {made!r}, created elsewhere"
            )


def _clipped(gradients, optimizer, scale):
    """Clips gradients of a loss that was multiplied by `scale`."""
    if optimizer.clipnorm:
        limit = optimizer.clipnorm * scale
        return [tf.clip_by_norm(gradient, limit) for gradient in gradients]
    if optimizer.global_clipnorm:
        limit = optimizer.global_clipnorm * scale
        return tf.clip_by_global_norm(gradients, limit)[0]
    if optimizer.clipvalue:
        limit = optimizer.clipvalue * scale
        return [
            tf.clip_by_value(gradient, -limit, limit) for gradient in gradients
        ]
    return gradients
