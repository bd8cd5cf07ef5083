"""The server of the report, and the browser's runtime."""

import shutil

import pytest

from kd_keras.reporting import server


def test_fetching_the_runtime_without_npm_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="no npm client found"):
        server.runtime_dir()
    assert not list(tmp_path.iterdir())


def test_a_changed_runtime_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "kd_keras" / server._RUNTIME
    folder.mkdir(parents=True)
    for name in server._RUNTIME_SHA256:
        (folder / name).write_text("changed")
    with pytest.raises(ValueError, match="must have the SHA-256"):
        server.runtime_dir()


def test_a_port_in_use_is_refused(report, tmp_path):
    with (
        server.make_server(report, runtime=tmp_path, port=0) as first,
        pytest.raises(ValueError, match="--serve must be a free port"),
    ):
        server.make_server(report, runtime=tmp_path, port=first.server_port)
