"""The stages: teacher on labels, student from it, baseline on labels.

And `specialist`: specialists that start from the teacher, and what they say
together with it.
"""

import contextlib
import functools
import logging
import pathlib
import shutil
import sys

import keras
import numpy as np
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras import store
from kd_keras.data import augmentation as views
from kd_keras.data import datasets, pipeline, sources, splits
from kd_keras.deployment import saved_model as exports
from kd_keras.distillation import distiller, losses, specialists, trainer
from kd_keras.evaluation import metrics
from kd_keras.models import build, macs, optimizers
from kd_keras.teachers import ensemble, loading
from kd_keras.training import callbacks, run_directory
from kd_keras.utils import files

_log = logging.getLogger(__name__)

_SAMPLE_VIEWS = 8
# Pictures that a network predicts at once, outside of training.
_PREDICTED_TOGETHER = 500
# Pictures on which a network with the generalist's weights must agree with
# it, and the largest difference of a logit that is rounding.
_COMPARED_PICTURES = 64
_SAME_LOGITS = 1e-2


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
        stages: list of `teacher`, `student`, `baseline`, in this order, or
            of `specialist`.
        workdir: path; a stage works in `<workdir>/<stage>/`.
        savedmodels: path; exports go to `<savedmodels>/<name>_<stage>/`.
        restart: bool; True removes what the stages have left before.
        dataset: `datasets.Dataset`, or None to load `config.data`.
        command: str, for the record.

    Returns:
        List of reports, a dict for each stage, as in `report.json`. That of
        `specialist` is of all together, unless `config.specialist.only` asks
        for one.

    Raises:
        ValueError: if something about the configuration, the data, the
            teacher or the work directory cannot be; or at a NaN loss.
    """
    config, strategy, dataset, parts = _prepare(config, dataset)
    students = transfer_parts(parts, config)
    parts = {
        stage: students if stage in ("student", "baseline") else parts
        for stage in stages
    }
    for stage in stages:
        _check_data(parts[stage]["train"], config, stage)
    reports = []
    for stage in stages:
        kind = _Specialists if stage == config_lib.SPECIALIST else _Stage
        stage_run = kind(
            stage=stage,
            config=config,
            strategy=strategy,
            dataset=dataset,
            parts=parts[stage],
            workdir=pathlib.Path(workdir),
            savedmodels=pathlib.Path(savedmodels),
            command=command,
        )
        reports.append(stage_run.run(restart=restart))
    return reports


def label(config, *, workdir, savedmodels, dataset=None, shard=0, num_shards=1):
    """Stores the teacher's logits in `<workdir>/store`, or goes on with it.

    Args:
        config, workdir, savedmodels, dataset: as `run`.
        shard: int, which of several processes this is, from 0.
        num_shards: int, how many there are.

    Returns:
        `(path, finished)`: where the store is, and whether all its files are
        there: not if other processes have theirs to do.

    Raises:
        ValueError: as `run`, or if the directory holds another store.
    """
    if not 0 <= shard < num_shards:
        raise ValueError(
            "--shard must be >= 0 and < --num_shards. Received: "
            f"{shard} of {num_shards}"
        )
    config, _, _, parts = _prepare(config, dataset)
    parts = transfer_parts(parts, config)
    pipeline.check_mixing(parts["train"], _view_spec(config, "student"))
    path = pathlib.Path(workdir) / "store"
    teacher = teacher_files(config, savedmodels)
    finished = _label(
        config, path, parts, teacher, shard=shard, num_shards=num_shards
    )
    return path, finished


def _label(config, path, parts, teacher_files, **options):
    manifest = _plan_store(config, parts, teacher_files)
    if store.is_finished(path, manifest):
        _log.info("store: finished before, in %s", path)
        return True
    teacher = _load(teacher_files, parts["train"])
    return store.label(
        path, manifest, parts, teacher, verbose=_verbosity(), **options
    )


def _plan_store(config, parts, teacher_files):
    fields = config.store
    num_classes = parts["train"].num_classes
    return store.plan(
        parts,
        teacher=teacher_files.record,
        num_classes=num_classes or teacher_files.teacher.num_classes,
        spec=_view_spec(config, "student"),
        views_count=fields.views,
        dtype=fields.dtype,
        top_k=fields.top_k,
        shard_views=fields.shard_views,
    )


def teacher_files(config, savedmodels):
    """The files of the student's teacher, as `ensemble.TeacherFiles`.

    Raises:
        ValueError: if one of them is not there; says what to run.
    """
    fields = config.teacher
    paths = [part.strip() for part in fields.path.split(",") if part.strip()]
    paths = paths or [_default_teacher(config, savedmodels)]
    for path in paths:
        if not pathlib.Path(path).exists():
            raise ValueError(
                "students and specialists need a teacher: run "
                "--stage=teacher first, or set --config.teacher.path to a "
                f"SavedModel or .keras file. Received: {path}, which does "
                "not exist"
            )
    return ensemble.TeacherFiles(
        paths,
        outputs=fields.outputs,
        weights=fields.weights,
        mean=fields.mean,
    )


def _default_teacher(config, savedmodels):
    return pathlib.Path(savedmodels) / f"{config.name}_teacher"


def _load(teacher_files, train):
    teacher = teacher_files.teacher
    _log.info(
        "teacher: %s, weights %s",
        ", ".join(teacher_files.paths),
        teacher_files.record["fingerprint"][:12],
    )
    _check_teacher(teacher, train)
    return teacher


def _prepare(config, dataset):
    """What all stages and labelling begin with."""
    config = config.copy_and_resolve_references()
    config_lib.validate(config)
    config.precision = resolve_precision(config.precision)
    strategy = make_strategy(config.devices)
    # Also on GPUs the same command twice gives the same bits.
    tf.config.experimental.enable_op_determinism()
    if dataset is None:
        dataset = sources.load_dataset(config.data)
    parts = splits.split(
        dataset,
        validation_examples=config.data.validation_examples,
        max_train_examples=config.data.max_train_examples,
    )
    _log.info(
        "data: %s from %s: %s examples of %s",
        dataset.name,
        dataset.source,
        ", ".join(f"{len(part)} {name}" for name, part in parts.items()),
        " x ".join(map(str, dataset.train.image_shape)),
    )
    return config, strategy, dataset, parts


def resolve_precision(precision):
    """`auto` becomes bfloat16 where the processor is faster in it.

    AVX512-BF16 alone does not tell: it pays on AMD's processors, not on
    Intel's (`examples_per_second` in `metrics.jsonl` shows which is faster).
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


