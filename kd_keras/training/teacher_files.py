"""Finds, loads and checks the teacher that a stage learns from."""

import logging
import pathlib

from kd_keras.models import image_spec
from kd_keras.teachers import answers as live
from kd_keras.teachers import ensemble
from kd_keras.training import teacher_measure

_log = logging.getLogger(__name__)


def find(config, savedmodels):
    """The files of the teacher, as `ensemble.TeacherFiles`; loads nothing.

    Raises:
        ValueError: if a file does not exist.
    """
    fields = config.teacher
    paths = [part.strip() for part in fields.path.split(",") if part.strip()]
    paths = paths or [_default_path(config, savedmodels)]
    for path in paths:
        if not pathlib.Path(path).exists():
            raise ValueError(
                "students and specialists need a teacher: run kd-keras train "
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


def is_given(config, savedmodels):
    """Whether `teacher.path` is set, or the teacher stage has exported."""
    if config.teacher.path:
        return True
    return _default_path(config, savedmodels).exists()


def load(files, parts):
    """Loads a teacher, and checks and measures it on the dataset.

    Args:
        files: `ensemble.TeacherFiles`.
        parts: dict of the parts of the dataset.

    Returns:
        `Teacher`.

    Raises:
        ValueError: if image sizes, ranges of values or numbers of classes
            differ, or as `teacher_measure.check`.
    """
    teacher, train = files.teacher, parts["train"]
    _log.info(
        "teacher: %s, weights %s",
        ", ".join(files.paths),
        files.record["fingerprint"][:12],
    )
    _check_image_shape(teacher, train)
    _check_classes(teacher, train)
    image_spec.check_same(
        teacher.image_spec,
        train.image_spec,
        model=f"the teacher {teacher.path}",
        images="images of the data",
    )
    answers = live.LiveAnswers(lambda: teacher, record={})
    teacher_measure.check(answers, parts)
    return teacher


def _default_path(config, savedmodels):
    return pathlib.Path(savedmodels) / f"{config.name}_teacher"


def _check_image_shape(teacher, train):
    expected = teacher.image_shape
    if len(expected) == 3 and any(
        a is not None and a != b for a, b in zip(expected, train.image_shape)
    ):
        raise ValueError(
            "teacher and data must have the same image size and channels. "
            f"Received: teacher {expected}, data {tuple(train.image_shape)} "
            "(data.image_size changes the size)"
        )


def _check_classes(teacher, train):
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
