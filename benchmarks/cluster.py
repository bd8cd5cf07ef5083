"""Measures labelling and training in several processes of this machine.

    python -m benchmarks.cluster [--views=4] [--epochs=4] [--rounds=1]

Writes `cluster.md` and `cluster.json` beside this file. Measured, by the
commands that a user runs, start-up included:

- images a second of `kd-keras label`, for the teacher of CIFAR-10, with one
  process on half of the cores, one on all, two processes (`--jobs=2`) and two
  of Ray, and the ratios that are to be kept;
- steps a second of `kd-keras train` on MNIST, and seconds until it trains, of
  one process on half of the cores, one on all, and the two workers of `kd-keras
  launch`;
- the time that is lost if a process is killed in the middle: one of Ray's
  workers, and one of the two workers of a training, which is then started
  again.

Contestants take turns; medians of rounds. With fewer views a labelling takes
less than a minute, and its start counts more.
"""

import json
import os
import pathlib
import shutil
import statistics
import tempfile
import time

from benchmarks import cluster_table, commands, speed

HERE = pathlib.Path(__file__).parent
SAVEDMODELS = commands.REPOSITORY / "savedmodels"
# Examples of an epoch, and of a step.
EXAMPLES, BATCH = 10_240, 256
_RAY = ("--engine=ray", "--jobs=2")
_TWO_WORKERS = ("launch", "--workers=2", "--")


