"""Imports between the rooms of the package run in one direction."""

import ast
import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]
PACKAGES = ("kd_keras", "experiments", "benchmarks", "configs")
# A room may import itself and the rooms below it.
ROOMS = [
    "commands",
    "reporting",
    "training",
    "deployment",
    "evaluation",
    "distillation",
    "store",
    "teachers",
    "data",
    "models",
    "config",
    "utils",
]


def module_name(path):
    """The dotted name of a source file: `kd_keras.store.reader`."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def source_files(*packages):
    return sorted(
        path
        for package in packages
        for path in (REPOSITORY / package).rglob("*.py")
    )


MODULES = {module_name(path) for path in source_files(*PACKAGES)}


def imports(path, tree):
    """The project's modules and names that a file imports.

    Yields:
        `(line, target, alias)`: the dotted name that is imported, of a module
        or of something in it, and the local name that it is bound to.
    """
    package = path.relative_to(REPOSITORY).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, alias.asname or alias.name
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            start = [*base] if node.level else []
            start += node.module.split(".") if node.module else []
            for alias in node.names:
                target = ".".join([*start, alias.name])
                yield node.lineno, target, alias.asname or alias.name


def room(name):
    """The room of a module, or of something in it: `store`."""
    first = name.split(".")[1:2]
    return first[0] if first and first[0] in ROOMS else "commands"


def private_uses(tree, aliases):
    """`(line, name)` of `module._name`, for modules of the project."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            name = ast.unparse(node.value)
            if name in aliases:
                yield node.lineno, f"{aliases[name]}.{node.attr}"


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", source_files("kd_keras"), ids=module_name)
def test_imports_point_to_lower_rooms(path):
    here = ROOMS.index(room(module_name(path)))
    for line, target, _ in imports(path, ast.parse(path.read_text())):
        package = target.split(".")[0]
        assert package not in PACKAGES[1:], (
            f"{path}:{line} imports {target}: the package must not need what "
            "is outside it"
        )
        if package == "kd_keras":
            assert ROOMS.index(room(target)) >= here, (
                f"{path}:{line} imports {target}, of a room above its own"
            )


@pytest.mark.parametrize("path", source_files(*PACKAGES), ids=module_name)
def test_private_names_stay_in_their_module(path):
    tree = ast.parse(path.read_text())
    aliases = {}
    for line, target, alias in imports(path, tree):
        if target.split(".")[0] not in PACKAGES:
            continue
        assert not any(map(is_private, target.split("."))), (
            f"{path}:{line} imports {target}"
        )
        if target in MODULES:
            aliases[alias] = target
    assert not list(private_uses(tree, aliases)), path


def test_every_folder_of_the_package_is_a_room():
    folders = {
        path.relative_to(REPOSITORY).parts[1]
        for path in source_files("kd_keras")
        if path.parent.name != "kd_keras"
    }
    assert folders == set(ROOMS) - {"commands"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import kd_keras.store", ["kd_keras.store"]),
        ("from kd_keras import store", ["kd_keras.store"]),
        ("from .reader import open", ["kd_keras.store.reader.open"]),
        ("from ..data import order", ["kd_keras.data.order"]),
        ("from . import manifest", ["kd_keras.store.manifest"]),
        ("def f():\n import json, os", ["json", "os"]),
    ],
)
def test_absolute_and_relative_imports_are_found(source, expected):
    path = REPOSITORY / "kd_keras" / "store" / "writer.py"
    found = imports(path, ast.parse(source))
    assert [target for _, target, _ in found] == expected


def test_a_private_name_of_another_module_is_found():
    tree = ast.parse("store._open(); self._other; store.open()")
    assert list(private_uses(tree, {"store": "kd_keras.store"})) == [
        (1, "kd_keras.store._open")
    ]
