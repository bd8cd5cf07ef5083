"""Labels a store with several processes, on one machine or on many.

A driver hands the tasks of the store, one file each, to workers. It imports no
TensorFlow: the workers do, all at once. A worker that ends early, killed or
out of memory, loses its task to the others.
"""

import importlib

# Where the workers of each engine are started.
ENGINES = {
    "local": "kd_keras.training.engines.local:LocalCrew",
    "ray": "kd_keras.training.engines.ray_crew:RayCrew",
}


def label(engine, work, *, jobs=0, address=""):
    """Labels `<workdir>/store` with the workers of an engine.

    Args:
        engine: str, one of `ENGINES`.
        work: dict of JSON values; see `worker.Worker`.
        jobs: int, how many workers label at once; 0 for the engine's default.
        address: str, the address of a cluster, or empty for this machine.

    Returns:
        `(path, left)`: str, the store's directory, and int, how many of its
        tasks are left to other processes; 0 where the store is finished.

    Raises:
        ValueError: as `runs.label`, or if all workers ended early, or the
            engine cannot be used.
    """
    from kd_keras.training.engines import driver

    module, _, name = ENGINES[engine].partition(":")
    crew_class = getattr(importlib.import_module(module), name)
    with crew_class(work, jobs=jobs, address=address) as crew:
        return driver.run(crew)
