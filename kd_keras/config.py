"""The configuration: every field, its default, and what must hold.

A file in `configs/` starts from `default_config()` and changes what its
experiment needs; the command line overrides single fields with
`--config.student.epochs=3`.
"""

import difflib
import math

import ml_collections

STAGES = ("teacher", "student", "baseline")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "linear", "constant")
MIRRORS = ("none", "random", "alternating")


def default_config():
    """Returns the configuration with every default, as a `ConfigDict`."""
    config = ml_collections.ConfigDict()
    # Names the run directory and the exported models: `<name>_student`.
    config.name = "experiment"
    # Everything that is left to chance follows from it.
    config.seed = 0
    # `float32`, `mixed_bfloat16`, `mixed_float16`, or `auto`: bfloat16 on a
    # CPU with AMX and on AMD's with AVX512-BF16, else float32. What is
    # exported computes in float32 in any case.
    config.precision = "float32"
    # `auto`: every GPU, mirrored when there are two or more, else the CPU.
    # A number: that many logical CPU devices, to try it without GPUs.
    config.devices = "auto"

    config.data = data = ml_collections.ConfigDict()
    # `mnist` (in the package), `cifar10`, any name of TensorFlow Datasets,
    # or `folder`: PNG and JPEG pictures in `data_dir`, flat (no labels, for
    # the student stage) or with one subfolder a class.
    data.name = "mnist"
    # Where prepared sets lie; empty for TensorFlow Datasets' own default.
    data.data_dir = ""
    # Pictures are resized to this height and width; 0 leaves them as they
    # are, and then they must all have one size.
    data.image_size = 0
    # Held out of the training set, to choose hyperparameters on.
    data.validation_examples = 0
    # Trains on so many examples at most; 0 for all.
    data.max_train_examples = 0
    # For `folder`: the share of the pictures that is held out as test set.
    data.test_fraction = 0.1
    # A set larger than this is streamed from disk in every epoch.
    data.memory_limit_mb = 2000
    data.augment = ml_collections.ConfigDict()
    # Largest shift in pixels, filled by reflection.
    data.augment.translate = 0
    # `none`, `random`, or `alternating` (epochs 2k and 2k + 1 show both
    # mirror images of every picture).
    data.augment.mirror = "none"
    # Side in pixels of a grey square; 0 for none.
    data.augment.cutout = 0
    # What the views follow from, beside their number and the example.
    data.augment.seed = config.get_ref("seed").identity()

    config.teacher = teacher = ml_collections.ConfigDict()
    # A name of `kd_keras.models.MODELS`, of `keras.applications`, or
    # `module:function` of your own.
    teacher.model = "cnn"
    # Filters or units of each group of layers; empty for the model's own.
    teacher.widths = ()
    teacher.epochs = 10
    teacher.batch_size = 128
    # SavedModel or `.keras` file that the student learns from; empty for
    # `<savedmodels>/<name>_teacher`, which the teacher stage writes.
    teacher.path = ""
    # `logits`, `probabilities` (a network that ends in softmax), or the
    # name of the SavedModel's output that holds the logits.
    teacher.outputs = "logits"
    # What the teacher trains on: as `data.augment`, unless it is set.
    teacher.augment = ml_collections.ConfigDict()
    for field in data.augment:
        teacher.augment[field] = data.augment.get_ref(field).identity()
    teacher.optimizer = _optimizer()

    config.student = student = ml_collections.ConfigDict()
    student.model = "cnn_tiny"
    student.widths = ()
    student.epochs = 10
    student.batch_size = 128
    student.optimizer = _optimizer()

    # The baseline is the student's network, epochs and batch size on labels;
    # only its optimizer is its own, so that it can be tuned as carefully.
    config.baseline = baseline = ml_collections.ConfigDict()
    baseline.optimizer = _optimizer()

    config.distill = distill = ml_collections.ConfigDict()
    distill.temperature = 4.0
    # Weight of the cross-entropy on labels beside the soft loss; 0 trains
    # the student without a label.
    distill.hard_loss_weight = 0.0
    return config


def _optimizer():
    optimizer = ml_collections.ConfigDict()
    optimizer.name = "adamw"
    # The peak of the schedule.
    optimizer.learning_rate = 1e-3
    # Of `sgd`, which is Nesterov's.
    optimizer.momentum = 0.9
    # Decoupled, times the learning rate; not on biases and BatchNorm.
    optimizer.weight_decay = 0.0
    # From the peak to `final_factor` of it: `cosine`, `linear`; `constant`.
    optimizer.schedule = "cosine"
    # Linear rise from 0 to the peak.
    optimizer.warmup_epochs = 0.0
    optimizer.final_factor = 0.0
    # Largest norm of the whole gradient; 0 for no clipping.
    optimizer.clip_norm = 0.0
    return optimizer