def transfer_parts(parts, config):
    """The same, with what student and baseline train on as `train`."""
    train = splits.transfer_set(parts["train"], **config.transfer)
    if train is not parts["train"]:
        _log.info("transfer set: %s of the train examples", len(train))
    return {**parts, "train": train}


def _view_spec(config, stage):
    if _role(stage) == "teacher":
        return views.ViewSpec(**config.teacher.augment)
    if stage == "baseline":
        return views.ViewSpec(**config.data.augment)
    return views.ViewSpec(
        **config.data.augment,
        mixup=config.data.mixup,
        cutmix=config.data.cutmix,
    )


def _check_data(train, config, stage):
    if not train.labelled and (
        stage != "student" or config_lib.uses_labels(config)
    ):
        raise ValueError(
            f"the {stage} stage "
            + ("with distill.hard_loss_weight " * (stage == "student"))
            + "needs labels: pictures in one subfolder a class. "
            "Received: a flat folder"
        )
    pipeline.check_mixing(train, _view_spec(config, stage))
    if stage != config_lib.SPECIALIST:
        _check_batch_size(config, _role(stage), len(train))
    elif not hasattr(train, "at"):
        raise ValueError(
            "the specialist stage needs a set in memory, to choose examples "
            "by their labels: raise data.memory_limit_mb. Received: a "
            "streamed set"
        )


def _check_batch_size(config, section, count):
    if config[section].batch_size > count:
        raise ValueError(
            f"{section}.batch_size must be at most the number of training "
            f"examples. Received: {config[section].batch_size} of {count}"
        )


def _role(stage):
    """The section of the configuration that has the stage's network."""
    if stage in ("teacher", config_lib.SPECIALIST):
        return "teacher"
    return "student"


