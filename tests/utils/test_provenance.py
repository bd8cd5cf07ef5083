"""The commit in the record of a run."""

import pathlib
import shutil
import subprocess

from kd_keras.utils import provenance


def repository(path):
    """A git repository with a copy of the module in `kd_keras/utils/`."""
    package = path / "kd_keras" / "utils"
    package.mkdir(parents=True)
    shutil.copy(provenance.__file__, package)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        [*identity, "commit", "-q", "-m", "c"],
    ):
        subprocess.run(["git", *arguments], cwd=path, check=True)
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(
        head, cwd=path, check=True, capture_output=True, text=True
    ).stdout.strip()
    return package / "provenance.py", commit


def recorded_commit(monkeypatch, file):
    monkeypatch.setattr(provenance, "__file__", str(file))
    return provenance.versions(of=())["commit"]


def test_the_commit_is_that_of_the_checkout(tmp_path, monkeypatch):
    file, commit = repository(tmp_path)
    assert recorded_commit(monkeypatch, file) == commit
    (tmp_path / "results.txt").touch()
    assert recorded_commit(monkeypatch, file) == commit
    file.write_text("changed = True")
    assert recorded_commit(monkeypatch, file) == f"{commit}+"


def test_the_user_s_repository_around_an_environment_is_not_recorded(
    tmp_path, monkeypatch
):
    repository(tmp_path)
    installed = tmp_path / ".venv/site-packages/kd_keras/utils/provenance.py"
    installed.parent.mkdir(parents=True)
    shutil.copy(pathlib.Path(provenance.__file__), installed)
    assert recorded_commit(monkeypatch, installed) is None


def test_an_installed_package_has_no_commit(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages/kd_keras/utils/provenance.py"
    installed.parent.mkdir(parents=True)
    assert recorded_commit(monkeypatch, installed) is None