def stage_fields(config, stage):
    """The part of the configuration that a stage's result depends on."""
    fields = {
        key: config[key]
        for key in ("name", "seed", "precision", "devices", "data")
    }
    if stage == "teacher":
        fields["teacher"] = config.teacher
        fields["data"] = {
            key: value for key, value in config.data.items() if key != "augment"
        }
    else:
        fields["student"] = config.student
    if stage == "student":
        fields["distill"] = config.distill
        fields["teacher"] = {
            key: config.teacher[key] for key in ("path", "outputs")
        }
    if stage == "baseline":
        fields["student"] = {
            key: value
            for key, value in config.student.items()
            if key != "optimizer"
        }
        fields["baseline"] = config.baseline
    return flatten(fields)


def flatten(fields, prefix=""):
    """`{"a": {"b": 1}}` -> `{"a.b": 1}`, tuples as lists, as JSON has them."""
    flat = {}
    for key, value in fields.items():
        if hasattr(value, "items"):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = (
                list(value) if isinstance(value, tuple) else value
            )
    return flat


def validate(config):
    """Raises a ValueError that names the first field that cannot be."""

    def require(holds, field, rule):
        if not holds:
            value = config
            for part in field.split("."):
                value = value[part]
            raise ValueError(f"{field} must be {rule}. Received: {value!r}")

    def require_one_of(field, choices, value):
        close = difflib.get_close_matches(str(value), choices, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        rule = f"one of {', '.join(choices)}{hint}"
        require(value in choices, field, rule)

    require(
        config.name and not set(config.name) & set("/\\"),
        "name",
        "a non-empty name without slashes",
    )
    require(0 <= config.seed < 2**31, "seed", ">= 0 and < 2**31")
    require_one_of("precision", PRECISIONS, config.precision)
    require(
        config.devices == "auto"
        or (config.devices.isdigit() and int(config.devices) > 0),
        "devices",
        "'auto' or a whole number > 0",
    )
    data = config.data
    for field in ("image_size", "validation_examples", "max_train_examples"):
        require(data[field] >= 0, f"data.{field}", ">= 0")
    require(0 <= data.test_fraction < 1, "data.test_fraction", ">= 0 and < 1")
    require(data.memory_limit_mb >= 0, "data.memory_limit_mb", ">= 0")
    for prefix, augment in (
        ("data.augment", data.augment),
        ("teacher.augment", config.teacher.augment),
    ):
        for field in ("translate", "cutout", "seed"):
            require(augment[field] >= 0, f"{prefix}.{field}", ">= 0")
        require_one_of(f"{prefix}.mirror", MIRRORS, augment.mirror)
    for role in ("teacher", "student"):
        require(config[role].epochs > 0, f"{role}.epochs", "> 0")
        require(config[role].batch_size > 0, f"{role}.batch_size", "> 0")
        require(
            all(isinstance(w, int) and w > 0 for w in config[role].widths),
            f"{role}.widths",
            "a tuple of whole numbers > 0",
        )
    for stage in STAGES:
        optimizer = config[stage].optimizer
        prefix = f"{stage}.optimizer"
        require_one_of(f"{prefix}.name", OPTIMIZERS, optimizer.name)
        require_one_of(f"{prefix}.schedule", SCHEDULES, optimizer.schedule)
        require(
            optimizer.learning_rate > 0
            and math.isfinite(optimizer.learning_rate),
            f"{prefix}.learning_rate",
            "> 0 and finite",
        )
        for field in ("momentum", "final_factor"):
            require(
                0 <= optimizer[field] <= 1, f"{prefix}.{field}", "in [0, 1]"
            )
        for field in ("weight_decay", "warmup_epochs", "clip_norm"):
            require(
                0 <= optimizer[field] < math.inf, f"{prefix}.{field}", ">= 0"
            )
    require(
        config.distill.temperature > 0
        and math.isfinite(config.distill.temperature),
        "distill.temperature",
        "> 0 and finite",
    )
    require(
        0 <= config.distill.hard_loss_weight < math.inf,
        "distill.hard_loss_weight",
        ">= 0 and finite",
    )
