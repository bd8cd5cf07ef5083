"""Training steps that are right on any number of replicas."""

import abc

import keras
import tensorflow as tf

from kd_keras.models import batch_norm


class ExactTrainer(keras.Model):
    """Trains a network on the weighted mean of per-example terms.

    Under a `tf.distribute.MirroredStrategy` every replica computes its part
    of the mean over the whole batch, so that the update and the logs are
    those of one device, whatever the replicas' shares of a ragged batch.
    Subclasses say what the terms are.

    Args:
        network: Keras model, images -> logits. Calling this model, saving
            and `predict` are the network's.
        terms: names of all that `_terms` may return, for the logs.
    """

    def __init__(self, network, *, terms, **kwargs):
        if not isinstance(network, keras.Model):
            raise ValueError(
                f"the network must be a Keras model. Received: {network!r}"
            )
        # With its policy, Keras scales the loss under mixed_float16.
        super().__init__(dtype=network.dtype_policy, **kwargs)
        self.network = network
        self.built = network.built
        self._means = [keras.metrics.Mean(name) for name in terms]

    @abc.abstractmethod
    def _targets(self, x, y):
        """What the batch brings to compare with: a dict, `labels` or None."""

    @abc.abstractmethod
    def _terms(self, logits, targets):
        """`{name: float32 (batch,)}` of `loss` and all else to be logged."""

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)

    def build(self, input_shape):
        if not self.network.built:
            self.network.build(input_shape)
        self.built = True

    def compile(self, optimizer="adam", metrics=None, **kwargs):
        """As `keras.Model.compile`, without a loss: it has its own.

        Args:
            optimizer: name or Keras optimizer. Its `clipnorm`, `clipvalue`
                and `global_clipnorm` clip the gradient of the whole batch,
                however many replicas compute it.
            metrics: list of metrics of (labels, logits).
            **kwargs: `run_eagerly`, `steps_per_execution`,
                `auto_scale_loss`, `jit_compile`. The last is False by
                default: XLA drops the checks of what the teacher returns.

        Raises:
            ValueError: if a loss is given, or what Keras cannot do on
                several replicas is asked for.
        """
        given = {key for key, value in kwargs.items() if value is not None}
        refused = given & {"loss", "loss_weights", "weighted_metrics"}
        if refused:
            raise ValueError(
                "compile takes an optimizer and metrics; the loss is built "
                f"in. Received: {', '.join(sorted(refused))}"
            )
        kwargs.setdefault("jit_compile", False)
        optimizer = keras.optimizers.get(optimizer)
        if self.distribute_strategy.num_replicas_in_sync > 1:
            _check_replicated(optimizer, kwargs)
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)

    def compile_from_config(self, config):
        # Keras leaves a loaded model with its own `compile` uncompiled.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.network.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        _check_sample_weight(y, kwargs)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        _check_sample_weight(y, kwargs)
        results = super().evaluate(x, y, *args, **kwargs)
        # Keras before 3.12 leaves tensors in them.
        return tf.nest.map_structure(float, results)

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        targets = self._targets(x, y)
        with tf.GradientTape() as tape:
            with batch_norm.fused(self.network):
                logits = self.network(x, training=True)
            logits = tf.cast(logits, tf.float32)
            terms = self._all_terms(logits, targets)
            weights = _weights(terms["loss"], sample_weight)
            # Of all replicas' examples, however unequal the shares.
            total_weight = _all_reduce(tf.reduce_sum(weights))
            loss = tf.math.divide_no_nan(
                tf.reduce_sum(weights * terms["loss"]), total_weight
            )
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.network.trainable_variables
        gradients = tape.gradient(
            scaled_loss,
            variables,
            # A head that the loss does not see must not stop the others.
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        self.optimizer.apply_gradients(
            zip(self._replicated(gradients), variables)
        )
        return self._update_logs(terms, weights, logits, targets)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        targets = self._targets(x, y)
        with batch_norm.fused(self.network):
            logits = self.network(x, training=False)
        logits = tf.cast(logits, tf.float32)
        terms = self._all_terms(logits, targets)
        weights = _weights(terms["loss"], sample_weight)
        return self._update_logs(terms, weights, logits, targets)

    def get_metrics_result(self):
        results = {mean.name: mean.result() for mean in self._means}
        if self._compile_metrics is not None and self._compile_metrics.built:
            results.update(self._compile_metrics.result())
        return results

    def _get_metrics_result_or_logs(self, logs):
        # Keras's own takes the replicas' plain mean where a step logs less
        # than there are metrics; the metrics know the examples' weights.
        results = self.get_metrics_result()
        return {name: results[name] for name in logs}

    def _all_terms(self, logits, targets):
        terms = self._terms(logits, targets)
        if self.network.losses:
            penalty = tf.add_n(
                [tf.cast(loss, tf.float32) for loss in self.network.losses]
            )
            terms["regularization_loss"] = tf.fill(
                tf.shape(terms["loss"]), penalty
            )
            terms["loss"] += penalty
        if targets["labels"] is not None:
            top = tf.argmax(logits, axis=-1)
            correct = top == tf.cast(targets["labels"], top.dtype)
            terms["accuracy"] = tf.cast(correct, tf.float32)
        return terms

    def _update_logs(self, terms, weights, logits, targets):
        logged = set(terms)
        for mean in self._means:
            if mean.name in terms:
                mean.update_state(terms[mean.name], weights)
        if targets["labels"] is not None and self._compile_metrics is not None:
            self._compile_metrics.update_state(
                targets["labels"], logits, weights
            )
            logged |= set(self._compile_metrics.result())
        results = self.get_metrics_result()
        return {name: results[name] for name in results if name in logged}

    def _replicated(self, gradients):
        """The whole batch's gradient, as Keras's optimizers want it.

        They sum what the replicas give, and clip each replica's part before;
        the sum is clipped here first, so that theirs never bites.
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1:
            return gradients
        gradients = [_all_reduce(gradient) for gradient in gradients]
        optimizer, scale = self.optimizer, 1.0
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            scale = (
                optimizer.dynamic_scale
                if optimizer.built
                else optimizer.initial_scale
            )
            optimizer = optimizer.inner_optimizer
        gradients = _clipped(gradients, optimizer, scale)
        return [gradient / replicas for gradient in gradients]

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras's own runs the metrics on batches without labels, and fails.
        if self._distribute_strategy is None or self.optimizer.built:
            return
        with self.distribute_strategy.scope():
            self.optimizer.build(self.network.trainable_variables)


@keras.saving.register_keras_serializable(package="kd_keras")
class SupervisedTrainer(ExactTrainer):
    """Trains a network on labels by cross-entropy: teacher and baseline.

    Batches are `(x, labels)` or `(x, labels, sample_weight)`. Logs `loss`,
    `accuracy`, and `regularization_loss` where there is one.

    Args:
        network: Keras model, images -> logits.
    """

    def __init__(self, network, **kwargs):
        super().__init__(
            network,
            terms=("loss", "regularization_loss", "accuracy"),
            **kwargs,
        )

    def get_config(self):
        return {
            "name": self.name,
            "network": keras.saving.serialize_keras_object(self.network),
        }

    @classmethod
    def from_config(cls, config):
        network = keras.saving.deserialize_keras_object(config.pop("network"))
        return cls(network, **config)

    def _targets(self, x, y):
        labels = integer_labels(y)
        if labels is None:
            raise ValueError("training on labels needs them. Received: y=None")
        return {"labels": labels}

    def _terms(self, logits, targets):
        return {"loss": hard_loss(targets["labels"], logits)}


def hard_loss(labels, logits):
    """Cross-entropy with integer labels: float32 `(batch,)`, in nats."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def integer_labels(labels):
    """Labels as integers `(batch,)`; None stays None.

    Raises:
        ValueError: if they are no integers of `(batch,)` or `(batch, 1)`.
    """
    if labels is None:
        return None
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 2 and labels.shape[-1] == 1:
        labels = tf.squeeze(labels, axis=-1)
    if labels.shape.rank != 1 or not labels.dtype.is_integer:
        raise ValueError(
            "labels must be integers of shape (batch,) or (batch, 1). "
            f"Received: {labels.dtype.name} of shape {tuple(labels.shape)}"
        )
    if labels.dtype not in (tf.int32, tf.int64):
        labels = tf.cast(labels, tf.int32)
    return labels


def _weights(per_example, sample_weight):
    if sample_weight is None:
        return tf.ones_like(per_example)
    return tf.reshape(tf.cast(sample_weight, tf.float32), [-1])


def sum_over_batch(tensor):
    """The sum over the first axis, of all replicas' parts of the batch."""
    return _all_reduce(tf.reduce_sum(tensor, axis=0))


def _all_reduce(tensor):
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensor
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def _clipped(gradients, optimizer, scale):
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


def _check_sample_weight(y, options):
    if y is None and options.get("sample_weight") is not None:
        raise ValueError(
            "sample_weight needs a y: labels, {'teacher_logits': ...}, or "
            "both (Keras drops the weights without). Received: y=None"
        )


def _check_replicated(optimizer, options):
    """Refuses what Keras fails at on several replicas."""
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
