"""Commands that are interrupted or killed, and two that run at once."""

import pathlib
import signal
import subprocess
import time

import pytest
from commands import command, environment, heed_interruptions


def start(*flags, cwd, module="train", options=()):
    python, *arguments = command(*flags, module=module)
    return subprocess.Popen(
        [python, *options, *arguments],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interruptions,
    )


def wait_for(happens, process, *, deadline=120):
    start = time.time()
    while not happens():
        assert process.poll() is None and time.time() - start < deadline
        time.sleep(0.005)


def assert_interrupted(process):
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors and "Exception" not in errors
    assert errors.splitlines()[-1].startswith("interrupted; run the same")


@pytest.mark.parametrize("module", ["train", "latency"])
def test_a_command_is_interrupted_while_it_starts(tmp_path, module):
    process = start(cwd=tmp_path, module=module, options=["-X", "importtime"])
    # One of the first imports after the package's own.
    while "absl" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert_interrupted(process)


@pytest.mark.slow
def test_a_command_is_interrupted_while_tensorflow_is_imported(tmp_path):
    process = start("--stage=teacher", cwd=tmp_path)
    maps = pathlib.Path(f"/proc/{process.pid}/maps")
    wait_for(lambda: "libtensorflow" in maps.read_text(), process)
    process.send_signal(signal.SIGINT)
    assert_interrupted(process)
    assert not list(tmp_path.iterdir())
