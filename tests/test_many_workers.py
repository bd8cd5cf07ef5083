import signal
import sys

import many_workers

PRINTS_ITS_TASK = [
    sys.executable,
    "-c",
    "import os, json; print(json.dumps(json.loads(os.environ['TF_CONFIG'])))",
]
WAITS = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(600)",
]


def test_each_worker_knows_all_hosts_and_its_place(tmp_path):
    results = many_workers.run(PRINTS_ITS_TASK, cwd=tmp_path)
    first, second = [result.json() for result in results]
    assert first["cluster"] == second["cluster"]
    assert len(set(first["cluster"]["worker"])) == 2
    assert [part["task"]["index"] for part in (first, second)] == [0, 1]


def test_a_worker_that_does_not_end_is_killed(tmp_path):
    (result,) = many_workers.run(WAITS, 1, cwd=tmp_path, limit=0.5)
    assert result.returncode == -signal.SIGKILL


def test_one_worker_can_be_killed_or_interrupted(tmp_path):
    with many_workers.start([WAITS, WAITS, None], cwd=tmp_path) as workers:
        for index in (0, 1):
            workers.wait_for_text(index, "ready", "stdout")
        workers.kill(0)
        workers.kill(1, signal.SIGINT)
        killed, interrupted, absent = workers.wait()
    assert killed.returncode == -signal.SIGKILL
    assert interrupted.returncode == -signal.SIGINT
    assert absent is None