class _Stage:
    """One stage of a run; the stages differ only where they differ."""

    def __init__(self, *, stage, config, parts, workdir, **context):
        self.stage = stage
        self.config = config
        self.network_fields = config[_role(stage)]
        specialist = stage == config_lib.SPECIALIST
        self.fields = config[stage if specialist else _role(stage)]
        self.model_name = f"{config.name}_{stage}"
        self.view_spec = _view_spec(config, stage)
        self.parts = parts
        self.train = parts["train"]
        self.workdir = workdir
        self.run_dir = run_directory.RunDir(workdir / stage, stage)
        # Of the student's stage: a teacher that runs in every step, or a
        # store of what it says, which may be planned only yet.
        self.teacher = self.teacher_files = None
        self.store = self.store_plan = None
        vars(self).update(context)

    def run(self, *, restart):
        inputs = self._inputs()
        report = None if restart else self._finished_before(inputs)
        if report is not None:
            return report
        self._check_paths(restart)

        num_classes = self.train.num_classes
        if self.store_plan:
            num_classes = self.store_plan["num_classes"]
        elif self.stage == "student":
            self.teacher = _load(self.teacher_files, self.train)
            num_classes = self.teacher.num_classes
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
            model = self._trainer(network, steps)
            model.compile(optimizer)
            # Compiling may have wrapped it, for the loss scale of float16.
            model.optimizer.build(network.trainable_variables)
        num_macs = macs.count_macs(network)
        _log.info(
            "%s: %s, %s parameters, %s multiply-accumulates, %d epochs of %d "
            "steps, batch %d, %s, %d x %s",
            self.stage,
            self.network_fields.model,
            f"{network.count_params():,}",
            f"{num_macs:,}",
            self.fields.epochs,
            steps,
            self.fields.batch_size,
            self.config.precision,
            self.strategy.num_replicas_in_sync,
            tf.config.list_logical_devices()[-1].device_type,
        )
        if self.store_plan and self.store is None:
            path = self.workdir / "store"
            _label(self.config, path, self.parts, self.teacher_files)
            self._open_store(path)
        if restart:
            self.run_dir.remove()
        self.run_dir.start(self.config, command=self.command, **inputs)
        self._fit(model, network, steps)
        return self._finish(network, num_classes, num_macs)

    def _check_paths(self, restart):
        """Refuses to write over files of others, before any work is done."""
        if restart:
            self.run_dir.check_removable()
        files.check_directory(
            self.savedmodels / self.model_name,
            remedy="take another --savedmodels or --config.name, or remove it",
        )

    def _finished_before(self, inputs):
        """The report of a finished run of the same, or None."""
        self.run_dir.check(self.config, **inputs)
        report = self.run_dir.report()
        if report is not None:
            _log.info(
                "%s: finished before, in %s", self.stage, self.run_dir.path
            )
            self._export_if_missing(report)
        return report

    def _inputs(self):
        """What the result depends on besides the configuration."""
        if self.stage != "student":
            return {}
        path = self.config.store.path
        # A finished store stands for the teacher, which need not be here.
        if path in ("", "auto") or self._teacher_is_here():
            self.teacher_files = teacher_files(self.config, self.savedmodels)
        if not path:
            record = self.teacher_files.record
            return {f"teacher.{key}": record[key] for key in record}
        if path == "auto":
            self.store_plan = _plan_store(
                self.config, self.parts, self.teacher_files
            )
        else:
            self._open_store(path)
            self.store_plan = self.store.manifest
        fields = store.comparable(self.store_plan)
        return {f"store.{key}": value for key, value in fields.items()}

    def _teacher_is_here(self):
        default = _default_teacher(self.config, self.savedmodels)
        return bool(self.config.teacher.path) or default.exists()

    def _open_store(self, path):
        self.store = store.LogitStore.open(path)
        expected = {
            "spec": vars(self.view_spec),
            "num_classes": self.train.num_classes or self.store.num_classes,
            "parts": store.describe(self.parts),
        }
        if self.teacher_files is not None:
            expected["teacher"] = self.teacher_files.record
        self.store.check(**expected)
        _log.info(
            "store: %s, %d views, teacher %s",
            path,
            self.store.views,
            self.store.manifest["teacher"]["fingerprint"][:12],
        )

    def _build(self, num_classes):
        return build.build_model(
            self.network_fields.model,
            image_shape=self.train.image_shape,
            num_classes=num_classes,
            images=self.train.sample(build.STATISTICS_EXAMPLES),
            widths=self.network_fields.widths,
            dropout=self.network_fields.dropout,
            max_norm=self.network_fields.max_norm,
        )

    def _trainer(self, network, steps):
        if self.stage != "student":
            return trainer.SupervisedTrainer(network)
        fields = self.config.distill
        options = dict(fields.get(fields.loss, {}))
        if fields.standardize:
            options["standardize"] = True

        def schedule(start, end):
            return keras.optimizers.schedules.PolynomialDecay(
                start, steps * self.fields.epochs, end
            )

        temperature, weight = fields.temperature, fields.hard_loss_weight
        if fields.final_temperature:
            temperature = schedule(temperature, fields.final_temperature)
        if fields.final_hard_loss_weight >= 0:
            weight = schedule(weight, fields.final_hard_loss_weight)
        return distiller.Distiller(
            network,
            self.teacher,
            temperature=temperature,
            hard_loss_weight=weight,
            soft_loss=fields.loss,
            soft_loss_options=options,
        )

    def _fit(self, model, network, steps):
        checkpoints = run_directory.Checkpoints(
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
        labels = self.stage != "student" or config_lib.uses_labels(self.config)
        batches = pipeline.training_batches(
            self.train,
            batch_size=self.fields.batch_size,
            seed=self.config.seed,
            epochs=self.fields.epochs,
            first_epoch=first_epoch,
            spec=self.view_spec,
            labels=labels,
            store=self.store,
        )
        model.fit(
            batches,
            epochs=self.fields.epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=_verbosity(),
            validation_data=self._validation_batches(),
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
                self._sample_views(network),
                # Last: the record of an epoch is there before its state.
                callbacks.SaveCheckpoint(checkpoints),
            ],
        )

    def _validation_batches(self):
        if "validation" not in self.parts:
            return None
        examples = self.parts["validation"]
        logits = None
        if self.stage == "student" and self.store is None:
            # They are the same pictures after every epoch: it is asked once.
            logits = logits_of(self.teacher, examples)
        return pipeline.evaluation_batches(
            examples,
            store=self.store,
            part="validation",
            teacher_logits=logits,
        )

    def _sample_views(self, network):
        temperature = (
            self.config.distill.temperature if self.stage == "student" else 1.0
        )
        ids, images = next(
            iter(self.train.batches(_SAMPLE_VIEWS, labels=False))
        )

        def view_of(epoch):
            return epoch if self.store is None else epoch % self.store.views

        def make_views(epoch):
            return pipeline.make_views(
                self.train,
                images,
                ids,
                view=view_of(epoch),
                spec=self.view_spec,
            )

        def softened(logits):
            return losses.soften(logits=logits, temperature=temperature)

        def predict(pictures, epoch):
            return softened(network(pictures, training=False))

        def ask_teacher(pictures, epoch):
            if self.store is None:
                return softened(self.teacher(pictures))
            return softened(self.store.logits(ids, view_of(epoch)))

        predictors = {_role(self.stage): predict}
        if self.stage == "student":
            predictors = {"teacher": ask_teacher, "student": predict}
        return callbacks.SampleViews(
            self.run_dir.tensorboard_dir / "views", make_views, predictors
        )

    def _finish(self, network, num_classes, num_macs):
        # What is shipped computes in float32, which is fast and exact on
        # every machine; the variables have always been.
        with _precision("float32"):
            final = self._build(num_classes)
        final.set_weights(network.get_weights())
        epochs = self.run_dir.metrics()
        report = {
            "stage": self.stage,
            "parameters": network.count_params(),
            "macs": num_macs,
            **evaluate(
                final, self.teacher, self.parts.get("test"), store=self.store
            ),
            "seconds": round(sum(epoch["seconds"] for epoch in epochs), 1),
            "epochs": self.fields.epochs,
            **self._details(),
        }
        self._conclude(final, report)
        return report

    def _details(self):
        """What the report of this stage has besides."""
        return {}

    def _conclude(self, final, report):
        """Leaves a finished stage's files."""
        run_directory.save_keras(final, self.run_dir.model_path)
        self._export(final, report)
        # Last of all: with it, the stage is finished.
        files.write_json(self.run_dir.report_path, report)
        _log.info("%s: %s", self.stage, self.run_dir.report_path)

    def _export(self, model, report):
        path = self.savedmodels / self.model_name
        origin = self.run_dir.origin()
        card = exports.model_card(
            name=self.model_name,
            stage=self.stage,
            config=self.config,
            dataset=self.dataset,
            train=self.train,
            report=report,
            command=origin["command"],
            versions=origin["versions"],
        )
        with files.replacing_directory(path) as new:
            exports.write_saved_model(model, new)
            (new / "model_card.md").write_text(card)
            # The record goes along, so that it is told where the runs are not.
            files.write_json(new / self.run_dir.report_path.name, report)
            for record in (self.run_dir.config_path, self.run_dir.metrics_path):
                # What combines specialists has not been trained itself.
                if record.exists():
                    shutil.copyfile(record, new / record.name)
        _log.info("%s: exported to %s", self.stage, path)

    def _export_if_missing(self, report):
        if not (self.savedmodels / self.model_name).exists():
            model = keras.models.load_model(
                self.run_dir.model_path, compile=False
            )
            self._export(model, report)


