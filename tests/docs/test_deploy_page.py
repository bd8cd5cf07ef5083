"""The snippets of the page "Export and deploy" work as printed."""

import io
import json
import shutil
import subprocess

import numpy as np
import pages
import pytest
import tensorflow as tf
from shipped import REPOSITORY, SHIPPED, cifar10_sample

from kd_keras.deployment.formats import c_array
from kd_keras.teachers import loading

PAGE = "docs/guides/deploy.md"
EXPORTS = SHIPPED / "cifar10_student_exports"


@pytest.fixture(scope="module")
def images():
    return cifar10_sample()[0]


@pytest.fixture(scope="module")
def expected(images):
    return loading.load_classifier(SHIPPED / "cifar10_student")(images)


def execute(word, **names):
    names["__name__"] = PAGE
    exec(pages.only_block(PAGE, "python", word), names)
    return names


def test_a_request_to_tensorflow_serving(
    images, expected, tmp_path, monkeypatch
):
    # The layout that the page makes: a version below the model's name.
    version = tmp_path / "cifar10_student" / "1"
    shutil.copytree(SHIPPED / "cifar10_student", version)
    loaded = tf.saved_model.load(str(version), tags=["serve"])
    serve = loaded.signatures["serving_default"]
    ((name, spec),) = serve.structured_input_signature[1].items()

    def urlopen(url, body):
        # Serving's row format: the values of the only input, example by
        # example, and its outputs by name.
        assert url.endswith("/v1/models/cifar10_student:predict")
        rows = json.loads(body)["instances"]
        outputs = serve(**{name: tf.constant(rows, spec.dtype)})
        answers = [
            {key: value[i].numpy().tolist() for key, value in outputs.items()}
            for i in range(len(rows))
        ]
        return io.StringIO(json.dumps({"predictions": answers}))

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    classes = execute("8501", images=images[:20])["classes"]
    assert classes == expected[:20].argmax(-1).tolist()


def test_litert_in_python(images, expected, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    logits = execute("ai_edge_litert", images=images)["litert_logits"]
    assert logits.argmax() == expected[0].argmax()
    np.testing.assert_allclose(logits[0], expected[0], atol=1.0)


def test_onnx_runtime_in_python(images, expected, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    logits = execute("onnxruntime", images=images)["onnx_logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-3)


@pytest.mark.slow
def test_a_program_for_a_microcontroller_compiles(tmp_path):
    model = (EXPORTS / "cifar10_student_int8.tflite").read_bytes()
    header = c_array.header(model, name="cifar10_student_int8")
    (tmp_path / "cifar10_student_int8.h").write_text(header)
    program = tmp_path / "main.cc"
    program.write_text("#include <cstdint>\n" + pages.only_block(PAGE, "c"))
    checked = subprocess.run(
        ["g++", "-fsyntax-only", program], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("format", ["litert", "litert_int8", "onnx"])
def test_the_shipped_exports_agree_as_recorded(images, expected, format):
    record = json.loads((EXPORTS / "exports.json").read_text())
    (row,) = (row for row in record["formats"] if row["format"] == format)
    path = EXPORTS / row["file"]
    assert path.stat().st_size == row["bytes"]
    logits = loading.load_classifier(path)(images)
    agreement = np.mean(logits.argmax(-1) == expected.argmax(-1))
    spread = np.sqrt(row["agreement"] * (1 - row["agreement"]) / len(images))
    assert agreement >= row["agreement"] - 3 * spread - 1e-9
