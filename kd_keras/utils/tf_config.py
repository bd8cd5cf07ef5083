"""Reads TF_CONFIG, the variable that names the machines of a training.

The launcher of a training on several machines sets it (Slurm, the Kubeflow
training operator, Vertex AI, Ray Train), or the user does by hand. TensorFlow
reads it, too, but starts its servers before it finds some of the mistakes, and
does not explain the others.

Reference:
    - [Distributed training with TensorFlow](
      https://www.tensorflow.org/guide/distributed_training)
"""

import dataclasses
import json
import os
import re

VARIABLE = "TF_CONFIG"
# In TensorFlow's order of the processes.
_ROLES = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
# An address of IPv6 stands in brackets, since it has colons itself.
_HOST = re.compile(r"([^\s:/\[\]@]+|\[[0-9a-fA-F:.]+(%\w+)?\]):([0-9]{1,5})")


@dataclasses.dataclass(frozen=True)
class Workers:
    """The processes that train together, and which of them this one is.

    Attributes:
        hosts: tuple of str, `<host>:<port>`; the chief's is the first.
        index: int, the place of this process among them.
    """

    hosts: tuple[str, ...]
    index: int

    @property
    def count(self):
        """Number of processes: int."""
        return len(self.hosts)

    @property
    def is_chief(self):
        """Whether this process is the one that writes results: bool."""
        return self.index == 0

    def name(self, index):
        """Names a process, for messages: `worker 1 (host2:2222)`."""
        return f"worker {index} ({self.hosts[index]})"


def from_environment():
    """Reads the workers from TF_CONFIG.

    Returns:
        `Workers`, or None where this process trains alone: without TF_CONFIG,
        and with one that names this process and no other.

    Raises:
        ValueError: if TF_CONFIG is malformed or has roles other than `chief`
            and `worker`.
    """
    value = os.environ.get(VARIABLE, "").strip()
    if not value or value == "{}":
        return None
    workers = parse(value)
    return workers if workers.count > 1 else None


def parse(value):
    """Reads the value of TF_CONFIG: `Workers`; raises as `from_environment`.

    Args:
        value: str, JSON.
    """
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"TF_CONFIG must be JSON, such as {_EXAMPLE}. Received: "
            f"{_short(value)} ({error})"
        ) from error
    _require(isinstance(fields, dict), "be an object of JSON", fields)
    hosts = _hosts(fields.get("cluster"))
    role, index = _task(fields.get("task"), hosts)
    first = len(hosts.get("chief", ())) if role == "worker" else 0
    every = tuple(host for name in _ROLES for host in hosts.get(name, ()))
    return Workers(hosts=every, index=first + index)


def text(hosts, index):
    """The TF_CONFIG of one of several workers: str.

    Args:
        hosts: list of str, `<host>:<port>`.
        index: int, the place of the worker among them.
    """
    return json.dumps(
        {
            "cluster": {"worker": list(hosts)},
            "task": {"type": "worker", "index": index},
        }
    )


def address(host):
    """Splits `host:port`: `(name, port)`, str without brackets and int."""
    name, _, port = host.rpartition(":")
    return name.strip("[]"), int(port)


def _hosts(cluster):
    """The checked hosts: dict of a role to a list of str."""
    _require(
        isinstance(cluster, dict),
        'have a "cluster", an object of lists of hosts',
        cluster,
    )
    for role, hosts in cluster.items():
        _check_role(role)
        _require(
            isinstance(hosts, list)
            and all(isinstance(host, str) for host in hosts),
            f"have a list of hosts for the role {role}",
            hosts,
        )
    every = [host for hosts in cluster.values() for host in hosts]
    _require(
        every,
        'name the hosts of the workers in its "cluster" (without TF_CONFIG, '
        "one process trains alone)",
        cluster,
    )
    for host in every:
        match = _HOST.fullmatch(host)
        _require(
            match and 0 < int(match[3]) < 2**16,
            "name each host as host:port, with an address of IPv6 in brackets "
            "and a port from 1 to 65535",
            host,
        )
    twice = {host for host in every if _times(host, every) > 1}
    _require(not twice, "name each host:port once", min(twice, default=None))
    chiefs = cluster.get("chief", [])
    _require(len(chiefs) <= 1, "name at most one chief", chiefs)
    return cluster


def _task(task, hosts):
    """The checked role and index of this process: `(str, int)`."""
    _require(
        isinstance(task, dict) and {"type", "index"} <= set(task),
        'have a "task" with "type" and "index", which say who this process is',
        task,
    )
    role, index = task["type"], task["index"]
    _check_role(role)
    # Some launchers write numbers as text, and TensorFlow reads both.
    if isinstance(index, str) and re.fullmatch("[0-9]{1,9}", index):
        index = int(index)
    count = len(hosts.get(role, ()))
    _require(count, "name hosts for the role of its task", role)
    _require(
        isinstance(index, int)
        and not isinstance(index, bool)
        and 0 <= index < count,
        f"have a task index from 0 to {count - 1}, as the number of its hosts "
        f"with the role {role} is {count}",
        index,
    )
    return role, index


def _check_role(role):
    _require(
        role in _ROLES,
        "have the roles chief and worker alone; a model is evaluated by "
        "kd-keras evaluate, and there are no parameter servers",
        role,
    )


def _times(host, every):
    return [other.lower() for other in every].count(host.lower())


def _require(holds, rule, value):
    if not holds:
        received = "none" if value is None else _short(json.dumps(value))
        raise ValueError(f"TF_CONFIG must {rule}. Received: {received}")


def _short(value):
    line = " ".join(value.split())
    return line if len(line) <= 200 else f"{line[:197]}..."
