"""Section `teacher`: its training, and where a trained one is read."""

from kd_keras.config import augment, field, network, optimizer
from kd_keras.config.field import Field, Rule, Section
from kd_keras.utils import source_code

MEANS = ("arithmetic", "geometric")
PREPROCESSINGS = ("none", "0-1", "tf", "torch", "caffe")
TEACHER_PRECISIONS = ("float32", "bfloat16")
RESIZES = ("bilinear", "bicubic", "plain_bilinear")
_PREPROCESSING = Rule(
    f"{', '.join(PREPROCESSINGS)} or module:function",
    lambda value: value in PREPROCESSINGS or source_code.is_name(value),
)


def _for_each(rule):
    """Extends a rule to a list with a value for each teacher."""
    return Rule(
        f"{rule.text}, or for several teachers a list with commas between",
        lambda value: all(rule.holds(x.strip()) for x in value.split(",")),
        rule.choices,
    )


# A recipe may leave the path empty.
_SEVERAL = Rule(
    "several paths, separated by commas",
    lambda path: not path or "," in path,
)


_NAMED = Rule("a model", bool)


def _check(config):
    field.require(
        not (config.teacher.path and config.teacher.backbone),
        config,
        "teacher.backbone",
        "empty with teacher.path: the options of the section are either's",
    )
    field.require(
        not (config.teacher.classes and config.teacher.backbone),
        config,
        "teacher.classes",
        "empty with teacher.backbone: its head has the classes of the data",
    )
    weights, path = config.teacher.weights, config.teacher.path
    field.require(
        config.teacher.mean == MEANS[0]
        or config.teacher.mirrored
        or _SEVERAL.holds(path),
        config,
        "teacher.mean",
        f"{MEANS[0]} without teacher.mirrored and for a single teacher",
    )
    count = len([part for part in path.split(",") if part.strip()]) or 1
    field.require(
        len(weights) in (0, count),
        config,
        "teacher.weights",
        f"empty or a weight for each teacher, here for {count}",
    )
    field.require(
        len(config.teacher.image_sizes) in (0, count),
        config,
        "teacher.image_sizes",
        f"empty or a size for each teacher, here for {count}",
    )


SECTION = Section(
    "teacher",
    "The teacher.",
    (
        *network.fields(
            model="cnn",
            image_size=" With teacher.path: the size that this model takes, "
            "which the images are resized to for it; 0 if they have that size, "
            "as for a model that the teacher stage exported.",
        ),
        Field(
            "path",
            "",
            "Model that the student learns from: a SavedModel, a .keras, .h5 "
            "or .onnx file, keras_applications:NAME, keras_hub:PRESET, "
            "module:function of image batches, and others (docs/guides/"
            "any_teacher.md), also at gs://, s3:// or az://; empty for "
            "<savedmodels>/<name>_teacher, which the teacher stage writes. "
            "Several, separated by commas, are an "
            "ensemble, for which outputs, signature, preprocess, resize and "
            "files of classes may be lists, too.",
        ),
        Field(
            "backbone",
            "",
            "Makes the teacher stage fit a linear head to the embeddings of "
            "this model, with however few labels there are. A model as of "
            "path, read by the options of this section (outputs, preprocess, "
            "image_size and so on). The embeddings are read from store.path "
            "if that is set, else computed. It may also be the directory of a "
            "store of embeddings alone.",
        ),
        Field(
            "backbone_layer",
            "",
            "The feature of the backbone that is the embedding: the name of a "
            "layer or output; empty for the last pooled features.",
            used_with=("backbone", _NAMED),
        ),
        Field(
            "mean",
            "arithmetic",
            "For an ensemble, and with teacher.mirrored: the mean of "
            "probabilities (arithmetic) or of their logarithms (geometric).",
            field.one_of(MEANS),
        ),
        Field(
            "mirrored",
            False,
            "Averages the teacher's predictions and features of an image and "
            "of its mirror image: better labels in twice the time, for images "
            "that may be mirrored.",
        ),
        Field(
            "weights",
            (),
            "For an ensemble: a weight for each teacher; empty for equal ones.",
            field.each(float, field.number(above=0, most=1_000_000)),
            used_with=("path", _SEVERAL),
        ),
        Field(
            "image_sizes",
            (),
            "For an ensemble: the size that each teacher takes, 0 for one "
            "that takes the images as they are; empty for teacher.image_size.",
            field.each(int, field.PIXELS),
            used_with=("path", _SEVERAL),
        ),
        Field(
            "outputs",
            "logits",
            "logits, probabilities (a network that ends in softmax, or in one "
            "sigmoid), label_probabilities (one that ends in a sigmoid for "
            "each label), features (a model that is no classifier: its "
            "output is an embedding), or the name of the model's output that "
            "holds the logits.",
        ),
        Field(
            "signature",
            "",
            "Signature of a SavedModel; empty for serving_default, or the "
            "only one.",
        ),
        Field(
            "preprocess",
            "none",
            "What is done to images of 0 to 255 before the model: none; as "
            "in keras.applications tf (-1 to 1), torch (0 to 1, then mean "
            "and deviation of ImageNet) or caffe (blue first, minus the mean "
            "of ImageNet); 0-1 (divided by 255); or module:function of your "
            "own, of a batch of images. A model that scales its images "
            "itself needs none.",
            _for_each(_PREPROCESSING),
        ),
        Field(
            "resize",
            "bilinear",
            "How images are resized to teacher.image_size: bilinear and "
            "bicubic, both antialiased, or plain_bilinear, without "
            "antialiasing, as many older pipelines do.",
            _for_each(field.one_of(RESIZES)),
        ),
        Field(
            "classes",
            "",
            "Which of the teacher's classes are those of the data, in their "
            "order: indices or names, separated by commas, with + between "
            "those whose probabilities are added (0,3 or cat,dog+wolf); or a "
            ".json file with such a list, or with an entry for each class of "
            "the data. Empty for the same classes.",
        ),
        Field(
            "precision",
            "float32",
            "What the teacher computes in when it teaches. bfloat16 is for "
            "networks of TensorFlow and Keras on processors with AMX or "
            "AVX512-BF16: several times faster, and logits are less exact. "
            "auto is bfloat16 for such networks where precision=auto is, else "
            "float32.",
            field.one_of((*TEACHER_PRECISIONS, "auto")),
        ),
        Section(
            "augment",
            "Augmentation of the teacher's training images.",
            tuple(
                Field(
                    entry.name,
                    None,
                    entry.description,
                    entry.rule,
                    same_as=f"data.augment.{entry.name}",
                    used_with=entry.used_with,
                )
                for entry in augment.FIELDS
            ),
            recipe=augment.recipe,
        ),
        optimizer.SECTION,
    ),
    _check,
)
