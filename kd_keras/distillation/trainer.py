"""Training steps that give the same result on any number of replicas."""

import abc

import keras
import tensorflow as tf

from kd_keras.distillation import divergence, replicas, teacher_checks
from kd_keras.distillation import labels as labels_lib
from kd_keras.models import batch_norm
from kd_keras.utils import keras_internals


class ExactTrainer(
    teacher_checks.ExplainedChecks, keras_internals.TrainingHooks, keras.Model
):
    """Trains a network on the weighted mean of per-example terms.

    Under a `tf.distribute.MirroredStrategy` each replica computes its part
    of the mean over the whole batch. The update and the logs are the same as
    on one device, even if the replicas' parts of a batch are unequal.

    Calling, `predict` and saving are the network's.

    Args:
        network: Keras model, images -> logits.
        terms: names of all terms that `_terms` may return, for the logs.
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
        self._has_diverged = False
        self._means = [keras.metrics.Mean(name) for name in terms]

    @abc.abstractmethod
    def _targets(self, x, y):
        """Returns a dict of what the logits are compared with.

        It has `labels`, integers `(batch,)` or None.
        """

    @abc.abstractmethod
    def _terms(self, logits, targets):
        """Returns `{name: float32 (batch,)}`: `loss` and terms to log."""

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)

    def build(self, input_shape):
        if not self.network.built:
            self.network.build(input_shape)
        self.built = True

    def compile(self, optimizer="adam", metrics=None, **kwargs):
        """As `keras.Model.compile`, but the loss is built in.

        Args:
            optimizer: name or Keras optimizer. Its `clipnorm`, `clipvalue`
                and `global_clipnorm` clip the gradient of the whole batch,
                on any number of replicas.
            metrics: list of metrics of (labels, logits).
            **kwargs: `run_eagerly`, `steps_per_execution`,
                `auto_scale_loss`, `jit_compile`. The last is False by
                default: XLA drops the checks of the teacher's logits.

        Raises:
            ValueError: if a loss is given, or a setting that fails in Keras
                on several replicas.
        """
        _check_no_loss(kwargs)
        kwargs.setdefault("jit_compile", False)
        optimizer = keras.optimizers.get(optimizer)
        replicas.check_compile(self.distribute_strategy, optimizer, kwargs)
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)

    def compile_from_config(self, config):
        # Keras does not compile a loaded model whose `compile` is its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.network.trainable_variables)

    def build_under_strategy(self):
        # Keras's own runs the metrics on batches without labels, and fails.
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.network.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        labels_lib.check_given(y, kwargs.get("sample_weight"))
        self._has_diverged = False
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        labels_lib.check_given(y, kwargs.get("sample_weight"))
        results = super().evaluate(x, y, *args, **kwargs)
        # Keras before 3.12 leaves tensors in them.
        return tf.nest.map_structure(float, results)

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        targets = self._targets(x, y)
        with tf.GradientTape() as tape:
            terms, weights, logits = self._forward(
                x, targets, sample_weight, training=True
            )
            loss = replicas.weighted_mean(terms["loss"], weights)
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.network.trainable_variables
        gradients = tape.gradient(
            scaled_loss,
            variables,
            # A head that is not in the loss must not stop the others.
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        gradients = replicas.whole_batch_gradients(gradients, self.optimizer)
        self.optimizer.apply_gradients(zip(gradients, variables))
        return self._update_logs(terms, weights, logits, targets["labels"])

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        targets = self._targets(x, y)
        terms, weights, logits = self._forward(
            x, targets, sample_weight, training=False
        )
        return self._update_logs(terms, weights, logits, targets["labels"])

    def get_metrics_result(self):
        results = {mean.name: mean.result() for mean in self._means}
        metrics = self.metrics_from_compile
        if metrics is not None and metrics.built:
            results.update(metrics.result())
        return results

    def logs_of_epoch(self, logs):
        # Keras's own takes the replicas' plain mean where a step logs less
        # than there are metrics; the metrics weigh the examples.
        results = self.get_metrics_result()
        # Once for each `fit`; the number is needed now in any case.
        self._has_diverged = self._has_diverged or divergence.warn(
            results["loss"], self.optimizer
        )
        return {name: results[name] for name in logs}

    def _forward(self, x, targets, sample_weight, *, training):
        with batch_norm.fused(self.network):
            logits = self.network(x, training=training)
        logits = tf.cast(logits, tf.float32)
        terms = self._terms(logits, targets)
        _add_common_terms(terms, logits, targets["labels"], self.network.losses)
        weights = labels_lib.example_weights(sample_weight, terms["loss"])
        return terms, weights, logits

    def _update_logs(self, terms, weights, logits, labels):
        logged = set(terms)
        for mean in self._means:
            if mean.name in terms:
                mean.update_state(terms[mean.name], weights)
        metrics = self.metrics_from_compile
        if labels is not None and metrics is not None:
            metrics.update_state(labels, logits, weights)
            logged |= set(metrics.result())
        results = self.get_metrics_result()
        return {name: results[name] for name in results if name in logged}


@keras.saving.register_keras_serializable(package="kd_keras")
class SupervisedTrainer(ExactTrainer):
    """Trains a network on labels by cross-entropy: teacher and baseline.

    Batches are `(x, labels)` or `(x, labels, sample_weight)`. Logs `loss`,
    `accuracy`, and with regularisation `regularization_loss`.

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
        labels = labels_lib.integer_labels(y)
        if labels is None:
            raise ValueError("training on labels needs them. Received: y=None")
        return {"labels": labels}

    def _terms(self, logits, targets):
        return {"loss": labels_lib.hard_loss(targets["labels"], logits)}


def _check_no_loss(options):
    given = {key for key, value in options.items() if value is not None}
    refused = given & {"loss", "loss_weights", "weighted_metrics"}
    if refused:
        raise ValueError(
            "compile takes an optimizer and metrics; the loss is built "
            f"in. Received: {', '.join(sorted(refused))}"
        )


def _add_common_terms(terms, logits, labels, penalties):
    """Adds the network's regularisation losses and the accuracy to terms."""
    if penalties:
        penalty = tf.add_n([tf.cast(loss, tf.float32) for loss in penalties])
        terms["regularization_loss"] = tf.fill(tf.shape(terms["loss"]), penalty)
        terms["loss"] += penalty
    if labels is not None:
        terms["accuracy"] = labels_lib.accuracy(labels, logits)
