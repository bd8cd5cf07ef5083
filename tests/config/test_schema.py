"""Defaults, references between fields, and refused values."""

import math

import pytest

from kd_keras import config as config_lib

NAN = float("nan")
SHARE_OR_COUNT = "a share >= 0 and < 1, or a whole number <= 1,000,000,000"
TEMPERATURE = "from 0.001 to 100000, where float32 can compute the loss"


def test_a_field_follows_another_one_until_it_is_set():
    config = config_lib.default_config()
    config.data.augment.translate = 1
    config.seed = 3
    assert config.teacher.augment.translate == 1
    assert config.data.augment.seed == config.teacher.augment.seed == 3
    assert config.transfer.seed == 3
    config.data.augment.seed = 7
    assert config.teacher.augment.seed == 7
    assert config.transfer.seed == config.seed == 3
    config.teacher.augment.cutout = 5
    assert config.data.augment.cutout == 0


def test_every_configuration_is_a_new_one():
    config_lib.default_config().student.optimizer.momentum = 0.5
    assert config_lib.default_config().student.optimizer.momentum == 0.9


def test_each_optimizer_is_a_section_of_its_own():
    config = config_lib.default_config()
    config.student.optimizer.learning_rate = 0.5
    for stage in ("teacher", "baseline", "specialist"):
        assert config[stage].optimizer.learning_rate == 1e-3


def test_a_value_of_another_type_is_refused():
    with pytest.raises(TypeError):
        config_lib.default_config().student.epochs = "3"


@pytest.mark.parametrize("amount", [0, 0.0, 0.25, 1, 5000])
def test_a_share_and_a_count_stay_of_their_types(amount):
    config = config_lib.default_config()
    config.data.validation_examples = config.data.test_fraction = amount
    config_lib.validate(config)
    config.data.test_fraction = 0.5
    config_lib.validate(config.copy_and_resolve_references())
    # Records and digests of configurations show the difference.
    assert repr(config.data.validation_examples) == repr(amount)
    with pytest.raises(TypeError):
        config.data.validation_examples = "5000"


def test_the_defaults_are_valid():
    config_lib.validate(config_lib.default_config())


@pytest.mark.parametrize(
    ("field", "values", "rule"),
    [
        (
            "name",
            (
                "",
                "a/b",
                "a\\b",
                "..",
                ".a",
                "-a",
                " a",
                "a ",
                "a.",
                "a\nb",
                "a*",
                "~",
                "a\x1bb",
                "a\udce9",
                "a\u202eb",
                "a" * 201,
            ),
            "a file name of at most 200 bytes, without "
            '/ \\ : * ? " < > | and control characters, that does not begin '
            "with a dot, dash, tilde or space, nor end with a dot or space",
        ),
        ("seed", (-1, 2**31), ">= 0 and <= 2,147,483,647"),
        (
            "devices",
            ("none", "0", "-2", "65", "²", "2\n", "10" * 99),
            "'auto' or a whole number from 1 to 64",
        ),
        ("data.image_size", (-1,), ">= 0 and <= 10,000"),
        ("data.validation_examples", (-1, 1.5, 1.0, 10**10), SHARE_OR_COUNT),
        ("data.max_train_examples", (-1,), ">= 0 and <= 1,000,000,000"),
        ("data.test_fraction", (-0.1, 2.5, NAN), SHARE_OR_COUNT),
        ("data.memory_limit_mb", (-1,), ">= 0 and <= 1,000,000,000"),
        ("data.augment.translate", (-1,), ">= 0 and <= 10,000"),
        ("teacher.augment.cutout", (-1,), ">= 0 and <= 10,000"),
        ("data.mixup", (1.5, -0.5, NAN), ">= 0 and <= 1"),
        ("data.cutmix", (1.5,), ">= 0 and <= 1"),
        (
            "teacher.weights",
            ((1.0, -1.0), (0.0,), (math.inf,)),
            "a tuple of at most 100 numbers > 0 and <= 1,000,000",
        ),
        (
            "student.widths",
            ((0,), (1.5,), ("a",), (True,), (None,), ((1,),), (1,) * 101),
            "a tuple of at most 100 whole numbers >= 1 and <= 65,536",
        ),
        (
            "student.dropout",
            ((1.0,), (0.2, -0.1), ("a",), (NAN,), (True,)),
            "a tuple of at most 100 numbers >= 0 and < 1",
        ),
        ("student.max_norm", (-1.0, math.inf, NAN), ">= 0 and <= 1,000,000"),
        ("student.epochs", (0,), ">= 1 and <= 1,000,000"),
        ("teacher.batch_size", (0,), ">= 1 and <= 1,000,000"),
        (
            "student.optimizer.learning_rate",
            (0.0, -1.0, math.inf, NAN),
            "> 0 and <= 1,000",
        ),
        ("teacher.optimizer.momentum", (-0.1, 1.1), ">= 0 and <= 1"),
        ("baseline.optimizer.final_factor", (1.1,), ">= 0 and <= 1"),
        ("baseline.optimizer.weight_decay", (-1.0, NAN), ">= 0 and <= 1,000"),
        (
            "specialist.optimizer.warmup_epochs",
            (-1.0,),
            ">= 0 and <= 1,000,000",
        ),
        (
            "transfer.only_classes",
            ((-1,), (0.5,)),
            "a tuple of at most 10,000 whole numbers >= 0 and <= 1,000,000",
        ),
        ("transfer.fraction", (0.0, 1.1), "> 0 and <= 1"),
        ("transfer.seed", (-1,), ">= 0 and <= 2,147,483,647"),
        ("distill.temperature", (0.0, 1e-4, 1e6, NAN), TEMPERATURE),
        (
            "distill.final_temperature",
            (-1.0, 1e-4, math.inf),
            f"0, or {TEMPERATURE}",
        ),
        ("distill.hard_loss_weight", (-0.1, math.inf), ">= 0 and <= 1,000,000"),
        (
            "distill.final_hard_loss_weight",
            (math.inf, NAN),
            ">= -1,000,000 and <= 1,000,000",
        ),
        ("distill.dkd.beta", (-1.0, math.inf), ">= 0 and <= 1,000,000"),
        ("distill.dist.gamma", (-1.0,), ">= 0 and <= 1,000,000"),
        ("specialist.num_specialists", (1,), ">= 2 and <= 1,000"),
        ("specialist.num_classes", (-1,), ">= 0 and <= 1,000,000"),
        ("specialist.epochs", (0,), ">= 1 and <= 1,000,000"),
        ("specialist.special_share", (0.0, 1.0), "> 0 and < 1"),
        ("specialist.soft_loss_weight", (-1.0,), ">= 0 and <= 1,000,000"),
        ("specialist.temperature", (0.0,), TEMPERATURE),
        ("specialist.only", (-2, 3), "-1 for all, or less than 3"),
        ("store.views", (0,), ">= 1 and <= 1,000,000"),
        ("store.shard_views", (-1,), ">= 0 and <= 1,000,000,000"),
        ("store.top_k", (-1,), ">= 0 and <= 1,000,000"),
    ],
)
def test_a_value_against_the_rule_is_refused(field, values, rule):
    for value in values:
        assert refusal({field: value}) == (
            f"{field} must be {rule}. Received: {value!r}"
        )


