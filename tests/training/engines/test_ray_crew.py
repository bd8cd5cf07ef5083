"""Actors of Ray that label together."""

import socket
import sys

import pytest
import stores

from kd_keras.training.engines import driver, ray_crew


class KillingCrew(ray_crew.RayCrew):
    """Kills an actor while it labels its first file."""

    killed = None

    def ask(self, worker, method, *arguments):
        super().ask(worker, method, *arguments)
        if method == "run" and self.killed is None:
            self.killed = worker
            self._ray.kill(self.actors[worker], no_restart=False)


@pytest.mark.slow
def test_a_killed_actor_leaves_its_tasks_to_the_other(
    work, by_one_process, tmp_path, caplog
):
    ray = pytest.importorskip("ray")
    with KillingCrew(work, jobs=2) as crew:
        path, left = driver.run(crew)
    assert (path, left) == (str(tmp_path / "work" / "store"), 0)
    assert f"worker {crew.killed} of Ray has ended" in caplog.text
    assert "is done again" in caplog.text
    assert stores.without_locks(path) == stores.contents(by_one_process)
    assert not ray.is_initialized()


def test_a_head_that_does_not_answer_is_refused_at_once(work):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        crew = ray_crew.RayCrew(work, jobs=1, address=address)
        with pytest.raises(ValueError, match=f"{address} .*refused") as error:
            crew.__enter__()
    assert "\n" not in str(error.value)


def test_a_missing_extra_is_named(work, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install -e '.\[ray\]'"):
        ray_crew.RayCrew(work, jobs=1)


@pytest.mark.parametrize(
    ("cpus", "jobs", "threads"),
    [
        ([2], 2, 1),
        ([8], 3, 2),
        ([4, 16], 2, 8),
        ([4, 4], 3, 2),
        ([4], 9, 1),
        ([0, 8], 1, 8),
    ],
)
def test_workers_fit_on_the_machines(cpus, jobs, threads):
    assert ray_crew.threads_each(cpus, jobs) == threads