class _Specialist(_Stage):
    """The training of one specialist.

    Args:
        index: int, which one.
        classes: list of int, its set.
        record: dict, which generalist it starts from.
        teacher: the generalist, for its soft targets.
        initial_weights: list of arrays, the generalist's.
        **context: as for any stage.
    """

    def __init__(self, *, index, classes, config, workdir, **context):
        super().__init__(
            stage=config_lib.SPECIALIST,
            config=config,
            workdir=workdir,
            **context,
        )
        self.classes = classes
        self.model_name = f"{config.name}_specialist_{index}"
        self.run_dir = run_directory.RunDir(
            workdir / self.stage / str(index), self.stage
        )
        whole, share = self.train, self.fields.special_share
        self.train = datasets.EnrichedExamples(whole, classes, share=share)
        _check_batch_size(config, self.stage, len(self.train))
        self.prior = float(np.mean(np.isin(whole.labels, classes)))
        self.log_oversampling = specialists.log_oversampling(
            share=share, prior=self.prior
        )

    def run(self, *, restart):
        name, classes = self.model_name, self.classes
        _log.info("%s: %s, of classes %s", self.stage, name, classes)
        return super().run(restart=restart)

    def _inputs(self):
        return {**self.record, "classes": self.classes}

    def _build(self, num_classes):
        network = super()._build(num_classes)
        network.set_weights(self.initial_weights)
        return network

    def _trainer(self, network, steps):
        return specialists.SpecialistTrainer(
            network,
            self.teacher,
            classes=self.classes,
            log_oversampling=self.log_oversampling,
            temperature=self.fields.temperature,
            soft_loss_weight=self.fields.soft_loss_weight,
        )

    def _details(self):
        return {
            "model": self.model_name,
            "classes": self.classes,
            "prior": self.prior,
            "log_oversampling": self.log_oversampling,
        }


