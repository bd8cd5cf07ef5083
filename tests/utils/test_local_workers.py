"""Several processes of a tiny command, which stands for a training."""

import os
import signal
import subprocess
import sys
import threading
import time

import commands
import pytest

from kd_keras.utils import local_workers

LIMIT = 60
HEAD = """
import json, os, pathlib, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
def both_are_there():
    pathlib.Path(f"{index}.there").touch()
    while len(list(pathlib.Path().glob("*.there"))) < 2:
        time.sleep(0.01)
"""
WAIT = "both_are_there(); time.sleep(600)"


def run(body, count=2, **options):
    argv = [sys.executable, "-c", f"{HEAD}\n{body}"]
    return local_workers.run(argv, count, **options)


@pytest.fixture(autouse=True)
def in_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local_workers, "_GRACE_SECONDS", 1.0)


def test_each_worker_gets_its_place_and_lines_of_others_are_marked(capfd):
    body = """
print("place", index, len(set(config["cluster"]["worker"])), flush=True)
# In one piece: print divides a line where Python does not buffer.
sys.stderr.write(f"MORE {os.environ['MORE']}\\n")
"""
    assert run(body, 3, environment={"MORE": "x"}) == 0
    captured = capfd.readouterr()
    assert captured.out == "place 0 3\n"
    assert sorted(captured.err.splitlines()) == [
        "MORE x",
        "[worker 1] MORE x",
        "[worker 1] place 1 3",
        "[worker 2] MORE x",
        "[worker 2] place 2 3",
    ]


@pytest.mark.slow
def test_one_that_ends_well_leaves_the_others_running(capfd):
    body = "time.sleep(2.5 * (index == 0)); print('end', flush=True)"
    assert run(body) == 0
    assert capfd.readouterr().out == "end\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("sys.exit(3)", 3, "exit code 3"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            128 + signal.SIGKILL,
            "signal 9 (SIGKILL)",
        ),
    ],
)
def test_the_first_failure_ends_all(capfd, end, code, words):
    # The other one, as TensorFlow's workers do, survives SIGTERM.
    body = f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
both_are_there()
if index == 1:
    {end}
time.sleep(600)
"""
    began = time.monotonic()
    assert run(body) == code
    assert time.monotonic() - began < LIMIT
    assert f"launch: worker 1 ended with {words}" in capfd.readouterr().err


@pytest.mark.slow
def test_what_a_worker_has_started_is_ended_with_it():
    body = """
import subprocess
if index == 1:
    pathlib.Path("child").write_text(str(subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"]).pid))
    both_are_there()
    time.sleep(600)
both_are_there()
sys.exit(1)
"""
    assert run(body) == 1
    with open("child") as file:
        child = int(file.read())
    assert wait_for_end(child)


def test_workers_are_killed_with_the_process_that_has_started_them():
    body = """
both_are_there()
pathlib.Path(f"{index}.pid").write_text(str(os.getpid()))
pathlib.Path(f"{index}.ready").touch()
time.sleep(600)
"""
    script = """
import sys
from kd_keras.utils import local_workers
local_workers.run(sys.argv[1:], 2)
"""
    argv = [sys.executable, "-c", f"{HEAD}\n{body}"]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *argv], env=commands.environment()
    )
    deadline = time.monotonic() + LIMIT
    while not all(os.path.exists(f"{i}.ready") for i in range(2)):
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    for index in range(2):
        with open(f"{index}.pid") as file:
            assert wait_for_end(int(file.read()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_once_to_each(number):
    body = f"""
count = 0
def receive(*_):
    global count
    count += 1
signal.signal({int(number)}, receive)
both_are_there()
pathlib.Path(f"{{index}}.ready").touch()
while not count:
    time.sleep(0.01)
time.sleep(0.3)
pathlib.Path(f"{{index}}.count").write_text(str(count))
"""
    assert run_with_signals(body, number, times=1) == 128 + number
    for index in range(2):
        with open(f"{index}.count") as file:
            assert file.read() == "1"


@pytest.mark.slow
def test_workers_that_ignore_a_signal_are_killed_by_the_second(monkeypatch):
    monkeypatch.setattr(local_workers, "_GRACE_SECONDS", 600)
    body = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
both_are_there()
pathlib.Path(f"{index}.ready").touch()
time.sleep(600)
"""
    assert run_with_signals(body, signal.SIGINT, times=2) == 130


def run_with_signals(body, number, *, times):
    """Runs workers, and sends this process a signal once both are ready."""
    before = signal.signal(number, signal.default_int_handler)

    def send():
        for index in range(2):
            while not os.path.exists(f"{index}.ready"):
                time.sleep(0.01)
        for _ in range(times):
            signal.pthread_kill(threading.main_thread().ident, number)
            time.sleep(0.5)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        return run(body)
    finally:
        sender.join()
        assert signal.signal(number, before) is signal.default_int_handler


def wait_for_end(process):
    """Whether a process ends within the limit; a zombie has ended."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{process}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False
