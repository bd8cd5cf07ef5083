"""Every format computes what the model does, or is not there."""

import json
import subprocess
import sys

import keras
import nets
import numpy as np
import pytest

import kd_keras
from kd_keras.data import datasets
from kd_keras.deployment import exporting, timing
from kd_keras.deployment import saved_model as exports
from kd_keras.teachers import loading

ALL = [*exporting.FORMATS]


@pytest.fixture(scope="module")
def data(mnist):
    """Digits of 8 x 8, which are learnt in seconds."""

    def small(examples, count):
        images = examples.images[:count, 2:26, 2:26]
        images = images.reshape(-1, 8, 3, 8, 3, 1).mean((2, 4)).round()
        return datasets.Examples(
            images.astype("uint8"), examples.labels[:count], num_classes=10
        )

    return datasets.Dataset(
        name="digits",
        train=small(mnist.train, 4000),
        test=small(mnist.test, 300),
        source="MNIST",
        class_names=[str(digit) for digit in range(10)],
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory, data):
    """A trained student, its SavedModel, and all formats of it."""
    keras.utils.set_random_seed(0)
    student = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ],
        name="digits",
    )
    student.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    student.fit(
        data.train.images,
        data.train.labels,
        epochs=3,
        batch_size=100,
        verbose=0,
    )
    folder = tmp_path_factory.mktemp("edge")
    exports.export_saved_model(student, folder / "digits")
    rows = exporting.export(
        folder / "digits",
        formats=ALL,
        output=folder / "out",
        data=data,
        calibration_examples=50,
        command="the command",
    )
    return student, folder, rows


def test_every_format_is_the_model(exported, data):
    student, folder, rows = exported
    expected = student.predict(data.test.images, verbose=0)
    errors = int((expected.argmax(-1) != data.test.labels).sum())
    assert errors < 100
    assert [row["format"] for row in rows] == ["model", *ALL]
    for row in rows[1:]:
        classifier = loading.load_classifier(folder / "out" / row["file"])
        assert classifier.image_shape == (8, 8, 1)
        assert classifier.num_classes == 10
        logits = classifier(data.test.images)
        assert logits.dtype == np.float32
        count = row["examples"]
        agree = logits.argmax(-1) == expected.argmax(-1)
        assert row["agreement"] == pytest.approx(agree[:count].mean())
        wrong = logits[:count].argmax(-1) != data.test.labels[:count]
        assert row["errors"] == wrong.sum()
        if row["format"] in ("litert", "onnx"):
            np.testing.assert_allclose(logits, expected, atol=1e-3)
            assert row["errors"] == errors
        else:
            assert agree.mean() > 0.95
            step = 1.5 * np.abs(expected).max() / 127
            np.testing.assert_allclose(logits, expected, atol=6 * step)


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("format", ["litert", "litert_int8", "onnx"])
def test_a_batch_of_any_size_gives_the_same(exported, data, format, batch):
    _, folder, _ = exported
    path = folder / "out" / f"digits{exporting.FORMATS[format]}"
    logits = loading.load_classifier(path)(data.test.images)
    few = loading.load_classifier(path)(data.test.images[:batch])
    np.testing.assert_allclose(few, logits[:batch], atol=1e-4)


def test_int8_is_integers_from_picture_to_logits(exported):
    from ai_edge_litert import interpreter as litert

    _, folder, _ = exported
    path = folder / "out" / "digits_int8.tflite"
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (target,) = interpreter.get_output_details()
    # The steps of the input are those of the picture.
    assert source["dtype"] == np.uint8
    assert source["quantization"] == (1.0, 0)
    assert target["dtype"] == np.int8
    tensors = interpreter.get_tensor_details()
    assert {np.dtype(t["dtype"]).kind for t in tensors} <= {"i", "u"}
    # A scale for each of the convolution's 8 channels.
    scales = [len(t["quantization_parameters"]["scales"]) for t in tensors]
    assert 8 in scales


