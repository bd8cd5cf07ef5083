"""Workers that are actors of Ray, on this machine or on a cluster."""

import contextlib
import os
import socket
import threading
import time

from kd_keras.training.engines import worker as workers
from kd_keras.training.engines.driver import Event
from kd_keras.utils import interruption, packages, provenance, quiet

# How often Ray restarts a worker whose process or machine has ended.
_RESTARTS = 3
# On a busy machine, Ray's own processes may not start in time.
_ATTEMPTS = 3
_PAUSE_SECONDS = 1
_CONNECT_SECONDS = 10
_INIT_SECONDS = 120


class RayCrew:
    """Actors that label. Ray restarts an actor that was killed.

    A cluster must know `kd_keras` and share the directories of the data, the
    teacher and the store, under the same paths.

    Args:
        work: dict; see `worker.Worker`.
        jobs: int, how many; 0 for one on each GPU of the cluster, or on each
            machine where there is none.
        address: str, the address of a cluster's head. Empty for
            `RAY_ADDRESS` or, where that is not set, for a Ray of this machine
            alone.

    Attributes:
        workers: list of the indices of the actors that have not ended.
        actors: list of all actors.

    Raises:
        ValueError: if Ray is not installed, or no cluster answers.
    """

    def __init__(self, work, *, jobs, address=""):
        self._ray = packages.optional("ray", extra="ray")
        self._errors = self._ray.exceptions
        self._work = work
        self._jobs = jobs
        self._init_error = None
        self._address = address or os.environ.get("RAY_ADDRESS", "")
        # The worker of each awaited answer, by the answer's reference.
        self._awaited = {}

    def __enter__(self):
        with interruption.keeping_termination():
            self._connect()
        try:
            machines = [
                node["Resources"] for node in self._ray.nodes() if node["Alive"]
            ]
            cpus = [int(node.get("CPU", 0)) for node in machines]
            gpus = int(sum(node.get("GPU", 0) for node in machines))
            jobs = self._jobs or gpus or sum(count > 0 for count in cpus) or 1
            threads = threads_each(cpus, jobs)
            self.actors = [
                self._start(index, threads, min(gpus / jobs, 1))
                for index in range(jobs)
            ]
        except BaseException:
            self._ray.shutdown()
            raise
        self.workers = list(range(jobs))
        return self

    def __exit__(self, *error):
        for actor in self.actors:
            with contextlib.suppress(self._errors.RayError):
                self._ray.kill(actor)
        self._ray.shutdown()

    def ask(self, worker, method, *arguments):
        """Lets a worker call a method of `worker.Worker`."""
        reference = self.actors[worker].answer.remote(method, arguments)
        self._awaited[reference] = worker

    def next(self):
        """Waits for the next `Event`."""
        (ready,), _ = self._ray.wait(list(self._awaited), num_returns=1)
        worker = self._awaited.pop(ready)
        text = f"worker {worker} of Ray has ended"
        try:
            return Event(worker, *self._ray.get(ready))
        except self._errors.ActorUnavailableError:
            # Until the actor has started, each call fails at once.
            time.sleep(_PAUSE_SECONDS)
            return Event(worker, "restarted", f"{text} and is started again")
        except self._errors.RayActorError as error:
            self.workers.remove(worker)
            return Event(worker, "lost", f"{text}: {_one_line(error)}")
        except self._errors.RayError as error:
            return Event(worker, "error", f"Ray: {_one_line(error)}")

    def _connect(self):
        # Ray must not send usage statistics of a labelling to others.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options = {"configure_logging": False, "log_to_driver": False}
        if not self._address:
            self._start_here(options)
            return
        _check_reachable(self._address)
        with quiet.without_messages():
            # If a program other than Ray answers, `init` waits for minutes.
            thread = threading.Thread(
                target=self._init, kwargs=options, daemon=True
            )
            thread.start()
            thread.join(_INIT_SECONDS)
        if thread.is_alive():
            reason = f"no answer of Ray in {_INIT_SECONDS} seconds"
            raise _unreachable(self._address, reason)
        if self._init_error is not None:
            reason = _one_line(self._init_error)
            raise _unreachable(self._address, reason) from self._init_error

    def _start_here(self, options):
        """Starts a Ray of this machine alone."""
        cpus = max(provenance.threads(), self._jobs)
        for _ in range(_ATTEMPTS):
            try:
                with quiet.without_messages():
                    self._ray.init(
                        "local",
                        num_cpus=cpus,
                        include_dashboard=False,
                        **options,
                    )
                return
            # Ray raises a plain `Exception` after 30 seconds.
            except Exception as error:
                failure = error
                self._ray.shutdown()
        raise ValueError(
            "Ray must start on this machine; --jobs does without it. "
            f"Received: {_one_line(failure)}"
        ) from failure

    def _init(self, **options):
        """Joins the cluster; keeps the error if that fails."""
        try:
            self._ray.init(self._address, **options)
        except Exception as error:
            self._init_error = error

    def _start(self, index, threads, gpus):
        actor = self._ray.remote(workers.Worker).options(
            num_cpus=threads, num_gpus=gpus, max_restarts=_RESTARTS
        )
        return actor.remote({**self._work, "threads": threads}, index)


def threads_each(cpus, jobs):
    """The most threads a worker may have so that all fit on the machines.

    Args:
        cpus: list of ints, the CPUs of each machine.
        jobs: int, the number of workers.
    """
    most = max(sum(cpus) // jobs, 1)
    fitting = (
        threads
        for threads in range(most, 0, -1)
        if sum(count // threads for count in cpus) >= jobs
    )
    return next(fitting, 1)


def _check_reachable(address):
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        # A name of Ray's, such as `auto`.
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address, reason):
    return ValueError(
        "--ray_address must be that of the head of a running Ray cluster, "
        f"host:port. Received: {address} ({reason})"
    )


def _one_line(error):
    """Ray's message about an error, without the traceback."""
    lines = str(error).strip().splitlines()
    # The reason why a worker could not be made comes last.
    return lines[-1 if "creation task" in lines[0] else 0]