def refusal(fields):
    """The error of a configuration with these fields: str."""
    config = config_lib.default_config()
    config.update_from_flattened_dict(fields)
    with pytest.raises(ValueError) as caught:
        config_lib.validate(config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("precision", "float23", "float32"),
        ("data.augment.mirror", "randon", "random"),
        ("teacher.augment.mirror", "nonee", "none"),
        ("teacher.mean", "aritmetic", "arithmetic"),
        ("student.optimizer.name", "adam", "adamw"),
        ("specialist.optimizer.schedule", "cosin", "cosine"),
        ("distill.loss", "kld", "kl"),
        ("store.dtype", "float61", "float16"),
    ],
)
def test_a_mistyped_choice_is_refused_with_a_suggestion(field, value, meant):
    error = refusal({field: value})
    assert error.startswith(f"{field} must be one of ") and meant in error
    assert error.endswith(f"Received: {value!r}. Did you mean {meant!r}?")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {"data.mixup": 0.6, "data.cutmix": 0.6},
            "data.cutmix must be at most 1 together with data.mixup=0.6. "
            "Received: 0.6",
        ),
        (
            {"data.mixup": 0.5, "distill.hard_loss_weight": 0.1},
            "distill.hard_loss_weight must be 0 with data.mixup or "
            "data.cutmix, since labels are not mixed. Received: 0.1",
        ),
        (
            {"transfer.omit_classes": (1,), "transfer.only_classes": (2,)},
            "transfer.omit_classes must be empty with "
            "transfer.only_classes=(2,). Received: (1,)",
        ),
        (
            {"distill.loss": "mse", "distill.standardize": True},
            "distill.standardize must be False unless distill.loss is kl; it "
            "is mse. Received: True",
        ),
        (
            {"teacher.backbone": "a.keras", "teacher.classes": "0,1"},
            "teacher.classes must be empty with teacher.backbone: its head "
            "has the classes of the data. Received: '0,1'",
        ),
        (
            {"teacher.backbone": "a.keras", "teacher.path": "b.keras"},
            "teacher.backbone must be empty with teacher.path: the options "
            "of the section are either's. Received: 'a.keras'",
        ),
        (
            {
                "student.image_size": 16,
                "student.quantize": "int8",
                "student.weights": "a.keras",
            },
            "student.image_size must be 0 with student.quantize=int8: layers "
            "that resize do not train with rounding. Received: 16",
        ),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(fields, error):
    assert refusal(fields) == error


def test_an_unknown_field_is_refused_with_a_suggestion():
    config = config_lib.default_config()
    config.student.epohs = 3
    with pytest.raises(ValueError, match=r"student\.epohs.*'student\.epochs'"):
        config_lib.validate(config)


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, {}),
        ({"standardize": True}, {"standardize": True}),
        ({"loss": "dkd", "dkd.beta": 2.0}, {"alpha": 1.0, "beta": 2.0}),
        ({"loss": "dist"}, {"beta": 1.0, "gamma": 1.0}),
        ({"loss": "mse"}, {}),
    ],
)
def test_a_loss_gets_its_own_options(fields, options):
    config = config_lib.default_config()
    config.distill.update_from_flattened_dict(fields)
    assert config_lib.loss_options(config) == options


@pytest.mark.parametrize(
    ("weight", "final", "used"),
    [
        (0.0, -1.0, False),
        (0.1, -1.0, True),
        (0.0, 0.1, True),
        (0.0, 0.0, False),
    ],
)
def test_labels_are_used_if_a_weight_of_them_is_positive(weight, final, used):
    config = config_lib.default_config()
    config.distill.hard_loss_weight = weight
    config.distill.final_hard_loss_weight = final
    assert config_lib.uses_labels(config) == used
