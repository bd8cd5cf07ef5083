"""One process of the benchmark: measures what it is told to, on stdin.

`python -m benchmarks.worker KIND NETS IMAGES` answers each line NAME with a
line of JSON: seconds and images of one round. KIND is `tensorflow` or
`torch`. Waiting costs nothing, so that workers alternate on one machine.
"""

import functools
import json
import os
import resource
import sys
import time

import numpy as np

BATCH = 256
T = 4.0
WIDTHS = {
    "airbench": (("airbench", (64, 128, 128)), ("airbench", (32, 64, 128))),
    "resnet": (("resnet20", ()), ("resnet8", ())),
}


def main():
    kind, nets, images_path = sys.argv[1:4]
    images = np.load(images_path)
    # What is printed by others must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    contestants = (torch if kind == "torch" else tensorflow)(nets, images)
    answers.write(json.dumps({"ready": sorted(contestants)}) + "\n")
    for line in sys.stdin:
        began = time.perf_counter()
        count = contestants[line.strip()]() or len(images)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answers.write(
            json.dumps({"rate": count / seconds, "peak_mb": peak}) + "\n"
        )


def torch(nets, images):
    import torch

    from benchmarks import torch_nets

    loop = torch_nets.Loop(nets, images, BATCH)
    trial = torch_nets.Loop(nets, images[: 4 * BATCH], BATCH)
    seconds = {}
    for threads in range(1, torch.get_num_threads() + 1):
        torch.set_num_threads(threads)
        trial.live()
        began = time.perf_counter()
        trial.live()
        seconds[threads] = time.perf_counter() - began
    torch.set_num_threads(min(seconds, key=seconds.get))
    return {"live": loop.live, "stored": loop.from_store}


def tensorflow(nets, images):
    import tempfile

    import keras
    import tensorflow as tf

    import kd_keras
    from kd_keras import store
    from kd_keras.data import augmentation as views
    from kd_keras.data import datasets, pipeline
    from kd_keras.deployment import saved_model as exports
    from kd_keras.models import build
    from kd_keras.store import answers

    folder = tempfile.TemporaryDirectory()
    examples = datasets.Examples(images, labels=np.arange(len(images)) % 10)
    spec = views.ViewSpec(translate=2, mirror="alternating")
    networks = []
    for name, widths in WIDTHS[nets]:
        networks.append(
            build.build_model(
                name,
                image_shape=(32, 32, 3),
                num_classes=10,
                images=images[:1000],
                widths=widths,
            )
        )
    teacher, student = networks
    exports.export_saved_model(teacher, f"{folder.name}/teacher")
    loaded = kd_keras.load_teacher(f"{folder.name}/teacher")
    parts = {"train": examples}

    def make_store(path, views_count=1):
        plan = store.plan(
            parts,
            teacher={"fingerprint": path},
            num_classes=10,
            spec=spec,
            views_count=views_count,
        )
        path = f"{folder.name}/{path}"
        store.label(path, plan, parts, loaded, verbose=0)
        return path

    @functools.cache
    def of_store():
        opened = kd_keras.LogitStore.open(make_store("store"))
        return answers.StoredAnswers(lambda: opened, manifest=opened.manifest)

    def batches(epochs=1, **options):
        return pipeline.training_batches(
            examples,
            batch_size=BATCH,
            seed=0,
            epochs=epochs,
            spec=spec,
            **options,
        )

    def copy():
        clone = keras.models.clone_model(student)
        clone.set_weights(student.get_weights())
        return clone

    def sgd():
        return keras.optimizers.SGD(0.01, momentum=0.85, nesterov=True)

    def compiled(teacher):
        distiller = kd_keras.Distiller(copy(), teacher, temperature=T)
        distiller.compile(optimizer=sgd())
        return distiller

    plain = copy()
    plain.compile(
        optimizer=sgd(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    theirs = keras.distillation.Distiller(
        teacher=teacher,
        student=copy(),
        distillation_losses=keras.distillation.LogitsDistillation(
            temperature=T, loss=keras.losses.KLDivergence()
        ),
        student_loss_weight=0.0,
    )
    theirs.compile(
        optimizer=sgd(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    live, stored = compiled(loaded), compiled(None)
    infer = tf.function(loaded, reduce_retracing=True)
    made = []

    def fit(model, **options):
        return lambda: (
            model.fit(batches(**options), shuffle=False, verbose=0)
            and len(images)
        )

    def inference():
        for batch in batches(labels=False):
            infer(batch)

    def label():
        # Anew each time. Several views, so that the start weighs little, as
        # in earnest.
        made.append(make_store(f"labelled_{len(made)}", views_count=4))
        return 4 * len(images)

    def input_pipeline():
        for _ in batches(labels=False, epochs=10):
            pass
        return 10 * len(images)

    def predict():
        teacher.predict(images, batch_size=500, verbose=0)

    return {
        "plain": fit(plain, labels=True),
        "live": fit(live, labels=False),
        "stored": lambda: fit(
            stored,
            labels=False,
            view_of=of_store().view_of,
            join=of_store().join,
        )(),
        "keras.distillation": fit(theirs, labels=True),
        "inference": inference,
        "label": label,
        "predict": predict,
        "pipeline": input_pipeline,
    }


if __name__ == "__main__":
    main()
