"""Labels files of a store in a process of its own.

`python -m kd_keras.training.engines.worker` reads a JSON value from each line
of stdin: first the work, as `Worker` takes it, then calls `[method,
*arguments]`. It answers on stdout, with `[kind, value]` in each line; see
`driver.Event`. It ends as soon as stdin ends, so that it never outlives the
driver.
"""

import contextlib
import importlib
import json
import logging
import os
import queue
import sys
import threading
import traceback

from kd_keras.utils import quiet


class Worker:
    """Data and teacher of a labelling, loaded once for many tasks.

    Args:
        work: dict of JSON values: `config`, `workdir`, `savedmodels` and
            `predictions`, as `runs.label` takes them; `shard` and
            `num_shards`, which select the tasks; `directory`, the working
            directory; `import`, names of modules to import; and `threads`,
            the number of threads of this process, 0 for all.
        index: int, the number of the worker on its machine, which selects its
            GPU.
    """

    def __init__(self, work, index=0):
        self._work = work
        self._index = index
        self._job = None
        self._started = False
        self._open = contextlib.ExitStack()

    def answer(self, method, arguments=(), report=None):
        """Calls a method of this worker.

        Args:
            method: str, `start`, `open`, `load`, `begin`, `run` or `finish`.
            arguments: sequence of its arguments.
            report: function that is called with each number of views that
                were labelled, or None.

        Returns:
            `(kind, value)`; see `driver.Event`.
        """
        self._report = report or (lambda views: None)
        try:
            return "answer", getattr(self, method)(*arguments)
        except Exception as error:
            from kd_keras.utils import command_line

            if command_line.is_expected(error):
                return "error", command_line.one_line(error)
            return "failure", traceback.format_exc()

    def start(self):
        """Imports TensorFlow, as all workers do at once."""
        if self._started:
            return
        self._started = True
        self._set_up_process()
        with quiet.without_messages():
            from kd_keras.training import label_jobs  # noqa: F401
        _use_one_gpu(self._index)
        for name in self._work["import"]:
            importlib.import_module(name)

    def open(self):
        """Loads the data; returns lines for the log: list of str."""
        lines = []
        with _collecting(lines):
            self._opened()
        return lines

    def load(self):
        """Loads the teacher, as all workers but the first do at once."""
        self._opened().load()

    def begin(self):
        """Writes the plan of the store, unless it exists.

        Returns:
            dict of the store's `path`, a list `tasks` of `(number, views)`,
            and lines for the `log`.
        """
        lines = []
        with _collecting(lines):
            left = self._opened().begin(
                shard=self._work["shard"], num_shards=self._work["num_shards"]
            )
        return {
            "path": str(self._opened().shown),
            "tasks": [(task.number, task.views) for task in left],
            "log": lines,
        }

    def run(self, number):
        """Writes the files of a task; returns the name of the first: str."""
        return next(iter(self._opened().run(number, self._report)))

    def finish(self):
        """Finishes the store if nothing is left: the number of tasks left."""
        left = self._opened().finish()
        self._open.close()
        return left

    def _opened(self):
        """The `StoreJob`, once its data is loaded.

        The first worker checks a new set, and the others find its results in
        the cache.
        """
        if self._job is None:
            self.start()
            from kd_keras.training import label_jobs

            work = self._work
            self._job = self._open.enter_context(
                label_jobs.opened(
                    _config(work["config"]),
                    workdir=work["workdir"],
                    savedmodels=work["savedmodels"],
                    predictions=work["predictions"],
                )
            )
        return self._job

    def _set_up_process(self):
        os.chdir(self._work["directory"])
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        threads = self._work["threads"]
        if threads:
            # TensorFlow and other packages read these when they are imported.
            for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
                os.environ[name] = str(threads)
            # One thread is not enough; see `kd_keras/__init__.py`.
            os.environ["TF_NUM_INTEROP_THREADS"] = str(max(threads, 2))


def _use_one_gpu(index):
    """Gives each of several workers on a machine one of its GPUs."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        own = gpus[index % len(gpus)]
        tf.config.set_visible_devices(own, "GPU")
        # Other workers may share the GPU.
        tf.config.experimental.set_memory_growth(own, True)


@contextlib.contextmanager
def _collecting(lines):
    """Adds the package's log lines to a list, instead of showing them."""

    class Collecting(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record))

    logger, handler = logging.getLogger("kd_keras"), Collecting()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _config(fields):
    """A `ConfigDict` of the values that `json.dumps` wrote."""
    from kd_keras import config as config_lib

    config = config_lib.default_config()
    _set(config, fields)
    return config


def _set(config, fields):
    for name, value in fields.items():
        if isinstance(value, dict):
            _set(config[name], value)
        else:
            # JSON has no tuples.
            is_tuple = isinstance(config[name], tuple)
            config[name] = tuple(value) if is_tuple else value


def main():
    """Answers the calls on stdin until it ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)

    def tell(kind, value):
        answers.write(json.dumps([kind, value]) + "\n")

    asked = queue.SimpleQueue()
    threading.Thread(target=_read, args=(asked,), daemon=True).start()
    work, index = asked.get()
    # Nothing else may write among the answers. Only worker 0 shows its bars.
    os.dup2(2 if not index else os.open(os.devnull, os.O_WRONLY), 1)
    worker = Worker(work, index)
    while True:
        method, *arguments = asked.get()
        answer = worker.answer(
            method, arguments, report=lambda views: tell("views", views)
        )
        tell(*answer)


def _read(asked):
    """Puts the lines of stdin into a queue; ends the process after them."""
    for line in sys.stdin:
        asked.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
