"""Measures the input pipeline of photos beside its peers.

    python -m benchmarks.photos [--images=10000] [--files=1000000] [--rounds=5]

Prints images a second, and the ratios that are to be kept, of JPEG files of
250 to 500 pixels made by `benchmarks.sample_photos`:

- centre crops of 224 pixels, beside `keras.utils.image_dataset_from_directory`;
- random crops of 224 pixels and mirror images, beside tf.data on TFRecord;
- RandAugment alone, on images in memory, beside Keras's layer and Pillow;
- CIFAR-10 in memory, beside an earlier commit of this repository;
- resident memory, time to the first batch and start with a cached scan, from
  1,000 files to a million (hard links).

Contestants take turns; medians of rounds, without the first one. The ratio
of processor time holds on a machine that is busy with other things, too.
"""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import commands, photo_pipelines, sample_photos

# The last commit before every example was read by its id.
EARLIER = "9f83b09"
# Contestants, their peers, and the least ratio of their rates.
MARKS = (
    ("centre crop", "Keras's folder", 1.0),
    ("centre crop, fast", "Keras's folder", 1.8),
    ("random crop, mirror", "TFRecord, antialiased", 1.0),
    ("random crop, mirror", "TFRecord, plain", None),
    ("RandAugment", "Keras's RandAugment", 1.5),
    ("RandAugment", "Pillow's RandAugment", 1.5),
    ("CIFAR-10 in memory", "CIFAR-10 in memory, earlier", 1.0),
)


def main():
    arguments = commands.numbers(
        __doc__, images=10_000, files=1_000_000, rounds=5
    )
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sample_photos.make(folder / "photos", arguments.images)
        rates = alternate(contestants(folder), arguments.rounds)
        rates |= earlier(arguments.rounds)
        print(markdown(rates))
        for count in sorted({1000, arguments.files}):
            print(json.dumps({"files": count} | scale(folder, count)))


def contestants(folder):
    """Pipelines by name: functions that return a number of images."""
    photos, path = folder / "photos", folder / "records"
    photo_pipelines.write_records(photos, path)
    crop = {**photo_pipelines.CROP, "mirror": "random"}
    pipelines = {
        "centre crop": photo_pipelines.ours(photos),
        "centre crop, fast": photo_pipelines.ours(photos, fast=True),
        "Keras's folder": photo_pipelines.keras_folder(photos),
        "random crop, mirror": photo_pipelines.ours(photos, **crop),
        "TFRecord, antialiased": photo_pipelines.records(path, antialias=True),
        "TFRecord, plain": photo_pipelines.records(path, antialias=False),
    }
    batches = [batch.numpy() for batch in pipelines["centre crop"].take(4)]
    images = photo_pipelines.np.concatenate(batches)
    pipelines |= {
        "RandAugment": photo_pipelines.our_rand_augment(images),
        "Keras's RandAugment": photo_pipelines.keras_rand_augment(images),
        "Pillow's RandAugment": photo_pipelines.pillow_rand_augment(images),
    }
    return pipelines


def alternate(pipelines, rounds):
    """Images a second, of wall time and of processor time: dict by name."""
    seconds = {name: [] for name in pipelines}
    counts = {}
    for number in range(rounds + 1):
        for name, batches in pipelines.items():
            began = time.perf_counter(), time.process_time()
            counts[name] = sum(_count(batch) for batch in batches)
            ended = time.perf_counter(), time.process_time()
            seconds[name].append([e - b for b, e in zip(began, ended)])
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    # The first round warms up.
    return {
        name: [
            counts[name] / statistics.median(kind)
            for kind in zip(*measured[1:] or measured)
        ]
        for name, measured in seconds.items()
    }


def _count(batch):
    images = batch[0] if isinstance(batch, tuple) else batch
    return len(images)


def earlier(rounds):
    """Rates of views in memory, here and in an earlier commit: dict."""
    names = ("CIFAR-10 in memory", "CIFAR-10 in memory, earlier")
    rates = {name: [] for name in names}
    script = str(commands.REPOSITORY / "benchmarks" / "memory_views.py")
    with _worktree(EARLIER) as folder:
        for _ in range(3):
            for name, root in zip(names, (commands.REPOSITORY, folder)):
                done = subprocess.run(
                    [sys.executable, script, str(rounds)],
                    check=True,
                    env={**os.environ, "PYTHONPATH": str(root)},
                    stdout=subprocess.PIPE,
                    text=True,
                )
                rates[name].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name: [statistics.median(kind) for kind in zip(*measured)]
        for name, measured in rates.items()
    }


@contextlib.contextmanager
def _worktree(commit):
    """The files of a commit in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit],
            check=True,
            cwd=commands.REPOSITORY,
            stdout=subprocess.PIPE,
        )
        subprocess.run(
            ["tar", "-x"], check=True, cwd=folder, input=archive.stdout
        )
        yield pathlib.Path(folder)


def scale(folder, count):
    """Time and memory of a process for a folder of `count` files: dict.

    With `first_scan_seconds` of a first process, which reads all headers.
    """
    links = folder / f"links_{count}"
    sample_photos.link(links, count, folder / "photos")
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    answers = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.photo_scale", str(links)],
            check=True,
            cwd=commands.REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        answers.append(json.loads(done.stdout.splitlines()[-1]))
    return {"first_scan_seconds": answers[0]["load_seconds"], **answers[1]}


def markdown(rates):
    """Rates and ratios as Markdown tables."""
    lines = ["| | images/s | images per second of processor time |"]
    lines.append("|---|---|---|")
    for name, values in rates.items():
        lines.append(f"| {name} | {values[0]:,.0f} | {values[1]:,.0f} |")
    lines += ["", "| what | against | mark | ratio | of processor time |"]
    lines.append("|---|---|---|---|---|")
    for what, against, mark in MARKS:
        wall, processor = (a / b for a, b in zip(rates[what], rates[against]))
        least = f">= {mark}" if mark else "-"
        lines.append(
            f"| {what} | {against} | {least} | {wall:.2f} | {processor:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
