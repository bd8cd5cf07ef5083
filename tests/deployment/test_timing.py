"""Timings of models in processes of their own."""

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
