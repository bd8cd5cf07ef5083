"""Models in object stores: copied with the records that lie beside them."""

import json

import nets
import numpy as np
import pytest
from object_store import put, put_tree

import kd_keras
from kd_keras.deployment import saved_model
from kd_keras.teachers import copies, ensemble, fingerprint, loading, trained_on


@pytest.fixture(scope="module")
def network():
    return nets.make_network()


def test_a_remote_file_is_a_teacher_like_a_local_one(network, bucket, tmp_path):
    network.save(tmp_path / "net.keras")
    rows = [{"file": "net.keras", "class_names": list("abcdef")}]
    (tmp_path / "exports.json").write_text(json.dumps({"formats": rows}))
    put_tree(f"{bucket}/models", tmp_path)
    url = f"{bucket}/models/net.keras"
    images = nets.make_images(5)
    teacher = kd_keras.load_teacher(url)
    np.testing.assert_allclose(teacher(images), network(images), atol=1e-5)
    assert teacher.class_names == trained_on.class_names(url) == list("abcdef")
    local = fingerprint.fingerprint(tmp_path / "net.keras")
    assert ensemble.TeacherFiles([url]).record["fingerprint"] == local
    kd_keras.load_weights(nets.make_network(), url)


def test_a_remote_saved_model_is_loaded(network, bucket, tmp_path):
    saved_model.export_saved_model(network, tmp_path)
    put_tree(f"{bucket}/net", tmp_path)
    classifier = loading.load_classifier(f"{bucket}/net")
    images = nets.make_images(5)
    np.testing.assert_allclose(classifier(images), network(images), atol=1e-5)
    assert loading.size(f"{bucket}/net") == loading.size(tmp_path)


def test_a_remote_map_of_classes_is_read(bucket):
    put(bucket, {"map.json": b"[0, [1, 2]]"})
    from kd_keras.teachers import class_map

    assert class_map.find(f"{bucket}/map.json").groups == ((0,), (1, 2))


def test_a_path_that_names_no_model_is_one_line(bucket):
    with pytest.raises(FileNotFoundError, match="must exist. Received: gs://"):
        kd_keras.load_teacher(f"{bucket}/none")
    with pytest.raises(ValueError, match="local path or start with gs://"):
        kd_keras.load_teacher("https://host/net.onnx")
    assert copies.local("keras_hub:hf://name").name == "name"
