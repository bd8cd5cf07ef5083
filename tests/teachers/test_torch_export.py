"""Programs of `torch.export`, and the code that is refused in their files."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from pytorch_files import EXPECTED, FILES, IMAGES, assert_close

import kd_keras
from kd_keras.teachers import fingerprint, loading

DYNAMIC = FILES / "dynamic.pt2"


def changed(tmp_path, entry, change):
    """A copy of a program with another content of an entry."""
    path = tmp_path / "changed.pt2"
    with (
        zipfile.ZipFile(DYNAMIC) as source,
        zipfile.ZipFile(path, "w") as target,
    ):
        names = source.namelist()
        for name in names if entry in names else [*names, entry]:
            contents = source.read(name) if name in names else b""
            if name == entry:
                contents = change(contents)
            target.writestr(name, contents)
    return path


def in_json(old, new):
    """A change of a text of a JSON file."""

    def change(contents):
        assert json.dumps(old) in contents.decode()
        text = contents.decode().replace(json.dumps(old), json.dumps(new))
        return text.encode()

    return change


def test_a_missing_package_is_named_by_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in (DYNAMIC, "torch:module:function"):
        with pytest.raises(ValueError, match=r"torch must be .*\[torch\]"):
            kd_keras.load_teacher(name)


torch = pytest.importorskip("torch")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dynamic.pt2", "batch_of_3.pt2"])
def test_logits_and_features_are_those_of_pytorch(name):
    teacher = kd_keras.load_teacher(
        FILES / name, features=("", "stem", "mean", "relu")
    )
    assert teacher.image_shape == (8, 8, 3) and teacher.num_classes == 5
    assert teacher.feature_shapes == [(7,), (4, 4, 6), (7,), (4, 4, 6)]
    batches = tf.data.Dataset.from_tensor_slices(IMAGES).batch(4)
    logits, features = zip(*batches.map(teacher.outputs))
    pooled, stem, mean, relu = map(np.concatenate, zip(*features))
    assert_close(np.concatenate(logits), EXPECTED["logits"])
    assert_close(pooled, EXPECTED["features"])
    assert_close(mean, EXPECTED["features"])
    assert_close(stem, EXPECTED["stem"])
    assert_close(relu, EXPECTED["stem"])


def test_an_unknown_feature_is_refused_with_a_suggestion():
    with pytest.raises(ValueError, match="has stem, .*Did you mean 'relu_1'"):
        kd_keras.load_teacher(DYNAMIC, features=("relu_2",))


def test_a_program_is_a_classifier():
    classifier = loading.load_classifier(DYNAMIC)
    assert classifier.kind == "torch_export"
    assert_close(classifier(IMAGES), EXPECTED["logits"])


def exported(tmp_path, module, *inputs):
    path = tmp_path / "program.pt2"
    torch.export.save(torch.export.export(module, inputs), path)
    return path


class Mixed(torch.nn.Module):
    def forward(self, images, scale=None):
        return images.float().mean((2, 3)) * (1 if scale is None else scale)


def test_other_programs_are_refused(tmp_path):
    images = torch.zeros(2, 3, 8, 8)
    path = exported(tmp_path, Mixed(), images, images[:, :, 0, 0])
    with pytest.raises(ValueError, match="one input. Received: .* with 2"):
        kd_keras.load_teacher(path)
    path = exported(tmp_path, Mixed(), images.long())
    with pytest.raises(ValueError, match="must take one of .* takes int64"):
        kd_keras.load_teacher(path)
    path = exported(tmp_path, torch.nn.BatchNorm2d(3).train(), images)
    with pytest.raises(ValueError, match=r"network.eval\(\) before"):
        kd_keras.load_teacher(path)


def test_images_of_integers_are_taken(tmp_path):
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    teacher = kd_keras.load_teacher(exported(tmp_path, Mixed(), images))
    assert teacher.image_spec.dtype == "uint8"
    assert_close(teacher(IMAGES), IMAGES.mean((1, 2)))


def test_a_fingerprint_is_of_the_weights_and_the_graph(tmp_path):
    weights = fingerprint.fingerprint(DYNAMIC)
    graph = fingerprint.graph_fingerprint(DYNAMIC)
    assert graph.startswith("torch_export:")
    path = changed(
        tmp_path,
        "dynamic/models/model.json",
        in_json("torch.ops.aten.relu.default", "torch.ops.aten.elu.default"),
    )
    assert fingerprint.fingerprint(path) == weights
    assert fingerprint.graph_fingerprint(path) != graph
    path = changed(
        tmp_path,
        "dynamic/data/weights/weight_0",
        lambda contents: bytes([contents[0] ^ 1]) + contents[1:],
    )
    assert fingerprint.fingerprint(path) != weights
    assert fingerprint.graph_fingerprint(path) != graph


def pickled(contents):
    buffer = io.BytesIO()
    torch.save(torch.nn.ReLU(), buffer)
    return buffer.getvalue()


def used_pickle(contents):
    config = json.loads(contents)
    next(iter(config["config"].values()))["use_pickle"] = True
    return json.dumps(config).encode()


GRAPH = "dynamic/models/model.json"
EXPRESSION = "Symbol('s34', positive=True, integer=True)"


@pytest.mark.parametrize(
    ("entry", "change", "reason"),
    [
        ("dynamic/data/sample_inputs/model.pt", pickled, "pickled objects"),
        (
            "dynamic/data/weights/model_weights_config.json",
            used_pickle,
            "pickled object stem.0.weight",
        ),
        ("dynamic/data/constants/opaque_obj_0", pickled, "the entry .*opaque"),
        ("dynamic/data/weights/model.pt", pickled, "the entry .*model.pt"),
        ("dynamic/data/aotinductor/a.so", pickled, "the entry .*a.so"),
        ("version", pickled, "the entry version"),
        (
            GRAPH,
            in_json("torch.ops.aten.relu.default", "torch.os.system"),
            "the target 'torch.os.system'",
        ),
        (
            GRAPH,
            in_json("torch.ops.aten.relu.default", "torch.ops.load_library"),
            "the target",
        ),
        (GRAPH, in_json("relu_1", "relu(); import os"), "the name 'relu"),
        (
            GRAPH,
            in_json(EXPRESSION, "__import__('os').system('true')"),
            "the expr_str",
        ),
        (GRAPH, in_json("images", 'a"b'), "the name"),
    ],
    # The same in each process.
    ids=range(11),
)
def test_a_program_with_code_is_refused(tmp_path, entry, change, reason):
    path = changed(tmp_path, entry, change)
    for function in (kd_keras.load_teacher, fingerprint.fingerprint):
        with pytest.raises(ValueError, match=f"only tensors.*{reason}") as e:
            function(path)
        assert "\n" not in str(e.value)


def test_a_structure_of_foreign_types_is_refused(tmp_path):
    def change(contents):
        return contents.replace(b"builtins.dict", b"collections.defaultdict")

    path = changed(tmp_path, GRAPH, change)
    with pytest.raises(ValueError, match="the in_spec"):
        kd_keras.load_teacher(path)


@pytest.mark.parametrize(
    "contents", [b"", b"x" * 99, DYNAMIC.read_bytes()[:999]]
)
def test_a_damaged_file_is_refused(tmp_path, contents):
    path = tmp_path / "damaged.pt2"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match="must be whole") as caught:
        kd_keras.load_teacher(path)
    assert "\n" not in str(caught.value)
