"""The script that `test_cluster.py` runs on two workers; prints JSON.

Arguments: a directory that both see, and the fields of a configuration, as
JSON, with which both train a teacher and a student in `<directory>/whole`.
"""

import json
import os
import pathlib
import signal
import sys
import threading

import keras
import numpy as np

from kd_keras import config as config_lib
from kd_keras.training import checkpoints, cluster, runs
from kd_keras.utils import tf_config


def main(folder, fields):
    workers = tf_config.from_environment()
    strategy = cluster.make_strategy(
        workers, device_count="2", patience_seconds=600.0
    )
    mine = workers.index
    found = {
        "index": cluster.index(strategy),
        "is_chief": cluster.is_chief(strategy),
        "replicas": strategy.num_replicas_in_sync,
        "gathered": [
            len(x) for x in cluster.gather(strategy, bytes(3 + 300 * mine))
        ],
        "from_chief": cluster.from_chief(strategy, {"mine": mine}),
        "on_chief": cluster.on_chief(strategy, lambda: [mine]),
        "cached": strategy
        is cluster.make_strategy(
            workers, device_count="2", patience_seconds=600.0
        ),
        "differing": message(
            lambda: cluster.agree(
                strategy, {"seed": mine, "epochs": 3}, hint="do this"
            )
        ),
        "equal": message(lambda: cluster.agree(strategy, {"epochs": 3})),
        "copies": copies(strategy, mine),
        "unseen": unseen(strategy, pathlib.Path(folder), mine),
        "reports": train(pathlib.Path(folder), fields),
        "terminated": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "interrupted": interrupted(strategy, mine),
        "failure": failure(strategy, mine),
    }
    print(json.dumps(found), flush=True)
    # As a command does: the usual exit waits for the other worker.
    os._exit(0)


def train(folder, fields):
    config = config_lib.default_config()
    config.update_from_flattened_dict(fields)
    return runs.run(
        config,
        stages=["teacher", "student"],
        workdir=folder / "whole/runs",
        savedmodels=folder / "whole/savedmodels",
    )


def message(function):
    try:
        function()
    except ValueError as error:
        return str(error)
    return None


def copies(strategy, mine):
    """The values that a chief saves and all restore, of four replicas."""
    with strategy.scope():
        variable = keras_variable()
    for number, local in enumerate(
        strategy.experimental_local_results(variable.value)
    ):
        local.assign([10.0 * mine + number, 0.5])
    kept = checkpoints._Copies(strategy, [variable], first=1)
    kept.take()
    saved = [copy.numpy().tolist() for copy in kept.copies]
    locals_ = strategy.experimental_local_results(variable.value)
    first = locals_[0].numpy().tolist()
    for local in locals_:
        local.assign([-1.0, -1.0])
    kept.give_back()
    return saved, first, [local.numpy().tolist() for local in locals_]


def keras_variable():
    return keras.Variable(np.zeros(2, "float32"), trainable=False)


def unseen(strategy, folder, mine):
    """The error about a file that one worker does not see."""
    cluster._FILE_SECONDS = 0.5
    path = folder / str(mine) / "config.json"
    path.parent.mkdir()
    path.write_text("{}")
    cluster.wait_for_file(strategy, path.parent.parent / "0/config.json")
    if mine == 1:
        path = folder / "1/nothing.json"
    return message(lambda: cluster.wait_for_file(strategy, path))


def interrupted(strategy, mine):
    """Whether an interruption reaches a worker that waits for the other."""
    was_interrupted = pathlib.Path(sys.argv[1], "was_interrupted")
    has_come = pathlib.Path(sys.argv[1], "has_come")
    if mine == 0:
        wait_for(was_interrupted)
        cluster.gather(strategy, b"")
        has_come.touch()
        return None
    timer = threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        cluster.gather(strategy, b"")
    except KeyboardInterrupt:
        was_interrupted.touch()
        wait_for(has_come)
        return True
    return False


def wait_for(path):
    while not path.exists():
        threading.Event().wait(0.05)


def failure(strategy, mine):
    """The error of a worker after another one has failed."""
    if mine == 1:
        try:
            with cluster.failing_together(strategy):
                raise OSError(28, "No space left", "/disk")
        except OSError as error:
            return str(error)
    try:
        with cluster.failing_together(strategy):
            cluster.gather(strategy, b"")
    except ValueError as error:
        return str(error)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