class _Specialists(_Stage):
    """All specialists one after the other, and what they say together."""

    def __init__(self, *, stage, **context):
        super().__init__(stage=stage, **context)
        self.model_name = f"{self.config.name}_specialists"
        self.context = context

    def run(self, *, restart):
        inputs = self._inputs()
        only = self.fields.only
        report = None
        if not restart and only < 0:
            report = self._finished_before(inputs)
        if report is not None:
            return report
        self._check_paths(restart and only < 0)
        self.teacher = _load(self.teacher_files, self.train)
        generalist = self._generalist()
        members = self._members(generalist, inputs)
        if only >= 0:
            if restart:
                # What they say together was said with another one.
                self.run_dir.report_path.unlink(missing_ok=True)
            return members[only].run(restart=restart)
        if restart:
            self.run_dir.remove()
        self.run_dir.start(self.config, command=self.command, **inputs)
        reports = [member.run(restart=False) for member in members]
        return self._combine(generalist, members, reports)

    def _inputs(self):
        self.teacher_files = teacher_files(self.config, self.savedmodels)
        record = self.teacher_files.record
        if len(self.teacher_files.paths) > 1:
            raise ValueError(
                "specialists must start from one generalist. Received: "
                f"teacher.path={self.config.teacher.path}"
            )
        return {f"teacher.{key}": record[key] for key in record}

    def _generalist(self):
        """The generalist as a network, in float32."""
        with _precision("float32"):
            network = self._build(self.train.num_classes)
        path = self.teacher_files.paths[0]
        weights = loading.network_weights(path)
        fields = self.network_fields
        if [w.shape for w in weights] != [w.shape for w in network.weights]:
            raise ValueError(
                f"the generalist must be teacher.model={fields.model} with "
                f"teacher.widths={fields.widths}. Received: {path}, whose "
                "weights are of another network"
            )
        network.set_weights(weights)
        # Other input constants, say, are not among the weights.
        pictures = self.train.sample(_COMPARED_PICTURES)
        expected = self.teacher(tf.constant(pictures))
        difference = np.abs(network(pictures, training=False) - expected).max()
        if not difference < _SAME_LOGITS:
            raise ValueError(
                f"teacher.model={fields.model} with the generalist's weights "
                "must predict as the generalist: it takes the data, and the "
                "data.validation_examples, that the generalist was made with. "
                f"Received: {path}, whose logits differ by {difference:.3g}"
            )
        return network

    def _members(self, generalist, inputs):
        """The specialists of the sets that the generalist confuses."""
        predictions = losses.soften(
            logits=logits_of(self.teacher, self.train),
            temperature=self.fields.temperature,
        )
        class_sets = specialists.confusable_sets(
            predictions,
            num_sets=self.fields.num_specialists,
            num_classes=self.fields.num_classes,
            seed=self.config.seed,
        )
        return [
            _Specialist(
                index=index,
                classes=classes,
                record=inputs,
                teacher=self.teacher,
                initial_weights=generalist.get_weights(),
                **self.context,
            )
            for index, classes in enumerate(class_sets)
        ]

    def _combine(self, generalist, members, reports):
        class_sets = [member.classes for member in members]
        members_networks = [
            keras.models.load_model(member.run_dir.model_path, compile=False)
            for member in members
        ]
        final = specialists.combined_network(
            generalist, members_networks, class_sets
        )
        report = {
            "stage": self.stage,
            "parameters": final.count_params(),
            "macs": macs.count_macs(final),
            **evaluate(final, self.teacher, self.parts.get("test")),
            "seconds": round(sum(r["seconds"] for r in reports), 1),
            "epochs": self.fields.epochs,
            "model": self.model_name,
            "class_sets": class_sets,
            "by_covering": self._by_covering(final, class_sets),
        }
        self._conclude(final, report)
        return report

    def _by_covering(self, final, class_sets):
        """`specialists.accuracy_by_coverage` of validation and test."""
        tables = {}
        for name in ("validation", "test"):
            if name in self.parts:
                labels, logits, generalist_logits = _predictions(
                    final, self.teacher, self.parts[name]
                )
                tables[name] = specialists.accuracy_by_coverage(
                    labels=labels,
                    generalist_logits=generalist_logits,
                    logits=logits,
                    class_sets=class_sets,
                )
        return tables


