"""Whether a process has ended, by its recorded identity."""

import json
import subprocess
import sys

import pytest

from kd_keras.utils import processes

CODE = (
    "import json; from kd_keras.utils import processes; "
    "print(json.dumps(processes.this_process()), flush=True); input()"
)


def test_a_running_and_an_ended_process():
    assert not processes.has_ended(processes.this_process())
    with subprocess.Popen(
        [sys.executable, "-c", CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        identity = json.loads(other.stdout.readline())
        assert not processes.has_ended(identity)
        other.communicate("\n")
    assert processes.has_ended(identity)


@pytest.mark.parametrize(
    ("change", "ended"),
    [
        # Nothing is known about the processes of another machine or container.
        ({"host": "another"}, False),
        ({"namespace": "pid:[1]"}, False),
        # A reboot ends all processes; their numbers are used again.
        ({"boot": "another"}, True),
        ({"started": 0.0}, True),
    ],
)
def test_the_identity_is_of_one_machine_boot_and_process(change, ended):
    identity = {**processes.this_process(), **change}
    assert processes.has_ended(identity) is ended
