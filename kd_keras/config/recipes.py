"""Recipes: Python files with `get_config()`, such as those in `configs/`."""

import importlib.util
import pathlib
import traceback

from kd_keras.config import flat, overrides, schema
from kd_keras.utils import suggestions

DEFAULT = "mnist"

_PACKAGE = pathlib.Path(__file__).parents[1]
# In an installed package; else beside it, in a checkout of the repository.
_FOLDER = _PACKAGE / "configs"
if not _FOLDER.is_dir():
    _FOLDER = _PACKAGE.parent / "configs"


def load(recipe):
    """Returns the configuration of a recipe.

    Args:
        recipe: str, the name of a recipe in `configs/` (`cifar10`) or the
            path of a Python file with `get_config()`. Text after a colon is
            the argument of `get_config`: `paper_mnist:soft`.

    Returns:
        `ConfigDict`.

    Raises:
        ValueError: if the recipe does not exist, raises an error or does not
            return a configuration.
    """
    name, colon, argument = recipe.partition(":")
    path = find(name)
    get_config = getattr(_run(path), "get_config", None)
    if get_config is None:
        raise ValueError(
            "a configuration file must define get_config(). "
            f"Received: {path} without it"
        )
    try:
        config = get_config(*[argument] * bool(colon))
    except (Exception, SystemExit) as error:
        raise _failed(path, error) from error
    if not hasattr(config, "copy_and_resolve_references"):
        raise ValueError(
            "get_config() must return a ConfigDict, as default_config() does. "
            f"Received: {type(config).__name__} from {path}"
        )
    try:
        schema.check_shape(config)
        overrides.check_used(config, _changed(config))
    except ValueError as error:
        raise ValueError(f"configuration file {path}: {error}") from error
    return config


def module(name):
    """Returns a recipe's module, for other names that it defines."""
    return _run(find(name))


def names():
    """The recipes in `configs/`, in alphabetical order."""
    stems = {path.stem for path in _FOLDER.glob("*.py")}
    return sorted(stems - {"__init__"})


def find(name):
    """Returns the path of a recipe, given by its name or by a path.

    Raises:
        ValueError: if it does not exist.
    """
    path = pathlib.Path(name)
    if name in names():
        path = _FOLDER / f"{name}.py"
    if path.suffix == ".py" and path.is_file():
        return path
    raise ValueError(
        f"a configuration must be one of {', '.join(names())}, or the path of "
        f"a Python file with get_config(). Received: {name!r}, which "
        f"{'is a directory' if name and path.is_dir() else 'does not exist'}."
        f"{suggestions.did_you_mean(path.stem, names())}"
    )


def _run(path):
    # Not in `sys.modules`, where another file may have the same name.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    recipe = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(recipe)
    except (Exception, SystemExit) as error:
        raise _failed(path, error) from error
    return recipe


def _changed(config):
    """Names of the fields that do not have their default values."""
    defaults = flat.flatten(schema.default_config())
    values = flat.flatten(config)
    return [name for name in defaults if values[name] != defaults[name]]


def _failed(path, error):
    """A ValueError for an error of a recipe, with the recipe's line."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if pathlib.Path(frame.filename) == path.absolute()
    ]
    line = f", line {lines[-1]}" if lines else ""
    # ml_collections wraps the KeyError for an unknown field in another error.
    cause = error.args[0] if error.args else error
    message = cause.args[0] if isinstance(cause, KeyError) else error
    return ValueError(
        "a configuration file must run without an error. Received: "
        f"{path}{line}: {type(error).__name__}: {message}"
    )
