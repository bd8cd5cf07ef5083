"""Runs the stages, and labels the store that a student learns from."""

import contextlib

from kd_keras.training import (
    against_baseline,
    cluster,
    label_jobs,
    prepare,
    publishing,
)
from kd_keras.training.stages import stage_class
from kd_keras.utils import (
    locks,
    remote,
    remote_outputs,
    scratch,
    tf_config,
)


def run(
    config,
    *,
    stages,
    workdir,
    savedmodels,
    restart=False,
    extend=False,
    dataset=None,
    command="",
):
    """Runs stages one after the other, except for those that are finished.

    Everything that can be refused is refused before anything is written. The
    run directories of all stages and the paths that they export to are locked
    until the last one has ended; see `utils.locks`. With TF_CONFIG all of its
    workers call this and train together, and the chief alone writes.

    Args:
        config: `ConfigDict`; see `kd_keras.config`.
        stages: list of names in `stages.STAGES`; a teacher comes before its
            student.
        workdir: path of a local directory; a stage works in
            `<workdir>/<stage>/`.
        savedmodels: path; exports go to `<savedmodels>/<name>_<stage>/`. At
            gs://, s3:// or az://, they are uploaded after the last stage.
        restart: bool; True removes earlier runs of the stages first.
        extend: bool; True trains earlier runs of the stages for more epochs
            than they were planned for; see `training.extension`.
        dataset: `datasets.Dataset`, or None to load `config.data`.
        command: str, as it was typed, for the record.

    Returns:
        List of reports, a dict for each stage, as in `report.json`. The
        report of `specialist` is about the combination, or about one
        specialist if `config.specialist.only` chooses one. The report of
        `student` also has `against_baseline`, from
        `against_baseline.entries`, if a baseline was trained, too.

    Raises:
        ValueError: if the configuration, the data, the teacher or the work
            directory cannot be used, another process holds the directory or
            the path of an export, a stage would replace a model that it
            reads, or the loss becomes NaN; with several workers, if they
            differ, or one of them ends.
    """
    if restart and extend:
        raise ValueError(
            "a run starts over or goes on. Received: --restart and --extend; "
            "leave one of them out"
        )
    remote.check_local(workdir, "--workdir of a training")
    workers = tf_config.from_environment()
    if workers is not None:
        # The others read what the chief exports.
        remote.check_local(savedmodels, "--savedmodels of several workers")
    with remote_outputs.models(
        savedmodels, "--savedmodels", prefix=f"{config.name}_"
    ) as place:
        context = prepare.prepare(
            config,
            workdir=workdir,
            savedmodels=place,
            dataset=dataset,
            command=command,
            extend=extend,
            workers=workers,
            facts={"stages": stages, "--restart": restart, "--extend": extend},
            check=lambda resolved: _check_config(resolved, stages, place),
        )
        with cluster.failing_together(context.strategy):
            return _run_stages(context, stages, restart)


def _check_config(config, stages, savedmodels):
    """Checks all stages before the data are read, which may take long."""
    for name in stages:
        stage_class(name).variant(config).check_config(
            config, savedmodels=savedmodels, stages=stages
        )


def _run_stages(context, stages, restart):
    """Runs stages of a context; see `run`."""
    config = context.config
    chosen = [stage_class(name).variant(config)(context) for name in stages]
    for stage in chosen:
        stage.check()
        stage.check_models_read()
    with contextlib.ExitStack() as held:
        # One lock for all workers, which may share a machine.
        for stage in chosen if cluster.is_chief(context.strategy) else ():
            for directory in stage.directories():
                held.enter_context(locks.holding(directory))
                scratch.clear(directory)
            for name in stage.exports():
                held.enter_context(
                    publishing.holding(context.savedmodels, name)
                )
        for stage in chosen:
            stage.plan()
        reports = [stage.run(restart=restart) for stage in chosen]
        return _with_comparison(reports, chosen, context.strategy)


def _with_comparison(reports, stages, strategy):
    """The reports, with the student's comparison with the baseline added."""
    compared = cluster.on_chief(
        strategy, lambda: against_baseline.entries(stages)
    )
    if not compared:
        return reports
    return [
        {**report, "against_baseline": compared}
        if report["stage"] == "student"
        else report
        for report in reports
    ]


def label(
    config,
    *,
    workdir,
    savedmodels,
    dataset=None,
    predictions="",
    shard=0,
    num_shards=1,
):
    """Writes the store of the teacher's logits, `<workdir>/store`, or resumes.

    Args:
        config, workdir, savedmodels, dataset: as `run`; `workdir` may also be
            at gs://, s3:// or az://.
        predictions: str or path of a file of predictions that were made
            elsewhere, which are stored instead; see `importing.job`.
        shard: int, the index of this process, from 0.
        num_shards: int, how many processes write the store.

    Returns:
        `(path, finished)`: the store's directory, and whether the store is
        finished. It is not while other processes have files to write.

    Raises:
        ValueError: as `run`, or if the directory holds another store, or
            another process labels the same shard.
    """
    with label_jobs.opened(
        config,
        workdir=workdir,
        savedmodels=savedmodels,
        dataset=dataset,
        predictions=predictions,
    ) as job:
        return job.shown, job.write(shard=shard, num_shards=num_shards)
