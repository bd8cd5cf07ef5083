"""The stages: teacher on labels, student from it, baseline on labels."""

import contextlib
import functools
import logging
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from kd_keras import (
    callbacks,
    distiller,
    export,
    losses,
    metrics,
    models,
    optimizers,
    rundir,
    teachers,
    trainer,
)
from kd_keras import (
    config as config_lib,
)
from kd_keras.data import datasets, pipeline, sources, views

_log = logging.getLogger(__name__)

_SAMPLE_VIEWS = 8


def run(
    config,
    *,
    stages,
    workdir,
    savedmodels,
    restart=False,
    dataset=None,
    command="",
):
    """Runs stages one after the other; skips those that are finished.

    Everything that can be refused is refused before anything is written.

    Args:
        config: `ConfigDict`; see `kd_keras.config`.
        stages: list of `teacher`, `student`, `baseline`, in this order.
        workdir: path; a stage works in `<workdir>/<stage>/`.
        savedmodels: path; exports go to `<savedmodels>/<name>_<stage>/`.
        restart: bool; True removes what the stages have left before.
        dataset: `datasets.Dataset`, or None to load `config.data`.
        command: str, for the record.

    Returns:
        List of reports, a dict for each stage, as in `report.json`.

    Raises:
        ValueError: if something about the configuration, the data, the
            teacher or the work directory cannot be; or at a NaN loss.
    """
    config = config.copy_and_resolve_references()
    config_lib.validate(config)
    config.precision = resolve_precision(config.precision)
    strategy = make_strategy(config.devices)
    # Also on GPUs the same command twice gives the same bits.
    tf.config.experimental.enable_op_determinism()
    if dataset is None:
        dataset = sources.load_dataset(config.data)
    train, validation = _split(dataset, config)
    _log.info(
        "data: %s from %s: %d training, %d validation, %d test examples of %s",
        dataset.name,
        dataset.source,
        len(train),
        len(validation) if validation else 0,
        len(dataset.test) if dataset.test else 0,
        " x ".join(map(str, train.image_shape)),
    )
    _check_data(train, config, stages)
    reports = []
    for stage in stages:
        stage_run = _Stage(
            stage=stage,
            config=config,
            strategy=strategy,
            dataset=dataset,
            train=train,
            validation=validation,
            run_dir=rundir.RunDir(pathlib.Path(workdir) / stage, stage),
            savedmodels=pathlib.Path(savedmodels),
            command=command,
        )
        reports.append(stage_run.run(restart=restart))
    return reports


def resolve_precision(precision):
    """`auto` becomes bfloat16 where the processor is faster in it.

    Training airbench 64/128/128 in bfloat16 takes 0.6 of the time of float32
    on an AMD EPYC with AVX512-BF16, 1.1 of it on an Intel Xeon with the same.
    """
    if precision != "auto":
        return precision
    if tf.config.list_physical_devices("GPU"):
        return "float32"
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    fast = "amx_bf16" in flags or (
        "avx512_bf16" in flags and "AuthenticAMD" in flags
    )
    return "mixed_bfloat16" if fast else "float32"


@functools.cache
def make_strategy(devices):
    """A `MirroredStrategy` over several devices, else the default one.

    One for each process: TensorFlow mixes the collectives of two up.

    Args:
        devices: `auto` (all GPUs), or a number of logical CPU devices.

    Raises:
        ValueError: if TensorFlow has started with other logical devices.
    """
    if devices == "auto":
        gpus = tf.config.list_logical_devices("GPU")
        if len(gpus) < 2:
            return tf.distribute.get_strategy()
        return tf.distribute.MirroredStrategy()
    count = int(devices)
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != count:
            raise ValueError(
                "devices must be set before TensorFlow starts. Received: "
                f"devices={count}, running with "
                f"{len(tf.config.list_logical_devices('CPU'))}"
            ) from error
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


def _split(dataset, config):
    train, validation = dataset.train, None
    if train.labelled:
        train, validation = datasets.split_off(
            train, config.data.validation_examples
        )
    if 0 < config.data.max_train_examples < len(train):
        _, train = datasets.split_off(train, config.data.max_train_examples)
    return train, validation


def _check_data(train, config, stages):
    for stage in stages:
        if not train.labelled and (
            stage != "student" or config.distill.hard_loss_weight
        ):
            raise ValueError(
                f"the {stage} stage "
                + ("with distill.hard_loss_weight " * (stage == "student"))
                + "needs labels: pictures in one subfolder a class. "
                "Received: a flat folder"
            )
        role = _role(stage)
        if config[role].batch_size > len(train):
            raise ValueError(
                f"{role}.batch_size must be at most the number of training "
                f"examples. Received: {config[role].batch_size} of "
                f"{len(train)}"
            )


def _role(stage):
    """The section of the configuration that has the stage's network."""
    return "teacher" if stage == "teacher" else "student"


