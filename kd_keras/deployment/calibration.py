"""Calibration of int8 models: ranges from training images, without labels."""

import functools
import pathlib
import tempfile

from kd_keras.deployment.formats import litert_int8
from kd_keras.evaluation import metrics
from kd_keras.teachers import loading

# Training images that set the ranges of one int8 model.
_IMAGES_OF_A_MODEL = 100


class Calibration:
    """The int8 model of a source, and the images that calibrate it.

    The most extreme activation sets a range, so a single image can make all
    steps coarse. The images are therefore split into parts, each part
    calibrates a model, and the best of the models is kept.

    Args:
        source: `Source`.
        reference: `Classifier`, the float model.
        images: array `(n, height, width, channels)`.
    """

    def __init__(self, source, reference, images):
        self._source = source
        self._reference = reference
        self.images = images

    @functools.cached_property
    def int8_model(self):
        """Bytes of the int8 LiteRT file that is closest to the float model.

        The closest one has the smallest mean KL divergence from it over all
        images. A model that rounds has ranges of its own instead. Made on
        first use, because it takes long.
        """
        if self._source.rounds:
            return litert_int8.convert(self._source)
        expected = self._reference(self.images)
        parts = max(len(self.images) // _IMAGES_OF_A_MODEL, 1)
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for i in range(parts):
                model = litert_int8.convert(self._source, self.images[i::parts])
                path = pathlib.Path(folder) / f"{i}.tflite"
                path.write_bytes(model)
                kl = metrics.mean_kl(
                    teacher_logits=expected,
                    student_logits=loading.load_classifier(path)(self.images),
                )
                found.append((kl, i, model))
        return min(found)[-1]