def test_the_header_is_the_int8_model_for_a_compiler(exported, tmp_path):
    _, folder, rows = exported
    header = folder / "out" / "digits_int8.h"
    model = (folder / "out" / "digits_int8.tflite").read_bytes()
    (row,) = (row for row in rows if row["format"] == "c_array")
    assert row["bytes"] == len(model) == loading.size(header)
    (tmp_path / "main.c").write_text(
        f'#include <stdio.h>\n#include "{header}"\n'
        "int main() {\n"
        "  fwrite(digits_int8, 1, DIGITS_INT8_BYTES, stdout);\n"
        '  fprintf(stderr, "%d", DIGITS_INT8_ARENA_BYTES);\n'
        "  return (int)((unsigned long)digits_int8 % 16);\n}\n"
    )
    for language in ("c", "c++"):
        program = tmp_path / "program"
        compiled = subprocess.run(
            ["gcc", "-x", language, "-Wall", "-Werror", "-o", program]
            + [tmp_path / "main.c"],
            capture_output=True,
            text=True,
        )
        assert compiled.returncode == 0, compiled.stderr
        ran = subprocess.run([program], capture_output=True)
        assert ran.returncode == 0 and ran.stdout == model
        assert int(ran.stderr) == row["arena_bytes"]


def test_the_arena_is_the_smallest_that_runs(exported):
    _, folder, rows = exported
    model = (folder / "out" / "digits_int8.tflite").read_bytes()
    from kd_keras.deployment import conversion

    assert conversion._fits(model, rows[-1]["arena_bytes"])
    assert not conversion._fits(model, rows[-1]["arena_bytes"] - 1024)


def test_the_card_and_the_record_tell_it(exported):
    _, folder, rows = exported
    card = (folder / "out" / "model_card.md").read_text()
    assert "the command" in card and "on those of 50 training" in card
    assert exporting.table(rows) in card
    record = json.loads((folder / "out" / "exports.json").read_text())
    assert record["formats"] == rows


def test_points_lost_are_of_the_same_pictures():
    rows = [
        {"format": "model", "bytes": 9, "errors": 10, "examples": 1000},
        {"format": "litert_int8", "bytes": 9, "errors": 15, "examples": 1000},
        {"format": "c_array", "bytes": 9, "errors": 3, "examples": 200},
    ]
    _, _, int8, header = exporting.table(rows).splitlines()
    assert "+0.50" in int8 and "+" not in header


def test_a_keras_file_is_converted_as_its_saved_model_is(
    exported, data, tmp_path
):
    student, folder, _ = exported
    student.save(tmp_path / "digits.keras")
    rows = exporting.export(
        tmp_path / "digits.keras",
        formats=["litert"],
        output=tmp_path,
        data=data,
    )
    assert rows[1]["agreement"] == 1


def test_of_several_calibrations_the_closest_is_kept(monkeypatch):
    """One of the parts has a picture that makes everything coarse."""
    pictures = np.arange(300)
    made = []

    class Source:
        def litert_int8(self, part):
            made.append(part)
            return bytes([len(made)])

    def load(path):
        error = {b"\1": 0.5, b"\2": 0.1, b"\3": 0.3}[path.read_bytes()]
        return lambda images: np.array([[error, 0.0]] * len(images))

    monkeypatch.setattr(exporting.loading, "load_classifier", load)
    best = exporting._best_int8(
        Source(), lambda images: np.zeros((len(images), 2)), pictures
    )
    assert best == b"\2"
    assert sorted(np.concatenate(made)) == pictures.tolist()
    assert {len(part) for part in made} == {100}


def test_calibration_sees_no_label(exported, data, tmp_path):
    _, folder, _ = exported
    unlabelled = datasets.Dataset(
        name="digits",
        train=datasets.Examples(data.train.images),
        test=data.test,
        source="",
        class_names=[],
    )
    exporting.export(
        folder / "digits",
        formats=["litert_int8"],
        output=tmp_path,
        data=unlabelled,
        calibration_examples=50,
    )
    name = "digits_int8.tflite"
    written = (tmp_path / name).read_bytes()
    assert written == (folder / "out" / name).read_bytes()


