"""Recipes found by name or path, and errors in them."""

import pathlib

import numpy as np
import pytest

from kd_keras import config as config_lib
from kd_keras.config import recipes

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
START = "from kd_keras.config import default_config\n\n\n"
RECIPE = f"""{START}NUMBERS = (1, 2)


def get_config(name="own"):
    config = default_config()
    config.name = name
    return config
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Runs each test outside the repository."""
    monkeypatch.chdir(tmp_path)


def write(text, name="own.py"):
    path = pathlib.Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return name


def test_all_recipes_are_listed():
    files = {path.stem for path in CONFIGS.glob("*.py")} - {"__init__"}
    assert set(recipes.names()) == files
    assert {"mnist", "cifar10"} <= files


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_valid(name):
    module = recipes.module(name)
    arguments = getattr(module, "EXPERIMENTS", None)
    for argument in arguments or [None]:
        recipe = f"{name}:{argument}" if argument else name
        config = recipes.load(recipe)
        config_lib.validate(config.copy_and_resolve_references())


def test_a_recipe_is_found_by_name_and_by_path():
    expected = recipes.load("cifar10").to_json()
    assert recipes.load(str(CONFIGS / "cifar10.py")).to_json() == expected
    assert '"name": "cifar10"' in expected


def test_what_follows_a_colon_is_the_argument():
    for recipe in ("paper_mnist", str(CONFIGS / "paper_mnist.py")):
        config = recipes.load(f"{recipe}:no_threes")
        assert config.transfer.omit_classes == (3,)
        assert recipes.load(recipe).transfer.omit_classes == ()


@pytest.mark.parametrize("path", ["own.py", "./own.py", "folder/own.py"])
def test_a_file_of_your_own_is_loaded(path):
    write(RECIPE, path)
    assert recipes.load(path).name == "own"
    assert recipes.load(f"{path}:other").name == "other"
    assert recipes.module(path).NUMBERS == (1, 2)


def test_a_file_may_start_from_a_recipe():
    path = write(
        "from kd_keras.config import recipes\n"
        "def get_config():\n"
        "    config = recipes.load('cifar10')\n"
        "    config.student.epochs = 3\n"
        "    return config\n"
    )
    config = recipes.load(path)
    assert (config.name, config.student.epochs) == ("cifar10", 3)
    # The recipe itself is as before.
    assert recipes.load("cifar10").student.epochs == 10


def test_a_file_is_preferred_to_a_recipe_only_if_its_path_is_given():
    path = write(RECIPE, "mnist.py")
    assert recipes.load("mnist").name == "mnist"
    assert recipes.load(path).name == "own"


@pytest.mark.parametrize(
    ("recipe", "ending"),
    [
        ("cifra10", "'cifra10', which does not exist. Did you mean 'cifar10'?"),
        ("mnits:x", "'mnits', which does not exist. Did you mean 'mnist'?"),
        ("a/mnits.py", "which does not exist. Did you mean 'mnist'?"),
        ("nowhere.py", "Received: 'nowhere.py', which does not exist."),
        ("", "Received: '', which does not exist."),
        # A folder, and a file of another kind.
        (".", "Received: '.', which is a directory."),
        ("./notes.txt", "Received: './notes.txt', which does not exist."),
    ],
)
def test_a_missing_recipe_is_refused_with_a_suggestion(recipe, ending):
    write("", "notes.txt")
    with pytest.raises(ValueError) as error:
        recipes.load(recipe)
    message = str(error.value)
    assert message.startswith("a configuration must be one of cifar10, ")
    assert message.endswith(ending)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size = 1", "must define get_config(). Received: own.py without it"),
        (
            "def get_config():\n    return 3",
            "must return a ConfigDict, as default_config() does. Received: "
            "int from own.py",
        ),
        ("size = sise", "own.py, line 1: NameError: name 'sise' is not"),
        ("import sise", "own.py, line 1: ModuleNotFoundError: No module"),
        ("\n\nsize = (", "own.py: SyntaxError: '(' was never closed (own.py, "),
        (
            "def get_config():\n    raise ValueError('no size')",
            "own.py, line 2: ValueError: no size",
        ),
        (
            f"{START}def get_config():\n    return default_config().studnet.x",
            "own.py, line 5: AttributeError: 'studnet'\nDid you mean \"stud",
        ),
        (
            "def get_config():\n    return {}['size']",
            "own.py, line 2: KeyError: 'size'",
        ),
    ],
)
def test_an_error_in_a_file_names_the_file_and_the_line(text, message):
    with pytest.raises(ValueError) as error:
        recipes.load(write(text))
    assert message in str(error.value)


def test_an_argument_that_the_recipe_does_not_have_is_refused():
    with pytest.raises(ValueError, match="must be one of teacher, .*'sotf'"):
        recipes.load("paper_mnist:sotf")
    with pytest.raises(ValueError, match="takes 0 positional arguments"):
        recipes.load("mnist:small")


def test_the_warm_up_for_photos_shrinks_with_the_training():
    config = recipes.load("photos")
    config.student.epochs = 1
    warmups = [
        config[stage].optimizer.warmup_epochs
        for stage in ("teacher", "student", "baseline")
    ]
    np.testing.assert_allclose(warmups, [2, 1 / 30, 1 / 30])
