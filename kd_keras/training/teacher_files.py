"""Finds, loads and checks the teacher that a stage learns from."""

import dataclasses
import logging

from kd_keras.distillation import losses
from kd_keras.models import class_names as class_name_checks
from kd_keras.models import image_spec
from kd_keras.teachers import answers as live
from kd_keras.teachers import class_map, ensemble, image_checks
from kd_keras.teachers import options as teacher_options
from kd_keras.training import teacher_measure, teacher_paths
from kd_keras.utils import comma_lists, digests

# Fields that may have a value for each teacher of an ensemble.
_LISTS = ("outputs", "signature", "preprocess", "resize")
_log = logging.getLogger(__name__)


def find(
    config,
    savedmodels,
    *,
    paths=None,
    class_names=None,
    activation=None,
    features=(),
):
    """The files of the teacher, as `ensemble.TeacherFiles`; loads nothing.

    Args:
        config: the resolved configuration.
        savedmodels: path; see `prepare.Context`.
        paths: list of paths or names of the teachers; by default those of
            the configuration.
        class_names: list of str, the classes of the data, or None.
        activation: `softmax` or `sigmoid`, the activation of its logits; by
            default the one that `distill.loss` applies.
        features: tuple of str, the inner outputs that the teacher returns.

    Raises:
        ValueError: if a file does not exist, or is recorded to be of other
            classes.
    """
    fields = config.teacher
    paths = paths or teacher_paths.of(config, savedmodels)
    for path in paths:
        teacher_paths.check_exists(path)
    files = ensemble.TeacherFiles(
        paths,
        options=[
            dataclasses.replace(one, features=features)
            for one in _options(fields, len(paths), class_names)
        ],
        weights=fields.weights,
        mean=fields.mean,
        mirrored=fields.mirrored,
        activation=activation or losses.activation_of(config.distill.loss),
    )
    if files.has_logits:
        class_name_checks.check_same(
            files.class_names,
            class_names,
            model=f"the teacher {', '.join(files.paths)}",
        )
    return files


def place(config, savedmodels):
    """The path of the teacher, or several, separated by commas: str."""
    return config.teacher.path or str(
        teacher_paths.default(config, savedmodels)
    )


def is_given(config, savedmodels):
    """Whether `teacher.path` is set, or the teacher stage has exported."""
    if config.teacher.path:
        return True
    return teacher_paths.default(config, savedmodels).exists()


def load(files, parts, *, measured=False):
    """Loads a teacher, and checks and measures it on the dataset.

    Args:
        files: `ensemble.TeacherFiles`.
        parts: dict of the parts of the dataset.
        measured: bool; True leaves out the measurement, which another process
            has made.

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
        digests.abbreviated(files.record["fingerprint"]),
    )
    check_images(teacher, train)
    if teacher.has_logits:
        _check_classes(teacher, train, files.activation)
    if measured:
        return teacher
    answers = live.LiveAnswers(
        lambda: teacher, record={}, has_logits=teacher.has_logits
    )
    teacher_measure.check(answers, parts)
    return teacher


def num_logits(activation, train):
    """The number of logits for the labels of a set, None without labels.

    Args:
        activation: `softmax`, with a logit for each class, or `sigmoid`, with
            one for two classes.
        train: `Examples`.
    """
    if activation == "softmax" or train.num_classes is None:
        return train.num_classes
    return 1


def _options(fields, count, class_names):
    """The `TeacherOptions` of each of `count` teachers: list.

    A model that the teacher stage exports resizes the images itself, and
    contains the options of a `backbone`.

    Args:
        fields: the section `teacher` of the configuration.
        count: int.
        class_names: list of str, the classes of the data, or None.
    """
    if not fields.path and fields.backbone:
        return [teacher_options.TeacherOptions()]
    size = fields.image_size if fields.path else 0
    each = {
        name: _for_each(fields[name], count, field=f"teacher.{name}")
        for name in _LISTS
    }
    each["image_size"] = list(fields.image_sizes) or [size] * count
    maps = [
        class_map.find(text)
        for text in class_map.for_each(fields.classes, count)
    ]
    each["classes"] = [
        found.in_order_of(class_names) if found else "" for found in maps
    ]
    return [
        teacher_options.of_fields(
            fields, **{name: values[i] for name, values in each.items()}
        )
        for i in range(count)
    ]


def _for_each(text, count, *, field):
    """The values of a field for each of `count` teachers: list of str."""
    values = comma_lists.split(text)
    if count == 1 or len(values) == 1:
        return [text] * count
    if len(values) != count:
        raise ValueError(
            f"{field} must be one value, or a value for each of the {count} "
            f"teachers, separated by commas. Received: {text!r}"
        )
    return values


def check_images(teacher, train):
    """Raises a ValueError if a teacher takes other images than the data's.

    Args:
        teacher: `Teacher`.
        train: `Examples`.
    """
    _check_image_shape(teacher, train)
    image_spec.check_same(
        teacher.image_spec,
        train.image_spec,
        model=f"the teacher {teacher.path}",
        images="images of the data",
    )


def _check_image_shape(teacher, train):
    expected, given = teacher.image_shape, train.image_shape
    if image_checks.is_repeated(given, expected):
        given = (*given[:2], expected[2])
    if len(expected) == 3 and any(
        a is not None and a != b for a, b in zip(expected, given)
    ):
        raise ValueError(
            "teacher and data must have the same image size and channels. "
            f"Received: teacher {expected}, data {tuple(train.image_shape)} "
            "(teacher.image_size resizes the images for the teacher alone, "
            "data.image_size for teacher and student)"
        )


def _check_classes(teacher, train, activation):
    if activation == "softmax" and teacher.num_classes == 1:
        raise ValueError(
            "a teacher with one logit needs distill.loss=binary_kl; the other "
            f"losses need two logits or more. Received: {teacher.path}"
        )
    expected = num_logits(activation, train)
    if activation == "sigmoid" and expected and teacher.num_classes != 1:
        raise ValueError(
            "distill.loss=binary_kl needs a teacher with one logit for the two "
            "classes of the data; a teacher with two logits needs kl. "
            f"Received: {teacher.path} with {teacher.num_classes}"
        )
    if expected is None and teacher.num_classes is None:
        raise ValueError(
            "the number of classes must be known from labels or from the "
            f"teacher's output shape. Received: neither, {teacher.path}"
        )
    if expected and teacher.num_classes and expected != teacher.num_classes:
        raise ValueError(
            "teacher and data must have the same number of classes. Received: "
            f"teacher {teacher.num_classes}, data {train.num_classes}"
        )