class _Stage:
    """One stage of a run; the stages differ only where they differ."""

    def __init__(self, *, stage, config, **context):
        self.stage = stage
        self.config = config
        self.fields = config[_role(stage)]
        self.model_name = f"{config.name}_{stage}"
        owner = config.teacher if stage == "teacher" else config.data
        self.view_spec = views.ViewSpec(**owner.augment)
        vars(self).update(context)

    def run(self, *, restart):
        teacher, inputs = self._load_teacher()
        num_classes = self.train.num_classes or teacher.num_classes
        if not restart:
            self.run_dir.check(self.config, **inputs)
            report = self.run_dir.report()
            if report is not None:
                _log.info(
                    "%s: finished before, in %s", self.stage, self.run_dir.path
                )
                self._export_if_missing(report)
                return report

        keras.utils.set_random_seed(self.config.seed)
        steps = pipeline.steps_per_epoch(
            len(self.train), self.fields.batch_size
        )
        with self.strategy.scope(), _precision(self.config.precision):
            network = self._build(num_classes)
            optimizer = optimizers.make_optimizer(
                self.config[self.stage].optimizer,
                steps_per_epoch=steps,
                epochs=self.fields.epochs,
            )
            model = self._trainer(network, teacher)
            model.compile(optimizer)
            # Compiling may have wrapped it, for the loss scale of float16.
            model.optimizer.build(network.trainable_variables)
        macs = models.count_macs(network)
        _log.info(
            "%s: %s, %s parameters, %s multiply-accumulates, %d epochs of %d "
            "steps, batch %d, %s, %d x %s",
            self.stage,
            self.fields.model,
            f"{network.count_params():,}",
            f"{macs:,}",
            self.fields.epochs,
            steps,
            self.fields.batch_size,
            self.config.precision,
            self.strategy.num_replicas_in_sync,
            tf.config.list_logical_devices()[-1].device_type,
        )
        if restart:
            self.run_dir.remove()
        self.run_dir.start(self.config, command=self.command, **inputs)
        self._fit(model, network, teacher, steps)
        return self._finish(network, teacher, num_classes, macs)

    def _load_teacher(self):
        if self.stage != "student":
            return None, {}
        path = self.config.teacher.path or (
            self.savedmodels / f"{self.config.name}_teacher"
        )
        if not pathlib.Path(path).exists():
            raise ValueError(
                "the student stage needs a teacher: run --stage=teacher "
                "first, or set --config.teacher.path to a SavedModel or "
                f".keras file. Received: {path}, which does not exist"
            )
        teacher = teachers.load_teacher(
            path, outputs=self.config.teacher.outputs
        )
        fingerprint = teacher.fingerprint()
        _log.info("teacher: %s, weights %s", path, fingerprint[:12])
        _check_teacher(teacher, self.train)
        return teacher, {"teacher.fingerprint": fingerprint}

    def _build(self, num_classes):
        return models.build_model(
            self.fields.model,
            image_shape=self.train.image_shape,
            num_classes=num_classes,
            images=self.train.sample(models.STATISTICS_EXAMPLES),
            widths=self.fields.widths,
        )

    def _trainer(self, network, teacher):
        if self.stage != "student":
            return trainer.SupervisedTrainer(network)
        return distiller.Distiller(
            network,
            teacher,
            temperature=self.config.distill.temperature,
            hard_loss_weight=self.config.distill.hard_loss_weight,
        )

    def _fit(self, model, network, teacher, steps):
        checkpoints = rundir.Checkpoints(
            self.run_dir.checkpoints_dir, network, model.optimizer
        )
        first_epoch = checkpoints.restore()
        if first_epoch:
            _log.info(
                "%s: goes on after epoch %d of %d, from %s",
                self.stage,
                first_epoch,
                self.fields.epochs,
                self.run_dir.checkpoints_dir,
            )
        if first_epoch == self.fields.epochs:
            return
        # The student's training has labels only where it was told to.
        labels = self.stage != "student" or bool(
            self.config.distill.hard_loss_weight
        )
        batches = pipeline.training_batches(
            self.train,
            batch_size=self.fields.batch_size,
            seed=self.config.seed,
            epochs=self.fields.epochs,
            first_epoch=first_epoch,
            spec=self.view_spec,
            labels=labels,
        )
        model.fit(
            batches,
            epochs=self.fields.epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=_verbosity(),
            validation_data=self.validation
            and pipeline.evaluation_batches(self.validation),
            callbacks=[
                callbacks.StopOnNaN(
                    steps_per_epoch=steps,
                    checkpoints_dir=self.run_dir.checkpoints_dir,
                ),
                callbacks.MetricsLog(
                    self.run_dir,
                    num_examples=len(self.train),
                    first_epoch=first_epoch,
                ),
                keras.callbacks.TensorBoard(
                    str(self.run_dir.tensorboard_dir), write_graph=False
                ),
                self._sample_views(network, teacher),
                # Last: the record of an epoch is there before its state.
                callbacks.SaveCheckpoint(checkpoints),
            ],
        )

    def _sample_views(self, network, teacher):
        temperature = (
            self.config.distill.temperature if self.stage == "student" else 1.0
        )
        ids, images = next(
            iter(self.train.batches(_SAMPLE_VIEWS, labels=False))
        )[:2]

        def make_views(epoch):
            return views.make_views(
                images, ids, view=epoch, spec=self.view_spec
            )

        def softened(logits):
            return lambda pictures: losses.soften(
                logits=logits(pictures), temperature=temperature
            )

        predict = softened(lambda x: network(x, training=False))
        if self.stage == "student":
            predictors = {"teacher": softened(teacher), "student": predict}
        else:
            predictors = {_role(self.stage): predict}
        return callbacks.SampleViews(
            self.run_dir.tensorboard_dir / "views", make_views, predictors
        )

    def _finish(self, network, teacher, num_classes, macs):
        # What is shipped computes in float32, which is fast and exact on
        # every machine; the variables have always been.
        with _precision("float32"):
            final = self._build(num_classes)
        final.set_weights(network.get_weights())
        epochs = self.run_dir.metrics()
        report = {
            "stage": self.stage,
            "parameters": network.count_params(),
            "macs": macs,
            **evaluate(final, teacher, self.dataset.test),
            "seconds": round(sum(epoch["seconds"] for epoch in epochs), 1),
            "epochs": self.fields.epochs,
        }
        rundir.save_keras(final, self.run_dir.model_path)
        self._export(final, report)
        # Last of all: with it, the stage is finished.
        rundir.write_json(self.run_dir.report_path, report)
        _log.info("%s: %s", self.stage, self.run_dir.report_path)
        return report

    def _export(self, model, report):
        path = self.savedmodels / self.model_name
        export.export_saved_model(model, path)
        card = export.model_card(
            name=self.model_name,
            stage=self.stage,
            config=self.config,
            dataset=self.dataset,
            train=self.train,
            report=report,
            **self.run_dir.origin(),
        )
        rundir.write_text(path / "model_card.md", card)
        _log.info("%s: exported to %s", self.stage, path)

    def _export_if_missing(self, report):
        if not (self.savedmodels / self.model_name).exists():
            model = keras.models.load_model(
                self.run_dir.model_path, compile=False
            )
            self._export(model, report)


