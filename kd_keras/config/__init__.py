"""The configuration: every field, its default, and what must hold.

A file in `configs/` starts from `default_config()` and changes what its
experiment needs; the command line overrides single fields with
`--config.student.epochs=3`.
"""

import difflib
import math

import ml_collections

# Those of `--stage=all`, in this order.
STAGES = ("teacher", "student", "baseline")
SPECIALIST = "specialist"
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
OPTIMIZERS = ("sgd", "muon", "adamw")
SCHEDULES = ("cosine", "linear", "constant")
MIRRORS = ("none", "random", "alternating")
MEANS = ("arithmetic", "geometric")
SOFT_LOSSES = ("kl", "dkd", "dist", "mse")
STORE_DTYPES = ("float16", "float32")
# Fields of `teacher` that are about what the student learns from.
_STUDENTS_TEACHER = ("path", "outputs", "mean", "weights")


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
    # the student stage) or with one subfolder a class. Several names with
    # `+` between are one set of all their classes.
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
    # For the student alone, since labels are not mixed: the share of its
    # views that are the weighted mean of two pictures, and of those with a
    # box of another.
    data.mixup = 0.0
    data.cutmix = 0.0

    config.teacher = teacher = ml_collections.ConfigDict()
    # A name of `kd_keras.models.MODELS`, of `keras.applications`, or
    # `module:function` of your own.
    teacher.model = "cnn"
    # Filters or units of each group of layers; empty for the model's own.
    teacher.widths = ()
    # Of `mlp`: the rate of dropout before each of its layers of units, the
    # input's first and the logits' last; empty for none. And the largest
    # norm of the weights that enter a hidden unit; 0 for any.
    teacher.dropout = ()
    teacher.max_norm = 0.0
    teacher.epochs = 10
    teacher.batch_size = 128
    # SavedModel or `.keras` file that the student learns from; empty for
    # `<savedmodels>/<name>_teacher`, which the teacher stage writes. Several
    # with commas between them: their predictions' mean is the teacher.
    teacher.path = ""
    # Of several: the mean of probabilities (`arithmetic`) or of their
    # logarithms (`geometric`), and a weight for each; none for equal ones.
    teacher.mean = "arithmetic"
    teacher.weights = ()
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
    student.dropout = ()
    student.max_norm = 0.0
    student.epochs = 10
    student.batch_size = 128
    student.optimizer = _optimizer()

    # The baseline is the student's network, epochs and batch size on labels;
    # only its optimizer is its own, so that it can be tuned as carefully.
    config.baseline = baseline = ml_collections.ConfigDict()
    baseline.optimizer = _optimizer()

    # Which training examples student and baseline learn from: the transfer
    # set. Classes are told by labels, which serve for this choice alone.
    config.transfer = transfer = ml_collections.ConfigDict()
    # Leaves these classes out, or all but these; empty for neither.
    transfer.omit_classes = ()
    transfer.only_classes = ()
    # The share that is kept of the rest, and whether it has equally many
    # examples of each class or is chosen without a look at them.
    transfer.fraction = 1.0
    transfer.balanced = False
    # What the choice follows from.
    transfer.seed = config.get_ref("seed").identity()

    config.distill = distill = ml_collections.ConfigDict()
    # `kl` (the paper's), `dkd`, `dist`, `mse`; see `kd_keras.losses`.
    distill.loss = "kl"
    # Gives the logits of `kl` mean 0 and standard deviation 1 first.
    distill.standardize = False
    # The weights of the two parts of `dkd` and of `dist`.
    distill.dkd = ml_collections.ConfigDict({"alpha": 1.0, "beta": 8.0})
    distill.dist = ml_collections.ConfigDict({"beta": 1.0, "gamma": 1.0})
    distill.temperature = 4.0
    # Reached at the end, linearly; 0 keeps the temperature as it is.
    distill.final_temperature = 0.0
    # Weight of the cross-entropy on labels beside the soft loss; 0 trains
    # the student without a label.
    distill.hard_loss_weight = 0.0
    # Reached at the end, linearly; a negative one keeps the weight.
    distill.final_hard_loss_weight = -1.0

    # Specialists for confusable classes, which start from the teacher of
    # `teacher.path`, the generalist; see `kd_keras.specialists`. Network and
    # views are those of `teacher`.
    config.specialist = specialist = ml_collections.ConfigDict()
    specialist.num_specialists = 3
    # Classes of each: those predicted most with its k-means cluster's, so
    # that a class may have several specialists; 0 for the cluster itself.
    specialist.num_classes = 0
    # Trains this one alone, from 0, as for several machines; -1 trains all
    # that are not trained yet, and combines them.
    specialist.only = -1
    specialist.epochs = 5
    specialist.batch_size = 128
    # Of each batch, examples of the specialist's own classes.
    specialist.special_share = 0.5
    # The generalist's soft targets for the other examples: their weight
    # beside the labels, and their temperature, which is also that of the
    # predictions in which the confusable classes are found.
    specialist.soft_loss_weight = 1.0
    specialist.temperature = 4.0
    specialist.optimizer = _optimizer()

    # The teacher's logits of all views, stored; see `kd_keras.store`.
    config.store = store = ml_collections.ConfigDict()
    # Empty: the teacher runs in every step. A directory that
    # `python -m kd_keras.label` wrote: it is not loaded. `auto`: that of
    # `<workdir>/store`, which is written first if it is not there.
    store.path = ""
    # How many views of each example are stored; epoch e shows e modulo it.
    store.views = 10
    # `float16`, 2 bytes a logit, or `float32`.
    store.dtype = "float16"
    # Keeps the logits of the most likely classes alone, and the probability
    # of the rest; 0 keeps all.
    store.top_k = 0
    # About so many views a file: what an interruption may lose.
    store.shard_views = 50_000
    return config


