"""Probe teachers, whose backbone is a file of another runtime."""

import shutil

import numpy as np
import pytest
from pytorch_files import EXPECTED, FILES, IMAGES, assert_close

import kd_keras
from kd_keras.teachers import ensemble, fingerprint, loading, probe
from kd_keras.teachers.options import TeacherOptions

SIZE = EXPECTED["features"].shape[1]
KERNEL = np.random.default_rng(0).normal(size=(SIZE, 4)).astype("float32")
BIAS = np.arange(4, dtype="float32")


def written(path, backbone=FILES / "dynamic.onnx", *, layer="", **options):
    """Writes a probe teacher; without a backbone, one of stored embeddings."""
    options = TeacherOptions(**options, features=(layer,))
    record = {"fingerprint": "0" * 64, "outputs": "logits"}
    if backbone:
        files = ensemble.TeacherFiles([backbone], options=[options])
        record = probe.backbone_record(files.record)
    path.mkdir()
    made = probe.Probe(
        kernel=KERNEL,
        bias=BIAS,
        backbone=str(backbone),
        options=options,
        teacher=record,
        layer=layer,
    )
    probe.write(path, made)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dynamic.onnx", {}),
        ("dynamic.onnx", {"layer": "node_mean"}),
        # Pooled over space by the head.
        ("dynamic.onnx", {"layer": "relu"}),
        ("embedding.onnx", {"outputs": "features"}),
    ],
)
def test_logits_are_those_of_the_embedding(tmp_path, name, options):
    if options.get("layer") == "relu":
        kernel = KERNEL[: EXPECTED["stem"].shape[-1]]
        expected = EXPECTED["stem"].mean(axis=(1, 2)) @ kernel + BIAS
    else:
        kernel, expected = KERNEL, EXPECTED["features"] @ KERNEL + BIAS
    path = written(tmp_path / "probe", FILES / name, **options)
    np.savez(path / probe.HEAD, kernel=kernel, bias=BIAS)
    teacher = kd_keras.load_teacher(path)
    assert teacher.num_classes == 4 and teacher.image_shape == (8, 8, 3)
    assert_close(teacher(IMAGES), expected)
    classifier = loading.load_classifier(path)
    assert_close(classifier(IMAGES), expected)


def test_features_are_the_embedding_and_those_of_the_backbone(tmp_path):
    teacher = kd_keras.load_teacher(
        written(tmp_path / "probe"), features=("relu", "")
    )
    assert teacher.feature_shapes == [(4, 4, 6), (SIZE,)]
    relu, embedding = teacher.outputs(IMAGES).features
    assert_close(relu, EXPECTED["stem"])
    assert_close(embedding, EXPECTED["features"])


def test_the_options_of_the_backbone_are_inside(tmp_path):
    teacher = kd_keras.load_teacher(
        written(tmp_path / "probe", image_size=8), features=("",)
    )
    large = np.repeat(np.repeat(IMAGES, 2, axis=1), 2, axis=2)
    direct = kd_keras.load_teacher(
        FILES / "dynamic.onnx", image_size=8, features=("",)
    )
    (embedding,) = direct.outputs(large).features
    assert_close(teacher.outputs(large).features[0], embedding)


def test_it_is_a_member_of_an_ensemble(tmp_path):
    paths = [written(tmp_path / name) for name in ("a", "b")]
    both = ensemble.TeacherFiles(paths).teacher
    alone = kd_keras.load_teacher(paths[0])
    log_probs = alone(IMAGES) - np.log(
        np.exp(alone(IMAGES)).sum(axis=-1, keepdims=True)
    )
    assert_close(both(IMAGES), log_probs)


def test_fingerprints_are_of_head_and_backbone(tmp_path):
    a = written(tmp_path / "a")
    b = written(tmp_path / "b", FILES / "embedding.onnx", outputs="features")
    assert fingerprint.fingerprint(a) == fingerprint.fingerprint(b)
    assert fingerprint.graph_fingerprint(a) != fingerprint.graph_fingerprint(b)
    before = fingerprint.fingerprint(a)
    np.savez(a / probe.HEAD, kernel=KERNEL + 1, bias=BIAS)
    assert fingerprint.fingerprint(a) != before


def test_the_backbone_is_found_beside_the_head_and_must_be_the_same(tmp_path):
    place = tmp_path / "here.onnx"
    shutil.copy(FILES / "dynamic.onnx", place)
    path = written(tmp_path / "probe", place)
    place.rename(path / "here.onnx")
    assert_close(
        kd_keras.load_teacher(path)(IMAGES),
        EXPECTED["features"] @ KERNEL + BIAS,
    )
    (path / "here.onnx").unlink()
    with pytest.raises(ValueError, match="where it was, or in its own direct"):
        kd_keras.load_teacher(path)
    shutil.copy(FILES / "two_outputs.onnx", place)
    with pytest.raises(ValueError, match="the backbone that it was trained on"):
        kd_keras.load_teacher(path)


def test_what_cannot_be_loaded_is_refused_in_one_line(tmp_path):
    alone = written(tmp_path / "alone", "")
    with pytest.raises(ValueError, match="needs them: --config.store.path"):
        kd_keras.load_teacher(alone)
    path = written(tmp_path / "probe")
    with pytest.raises(ValueError, match="outputs must be 'logits'"):
        kd_keras.load_teacher(path, outputs="probabilities")
    np.savez(path / probe.HEAD, kernel=KERNEL, bias=BIAS[:2])
    with pytest.raises(ValueError, match="a bias"):
        kd_keras.load_teacher(path)
    (path / probe.HEAD).write_bytes(b"text")
    with pytest.raises(ValueError, match="must be whole"):
        kd_keras.load_teacher(path)
    (path / probe.RECORD).write_text("{}")
    with pytest.raises(ValueError, match="train it again with --restart"):
        kd_keras.load_teacher(path)
