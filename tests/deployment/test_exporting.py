"""Exports: files, record and card are written, or nothing is."""

import dataclasses
import json
import sys

import keras
import nets
import numpy as np
import object_store
import pytest
from scratch import tree

import kd_keras
from kd_keras.data import datasets
from kd_keras.deployment import export_records, exporting, formats
from kd_keras.teachers import loading
from kd_keras.utils import digests, locks, manifests, remote_copies


@pytest.mark.slow
def test_each_format_has_a_row_after_the_model_s(exported, output):
    _, _, rows = exported
    assert [row["format"] for row in rows] == ["model", *formats.FORMATS]
    assert all((output / row["file"]).is_file() for row in rows[1:])


@pytest.mark.slow
def test_the_card_and_the_record_have_the_rows(exported, output):
    _, _, rows = exported
    card = (output / "model_card.md").read_text()
    assert "the command" in card and "on a part of 50\ntraining" in card
    assert exporting.table(rows) in card
    record = json.loads((output / "exports.json").read_text())
    assert record["formats"] == rows


def test_points_lost_compare_the_same_examples():
    rows = [
        {"format": "model", "bytes": 9, "errors": 10, "examples": 1000},
        {"format": "litert_int8", "bytes": 9, "errors": 15, "examples": 1000},
        {"format": "c_array", "bytes": 9, "errors": 3, "examples": 200},
    ]
    _, _, int8, header = exporting.table(rows).splitlines()
    assert "+0.50" in int8 and "+" not in header


@pytest.mark.slow
def test_a_keras_file_is_converted_like_its_saved_model(
    exported, data, tmp_path
):
    student, _, _ = exported
    student.save(tmp_path / "digits.keras")
    rows = exporting.export(
        tmp_path / "digits.keras",
        formats=["litert"],
        output=tmp_path,
        data=data,
    )
    assert rows[1]["agreement"] == 1


@pytest.mark.slow
def test_a_model_that_is_replaced_meanwhile_has_no_record(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.keras"
    nets.make_network().save(path)
    images = nets.make_images(20).astype("uint8")
    examples = datasets.Examples(images, nets.make_labels(20), num_classes=5)
    convert = formats.FORMATS["litert"].write

    def write(source, calibration):
        nets.make_network().save(path)
        return convert(source, calibration)

    other = dataclasses.replace(formats.FORMATS["litert"], write=write)
    monkeypatch.setitem(formats.FORMATS, "litert", other)
    with pytest.raises(ValueError, match="not change while it is exported"):
        exporting.export(
            path,
            formats=["litert"],
            output=tmp_path / "out",
            data=datasets.Dataset("noise", examples, examples, source=""),
        )
    assert not (tmp_path / "out" / export_records.NAME).exists()


@pytest.mark.slow
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_files_that_passed_before_an_error_have_a_record(
    tmp_path, monkeypatch, error
):
    path, output = tmp_path / "a.keras", tmp_path / "out"
    nets.make_network().save(path)
    images = nets.make_images(20).astype("uint8")
    examples = datasets.Examples(images, nets.make_labels(20), num_classes=5)

    def write(source, calibration):
        raise error("of this format")

    other = dataclasses.replace(formats.FORMATS["litert_int8"], write=write)
    monkeypatch.setitem(formats.FORMATS, "litert_int8", other)
    with pytest.raises(error, match="of this format"):
        exporting.export(
            path,
            formats=["litert", "litert_int8"],
            output=output,
            data=datasets.Dataset("noise", examples, examples, source=""),
        )
    rows = export_records.read(output)
    assert [row["format"] for row in rows] == ["model", "litert"]
    assert rows[1]["sha256"] == digests.sha256_of_file(output / "a.tflite")
    assert exporting.table(rows) in (output / "model_card.md").read_text()


@pytest.mark.slow
def test_a_remote_model_is_exported_to_a_remote_directory(
    exported, output, data, bucket
):
    object_store.put_tree(f"{bucket}/digits", output.parent / "digits")
    rows = exporting.export(
        f"{bucket}/digits",
        formats=["litert"],
        output=f"{bucket}/edge",
        data=data,
    )
    assert rows[1]["agreement"] == 1
    assert rows[1]["model"] == f"{bucket}/digits"
    place = remote_copies.local(f"{bucket}/edge", "--model")
    found = {name for name in tree(place) if "/" not in name}
    assert found == {
        "digits.tflite",
        "exports.json",
        "model_card.md",
        manifests.NAME,
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"formats": ["onnx", "onxx"]},
            "formats must be one of .* Received: 'onxx'. Did you mean 'onnx'",
        ),
        ({"formats": []}, "Received: none"),
        ({"formats": ["onnx", "onnx"]}, "each format once. Received: onnx, o"),
        ({"calibration_examples": 0}, "calibration_examples must be >= 1"),
    ],
)
def test_invalid_arguments_are_refused(
    saved_digits, data, tmp_path, options, words
):
    arguments = {"formats": ["onnx"], "output": tmp_path / "out", "data": data}
    with pytest.raises(ValueError, match=words):
        exporting.export(saved_digits, **arguments | options)
    assert not (tmp_path / "out").exists()


def test_one_process_at_a_time_exports_into_a_directory(
    saved_digits, data, tmp_path
):
    with (
        locks.holding(tmp_path / "out"),
        pytest.raises(ValueError, match="out must be used by one process"),
    ):
        exporting.export(
            saved_digits, formats=["onnx"], output=tmp_path / "out", data=data
        )
    assert not (tmp_path / "out").exists()


