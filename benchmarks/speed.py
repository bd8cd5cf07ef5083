"""Measures kd_keras side by side with its peers; `make benchmark` runs it.

Writes `results.md` and `results.json` beside this file: medians of rounds in
which all contestants take turns on the same machine, the first one left out.
The nets are airbench 64/128/128 -> 32/64/128 and ResNet-20 -> ResNet-8, batch
256, float32, on real CIFAR-10 pictures.

    python -m benchmarks.speed [--rounds=5] [--images=3840]
"""

import argparse
import collections
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
OUT_OF_THE_BOX = "keras.distillation"
WITHOUT_ONEDNN = "keras.distillation, oneDNN off"


class Worker:
    """A process that measures one contestant at a time."""

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
        """`{"rate": images a second, "peak_mb": of the process so far}`."""
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
    with tempfile.TemporaryDirectory() as folder:
        images = pathlib.Path(folder) / "images.npy"
        save_images(images, arguments.images)
        for nets in ("airbench", "resnet"):
            results["nets"][nets] = alternate(
                nets, str(images), arguments.rounds
            )
            results["profiles"][nets] = profile(
                nets, str(images), arguments.images
            )
        results["peak_mb"] = peak_memory(folder)
    say("start-up")
    results["help_seconds"] = help_seconds(arguments.rounds)
    results["first_step_seconds"] = first_step_seconds()
    say("a store of ten million views")
    results["store"] = one_core("benchmarks.store")
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    (HERE / "results.md").write_text(markdown(results))
    print(f"written: {HERE / 'results.md'}, {HERE / 'results.json'}")


def say(text):
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
    """Medians of images a second of every contestant."""
    ours = Worker("tensorflow", nets, images, TF_ENABLE_ONEDNN_OPTS="1")
    boxed = Worker("tensorflow", nets, images)
    without = Worker("tensorflow", nets, images, TF_ENABLE_ONEDNN_OPTS="0")
    torch = Worker("torch", nets, images)
    one_core = Worker("tensorflow", nets, images, affinity=0)
    turns = [
        *((name, ours, name) for name in ("plain", "stored", "inference")),
        *((name, ours, name) for name in ("live", "predict", "label")),
        (OUT_OF_THE_BOX, boxed, "keras.distillation"),
        (WITHOUT_ONEDNN, without, "keras.distillation"),
        ("PyTorch, live", torch, "live"),
        ("PyTorch, stored", torch, "stored"),
        ("pipeline, one core", one_core, "pipeline"),
    ]
    rates = {name: [] for name, _, _ in turns}
    for number in range(rounds + 1):
        for name, worker, contestant in turns:
            rates[name].append(worker.measure(contestant)["rate"])
        say(f"{nets}: round {number} of {rounds}")
    for worker in (ours, boxed, without, torch, one_core):
        worker.close()
    # The first round warms up.
    return {name: statistics.median(r[1:]) for name, r in rates.items()}


