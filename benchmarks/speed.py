"""Measures the speed of kd_keras and of its peers, side by side.

    python -m benchmarks.speed [--rounds=5] [--images=3840]

or `make benchmark`. Writes `results.md` and `results.json` beside this file.
Measured, on real CIFAR-10 images, batch 256, float32 unless bfloat16 is named,
airbench 64/128/128 -> 32/64/128 and ResNet-20 -> ResNet-8:

- images a second of a training step: the student's plain `fit`, distillation
  from a store and from a live teacher, `keras.distillation` with and without
  oneDNN, and PyTorch, live and from stored logits; both stored steps also in
  bfloat16;
- images a second of the teacher's inference, its `predict`, the labelling of a
  store, and the input pipeline on one core;
- on one core, the time that a stored step spends in convolutions, by oneDNN's
  log, ours and PyTorch's;
- peak memory of one epoch over 50,000 images;
- seconds of `--help`, and of a student stage of one step;
- a store of ten million views, by `benchmarks.store`.

Rates are medians of rounds in which all contestants take turns on the same
machine; the first round is left out.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import table
from benchmarks.worker import BATCH

HERE = pathlib.Path(__file__).parent


class Worker:
    """A process that measures one contestant at a time: `benchmarks.worker`."""

    def __init__(
        self,
        kind,
        nets,
        images,
        *,
        affinity=None,
        stderr=subprocess.DEVNULL,
        **environment,
    ):
        command = [sys.executable, "-m", "benchmarks.worker"]
        if affinity is not None:
            command = ["taskset", "-c", str(affinity), *command]
        self._process = subprocess.Popen(
            [*command, kind, nets, images],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=HERE.parent,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        )
        self._answer()

    def measure(self, name):
        """Returns `{"rate": images a second, "peak_mb": MB of the process}`."""
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self):
        self._process.stdin.close()
        self._process.wait()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker ended: run benchmarks.worker by hand")
        return json.loads(line)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=3840)
    arguments = parser.parse_args()
    results = {"machine": machine(), "nets": {}, "profiles": {}}
    show_progress("start-up")
    results["help_seconds"] = help_seconds(arguments.rounds)
    results["first_step_seconds"] = first_step_seconds()
    show_progress("a store of ten million views")
    results["store"] = one_core("benchmarks.store")
    with tempfile.TemporaryDirectory() as folder:
        images = pathlib.Path(folder) / "images.npy"
        save_images(images, arguments.images)
        for nets in ("airbench", "resnet"):
            results["nets"][nets] = alternate(
                nets, str(images), arguments.rounds
            )
            results["profiles"][nets] = profiles(
                nets, str(images), arguments.images
            )
        results["peak_mb"] = peak_memory(folder)
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    (HERE / "results.md").write_text(table.markdown(results))
    print(f"written: {HERE / 'results.md'}, {HERE / 'results.json'}")


def show_progress(text):
    print(text, flush=True)


def save_images(path, count):
    code = (
        "import sys, numpy as np; from kd_keras.data import sources; "
        "images = sources.load_dataset('cifar10').train.images; "
        "np.save(sys.argv[1], images[: int(sys.argv[2])])"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(path), str(count)],
        check=True,
        cwd=HERE.parent,
        stderr=subprocess.DEVNULL,
    )


def alternate(nets, images, rounds):
    """Median images a second of every contestant: dict by name."""
    ours = Worker("tensorflow", nets, images, TF_ENABLE_ONEDNN_OPTS="1")
    without = Worker("tensorflow", nets, images, TF_ENABLE_ONEDNN_OPTS="0")
    torch = Worker("torch", nets, images)
    one_core = Worker("tensorflow", nets, images, affinity=0)
    turns = [
        *((name, ours, name) for name in ("plain", "stored", "inference")),
        *((name, ours, name) for name in ("live", "predict", "label")),
        ("stored, bfloat16", ours, "stored, bfloat16"),
        (table.WITH_ONEDNN, ours, "keras.distillation"),
        (table.WITHOUT_ONEDNN, without, "keras.distillation"),
        ("PyTorch, live", torch, "live"),
        ("PyTorch, stored", torch, "stored"),
        ("PyTorch, stored, bfloat16", torch, "stored, bfloat16"),
        ("pipeline, one core", one_core, "pipeline"),
    ]
    rates = {name: [] for name, _, _ in turns}
    for number in range(rounds + 1):
        for name, worker, contestant in turns:
            rates[name].append(worker.measure(contestant)["rate"])
        show_progress(f"{nets}: round {number} of {rounds}")
    for worker in (ours, without, torch, one_core):
        worker.close()
    # The first round warms up.
    return {name: statistics.median(r[1:]) for name, r in rates.items()}


def profiles(nets, images, count):
    """Profiles of the stored steps of both programs: dict by their names."""
    found = {}
    for kind, program in (("tensorflow", "kd_keras"), ("torch", "PyTorch")):
        for contestant in ("stored", "stored, bfloat16"):
            show_progress(f"{nets}: profile of {program}, {contestant}")
            found[f"{program}, {contestant}"] = profile(
                kind, nets, images, contestant, count / BATCH
            )
    return found


def profile(kind, nets, images, contestant, steps):
    """Milliseconds of a step on one core: dict with "step" and convolutions.

    oneDNN logs how long each primitive takes. On one core, one after another,
    their times can be added.
    """
    serial = {
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "ONEDNN_VERBOSE": "1",
    }
    milliseconds = dict.fromkeys(["step", *table.CONVOLUTIONS], 0.0)
    # oneDNN logs to stdout, which the worker redirects to its stderr.
    with tempfile.NamedTemporaryFile("w+") as log:
        worker = Worker(kind, nets, images, affinity=0, stderr=log, **serial)
        worker.measure(contestant)
        warm = log.seek(0, os.SEEK_END)
        rate = worker.measure(contestant)["rate"]
        worker.close()
        log.seek(warm)
        for line in log:
            # onednn_verbose,v1,primitive,exec,cpu,convolution,
            # brg_conv_fwd:avx512_core,forward_training,...,1.23
            fields = line.strip().split(",")
            if ",exec,cpu,convolution," in line:
                milliseconds[fields[7]] += float(fields[-1]) / steps
    return {**milliseconds, "step": 1000 * BATCH / rate}


def peak_memory(folder):
    """Peak MB of a process that trains one epoch over 50,000 images."""
    images = pathlib.Path(folder) / "all.npy"
    save_images(images, 50_000)
    peaks = {}
    for name in ("plain", "stored", "live", "keras.distillation"):
        show_progress(f"memory: {name}")
        worker = Worker("tensorflow", "airbench", str(images))
        peaks[name] = worker.measure(name)["peak_mb"]
        worker.close()
    return peaks


def help_seconds(rounds):
    """Median seconds of `kd_keras.train --help`."""

    def once():
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "kd_keras.train", "--help"],
            check=True,
            cwd=HERE.parent,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - began

    return statistics.median(once() for _ in range(rounds))


def first_step_seconds():
    """Seconds of a student stage of one step, from command to export."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "kd_keras.train", "--stage=student"),
                "--config=configs/cifar10.py",
                "--config.teacher.path=savedmodels/cifar10_teacher",
                "--config.data.max_train_examples=256",
                "--config.student.epochs=1",
                "--config.student.optimizer.warmup_epochs=0",
                *(f"--workdir={folder}", f"--savedmodels={folder}"),
            ],
            cwd=HERE.parent,
            capture_output=True,
            text=True,
        )
        # Its exit code may be 1: one step may teach nothing but chance.
        if not (pathlib.Path(folder) / "cifar10_student").is_dir():
            raise RuntimeError(f"the stage exported nothing: {done.stderr}")
        return time.perf_counter() - began


def one_core(module):
    """Runs a benchmark on one core and returns the JSON that it prints."""
    done = subprocess.run(
        ["taskset", "-c", "0", sys.executable, "-m", module],
        check=True,
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def machine(packages=("tensorflow", "keras", "torch", "numpy")):
    """Hardware and versions: dict."""
    from importlib import metadata

    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    names = [x.split(":")[1] for x in cpuinfo.splitlines() if "model name" in x]
    return {
        "processor": names[0].strip() if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "avx512_vnni": "avx512_vnni" in cpuinfo,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


if __name__ == "__main__":
    main()
