"""The server of the report, and the browser's runtime."""

import contextlib
import http.client
import shutil
import socket
import threading
import time

import pytest

from kd_keras.reporting import rendering
from kd_keras.reporting import server as server_lib


def test_fetching_the_runtime_without_npm_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="no npm client found"):
        server_lib.runtime_dir()
    assert not list(tmp_path.iterdir())


def test_a_changed_runtime_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "kd_keras" / server_lib._RUNTIME
    folder.mkdir(parents=True)
    for name in server_lib._RUNTIME_SHA256:
        (folder / name).write_text("changed")
    with pytest.raises(ValueError, match="must have the SHA-256"):
        server_lib.runtime_dir()


@pytest.fixture
def serve(report, tmp_path, monkeypatch):
    """A function that starts a server of the report: its port."""
    page = "<!doctype html>"
    monkeypatch.setattr(rendering, "render", lambda report, served: page)
    with contextlib.ExitStack() as stack:

        def serve():
            server = stack.enter_context(
                server_lib.make_server(report, runtime=tmp_path, port=0)
            )
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server.server_port

        yield serve


def ask(port, path, host=None):
    """Asks for a path as it is: `(status, body)`."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {} if host is None else {"Host": host}
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    return answer.status, answer.read()


@pytest.mark.slow
def test_page_model_and_images_are_served(serve, report):
    port = serve()
    status, body = ask(port, "/?x=1")
    assert (status, body) == (200, b"<!doctype html>")
    assert ask(port, "/student.onnx") == (200, report["onnx"].read_bytes())
    status, body = ask(port, "/images/3.png", host=f"localhost:{port}")
    assert status == 200 and body.startswith(b"\x89PNG")


def test_nothing_else_is_served(serve, tmp_path):
    (tmp_path / "secret.js").write_text("secret")
    port = serve()
    for path in (
        "/secret.js",
        "/runtime/secret.js",
        "/runtime/../secret.js",
        "/../../etc/passwd",
        "//etc/passwd",
        "/images/..%2f..%2fetc%2fpasswd",
        "/images/99999.png",
        "/student.onnx/..",
        "*",
    ):
        assert ask(port, path)[0] == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:{port}", ""]
)
def test_another_host_name_is_refused(serve, host):
    port = serve()
    status, body = ask(port, "/", host=host.format(port=port))
    assert status == 403 and body != b"<!doctype html>"


def test_a_slow_client_is_disconnected(serve, monkeypatch):
    monkeypatch.setattr(server_lib, "_MOST_SECONDS", 0.2)
    port = serve()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.0\r\nHost: ")
        assert client.recv(1) == b""


def test_too_many_clients_are_refused_and_forgotten(serve, monkeypatch):
    monkeypatch.setattr(server_lib, "_MOST_CLIENTS", 1)
    port = serve()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.0\r\n")
        with pytest.raises(OSError):
            ask(port, "/")
        client.sendall(f"Host: localhost:{port}\r\n\r\n".encode())
        while client.recv(65536):
            pass
    assert wait_for(lambda: ask(port, "/")[0] == 200)


def wait_for(condition, seconds=10):
    """Whether a condition holds in time; an OSError counts as no."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if condition():
                return True
        time.sleep(0.01)
    return False


@pytest.mark.slow
def test_a_port_in_use_is_refused(serve, report, tmp_path):
    with pytest.raises(ValueError, match="--serve must be a free port"):
        server_lib.make_server(report, runtime=tmp_path, port=serve())