def profile(nets, images, count):
    """Milliseconds of a stored step in oneDNN's primitives, by their kind."""
    say(f"{nets}: profile")
    onednn = {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_VERBOSE": "1"}
    milliseconds = collections.Counter()
    # Its log goes to the worker's stdout, which is its stderr.
    with tempfile.NamedTemporaryFile("w+") as log:
        worker = Worker("tensorflow", nets, images, stderr=log, **onednn)
        worker.measure("stored")
        warm = log.seek(0, os.SEEK_END)
        worker.measure("stored")
        worker.close()
        log.seek(warm)
        for line in log:
            # onednn_verbose,v1,primitive,exec,cpu,convolution,...,1.23
            fields = line.strip().split(",")
            if line.startswith("onednn_verbose") and "exec" in fields:
                kind = fields[fields.index("exec") + 2]
                milliseconds[kind] += float(fields[-1])
    steps = count / 256
    return {kind: ms / steps for kind, ms in milliseconds.most_common()}


def peak_memory(folder):
    """MB of a process that trains one epoch of all 50,000 pictures."""
    images = pathlib.Path(folder) / "all.npy"
    save_images(images, 50_000)
    peaks = {}
    for name in ("plain", "stored", "live", "keras.distillation"):
        say(f"memory: {name}")
        worker = Worker("tensorflow", "airbench", str(images))
        peaks[name] = worker.measure(name)["peak_mb"]
        worker.close()
    return peaks


def help_seconds(rounds):
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
    """From the command to the end of a stage of a single step."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", "kd_keras.train", "--stage=student"),
                "--config=configs/cifar10.py",
                "--config.teacher.path=savedmodels/cifar10_teacher",
                "--config.data.max_train_examples=256",
                "--config.student.epochs=1",
                *(f"--workdir={folder}", f"--savedmodels={folder}"),
            ],
            check=True,
            cwd=HERE.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - began


def one_core(module):
    done = subprocess.run(
        ["taskset", "-c", "0", sys.executable, "-m", module],
        check=True,
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def machine():
    from importlib import metadata

    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    names = [x.split(":")[1] for x in cpuinfo.splitlines() if "model name" in x]
    return {
        "processor": names[0].strip() if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "avx512_vnni": "avx512_vnni" in cpuinfo,
        "python": platform.python_version(),
        **{
            name: metadata.version(name)
            for name in ("tensorflow", "keras", "torch", "numpy")
        },
    }


def markdown(results):
    lines = [
        "# Speed, side by side",
        "",
        "Made by `make benchmark`: " + about(results["machine"]) + ".",
        "Images a second, medians of rounds in which all took turns; batch "
        "256, float32, real CIFAR-10.",
        "",
        "| | airbench 64/128/128 -> 32/64/128 | ResNet-20 -> ResNet-8 |",
        "|---|---|---|",
    ]
    nets = results["nets"]
    for name in nets["airbench"]:
        rates = " | ".join(f"{nets[n][name]:,.0f}" for n in nets)
        lines.append(f"| {name} | {rates} |")
    lines += ["", "| what | against | mark | airbench | ResNet |"]
    lines.append("|---|---|---|---|---|")
    for what, against, mark, ratio in RATIOS:
        values = " | ".join(f"{ratio(nets[n]):.2f}" for n in nets)
        lines.append(f"| {what} | {against} | {mark} | {values} |")
    profiles = "; ".join(
        f"{n} {256_000 / nets[n]['stored']:.0f} ms, of it "
        + ", ".join(
            f"{kind} {ms:.0f}"
            for kind, ms in results["profiles"][n].items()
            if ms >= 1
        )
        for n in nets
    )
    store = results["store"]
    memory = store["resident_mb"]
    peaks = ", ".join(
        f"{name} {peak:,.0f} MB" for name, peak in results["peak_mb"].items()
    )
    lines += [
        "",
        f"- Where a stored step's time goes, by oneDNN's own log: {profiles} "
        "(primitives side by side count twice).",
        f"- `python -m kd_keras.train --help`: {results['help_seconds']:.2f} s "
        "(mark: under 1.5 s).",
        "- A whole student stage of one step, from the command to the exported "
        f"model: {results['first_step_seconds']:.1f} s, the test images "
        "included.",
        "- Peak memory of a process with the 50,000 pictures (150 MB), its "
        f"store and one epoch: {peaks}.",
        f"- A store of 10 million views, {store['store_mb']:,.0f} MB on disk, "
        f"on one core: {store['rows_per_second']:,.0f} logits a second into "
        "tf.data (mark: 300,000); resident memory "
        f"{memory[0]:,.0f} MB before, {max(memory):,.0f} MB at most, "
        f"{memory[-1]:,.0f} MB after a pass over all.",
        "",
    ]
    return "\n".join(lines)


def live_share(rates):
    """Seconds of the live step by those of its two parts, each alone."""
    parts = 1 / rates["plain"] + 1 / rates["inference"]
    return (1 / rates["live"]) / parts


RATIOS = [
    (
        "step from the store",
        "the student's plain `fit`",
        ">= 0.97",
        lambda r: r["stored"] / r["plain"],
    ),
    (
        "live step, seconds",
        "plain step + teacher's inference",
        "<= 1.05",
        live_share,
    ),
    (
        "live",
        "keras.distillation out of the box",
        ">= 1.5",
        lambda r: r["live"] / r[OUT_OF_THE_BOX],
    ),
    (
        "stored",
        "keras.distillation out of the box",
        ">= 2.5",
        lambda r: r["stored"] / r[OUT_OF_THE_BOX],
    ),
    (
        "live",
        "keras.distillation, oneDNN off",
        "-",
        lambda r: r["live"] / r[WITHOUT_ONEDNN],
    ),
    (
        "stored",
        "keras.distillation, oneDNN off",
        "-",
        lambda r: r["stored"] / r[WITHOUT_ONEDNN],
    ),
    ("live", "PyTorch, live", "> 1", lambda r: r["live"] / r["PyTorch, live"]),
    (
        "stored",
        "PyTorch, live",
        ">= 1.5",
        lambda r: r["stored"] / r["PyTorch, live"],
    ),
    (
        "stored",
        "PyTorch, stored",
        "-",
        lambda r: r["stored"] / r["PyTorch, stored"],
    ),
    (
        "input pipeline, one core",
        "what the student consumes",
        ">= 5",
        lambda r: r["pipeline, one core"] / r["stored"],
    ),
    (
        "label",
        "the teacher's bare `predict`",
        ">= 0.95",
        lambda r: r["label"] / r["predict"],
    ),
]


def about(facts):
    onednn = "on" if facts["avx512_vnni"] else "off"
    versions = ", ".join(
        f"{name} {facts[name]}"
        for name in ("tensorflow", "keras", "torch", "numpy")
    )
    return (
        f"{facts['processor']}, {facts['cores']} cores, Python "
        f"{facts['python']}, {versions}; TensorFlow's own default here is "
        f"oneDNN {onednn}"
    )


if __name__ == "__main__":
    main()
