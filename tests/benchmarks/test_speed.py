"""The benchmarks start and measure; their figures need a quiet machine."""

import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import table, tensorflow_loops
from kd_keras.models import build

REPOSITORY = pathlib.Path(__file__).parents[2]


def make_images():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (16, 32, 32, 3)).astype("uint8")


@pytest.mark.slow
def test_every_tensorflow_contestant_is_measured(tmp_path):
    np.save(tmp_path / "images.npy", make_images())
    names = {name for ratio in table.RATIOS for name in contestants_of(ratio)}
    ours = {
        re.sub(", (oneDNN on|oneDNN off|one core)$", "", name)
        for name in names
        if "PyTorch" not in name
    }
    worker = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.worker", "tensorflow"),
            # The networks that TensorFlow traces faster.
            *("airbench", str(tmp_path / "images.npy")),
        ],
        input="".join(f"{name}\n" for name in sorted(ours)),
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert worker.returncode == 0, worker.stderr
    ready, *answers = map(json.loads, worker.stdout.splitlines())
    assert ours == set(ready["ready"])
    assert len(answers) == len(ours)
    assert all(answer["rate"] > 0 for answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize("nets", tensorflow_loops.NETS)
def test_the_networks_can_be_built(nets):
    for name, widths in tensorflow_loops.NETS[nets]:
        network = build.build_model(
            name,
            image_shape=(32, 32, 3),
            num_classes=10,
            images=make_images(),
            widths=widths,
        )
        assert network.output_shape == (None, 10)


def contestants_of(ratio):
    """The contestants whose rates a ratio divides."""
    seen = set()

    class Rates(dict):
        def __missing__(self, name):
            seen.add(name)
            return 1.0

    ratio[-1](Rates())
    return seen


def test_results_md_matches_results_json():
    folder = REPOSITORY / "benchmarks"
    results = json.loads((folder / "results.json").read_text())
    assert (folder / "results.md").read_text() == table.markdown(results)
