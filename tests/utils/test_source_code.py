"""Fingerprints of user code cover its text and its own imports' text."""

import importlib
import sys

import pytest

from kd_keras.utils import source_code

FILES = {
    "my_net.py": "import numpy\nimport my_blocks\n",
    "my_blocks.py": "def f():\n    from my_package.inner import deep\n",
    "my_package/__init__.py": "",
    "my_package/inner/__init__.py": "from . import deep\n",
    "my_package/inner/deep.py": "from .. import other\nraise OSError\n",
    "my_package/inner/nets.py": "from .. import other\nfrom . import deep\n",
    "my_package/other.py": "x = 1\n",
    "unused.py": "",
}


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Writes files of code; returns the function that does."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(tmp_path)
    write(FILES)
    yield write
    for name in [n for n in sys.modules if n.startswith("my_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("my_net", "my_net.py"),
        ("my_net", "my_blocks.py"),
        ("my_net", "my_package/inner/deep.py"),
        ("my_net", "my_package/inner/__init__.py"),
        ("my_package.inner.nets", "my_package/inner/nets.py"),
        ("my_package.inner.nets", "my_package/other.py"),
        ("my_package.inner", "my_package/other.py"),
    ],
)
def test_an_edit_changes_the_fingerprint(code, module, changed):
    before = source_code.fingerprint(module)
    assert len(before) == 64
    code({"unused.py": "y = 1\n", "my_package/unused.py": "y = 1\n"})
    assert source_code.fingerprint(module) == before
    code({changed: FILES[changed] + "z = 1\n"})
    assert source_code.fingerprint(module) != before


def test_installed_code_and_this_package_are_not_followed(code, tmp_path):
    folder = tmp_path / "site-packages"
    code({"site-packages/my_library.py": "x = 1\n"})
    sys.path.insert(0, str(folder))
    code({"my_net.py": "import my_library, kd_keras.config\n"})
    try:
        before = source_code.fingerprint("my_net")
        code({"site-packages/my_library.py": "x = 2\n"})
        assert source_code.fingerprint("my_net") == before
        # An installed network that is named itself has a fingerprint.
        assert source_code.fingerprint("my_library") is not None
    finally:
        sys.path.remove(str(folder))


@pytest.mark.parametrize("module", ["nowhere", "math", "my_net.nowhere.x"])
def test_code_without_a_source_has_no_fingerprint(code, module):
    assert source_code.fingerprint(module) is None


def test_names_of_functions_are_recognised():
    assert source_code.is_name("my_package.nets:small")
    for other in ("cnn", "a:b:c", "imagenet2012:5.1.0", "C:/images", 3, None):
        assert not source_code.is_name(other)