def main():
    arguments = commands.numbers(__doc__, views=4, epochs=4, rounds=1)
    results = {
        "machine": speed.machine(("tensorflow", "keras", "ray", "numpy")),
        "rounds": arguments.rounds,
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bench = Bench(folder, arguments.views, arguments.epochs)
        results["label"] = alternate(bench.labellings(), arguments.rounds)
        results["train"] = alternate(bench.trainings(), arguments.rounds)
        results["killed"] = bench.killings(results)
    (HERE / "cluster.json").write_text(json.dumps(results, indent=2) + "\n")
    (HERE / "cluster.md").write_text(cluster_table.markdown(results))
    print(f"written: {HERE / 'cluster.md'}, {HERE / 'cluster.json'}")


def alternate(contestants, rounds):
    """Medians of what each contestant measures, in turns: dict by name."""
    measured = {name: [] for name in contestants}
    for number in range(rounds):
        for name, measure in contestants.items():
            measured[name].append(measure())
            speed.show_progress(f"round {number + 1} of {rounds}: {name}")
    return {
        name: {
            key: statistics.median(figures[key] for figures in rounds_of)
            for key in rounds_of[0]
        }
        for name, rounds_of in measured.items()
    }


class Bench:
    """The commands that are measured.

    Args:
        folder: path of a directory for the runs.
        views: int, views of each image that are labelled.
        epochs: int, epochs of a training.
    """

    def __init__(self, folder, views, epochs):
        self._folder = folder
        self._views = views
        self._epochs = epochs

    def labellings(self):
        """Contestants by name: functions that return their figures."""
        return {
            cluster_table.HALF: lambda: self._label(cores=half_of_the_cores()),
            cluster_table.ONE: self._label,
            cluster_table.TWO: lambda: self._label("--jobs=2"),
            cluster_table.RAY: lambda: self._label(*_RAY),
        }

    def trainings(self):
        """Contestants by name: functions that return their figures."""
        return {
            cluster_table.HALF: lambda: self._train(cores=half_of_the_cores()),
            cluster_table.ONE: self._train,
            cluster_table.TWO: lambda: self._train(*_TWO_WORKERS),
        }

    def killings(self, results):
        """Seconds of commands that lose a process: dict by killed process."""
        killed = {"a worker of Ray": self._label_with_a_kill()}
        speed.show_progress("killed a worker of Ray")
        usual = results["label"][cluster_table.RAY]["seconds"]
        killed["a worker of Ray"]["usual_seconds"] = usual
        killed["a training worker"] = self._train_with_a_kill()
        speed.show_progress("killed a training worker")
        usual = results["train"][cluster_table.TWO]["seconds"]
        killed["a training worker"]["usual_seconds"] = usual
        return killed

    def _label(self, *flags, cores=None):
        with self._started_label(*flags, cores=cores) as command:
            seconds = command.wait()
        return {"seconds": seconds, "rate": self._count_views() / seconds}

    def _started_label(self, *flags, cores=None):
        return self._command(
            "label",
            *flags,
            *_recipe("cifar10"),
            f"--config.store.views={self._views}",
            cores=cores,
        )

    def _command(self, *arguments, cores=None, new=True):
        if new:
            shutil.rmtree(self._folder / "run", ignore_errors=True)
        return commands.Command(
            *arguments,
            f"--workdir={self._folder / 'run'}",
            folder=self._folder,
            cores=cores,
        )

    def _started_training(self, *launcher, cores=None, new=True):
        return self._command(
            *launcher,
            "train",
            *_recipe("mnist"),
            "--stage=student",
            "--config.student.model=resnet8",
            f"--config.student.epochs={self._epochs}",
            f"--config.student.batch_size={BATCH}",
            f"--config.data.max_train_examples={EXAMPLES}",
            f"--savedmodels={self._folder / 'run' / 'savedmodels'}",
            cores=cores,
            new=new,
        )

    def _count_views(self):
        path = self._folder / "run" / "store" / "manifest.json"
        parts = json.loads(path.read_text())["parts"]
        return sum(part["examples"] * part["views"] for part in parts.values())

    def _count_files(self):
        return len([*self._folder.glob("run/store/train-*-of-*.npy")])

    def _label_with_a_kill(self):
        """Kills a worker of Ray when it has written a third of the files."""
        files = self._count_files()
        with self._started_label(*_RAY) as command:
            command.wait_until(lambda: self._count_files() > files // 3)
            _kill_one(command, commands.is_ray_worker)
            return {"seconds": command.wait()}

    def _train(self, *launcher, cores=None):
        with self._started_training(*launcher, cores=cores) as command:
            began = command.wait_until(self._epoch_seconds)
            seconds = command.wait()
        later = self._epoch_seconds()[1:]
        epoch = statistics.median(later)
        return {
            "seconds": seconds,
            "rate": EXAMPLES / BATCH / epoch,
            "start_seconds": began - epoch,
        }

    def _epoch_seconds(self):
        """Seconds of each epoch that is finished: list of float."""
        path = self._folder / "run" / "student" / "metrics.jsonl"
        if not path.exists():
            return []
        lines = path.read_text().splitlines()
        return [json.loads(line)["seconds"] for line in lines]

    def _train_with_a_kill(self):
        """Kills worker 1 in the middle, and runs the command once more."""
        half = self._epochs // 2
        with self._started_training(*_TWO_WORKERS) as command:
            command.wait_until(lambda: len(self._epoch_seconds()) >= half)
            # In the middle of an epoch, whose steps are then lost.
            time.sleep(self._epoch_seconds()[-1] / 2)
            _kill_one(command, lambda pid: commands.is_worker(pid, 1))
            at = time.monotonic()
            _, seconds = command.wait_for_end()
            noticed = time.monotonic() - at
        with self._started_training(*_TWO_WORKERS, new=False) as command:
            seconds += command.wait()
        return {"seconds": seconds, "noticed_seconds": noticed}


def _recipe(name):
    """The flags of a recipe and of its teacher, which was trained before."""
    teacher = SAVEDMODELS / f"{name}_teacher"
    return [f"--config={name}", f"--config.teacher.path={teacher}"]


def half_of_the_cores():
    """The numbers of half of the cores that may be used: list of int."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[: max(len(cores) // 2, 1)]


def _kill_one(command, is_wanted):
    """Kills one of the processes that a command has started."""
    found = []

    def search():
        found[:] = filter(is_wanted, command.descendants())
        return found

    command.wait_until(search)
    commands.kill(found[0])


if __name__ == "__main__":
    main()
