"""Timings of models in processes of their own."""

import multiprocessing
import subprocess
import sys

import onnx
import pytest

from kd_keras.deployment import timing


@pytest.mark.slow
def test_models_are_timed_side_by_side(output):
    paths = [output / f"digits{suffix}" for suffix in (".tflite", ".onnx")]
    turns = []
    rows = timing.measure(
        paths,
        batch_size=16,
        threads=[1, 2],
        rounds=2,
        on_turn=lambda turn, count: turns.append((turn, count)),
    )
    # In each round, each model has one turn of single images and two of
    # batches.
    assert turns == [(i, 12) for i in range(1, 13)]
    assert [row["format"] for row in rows] == ["litert", "onnx"]
    for path, row in zip(paths, rows):
        assert row["bytes"] == path.stat().st_size
        assert 0 < row["single_ms"]["median"] <= row["single_ms"]["p95"]
        assert row["images_per_second"]["1"] == pytest.approx(
            16e3 / row["batch_ms"]["median"]
        )
        assert set(row["images_per_second"]) == {"1", "2"}
        # With TensorFlow in the process it would be more.
        assert 20 < row["peak_memory_mb"] < 250


def test_the_table_has_a_line_for_each_model():
    row = {
        "path": "folder/student.tflite",
        "format": "litert",
        "bytes": 1234567,
        "single_ms": {"median": 1.234, "p95": 2.0},
        "batch_ms": {"median": 16.04, "p95": 20.0},
        "images_per_second": {"1": 1000.4, "2": 1900.0},
        "peak_memory_mb": 68.2,
    }
    titles, subtitles, *lines = timing.table(
        [row, row], batch_size=16
    ).splitlines()
    assert "1 image, ms" in titles and "16 images, ms" in titles
    assert subtitles.split() == ["median", "p95"] * 2
    assert [line.split() for line in lines] == 2 * [
        ["folder/student.tflite", "litert", "1,234,567", "1.23", "2.00"]
        + ["16.0", "20.0", "1,000", "1,900", "68"]
    ]


def test_a_model_that_cannot_be_timed_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.onnx"):
        timing.measure([tmp_path / "nowhere.onnx"], rounds=1)
    with pytest.raises(ValueError, match="rounds must be >= 1"):
        timing.measure([tmp_path / "nowhere.onnx"], rounds=0)


def write_onnx(path, batch):
    """An ONNX file that runs batches of one size alone, whatever it says."""
    helper, kind = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["images", "shape"], ["logits"])],
        "logits",
        [helper.make_tensor_value_info("images", kind.FLOAT, ["n", 2, 2, 1])],
        [helper.make_tensor_value_info("logits", kind.FLOAT, ["n", 4])],
        [helper.make_tensor("shape", kind.INT64, [2], [batch, 4])],
    )
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.save(model, path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch", "words"),
    [(1, "must run 3 images at once"), (3, "must run an image")],
)
def test_an_error_of_a_call_names_the_batch(tmp_path, batch, words):
    path = tmp_path / "a.onnx"
    write_onnx(path, batch)
    with pytest.raises(ValueError, match=f"{words}. Received: {path}, .*"):
        timing.measure([path], batch_size=3, threads=[1], rounds=1)


# Ends as a process that is killed: without a word to its worker.
_KILLED = """
import os, sys
from kd_keras.deployment import timing
if __name__ == "__main__":
    worker = timing._Worker(sys.argv[1], 1).__enter__()
    if sys.argv[2] != "loading":
        worker.wait_until_loaded()
    if sys.argv[2] == "timing":
        worker._connection.send(1)
    os._exit(7)
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["loading", "waiting", "timing"])
def test_a_worker_ends_without_a_word_when_its_parent_has_ended(tmp_path, when):
    write_onnx(tmp_path / "a.onnx", 1)
    (tmp_path / "killed.py").write_text(_KILLED)
    # Until the worker has ended, too, whose messages go to the same place.
    ended = subprocess.run(
        [sys.executable, tmp_path / "killed.py", tmp_path / "a.onnx", when],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "", "")


def test_a_worker_that_cannot_load_ends_without_a_word(tmp_path):
    parent, connection = multiprocessing.Pipe()
    parent.close()
    with pytest.raises(SystemExit) as ended:
        timing._serve(connection, str(tmp_path / "nowhere.onnx"), 1)
    assert ended.value.code is None
