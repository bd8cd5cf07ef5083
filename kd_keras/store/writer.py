"""Labels views with a teacher and writes a store, file by file."""

import tensorflow as tf

from kd_keras.data import augmentation as views
from kd_keras.data import pipeline
from kd_keras.store import layout, places, tasks
from kd_keras.teachers.outputs import as_outputs
from kd_keras.utils import progress


def label(path, manifest, parts, teacher, **options):
    """Writes a store of a teacher's outputs; see `write`.

    Args:
        path, manifest, parts: as of `write`.
        teacher: function of images -> float32 logits, or `Outputs` with the
            features of the plan.
        **options: of `write`.

    Returns:
        bool, whether the store is finished.

    Raises:
        ValueError: as `write`.
    """
    # A store that was begun may have batches of another size.
    manifest = places.of(path).planned(manifest)
    outputs_of = predicting(manifest, parts, teacher)
    return write(path, manifest, parts, outputs_of, **options)


def write(
    path, manifest, parts, outputs_of, *, shard=0, num_shards=1, verbose=2
):
    """Writes a store, or only its missing and damaged files.

    Files are written whole or not at all. `num_shards` processes may write
    one store together, on machines that share the directory; the last one
    finishes it. The bytes do not depend on the number of processes.

    Args:
        path: the directory.
        manifest: dict that `plan` returned.
        parts: as given to `plan`.
        outputs_of: function of the name of a part and of the positions of
            some of its examples, an int array, that returns an iterator of
            `(view, arrays)`: the logits, if any, and the features of
            `layout.batch_size` examples; all views of a batch, then of the
            next.
        shard: int, number of this process, from 0.
        num_shards: int, number of processes.
        verbose: 1 for a progress bar, 2 for a line a file.

    Returns:
        bool, whether the store is finished.

    Raises:
        ValueError: if the directory holds another store, or the logits or
            features differ from the plan or do not fit its dtype.
    """
    directory = places.of(path)
    manifest = directory.begin(manifest, parts)
    left = [
        task
        for task in tasks.left(directory, manifest)
        if task.number % num_shards == shard
    ]
    total = sum(task.views for task in left)
    report = progress.Counter(total, "view", verbose=verbose)
    for task in left:
        # Planned again: others may have finished the store meanwhile.
        planned = directory.planned(manifest)
        tasks.run(directory, planned, task, outputs_of, report.add)
        report.end_file(f"{directory.shown}/{task.files[0]}")
    return directory.finish() == 0


def predicting(manifest, parts, teacher):
    """Makes the `outputs_of` of `write` from a teacher.

    Args:
        manifest: dict; see `manifest.plan`.
        parts: dict of the parts of the dataset.
        teacher: as of `label`.

    Returns:
        function of `(name, positions)`.
    """
    # Traced once, whichever task comes first.
    predict = tf.function(teacher, reduce_retracing=True)

    def outputs_of(name, positions):
        batches = pipeline.labelling_batches(
            parts[name],
            parts[name].subset(positions),
            batch_size=layout.batch_size(name, manifest),
            views_count=manifest["parts"][name]["views"],
            spec=views.ViewSpec.from_record(manifest["spec"])
            if name == "train"
            else views.ViewSpec(),
        )
        for view, images in batches:
            yield int(view), _as_arrays(predict(images), manifest)

    return outputs_of


def _as_arrays(outputs, manifest):
    """The outputs of a teacher as arrays, in the store's order.

    Raises:
        ValueError: if the teacher returns no logits where they are planned,
            or another number of features.
    """
    outputs = as_outputs(outputs)
    planned = len(manifest.get("features", ()))
    if len(outputs.features) != planned:
        raise ValueError(
            f"the teacher must return {planned} features. Received: "
            f"{len(outputs.features)}"
        )
    if not manifest["num_classes"]:
        return [feature.numpy() for feature in outputs.features]
    if outputs.logits is None:
        raise ValueError(
            "the teacher must return logits for "
            f"{manifest['num_classes']} classes. Received: features alone"
        )
    return [x.numpy() for x in (outputs.logits, *outputs.features)]
