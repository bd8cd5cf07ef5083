"""Processes of this machine that label together."""

import os
import signal

import pytest
import stores

from kd_keras.training.engines import driver, local


def test_an_interruption_ends_all_processes(work):
    with (
        pytest.raises(KeyboardInterrupt),
        local.LocalCrew(work, jobs=2) as crew,
    ):
        raise KeyboardInterrupt
    assert [process.returncode for process in crew.processes] == [-9, -9]


def test_a_killed_process_is_told_with_its_signal(work):
    with local.LocalCrew(work, jobs=2) as crew:
        os.kill(crew.processes[0].pid, signal.SIGKILL)
        event = crew.next()
        assert (event.worker, event.kind) == (0, "lost")
        assert "was killed by SIGKILL" in event.value
        assert crew.workers == [1]
        # It ends with the driver, which closes its pipe.
        crew.processes[1].stdin.close()
        assert crew.next().kind == "lost"


class KillingCrew(local.LocalCrew):
    """Kills the first process that has labelled a batch."""

    killed = None

    def next(self):
        event = super().next()
        if event.kind == "views" and self.killed is None:
            self.killed = event.worker
            os.kill(self.processes[event.worker].pid, signal.SIGKILL)
        return event


@pytest.mark.slow
def test_a_killed_process_leaves_its_tasks_to_the_other(
    work, by_one_process, tmp_path, caplog
):
    with KillingCrew(work, jobs=2) as crew:
        path, left = driver.run(crew)
    assert (path, left) == (str(tmp_path / "work" / "store"), 0)
    assert crew.workers == [1 - crew.killed]
    assert "was killed by SIGKILL" in caplog.text
    assert "is done again" in caplog.text
    assert stores.without_locks(path) == stores.contents(by_one_process)
