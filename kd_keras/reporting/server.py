"""Serves the report on this machine, with an ONNX file and its runtime."""

import contextlib
import http.server
import os
import pathlib
import re
import shutil
import socket
import tempfile
import threading

from kd_keras.data.sources import packages
from kd_keras.reporting import images, rendering
from kd_keras.utils import digests, files

_RUNTIME = "onnxruntime-web@1.30.0"
_RUNTIME_SHA256 = {
    "ort.wasm.min.js": (
        "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81"
    ),
    "ort-wasm-simd-threaded.mjs": (
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}
# A browser opens about six connections at once.
_MOST_CLIENTS = 32
_MOST_SECONDS = 30
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".wasm": "application/wasm",
}


def runtime_dir():
    """Returns the directory of the browser's runtime, fetched from npm once.

    Raises:
        ValueError: if it cannot be fetched, or its files differ from
            `_RUNTIME`.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(cache) / "kd_keras" / _RUNTIME
    if not folder.is_dir():
        with tempfile.TemporaryDirectory() as temporary:
            try:
                package = packages.fetch_npm_package(_RUNTIME, temporary)
            except ValueError as error:
                raise ValueError(
                    "the try-it panel needs its runtime from npm. "
                    f"Received: {error}"
                ) from error
            with files.replacing_directory(folder) as new:
                for name in _RUNTIME_SHA256:
                    shutil.copyfile(package / "dist" / name, new / name)
                _check_runtime(new)
    _check_runtime(folder)
    return folder


def _check_runtime(folder):
    for name, expected in _RUNTIME_SHA256.items():
        digest = digests.sha256_of_file(folder / name)
        if digest != expected:
            raise ValueError(
                f"{name} of {_RUNTIME} must have the SHA-256 {expected}. "
                f"Received: {digest} in {folder}"
            )


def make_server(report, *, runtime, port):
    """Makes a server of the page at 127.0.0.1, for `serve_forever`.

    It answers to no other name, so that a page of another site cannot read it
    through a name that resolves to this machine. Files are read here, once. A
    request reads nothing but an example of the test set.

    Args:
        report: dict of `gathering.gather`, with an `onnx` file.
        runtime: path, `runtime_dir()`.
        port: int; 0 for a free one.

    Returns:
        `http.server.HTTPServer`.

    Raises:
        ValueError: if the port is not free.
    """
    page = rendering.render(report, served=True).encode()
    contents = {
        "/": ("text/html; charset=utf-8", page),
        "/student.onnx": (_TYPES[".onnx"], report["onnx"].read_bytes()),
    }
    for name in _RUNTIME_SHA256:
        media_type = _TYPES[pathlib.PurePath(name).suffix]
        path = runtime / name
        if path.is_file():
            contents[f"/runtime/{name}"] = (media_type, path.read_bytes())

    class Handler(_Handler):
        def content(self, path):
            image = re.fullmatch(r"/images/([0-9]{1,9})\.png", path)
            if image and int(image[1]) < len(report["examples"]):
                example = report["examples"].subset([int(image[1])])
                return _TYPES[".png"], images.png(example.sample(1)[0])
            return contents.get(path)

    try:
        return _Server(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"--serve must be a free port. Received: {port} ({error})"
        ) from error


class _Server(http.server.ThreadingHTTPServer):
    """Bounds the number of clients, and the time that each one takes."""

    def __init__(self, *arguments):
        self._free = threading.BoundedSemaphore(_MOST_CLIENTS)
        super().__init__(*arguments)

    def process_request(self, request, address):
        if self._free.acquire(blocking=False):
            super().process_request(request, address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request, address):
        # A timeout of the socket would start again with each byte.
        timer = threading.Timer(_MOST_SECONDS, _disconnect, [request])
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, address)
        finally:
            timer.cancel()
            self._free.release()

    def handle_error(self, request, address):
        """Prints nothing where a client has gone."""


def _disconnect(request):
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET; a subclass has the `content` of a path."""

    def do_GET(self):
        host, _, port = self.headers.get("Host", "").partition(":")
        if host not in ("127.0.0.1", "localhost") or (port or "80") != str(
            self.server.server_port
        ):
            self.send_error(403, "This server answers to 127.0.0.1 alone")
            return
        found = self.content(self.path.partition("?")[0])
        if found is None:
            self.send_error(404)
            return
        media_type, body = found
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Logs nothing: a line for each image would hide the URL."""