def evaluate(network, teacher, test, *, store=None):
    """Measures a network on a test set, in one pass over it.

    Args:
        network: Keras model, images -> logits.
        teacher: function of the same, or None.
        test: `Examples` or `StreamedExamples` with labels, or None.
        store: `LogitStore` that has the teacher's logits instead, or None.

    Returns:
        Dict of `test_examples`, `test_errors`, `test_accuracy`, `test_nll`,
        and with a teacher or a store the `agreement` with it; None where
        there is no test set.
    """
    results = {
        "test_examples": 0,
        "test_errors": None,
        "test_accuracy": None,
        "test_nll": None,
    }
    if teacher is not None or store is not None:
        results["agreement"] = None
    if test is None:
        return results
    labels, logits, teacher_logits = _predictions(
        network, teacher, test, store=store
    )
    errors = metrics.errors(logits=logits, labels=labels)
    results.update(
        test_examples=len(labels),
        test_errors=errors,
        test_accuracy=1 - errors / len(labels),
        test_nll=metrics.negative_log_likelihood(logits=logits, labels=labels),
    )
    if teacher_logits is not None:
        results["agreement"] = metrics.agreement(
            teacher_logits=teacher_logits, student_logits=logits
        )
    return results


def _predictions(network, teacher, examples, *, store=None):
    """`(labels, logits, teacher_logits)` of all examples, as arrays.

    The last is None where there is neither a teacher nor a store.
    """

    @tf.function(reduce_retracing=True)
    def predict(images):
        logits = [network(images, training=False)]
        return [*logits, *([teacher(images)] if teacher is not None else [])]

    batches = pipeline.evaluation_batches(examples, store=store)
    progress = keras.utils.Progbar(
        len(examples), verbose=_verbosity(), unit_name="test example"
    )
    collected = []
    for images, y in batches:
        row = [y if store is None else y["labels"], *predict(images)]
        if store is not None:
            row.append(y["teacher_logits"])
        collected.append(row)
        progress.add(len(images))
    labels, logits, *teacher_logits = (
        np.concatenate(part) for part in zip(*collected)
    )
    return labels, logits, teacher_logits[0] if teacher_logits else None


def logits_of(network, examples):
    """The logits of all examples, in order: float32 array.

    Args:
        network: function of images -> logits, such as a `Teacher`.
        examples: `Examples` or `StreamedExamples`.
    """
    progress = keras.utils.Progbar(
        len(examples), verbose=_verbosity(), unit_name="example"
    )
    logits = []
    for _, images in examples.batches(_PREDICTED_TOGETHER, labels=False):
        logits.append(network(images))
        progress.add(len(images))
    return np.concatenate(logits)


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
