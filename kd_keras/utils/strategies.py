"""Facts about `tf.distribute` strategies."""

import dataclasses

import tensorflow as tf

# The jobs of a cluster whose processes train.
_JOBS = ("chief", "worker")


def num_workers(strategy=None):
    """The number of processes that train together.

    Args:
        strategy: `tf.distribute.Strategy`; by default the current one.

    Returns:
        int, 1 unless a `MultiWorkerMirroredStrategy` has a cluster.
    """
    strategy = strategy or tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    cluster = strategy.cluster_resolver.cluster_spec().as_dict()
    return max(1, sum(len(cluster.get(job, ())) for job in _JOBS))


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of each global batch that a process reads.

    Replica `i` of `n` has the rows `i`, `i + n`, `i + 2 n` ...; a process has
    the rows of its own replicas, which are numbered in a row.

    Attributes:
        first: int, the number of the first own replica.
        own: int, how many replicas the process has.
        total: int, how many replicas all processes have.
    """

    first: int = 0
    own: int = 1
    total: int = 1

    @property
    def numbers(self):
        """The numbers of the own replicas: range."""
        return range(self.first, self.first + self.own)


# The share of a process that trains alone.
WHOLE = Share()


def share_of(strategy):
    """The `Share` of this process among the workers of a strategy."""
    workers = num_workers(strategy)
    if workers == 1:
        return WHOLE
    total = strategy.num_replicas_in_sync
    own = total // workers
    return Share(first=_index(strategy) * own, own=own, total=total)


def _index(strategy):
    """The number of this process, the chief's being 0."""
    resolver = strategy.cluster_resolver
    chiefs = len(resolver.cluster_spec().as_dict().get("chief", ()))
    return resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)
