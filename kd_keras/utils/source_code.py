"""Python code that a user names as `module:function`, and its SHA-256."""

import ast
import importlib
import importlib.machinery
import importlib.util
import pathlib
import re

from kd_keras.utils import digests

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_THIS_PACKAGE = __name__.partition(".")[0]
_INSTALLED = {"site-packages", "dist-packages"}


def is_name(value):
    """Whether a value has the form `module:function`."""
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def load(name, *, what):
    """Imports a function, which runs the code of its module.

    Args:
        name: str, `module:function`.
        what: str, a description of the function, for errors.

    Raises:
        ValueError: if it cannot be imported or is no function.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:
        raise ValueError(
            f"{what} must name an importable module:function. Received an "
            f"error: {type(error).__name__}: {error}"
        ) from error
    if not callable(found):
        shown = repr(found).splitlines()[0]
        raise ValueError(f"{what} must name a function. Received: {shown}")
    return found


def fingerprint(module):
    """SHA-256 of a module's source and of the user's modules it imports.

    Imports are followed, wherever in the file they are, to modules that lie
    beside it or in its package. Installed packages and this one are not
    followed. No code is executed.

    Args:
        module: str, its name.

    Returns:
        str, 64 hex digits, or None if its source cannot be found.
    """
    origin = _origin(module)
    if origin is None:
        return None
    root = origin.parents[module.count(".") + (origin.stem == "__init__")]
    found, waiting = {}, {module}
    while waiting:
        name = waiting.pop()
        path = _origin(name) if _is_own(name, module, root) else None
        if path is not None:
            source = path.read_bytes()
            found[name] = digests.sha256(source)
            waiting |= _imports(name, path, source) - found.keys()
    lines = [f"{name} {found[name]}" for name in sorted(found)]
    return digests.sha256_of_text("\n".join(lines))


def _origin(module):
    """The path of a module's source, or None."""
    spec = _find(module)
    if spec is None or not (spec.origin or "").endswith(".py"):
        return None
    return pathlib.Path(spec.origin)


def _find(module):
    """The specification of a module, without executing its packages."""
    name, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    for part in inner:
        places = spec and spec.submodule_search_locations
        if not places:
            return None
        name = f"{name}.{part}"
        spec = importlib.machinery.PathFinder.find_spec(name, places)
    return spec


def _is_own(name, module, root):
    """Whether a module belongs to the code of the user's module."""
    package = name.partition(".")[0]
    if package == module.partition(".")[0]:
        return True
    spec = None if package == _THIS_PACKAGE else _find(package)
    if spec is None:
        return False
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    # Installed code is identified by its version, even below the root.
    return any(
        pathlib.Path(place).is_relative_to(root)
        and not _INSTALLED & {*pathlib.Path(place).parts}
        for place in places
    )


def _imports(module, path, source):
    """Names of the modules, and of things in them, that a source imports."""
    parts = module.split(".")
    if path.stem != "__init__":
        parts = parts[:-1]
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            start = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    # The packages that a module lies in are executed with it.
    return {
        name.rsplit(".", count)[0]
        for name in names
        if name
        for count in range(name.count(".") + 1)
    }
