"""Options for reading a model file as a teacher."""

import dataclasses

# Meanings of a model's output. FEATURES is an embedding: there are no logits.
FEATURES = "features"
MEANINGS = ("logits", "probabilities", "label_probabilities", FEATURES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """Options for reading a model as a teacher; see `loading.load_teacher`.

    Attributes:
        outputs: str, one of `MEANINGS`, or the name of the output that holds
            the logits.
        signature: str, a SavedModel's signature; empty for
            `serving_default`, or the only one.
        preprocess: str, as `preprocessing.find` takes it.
        image_size: int or `(height, width)` that the model takes; 0 for
            images of the model's size.
        resize: str, how the images are resized to it.
        classes: str, as `class_map.find` takes it; empty for the model's own
            classes.
        precision: str, `float32` or `bfloat16`, the network's precision.
        features: tuple of str, the inner outputs that the teacher returns:
            the names of layers or outputs, empty text for the last pooled
            features. Without logits it is `("",)` by default, which is the
            model's output.
    """

    outputs: str = "logits"
    signature: str = ""
    preprocess: str = "none"
    image_size: int | tuple = 0
    resize: str = "bilinear"
    classes: str = ""
    precision: str = "float32"
    features: tuple = ()

    def __post_init__(self):
        if not self.has_logits and not self.features:
            object.__setattr__(self, "features", ("",))

    @property
    def has_logits(self):
        """Whether the model is a classifier."""
        return self.outputs != FEATURES

    def record(self):
        """The options that logits depend on, if set: a dict of JSON values."""
        default = TeacherOptions()
        record = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
            if key != "features" and value != getattr(default, key)
        }
        return {**record, "outputs": self.outputs}


def of_fields(fields, **changes):
    """The `TeacherOptions` in a section of the configuration.

    Args:
        fields: mapping with the names of the options, and others.
        **changes: options that are not taken from the fields.
    """
    names = [field.name for field in dataclasses.fields(TeacherOptions)]
    given = {name: fields[name] for name in names if name in fields}
    return TeacherOptions(**{**given, **changes})
