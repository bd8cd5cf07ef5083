"""The teacher's features that a student matches or a store keeps."""

from kd_keras.distillation import feature_matching
from kd_keras.teachers import options, outputs
from kd_keras.utils import comma_lists


def matches(config):
    """The feature matches of a configuration: list of `FeatureMatch`.

    Args:
        config: the resolved configuration.
    """
    fields = config.distill.features
    if not fields.loss:
        return []
    teacher, student = comma_lists.paired(
        {
            "distill.features.teacher": fields.teacher,
            "distill.features.student": fields.student,
        }
    )
    return [
        feature_matching.FeatureMatch(
            teacher=of_teacher,
            student=of_student,
            loss=fields.loss,
            weight=fields.weight,
            projection=fields.projection,
            pool=fields.pool,
            **fields.get(fields.loss, {}),
        )
        for of_teacher, of_student in zip(teacher, student)
    ]


def targets(config):
    """The matches whose targets a store keeps: list of `FeatureMatch`.

    Without a loss on features, this is the pooled output of a teacher that
    is no classifier.
    """
    found = matches(config)
    # With a probe on it, such a model has logits.
    is_embedding = config.teacher.outputs == options.FEATURES
    if not found and is_embedding and not config.teacher.backbone:
        return [feature_matching.FeatureMatch()]
    return found


def reducing(targets):
    """Makes a function that reduces a teacher's features to targets.

    Args:
        targets: list of `FeatureMatch`.

    Returns:
        function of `Outputs` -> `Outputs`.
    """

    def reduce(answer):
        features = zip(targets, answer.features, strict=True)
        return outputs.Outputs(
            answer.logits,
            tuple(match.teacher_target(feature) for match, feature in features),
        )

    return reduce


def records(targets, teacher):
    """Describes the targets in a store: list of dicts.

    Args:
        targets: list of `FeatureMatch`.
        teacher: `Teacher` with a feature for each.
    """
    return [
        {**match.target_record(), "shape": list(match.target_shape(shape))}
        for match, shape in zip(targets, teacher.feature_shapes, strict=True)
    ]
