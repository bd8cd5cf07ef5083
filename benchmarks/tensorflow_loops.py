"""The benchmark's networks and loops in TensorFlow: ours, and Keras's own."""

import tempfile

import keras
import numpy as np
import tensorflow as tf

import kd_keras
from kd_keras import store
from kd_keras.data import augmentation, datasets, pipeline
from kd_keras.deployment import saved_model
from kd_keras.models import build
from kd_keras.store import answers
from kd_keras.training import devices

TEMPERATURE = 4.0
# Teacher and student: name and widths.
NETS = {
    "airbench": (("airbench", (64, 128, 128)), ("airbench", (32, 64, 128))),
    "resnet": (("resnet20", ()), ("resnet8", ())),
}


class Loops:
    """One round of each contestant, over the same images.

    Args:
        nets: str, of `NETS`.
        images: uint8 array `(n, 32, 32, 3)`.
        batch_size: int.
    """

    def __init__(self, nets, images, batch_size):
        self._folder = tempfile.TemporaryDirectory()
        self._images = images
        self._batch_size = batch_size
        labels = np.arange(len(images)) % 10
        self._examples = datasets.Examples(images, labels=labels)
        self._spec = augmentation.ViewSpec(translate=2, mirror="alternating")
        teacher, student = NETS[nets]
        self._teacher, self._student = (
            self._build(teacher),
            self._build(student),
        )
        path = f"{self._folder.name}/teacher"
        saved_model.export_saved_model(self._teacher, path)
        self._loaded = kd_keras.load_teacher(path)
        self._infer = tf.function(self._loaded, reduce_retracing=True)
        self._plain = self._copy_of_student()
        self._plain.compile(
            optimizer=_sgd(), loss=_cross_entropy(), metrics=["accuracy"]
        )
        self._theirs = self._keras_distiller()
        self._live = self._distiller(self._loaded)
        self._stored = self._distiller(None)
        with devices.precision_policy("mixed_bfloat16"):
            in_bfloat16 = self._build(student)
        self._stored_in_bfloat16 = self._distiller(None, student=in_bfloat16)
        self._answers = None
        self._num_stores = 0

    def contestants(self):
        """Functions by name; each runs a round and returns its image count."""
        return {
            "plain": lambda: self._fit(self._plain, labels=True),
            "live": lambda: self._fit(self._live, labels=False),
            "stored": lambda: self._fit_from_store(self._stored),
            "stored, bfloat16": lambda: self._fit_from_store(
                self._stored_in_bfloat16
            ),
            "keras.distillation": lambda: self._fit(self._theirs, labels=True),
            "inference": self._inference,
            "label": self._label,
            "predict": self._predict,
            "pipeline": self._pipeline,
        }

    def _build(self, network):
        name, widths = network
        return build.build_model(
            name,
            image_shape=(32, 32, 3),
            num_classes=10,
            images=self._images[:1000],
            widths=widths,
        )

    def _copy_of_student(self):
        clone = keras.models.clone_model(self._student)
        clone.set_weights(self._student.get_weights())
        return clone

    def _distiller(self, teacher, student=None):
        distiller = kd_keras.Distiller(
            student or self._copy_of_student(),
            teacher,
            temperature=TEMPERATURE,
        )
        distiller.compile(optimizer=_sgd())
        return distiller

    def _keras_distiller(self):
        distiller = keras.distillation.Distiller(
            teacher=self._teacher,
            student=self._copy_of_student(),
            distillation_losses=keras.distillation.LogitsDistillation(
                temperature=TEMPERATURE, loss=keras.losses.KLDivergence()
            ),
            student_loss_weight=0.0,
        )
        distiller.compile(optimizer=_sgd(), loss=_cross_entropy())
        return distiller

    def _batches(self, epochs=1, **options):
        return pipeline.training_batches(
            self._examples,
            batch_size=self._batch_size,
            seed=0,
            epochs=epochs,
            spec=self._spec,
            **options,
        )

    def _make_store(self, views_count):
        """Labels views with the loaded teacher: the path of a new store."""
        parts = {"train": self._examples}
        path = f"{self._folder.name}/store_{self._num_stores}"
        self._num_stores += 1
        manifest = store.plan(
            parts,
            teacher={"fingerprint": path},
            num_classes=10,
            spec=self._spec,
            views_count=views_count,
        )
        store.label(path, manifest, parts, self._loaded, verbose=0)
        return path

    def _fit(self, model, **options):
        model.fit(self._batches(**options), shuffle=False, verbose=0)
        return len(self._images)

    def _fit_from_store(self, distiller):
        if self._answers is None:
            opened = kd_keras.LogitStore.open(self._make_store(1))
            self._answers = answers.StoredAnswers(
                lambda: opened, manifest=opened.manifest
            )
        return self._fit(
            distiller,
            labels=False,
            view_of=self._answers.view_of,
            join=self._answers.join,
        )

    def _inference(self):
        for batch in self._batches(labels=False):
            self._infer(batch)
        return len(self._images)

    def _label(self):
        # A new store each time. Several views, so that the start-up weighs as
        # little as in real use.
        self._make_store(4)
        return 4 * len(self._images)

    def _pipeline(self):
        for _ in self._batches(labels=False, epochs=10):
            pass
        return 10 * len(self._images)

    def _predict(self):
        self._teacher.predict(self._images, batch_size=500, verbose=0)
        return len(self._images)


def _sgd():
    return keras.optimizers.SGD(0.01, momentum=0.85, nesterov=True)


def _cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
