"""Files of every kind: found by their names, or refused with a reason."""

import subprocess
import sys

import keras
import nets
import numpy as np
import pytest
from shipped import SHIPPED, cifar10_sample

import kd_keras
from kd_keras.deployment import saved_model as exports
from kd_keras.teachers import fingerprint, loading
from kd_keras.utils import files

EXPORTS = SHIPPED / "cifar10_student_exports"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (SHIPPED / "cifar10_student", "saved_model"),
        (EXPORTS / "cifar10_student.tflite", "litert"),
        (EXPORTS / "cifar10_student_int8.tflite", "litert"),
        (EXPORTS / "cifar10_student.onnx", "onnx"),
    ],
)
def test_a_classifier_takes_arrays_whatever_its_kind(path, kind):
    images, labels = cifar10_sample()
    classifier = loading.load_classifier(path)
    assert classifier.kind == kind
    assert classifier.path == str(path)
    assert classifier.image_shape == (32, 32, 3)
    assert classifier.num_classes == 10
    logits = classifier(images[:100])
    assert logits.dtype == np.float32 and logits.shape == (100, 10)
    assert (logits.argmax(-1) == labels[:100]).mean() > 0.85


def test_other_runtimes_do_not_load_tensorflow():
    code = f"""
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None  # cannot be imported
from kd_keras.teachers import fingerprint, loading
from kd_keras.utils import files
for name in ("cifar10_student.tflite", "cifar10_student.onnx"):
    loading.load_classifier({str(EXPORTS)!r} + "/" + name)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nowhere.onnx", None, "does not exist"),
        (
            "model.pb",
            b"x",
            "must be a SavedModel directory .*, .keras file, .tflite file",
        ),
        ("model.tflite", b"x" * 99, "must be whole"),
        ("model.onnx", b"x" * 99, "must be whole"),
        ("model.h", b"int x;", "must hold a whole array"),
        ("model.keras", b"x", "must be whole"),
        ("model.h5", b"x", "must be whole"),
    ],
)
def test_files_that_are_no_models_are_refused(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        loading.load_classifier(tmp_path / name)


def test_a_directory_without_a_saved_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"with saved_model\.pb"):
        loading.load_classifier(tmp_path)


def test_a_model_that_is_no_classifier_is_refused(tmp_path):
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(3)(inputs)).save(
        tmp_path / "model.keras"
    )
    with pytest.raises(ValueError, match="classifier must take images"):
        loading.load_classifier(tmp_path / "model.keras")


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    (tmp_path / "model.h").write_text("")
    name = "tflite_micro.python.tflite_micro.runtime"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match="^tflite-micro must be installed"):
        loading.load_classifier(tmp_path / "model.h")


def test_predictions_are_no_teacher_but_can_be_imported(tmp_path):
    np.save(tmp_path / "logits.npy", np.zeros((2, 3)))
    with pytest.raises(ValueError, match="kd-keras label --from="):
        loading.load_teacher(tmp_path / "logits.npy")


def test_a_missing_teacher_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*does not exist"):
        kd_keras.load_teacher(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["torch:networks:small", "keras_applications:VGG16", "mine:teacher"]
)
def test_a_name_is_no_file_that_can_be_measured(name):
    with pytest.raises(FileNotFoundError) as caught:
        loading.load_classifier(name)
    rule, received = str(caught.value).split(" Received: ")
    assert ":" not in rule
    assert f"evaluate_model(load_teacher('{name}')" in received


def test_several_paths_are_combined_instead():
    with pytest.raises(ValueError, match=r"combine\. Received: \['a', 'b'\]"):
        loading.load_teacher(["a", "b"])
    with pytest.raises(FileNotFoundError, match=r"a\.keras,b.* combine them"):
        loading.load_teacher("a.keras,b.keras")


def test_a_kind_that_cannot_teach_is_refused():
    with pytest.raises(ValueError, match="teacher must be a SavedModel"):
        kd_keras.load_teacher(EXPORTS / "cifar10_student.tflite")


@pytest.mark.parametrize("kind", ["keras", "saved_model", "foreign"])
def test_a_damaged_or_foreign_teacher_is_refused(tmp_path, kind):
    network = nets.make_network()
    if kind == "keras":
        path = tmp_path / "teacher.keras"
        network.save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "saved_model":
        path = tmp_path / "teacher"
        exports.export_saved_model(network, path)
        (path / "saved_model.pb").write_bytes(b"nonsense")
    else:
        path = tmp_path / "teacher.pt"
        path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="Received: .*teacher"):
        kd_keras.load_teacher(path)


@pytest.mark.parametrize("name", ["deep.keras", "deep"])
def test_the_weights_of_a_network_keep_their_order(tmp_path, name):
    # More than ten weights: "10" sorts before "2".
    layers = [keras.layers.Dense(4) for _ in range(7)]
    deep = keras.Sequential([keras.Input((4,)), *layers])
    if name.endswith(".keras"):
        deep.save(tmp_path / name)
    else:
        exports.export_saved_model(deep, tmp_path / name)
    weights = loading.network_weights(tmp_path / name)
    for a, b in zip(weights, deep.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name",
    [
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "report.json",
    ],
)
def test_a_model_is_compared_with_its_record(tmp_path, name):
    model = tmp_path / "model"
    with files.replacing_directory(model) as new:
        for file in ("saved_model.pb", "report.json", "model_card.md", name):
            (new / file).parent.mkdir(exist_ok=True)
            (new / file).write_text("as it was written")
    loading.check_whole(model)
    (model / "model_card.md").write_text("edited")
    loading.check_whole(model)
    (model / name).write_text("damaged")
    for load in (
        loading.check_whole,
        loading.load_classifier,
        loading.load_teacher,
        loading.network_weights,
        fingerprint.fingerprint,
    ):
        with pytest.raises(ValueError, match=f"{name} .its SHA-256.*write it"):
            load(model)


def test_a_file_is_compared_with_its_record(tmp_path):
    files.OutputDirectory(tmp_path).write_text("a.onnx", "as it was written")
    loading.check_whole(tmp_path / "a.onnx")
    loading.check_whole(tmp_path / "not_listed.onnx")
    (tmp_path / "a.onnx").write_text("damaged")
    with pytest.raises(ValueError, match="a.onnx .its SHA-256.*write it again"):
        loading.load_classifier(tmp_path / "a.onnx")