def test_a_model_s_own_directory_is_refused(saved_digits, data):
    before = tree(saved_digits)
    with pytest.raises(ValueError, match="another directory than a SavedModel"):
        exporting.export(
            saved_digits, formats=["onnx"], output=saved_digits, data=data
        )
    assert tree(saved_digits) == before


@pytest.mark.slow
def test_an_exported_file_is_not_exported_again(output, data, tmp_path):
    with pytest.raises(ValueError, match="must be a SavedModel or .keras file"):
        exporting.export(
            output / "digits.onnx",
            formats=["litert"],
            output=tmp_path / "out",
            data=data,
        )
    assert not (tmp_path / "out").exists()


def test_a_missing_package_names_the_extra(
    saved_digits, data, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(
        ValueError, match=r"tf2onnx must be .*pip install -e '.\[export\]'"
    ):
        exporting.export(
            saved_digits,
            formats=["litert", "onnx"],
            output=tmp_path / "out",
            data=data,
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_export_is_evaluated_like_any_model(exported, output, data):
    student, _, rows = exported
    results = kd_keras.evaluate_model(
        output / "digits_int8.tflite", teacher=student, data=data
    )
    errors = {row["format"]: row["errors"] for row in rows}
    assert results["models"]["model"]["errors"] == errors["litert_int8"]
    assert results["models"]["teacher"]["errors"] == errors["model"]


@pytest.mark.slow
def test_models_have_files_and_sections_of_their_own(exported, data, tmp_path):
    student, _, _ = exported
    output = tmp_path / "out"

    def sections_after(name):
        """The headings of the card after the export of a model."""
        exporting.export(
            tmp_path / name, formats=["litert"], output=output, data=data
        )
        lines = (output / "model_card.md").read_text().splitlines()
        return [line for line in lines if line.startswith("# ")]

    for name in ("net_0.25.keras", "net_0.5.keras"):
        student.save(tmp_path / name)
        sections = sections_after(name)
    files = sorted(path.name for path in output.glob("*.tflite"))
    assert files == ["net_0.25.tflite", "net_0.5.tflite"]
    assert sections == ["# net_0.25, exported", "# net_0.5, exported"]
    (output / "net_0.25.tflite").unlink()
    assert sections_after("net_0.5.keras") == ["# net_0.5, exported"]


@pytest.mark.slow
def test_the_preprocessing_of_a_model_is_exported_with_it(data, tmp_path):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    network.save(tmp_path / "net.keras")
    rows = exporting.export(
        tmp_path / "net.keras",
        formats=["onnx"],
        output=tmp_path / "out",
        data=data,
        preprocess="tf",
    )
    images = data.test.images[:20]
    exported = loading.load_classifier(tmp_path / "out/net.onnx")
    expected = network(images / 127.5 - 1)
    np.testing.assert_allclose(exported(images), expected, atol=1e-4)
    assert rows[1]["preprocess"] == "tf" and rows[1]["agreement"] == 1
    with pytest.raises(ValueError, match="for models of three channels"):
        exporting.export(
            tmp_path / "net.keras",
            formats=["onnx"],
            output=tmp_path / "other",
            data=data,
            preprocess="torch",
        )


@pytest.mark.slow
def test_a_model_that_scales_images_is_exported_as_it_is(
    exported, data, tmp_path
):
    student, *_ = exported
    student.save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match="it scales them itself"):
        exporting.export(
            tmp_path / "net.keras",
            formats=["onnx"],
            output=tmp_path / "out",
            data=data,
            preprocess="tf",
        )


@pytest.mark.slow
def test_images_without_labels_are_enough(exported, tmp_path):
    student, *_ = exported
    student.save(tmp_path / "net.keras")
    shape = (300, *student.input_shape[1:])
    images = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    rows = exporting.export(
        tmp_path / "net.keras",
        formats=["litert", "litert_int8"],
        output=tmp_path / "out",
        data=datasets.Dataset("photos", datasets.Examples(images), None, "-"),
    )
    assert [row["errors"] for row in rows] == [None] * 3
    assert [row["examples"] for row in rows] == [300] * 3
    assert rows[1]["agreement"] == 1.0
    recorded = export_records.read(tmp_path / "out")
    assert [row["errors"] for row in recorded] == [None] * 3
    card = (tmp_path / "out" / "model_card.md").read_text()
    assert "- of 300" in card and "images without labels; each" in card


@pytest.mark.slow
def test_a_size_that_the_model_leaves_open_is_that_of_the_data(tmp_path):
    network = keras.Sequential(
        [
            keras.Input((None, 8, 3)),
            keras.layers.Conv2D(2, 3),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4),
        ]
    )
    network.save(tmp_path / "net.keras")
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 8, 3), "uint8")
    examples = datasets.Examples(images, np.arange(20) % 4, num_classes=4)
    # LiteRT's converter fails without a size.
    exporting.export(
        tmp_path / "net.keras",
        formats=["litert", "onnx"],
        output=tmp_path / "out",
        data=datasets.Dataset("noise", examples, examples, "made"),
    )
    for suffix, shape in (("tflite", (6, 8, 3)), ("onnx", (None, 8, 3))):
        exported = loading.load_classifier(tmp_path / f"out/net.{suffix}")
        assert tuple(exported.image_shape) == shape
