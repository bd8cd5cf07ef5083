"""Training steps that give the same result on any number of replicas."""

import abc
import contextlib

import keras
import tensorflow as tf

from kd_keras.distillation import (
    activations,
    divergence,
    replicas,
    teacher_checks,
    worker_steps,
)
from kd_keras.distillation import labels as labels_lib
from kd_keras.models import activations as model_activations
from kd_keras.models import batch_norm, interface
from kd_keras.utils import keras_internals

_MORE_IS_BETTER = ("accuracy", "agreement")


class ExactTrainer(
    teacher_checks.ExplainedChecks,
    worker_steps.WorkerSteps,
    keras_internals.TrainingHooks,
    keras.Model,
):
    """Trains a network on the weighted mean of per-example terms.

    Under a `tf.distribute.MirroredStrategy` each replica computes its part
    of the mean over the whole batch. The update and the logs are the same as
    on one device, even if the replicas' parts of a batch are unequal. The
    same holds for the workers of a
    `tf.distribute.MultiWorkerMirroredStrategy`, which take distributed
    datasets; only the logs of a single step are then from the first replica
    of each worker.

    Calling, `predict` and saving are the network's.

    Args:
        network: Keras model, images -> logits.
        terms: names of all terms that `_terms` may return, for the logs.
        output: str or int, which output of the network has the logits; see
            `interface.logits_of`.
    """

    def __init__(self, network, *, terms, output=None, **kwargs):
        if not isinstance(network, keras.Model):
            raise ValueError(
                f"the network must be a Keras model. Received: {network!r}"
            )
        # With its policy, Keras scales the loss under mixed_float16.
        super().__init__(**{"dtype": network.dtype_policy, **kwargs})
        self.network = network
        self.built = network.built
        self._has_diverged = False
        self.output_choice = output
        model_activations.check_logits(network, role=self.choice["role"])
        self._means = [
            keras_internals.with_direction(
                keras.metrics.Mean(name), up=name in _MORE_IS_BETTER
            )
            for name in terms
        ]
        self._logged = tuple(terms)

    @property
    def activation(self):
        """The `Activation` that the network's logits are made for."""
        return activations.SOFTMAX

    @property
    def choice(self):
        """Arguments of `interface.logits_of` for the network: a dict."""
        return {"output": self.output_choice, "role": "network"}

    @property
    def num_classes(self):
        """The number of the network's logits, None if it is unknown."""
        return interface.num_classes(self.network, **self.choice)

    @property
    def input_shape(self):
        return interface.input_shape(self.network)

    @property
    def metrics(self):
        # Callbacks look for the direction of a metric in such lists alone.
        return [*super().metrics, keras_internals.as_list(self._means)]

    @property
    def metrics_names(self):
        """Names of the numbers that `evaluate` returned last, in order."""
        return list(self._logged)

    @property
    def own_variables(self):
        """The training's variables that are not the network's: list."""
        return []

    @property
    def trained_variables(self):
        """The variables that `fit` changes by gradients: list."""
        own = [x for x in self.own_variables if x.trainable]
        return [*self.network.trainable_variables, *own]

    @property
    def uses_logits(self):
        """Whether anything is computed from the network's logits."""
        return True

    @abc.abstractmethod
    def _targets(self, x, y):
        """Returns the targets of the logits: a dict.

        It has `labels`, integers `(batch,)` or None.
        """

    @abc.abstractmethod
    def _terms(self, logits, targets):
        """Returns `{name: float32 (batch,)}`: `loss` and terms to log.

        Args:
            logits: float32 `(batch, num_classes)`, or None.
            targets: dict that `_targets` returned, with `features` that
                `_call_network` returned, and `training`, a bool.
        """

    def _call_network(self, x, training):
        """Returns what the network returns, and a tuple of inner outputs."""
        return self.network(x, training=training), ()

    def check_update(self):
        """Raises a ValueError if an update would change frozen variables."""

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)

    def build(self, input_shape):
        if not self.network.built:
            self.network.build(input_shape)
        self.built = True

    def compile(self, optimizer="adam", metrics=None, **kwargs):
        """As `keras.Model.compile`, but the loss is built in.

        On several replicas, BatchNormalization layers of the network are set
        to `synchronized=True`.

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
        if metrics and not self.uses_logits:
            raise ValueError(
                "metrics must be None where no loss needs logits. Received: "
                f"{metrics!r}"
            )
        kwargs.setdefault("jit_compile", False)
        optimizer = keras.optimizers.get(optimizer)
        replicas.check_compile(
            self.distribute_strategy, optimizer, metrics, kwargs
        )
        if self.distribute_strategy.num_replicas_in_sync > 1:
            batch_norm.synchronize(self.network)
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)

    def compile_from_config(self, config):
        # Keras does not compile a loaded model whose `compile` is its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trained_variables)

    def renew_steps(self):
        """Compiles the steps again, with the attributes as they are now."""
        if getattr(self, "train_function", None) is not None:
            self.make_train_function(force=True)
        if getattr(self, "test_function", None) is not None:
            self.make_test_function(force=True)

    def export(self, *args, **kwargs):
        return self.network.export(*args, **kwargs)

    def save_weights(self, *args, **kwargs):
        """As `keras.Model.save_weights`; the network can load the file."""
        with self._optimizer_lent():
            self.network.save_weights(*args, **kwargs)

    def load_weights(self, *args, **kwargs):
        """As `keras.Model.load_weights`; the network's files fit, too."""
        with self._optimizer_lent():
            self.network.load_weights(*args, **kwargs)

    @contextlib.contextmanager
    def _optimizer_lent(self):
        """Context in which the optimizer's state is in the network's files.

        Not with trained variables of its own: the files are the network's.
        """
        if any(x.trainable for x in self.own_variables):
            yield
            return
        own = getattr(self.network, "optimizer", None)
        self.network.optimizer = self.optimizer
        try:
            yield
        finally:
            self.network.optimizer = own

    def build_under_strategy(self):
        # Keras's own runs the metrics on batches without labels, and fails.
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trained_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        self._check_given(x, y, kwargs)
        worker_steps.check_data(self.distribute_strategy, x)
        validation = kwargs.get("validation_data")
        if validation is not None:
            worker_steps.check_data(self.distribute_strategy, validation)
        self._has_diverged = False
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        self._check_given(x, y, kwargs)
        worker_steps.check_data(self.distribute_strategy, x)
        results = super().evaluate(x, y, *args, **kwargs)
        # Keras before 3.12 leaves tensors in them.
        return tf.nest.map_structure(float, results)

    def _check_given(self, x, y, options):
        labels_lib.check_given(
            x, y, options.get("sample_weight"), options.get("class_weight")
        )

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        targets = self._targets(x, y)
        with tf.GradientTape() as tape:
            terms, weights, logits = self._forward(
                x, targets, sample_weight, training=True
            )
            loss = replicas.weighted_mean(terms["loss"], weights)
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.trained_variables
        if not self.network.trainable_variables:
            raise ValueError(
                "a network that is trained must have trainable weights. "
                f"Received: {self.network.name} without; set trainable = True"
            )
        self.check_update()
        gradients = [
            # A head that is not in the loss must not stop the others.
            tf.zeros_like(variable.value) if gradient is None else gradient
            for variable, gradient in zip(
                variables, tape.gradient(scaled_loss, variables)
            )
        ]
        gradients, whole_loss = replicas.whole_batch(
            gradients, loss, self.optimizer
        )
        self.optimizer.apply_gradients(zip(gradients, variables))
        logs = self._update_logs(terms, weights, logits, targets["labels"])
        # Several workers log their own means, and must stop at the same step.
        is_finite = tf.math.is_finite(whole_loss)
        whole_loss = tf.cast(whole_loss, logs["loss"].dtype)
        logs["loss"] = tf.where(is_finite, logs["loss"], whole_loss)
        return logs

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
        self._logged = tuple(name for name in results if name in logs)
        return {name: results[name] for name in self._logged}

    def list_of_logs(self, logs):
        # Keras may have sorted them.
        results = self.get_metrics_result()
        self._logged = tuple(name for name in results if name in logs)
        return [logs[name] for name in self._logged]

    def _forward(self, x, targets, sample_weight, *, training):
        with batch_norm.fused(self.network):
            outputs, features = self._call_network(x, training)
        logits = self._logits_of(outputs) if self.uses_logits else None
        terms = self._terms(
            logits, {**targets, "features": features, "training": training}
        )
        _add_penalties(terms, self.network.losses)
        if logits is not None and targets["labels"] is not None:
            terms["accuracy"] = self.activation.accuracy(
                targets["labels"], logits
            )
        weights = labels_lib.example_weights(sample_weight, terms["loss"])
        return terms, weights, logits

    def _logits_of(self, outputs):
        logits = interface.logits_of(self.network, outputs, **self.choice)
        logits = tf.cast(logits, tf.float32)
        self.activation.check_count(logits.shape[-1])
        if model_activations.of_model(self.network) is None:
            logits = teacher_checks.checked_student(logits)
        return logits

    def _update_logs(self, terms, weights, logits, labels):
        logged = set(terms)
        for mean in self._means:
            if mean.name in terms:
                mean.update_state(terms[mean.name], weights)
        metrics = self.metrics_from_compile
        if None not in (metrics, labels) and logits is not None:
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
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "network": keras.saving.serialize_keras_object(self.network),
        }

    @classmethod
    def from_config(cls, config):
        network = keras.saving.deserialize_keras_object(config.pop("network"))
        return cls(network, **config)

    def _targets(self, x, y):
        labels_lib.check_columns(y, self.num_classes)
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


def _add_penalties(terms, penalties):
    """Adds the network's regularisation losses to terms."""
    if penalties:
        penalty = tf.add_n([tf.cast(loss, tf.float32) for loss in penalties])
        terms["regularization_loss"] = tf.fill(tf.shape(terms["loss"]), penalty)
        terms["loss"] += penalty
