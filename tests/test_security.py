"""The security page's claims about the code, checked on the code."""

import ast

import keras
import numpy as np
import pytest
from commands import REPOSITORY

from kd_keras.teachers import loading
from kd_keras.utils import tables

SOURCES = sorted(
    path
    for folder in ("kd_keras", "experiments", "configs")
    for path in (REPOSITORY / folder).rglob("*.py")
)
# Modules whose files run code when they are read, or that start a shell.
FORBIDDEN_MODULES = {"pickle", "dill", "marshal", "shelve", "joblib", "yaml"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "tempfile.mktemp",
    "keras.config.enable_unsafe_deserialization",
}
# Arguments that a call must have, by the end of its name.
NEEDED = {
    "np.load": {"allow_pickle": False},
    "torch.load": {"weights_only": True},
    ".extractall": {"filter": "data"},
}
REFUSED = {"shell": True, "safe_mode": False, "allow_pickle": True}


def faults(source):
    """Yields the forbidden imports and calls in some code, as text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            names += [getattr(node, "module", None) or ""]
            yield from FORBIDDEN_MODULES & {x.split(".")[0] for x in names}
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {
            keyword.arg: getattr(keyword.value, "value", None)
            for keyword in node.keywords
        }
        if name in FORBIDDEN_CALLS:
            yield name
        for end, needed in NEEDED.items():
            if name.endswith(end) and not needed.items() <= given.items():
                yield f"{name} without {needed}"
        yield from (
            f"{name}({key}={value})"
            for key, value in REFUSED.items()
            if key in given and given[key] is value
        )


@pytest.mark.slow
def test_no_module_runs_code_from_data():
    assert len(SOURCES) > 100
    found = {path: list(faults(path.read_text())) for path in SOURCES}
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from yaml import load",
        "eval('1')",
        "np.load(path)",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "archive.extractall(folder)",
        "subprocess.run('ls', shell=True)",
        "keras.models.load_model(path, safe_mode=False)",
    ],
)
def test_forbidden_code_is_found(source):
    assert list(faults(source))
    assert not list(faults("np.load(path, allow_pickle=False)"))


def test_numpy_refuses_a_pickle(tmp_path):
    np.save(tmp_path / "a.npy", np.array([print]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        np.load(tmp_path / "a.npy", allow_pickle=False)


def test_a_keras_file_is_loaded_in_safe_mode(tmp_path):
    marker = tmp_path / "marker"
    path = str(marker)
    code = keras.layers.Lambda(lambda x: (open(path, "w").close(), x)[1])
    inputs = keras.Input((2, 2, 1))
    keras.Model(inputs, keras.layers.Flatten()(code(inputs))).save(
        tmp_path / "model.keras"
    )
    marker.unlink()
    with pytest.raises(ValueError, match="Lambda"):
        loading.load_classifier(tmp_path / "model.keras")
    assert not marker.exists()


def test_names_from_outside_are_text_in_markdown():
    name = "a<script>alert(1)</script>![x](http://a) `b`"
    assert tables.markdown_text(name) == (
        "a&lt;script&gt;alert(1)&lt;/script&gt;!\\[x\\](http://a) \\`b\\`"
    )