def test_a_file_that_computes_something_else_is_not_written(
    exported, data, tmp_path, monkeypatch
):
    _, folder, _ = exported
    other = nets.copy_of(exported[0])
    other.set_weights([-w for w in other.get_weights()])
    exports.export_saved_model(other, tmp_path / "other")
    source = exporting.conversion.Source(tmp_path / "other")
    monkeypatch.setattr(exporting.conversion, "Source", lambda _: source)
    for format, words in (
        ("litert", "digits.tflite must compute what the model does"),
        ("litert_int8", "digits_int8.tflite must agree with the model"),
    ):
        with pytest.raises(ValueError, match=words):
            exporting.export(
                folder / "digits",
                formats=[format],
                output=tmp_path / "out",
                data=data,
            )
    assert not [*(tmp_path / "out").iterdir()]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nowhere.onnx", None, "does not exist"),
        (
            "model.pb",
            b"x",
            "must be a SavedModel directory .*, .keras file, .tflite",
        ),
        ("model.tflite", b"x" * 99, "must be whole"),
        ("model.onnx", b"x" * 99, "must be whole"),
        ("model.h", b"int x;", "must be whole"),
        ("model.keras", b"x", "must be whole"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        loading.load_classifier(tmp_path / name)


def test_what_is_no_classifier_is_refused(tmp_path):
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(3)(inputs)).save(
        tmp_path / "model.keras"
    )
    with pytest.raises(ValueError, match="classifier must take images"):
        loading.load_classifier(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"formats": ["onxx"]}, "formats must be of .* Received: onxx"),
        ({"formats": []}, "Received: none"),
        ({"calibration_examples": 0}, "calibration_examples must be >= 1"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    exported, data, tmp_path, options, words
):
    _, folder, _ = exported
    arguments = {"formats": ["onnx"], "output": tmp_path / "out", "data": data}
    with pytest.raises(ValueError, match=words):
        exporting.export(folder / "digits", **arguments | options)
    assert not (tmp_path / "out").exists()


def test_a_missing_package_names_the_extra(
    exported, data, tmp_path, monkeypatch
):
    _, folder, _ = exported
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ValueError, match=r"pip install -e '.\[export\]'"):
        exporting.export(
            folder / "digits",
            formats=["litert", "onnx"],
            output=tmp_path / "out",
            data=data,
        )
    assert not (tmp_path / "out").exists()


def test_an_export_is_evaluated_like_any_model(exported, data):
    student, folder, rows = exported
    results = kd_keras.evaluate(
        folder / "out" / "digits_int8.tflite", teacher=student, data=data
    )
    errors = {row["format"]: row["errors"] for row in rows}
    assert results["models"]["model"]["errors"] == errors["litert_int8"]
    assert results["models"]["teacher"]["errors"] == errors["model"]


def test_models_are_timed_side_by_side(exported, monkeypatch):
    _, folder, _ = exported
    paths = [folder / "out" / f"digits{end}" for end in (".tflite", ".onnx")]
    turns = []
    rows = timing.measure(
        paths,
        batch_size=16,
        threads=[1, 2],
        rounds=2,
        on_turn=lambda turn, count: turns.append((turn, count)),
    )
    # In each round of each model a turn of one picture, two of batches.
    assert turns == [(i, 12) for i in range(1, 13)]
    assert [row["format"] for row in rows] == ["litert", "onnx"]
    for path, row in zip(paths, rows):
        assert row["bytes"] == path.stat().st_size
        assert 0 < row["single_ms"]["median"] <= row["single_ms"]["p95"]
        # One thread's pictures a second are those of its batches.
        assert row["images_per_second"]["1"] == pytest.approx(
            16e3 / row["batch_ms"]["median"]
        )
        assert set(row["images_per_second"]) == {"1", "2"}
        # Of a process that has loaded no TensorFlow.
        assert 20 < row["peak_memory_mb"] < 250
    text = timing.table(rows, batch_size=16)
    assert len(text.splitlines()) == 4 and "16 pictures" in text


def test_a_model_that_cannot_be_timed_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.onnx"):
        timing.measure([tmp_path / "nowhere.onnx"], rounds=1)
    with pytest.raises(ValueError, match="rounds must be >= 1"):
        timing.measure([tmp_path / "nowhere.onnx"], rounds=0)