def evaluate(network, teacher, test):
    """Measures a network on a test set, in one pass over it.

    Args:
        network: Keras model, images -> logits.
        teacher: function of the same, or None.
        test: `Examples` or `StreamedExamples` with labels, or None.

    Returns:
        Dict of `test_examples`, `test_errors`, `test_accuracy`, `test_nll`,
        and with a teacher its `agreement`; None where there is no test set.
    """
    results = {
        "test_examples": 0,
        "test_errors": None,
        "test_accuracy": None,
        "test_nll": None,
    }
    if teacher is not None:
        results["agreement"] = None
    if test is None:
        return results

    @tf.function(reduce_retracing=True)
    def predict(images):
        logits = [network(images, training=False)]
        return [*logits, *([teacher(images)] if teacher is not None else [])]

    batches = pipeline.evaluation_batches(test)
    progress = keras.utils.Progbar(
        len(test), verbose=_verbosity(), unit_name="test example"
    )
    collected = []
    for images, labels in batches:
        collected.append([labels, *predict(images)])
        progress.add(len(labels))
    labels, logits, *teacher_logits = (
        np.concatenate(part) for part in zip(*collected)
    )
    errors = metrics.errors(logits=logits, labels=labels)
    results.update(
        test_examples=len(labels),
        test_errors=errors,
        test_accuracy=1 - errors / len(labels),
        test_nll=metrics.negative_log_likelihood(logits=logits, labels=labels),
    )
    if teacher_logits:
        results["agreement"] = metrics.agreement(
            teacher_logits=teacher_logits[0], student_logits=logits
        )
    return results


def _check_teacher(teacher, train):
    wanted = teacher.image_shape
    if len(wanted) == 3 and any(
        a is not None and a != b for a, b in zip(wanted, train.image_shape)
    ):
        raise ValueError(
            "teacher and data must have the same image size. Received: "
            f"teacher {wanted}, data {tuple(train.image_shape)} "
            "(data.image_size resizes)"
        )
    if train.num_classes is None and teacher.num_classes is None:
        raise ValueError(
            "the number of classes must be known from labels or from the "
            f"teacher's output shape. Received: neither, {teacher.path}"
        )
    if (
        train.num_classes
        and teacher.num_classes
        and train.num_classes != teacher.num_classes
    ):
        raise ValueError(
            "teacher and data must have the same number of classes. Received: "
            f"teacher {teacher.num_classes}, data {train.num_classes}"
        )


@contextlib.contextmanager
def _precision(name):
    """The dtype policy of what is built inside."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def _verbosity():
    # A bar where somebody looks, a line an epoch in a log file.
    return 1 if sys.stdout.isatty() else 2