def _optimizer():
    optimizer = ml_collections.ConfigDict()
    optimizer.name = "adamw"
    # The peak of the schedule.
    optimizer.learning_rate = 1e-3
    # Of `sgd`, which is Nesterov's, and of `muon`, which is the same but for
    # convolutions; see `kd_keras.optimizers.Muon`.
    optimizer.momentum = 0.9
    # Of `muon`: what convolutions move by, relative to their norm, at a
    # learning rate of 1.
    optimizer.kernel_learning_rate = 0.1
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
        key: config[key] for key in ("name", "seed", "precision", "devices")
    }
    if stage == "teacher":
        fields["data"] = _without(config.data, "augment", "mixup", "cutmix")
        fields["teacher"] = _without(config.teacher, *_STUDENTS_TEACHER)
    elif stage == "student":
        fields["data"] = config.data
        fields["transfer"] = config.transfer
        fields["student"] = config.student
        fields["distill"] = config.distill
        # The file is known by its fingerprint, wherever it lies.
        fields["teacher"] = {
            key: config.teacher[key]
            for key in _STUDENTS_TEACHER
            if key != "path"
        }
    elif stage == SPECIALIST:
        fields["data"] = _without(config.data, "augment", "mixup", "cutmix")
        # The teacher's file and training are known by its fingerprint.
        fields["teacher"] = {
            key: config.teacher[key]
            for key in (
                "model",
                "widths",
                "dropout",
                "max_norm",
                "augment",
                "outputs",
            )
        }
        fields["specialist"] = _without(config.specialist, "only")
    else:
        fields["data"] = _without(config.data, "mixup", "cutmix")
        fields["transfer"] = config.transfer
        fields["student"] = _without(config.student, "optimizer")
        fields["baseline"] = config.baseline
    flat = flatten(fields)
    for field in list(flat):
        optimizer, _, name = field.rpartition(".")
        if (
            name == "kernel_learning_rate"
            and flat[f"{optimizer}.name"] != "muon"
        ):
            del flat[field]
    return flat


def _without(section, *fields):
    return {key: v for key, v in section.items() if key not in fields}


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


