"""Runs of small networks on images of 8 x 8, and the report about them."""

import json

import keras
import nets
import numpy as np
import pytest
import report_runs
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.deployment import source
from kd_keras.deployment.formats import onnx as onnx_format
from kd_keras.reporting import gathering, rendering
from kd_keras.teachers import fingerprint
from kd_keras.training import run_directory, stages
from kd_keras.utils import files


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Runs of small networks on images of 8 x 8, and an ONNX export."""
    keras.utils.set_random_seed(0)
    root = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    for part, count in (("train", 1), ("test", 12)):
        for name in report_runs.CLASSES:
            folder = root / "images" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                image = rng.integers(0, 256, nets.IMAGE_SHAPE, np.uint8)
                data = tf.io.encode_png(image).numpy()
                (folder / f"{i}.png").write_bytes(data)
    config = config_lib.default_config()
    config.name = "tiny"
    config.data.name = "folder"
    config.data.data_dir = str(root / "images")
    config.data.channels = nets.IMAGE_SHAPE[-1]
    config.distill.temperature = report_runs.TEMPERATURE
    config.baseline.labels_per_class = 1
    for role in stages.ALL:
        network = nets.make_network(units=64 if role == "teacher" else 16)
        run = run_directory.RunDir(root / "runs" / role, role)
        run.start(config, {}, command="", environment={})
        run.write_model(network)
        run.write_json("report.json", report_runs.REPORT | {"stage": role})
        lines = [
            {"epoch": i + 1, "seconds": 2.0, "val_accuracy": 0.5 + 0.2 * i}
            for i in range(3)
        ]
        run.write_text("metrics.jsonl", "\n".join(map(json.dumps, lines)))
    (root / "exports").mkdir()
    student = root / "runs" / "student" / "student.keras"
    onnx = root / "exports" / "student.onnx"
    onnx.write_bytes(onnx_format.write(source.Source(student), None))
    row = {"format": "onnx", "file": "student.onnx", "errors": 41}
    row |= {"examples": 60, "bytes": onnx.stat().st_size}
    (root / "exports" / "teacher.onnx").touch()
    rows = [
        {**row, **changes}
        for changes in (
            {
                "model": "student.keras",
                "format": "model",
                "weights_sha256": fingerprint.fingerprint(student),
            },
            {"model": "student.keras"},
            {"model": "teacher", "format": "model", "weights_sha256": "other"},
            {"model": "teacher", "file": "teacher.onnx", "errors": 0},
        )
    ]
    files.write_json(root / "exports" / "exports.json", {"formats": rows})
    timing = {
        "path": "somewhere/student.onnx",
        "single_ms": {"median": 1.25, "p95": 2.5},
        "images_per_second": {"1": 800.0, "2": 1500.0},
        "peak_memory_mb": 77.0,
    }
    files.write_json(
        root / "exports" / "latency.json",
        {"hardware": {"threads": 2}, "models": [timing]},
    )
    return root


@pytest.fixture(scope="session")
def report(place):
    return gathering.gather(
        workdir=place / "runs",
        savedmodels=place / "none",
        exports=place / "exports",
    )


@pytest.fixture(scope="session")
def page(report):
    return rendering.render(report)