def differing(was, now):
    """The entries of two flat dicts that differ, as text for an error."""
    return [
        f"{field} (was {was.get(field)!r}, is {now.get(field)!r})"
        for field in sorted(was.keys() | now.keys())
        if was.get(field) != now.get(field)
    ]


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
    for field in ("mixup", "cutmix"):
        require(0 <= data[field] <= 1, f"data.{field}", "in [0, 1]")
    require(
        data.mixup + data.cutmix <= 1,
        "data.cutmix",
        f"at most 1 together with data.mixup={data.mixup}",
    )
    require_one_of("teacher.mean", MEANS, config.teacher.mean)
    require(
        all(0 < weight < math.inf for weight in config.teacher.weights),
        "teacher.weights",
        "a tuple of numbers > 0",
    )
    for role in ("teacher", "student"):
        require(config[role].epochs > 0, f"{role}.epochs", "> 0")
        require(config[role].batch_size > 0, f"{role}.batch_size", "> 0")
        require(
            all(isinstance(w, int) and w > 0 for w in config[role].widths),
            f"{role}.widths",
            "a tuple of whole numbers > 0",
        )
        require(
            all(0 <= rate < 1 for rate in config[role].dropout),
            f"{role}.dropout",
            "a tuple of numbers >= 0 and < 1",
        )
        require(
            0 <= config[role].max_norm < math.inf,
            f"{role}.max_norm",
            ">= 0 and finite",
        )
    specialist = config.specialist
    for field, least in (
        ("num_specialists", 2),
        ("num_classes", 0),
        ("epochs", 1),
        ("batch_size", 1),
    ):
        require(
            specialist[field] >= least, f"specialist.{field}", f">= {least}"
        )
    require(
        -1 <= specialist.only < specialist.num_specialists,
        "specialist.only",
        f"-1 for all, or less than {specialist.num_specialists}",
    )
    require(
        0 < specialist.special_share < 1,
        "specialist.special_share",
        "in (0, 1)",
    )
    require(
        0 <= specialist.soft_loss_weight < math.inf,
        "specialist.soft_loss_weight",
        ">= 0 and finite",
    )
    require(
        0 < specialist.temperature < math.inf,
        "specialist.temperature",
        "> 0 and finite",
    )
    for stage in (*STAGES, SPECIALIST):
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
        for field in (
            "kernel_learning_rate",
            "weight_decay",
            "warmup_epochs",
            "clip_norm",
        ):
            require(
                0 <= optimizer[field] < math.inf, f"{prefix}.{field}", ">= 0"
            )
    transfer = config.transfer
    for field in ("omit_classes", "only_classes"):
        require(
            all(isinstance(c, int) and c >= 0 for c in transfer[field]),
            f"transfer.{field}",
            "a tuple of whole numbers >= 0",
        )
    require(
        not (transfer.omit_classes and transfer.only_classes),
        "transfer.omit_classes",
        f"empty with transfer.only_classes={transfer.only_classes}",
    )
    require(0 < transfer.fraction <= 1, "transfer.fraction", "in (0, 1]")
    require(transfer.seed >= 0, "transfer.seed", ">= 0")
    distill = config.distill
    require_one_of("distill.loss", SOFT_LOSSES, distill.loss)
    require(
        not distill.standardize or distill.loss == "kl",
        "distill.standardize",
        f"False unless distill.loss is kl; it is {distill.loss}",
    )
    require(
        0 < distill.temperature < math.inf,
        "distill.temperature",
        "> 0 and finite",
    )
    require(
        0 <= distill.final_temperature < math.inf,
        "distill.final_temperature",
        ">= 0 and finite",
    )
    require(
        0 <= distill.hard_loss_weight < math.inf,
        "distill.hard_loss_weight",
        ">= 0 and finite",
    )
    require(
        distill.final_hard_loss_weight < math.inf,
        "distill.final_hard_loss_weight",
        "finite",
    )
    for loss in ("dkd", "dist"):
        for field, weight in distill[loss].items():
            require(0 <= weight < math.inf, f"distill.{loss}.{field}", ">= 0")
    require(
        not (uses_labels(config) and (data.mixup or data.cutmix)),
        "distill.hard_loss_weight",
        "0 with data.mixup or data.cutmix, since labels are not mixed",
    )
    for field in ("views", "shard_views"):
        require(config.store[field] > 0, f"store.{field}", "> 0")
    require_one_of("store.dtype", STORE_DTYPES, config.store.dtype)
    require(config.store.top_k >= 0, "store.top_k", ">= 0")


def uses_labels(config):
    """Whether the student's training has labels beside the teacher."""
    return (
        config.distill.hard_loss_weight > 0
        or config.distill.final_hard_loss_weight > 0
    )
