"""Predictions of a file, matched to examples by id or by file name."""

import numpy as np
import pytest

from kd_keras.data import datasets
from kd_keras.data.sources import file_reader
from kd_keras.store import importing, prediction_files
from kd_keras.teachers import class_map
from kd_keras.utils import path_lists

VALIDATION = [1, 4, 6, 17]
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(20, 3)).astype("float32")
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)


def in_memory(count):
    return datasets.Examples(np.zeros((count, 2, 2, 1), "uint8"))


class Decode:
    shape = (2, 2, 1)


def in_files(*names):
    """Examples of files that need not exist: nothing reads them."""
    paths = path_lists.PathList.of(f"/photos/{name}" for name in names)
    reader = file_reader.FileReader(paths, Decode, place="/photos")
    return datasets.Examples(reader)


@pytest.fixture
def predictions(tmp_path):
    """Writes arrays to a file, and matches them to examples."""

    def predictions(parts, outputs="logits", wanted=(), classes=None, **arrays):
        path = tmp_path / "file.npz"
        np.savez(path, **arrays)
        file = prediction_files.read(path, tmp_path)
        return importing.Predictions(
            file, parts, outputs=outputs, features=wanted, classes=classes
        )

    return predictions


def stored(predictions, part="train", batch_size=7):
    """The outputs of a part's examples: `{view: [logits, features...]}`."""
    positions = np.arange(len(predictions.parts[part]))
    views = {}
    for view, arrays in predictions.outputs(part, positions, batch_size):
        views.setdefault(view, []).append(arrays)
    return {
        view: [np.concatenate(parts) for parts in zip(*batches)]
        for view, batches in views.items()
    }


@pytest.fixture
def parts():
    """20 images, 4 of them for validation, and 5 test images."""
    whole = in_memory(20)
    return {
        "train": whole.subset(np.delete(np.arange(20), VALIDATION)),
        "validation": whole.subset(np.array(VALIDATION)),
        "test": in_memory(5),
    }


def test_ids_match_in_any_order(predictions, parts):
    order = RANDOM.permutation(20)
    found = predictions(
        parts,
        ids=order.astype("uint16"),
        logits=LOGITS[order].astype("float64"),
        test_logits=LOGITS[:5],
    )
    assert (found.plain, found.views, found.num_classes) == (True, 1, 3)
    for part in ("train", "validation"):
        (logits,) = stored(found, part)[0]
        assert logits.dtype == np.float32
        np.testing.assert_array_equal(logits, LOGITS[parts[part].ids])
    np.testing.assert_array_equal(stored(found, "test")[0][0], LOGITS[:5])


def test_rows_are_the_ids_without_any(predictions, parts):
    found = predictions(parts, scores=LOGITS)
    # There are no predictions for the test images.
    assert list(found.parts) == ["train", "validation"]
    expected = LOGITS[parts["train"].ids]
    np.testing.assert_array_equal(stored(found)[0][0], expected)
    with pytest.raises(ValueError, match="one for each image.*19 for 20"):
        predictions(parts, logits=LOGITS[:19])


def test_views_are_in_their_order(predictions, parts):
    views = np.stack([LOGITS, LOGITS + 1])
    found = predictions(parts, logits=views, validation_logits=LOGITS)
    assert (found.plain, found.views) == (False, 2)
    for view, (logits,) in stored(found).items():
        np.testing.assert_array_equal(logits, views[view][parts["train"].ids])
    assert list(stored(found, "validation")) == [0]
    with pytest.raises(ValueError, match="of the same views"):
        predictions(parts, logits=views, features=LOGITS)


def test_file_names_match_from_their_end(predictions):
    parts = {
        "train": in_files("train/cat/1.png", "train/dog/1.png"),
        "test": in_files("test/cat/1.png"),
    }
    names = ["cat/1.png", "dog/1.png"]
    found = predictions(
        parts,
        train_names=names[::-1],
        train_logits=LOGITS[:2],
        test_files=["1.png"],
        test_logits=LOGITS[2:3],
    )
    np.testing.assert_array_equal(stored(found)[0][0], LOGITS[1::-1])
    np.testing.assert_array_equal(stored(found, "test")[0][0], LOGITS[2:3])
    # Without parts in the file, the names show the part.
    names = ["/photos/test/cat/1.png", "train/dog/1.png", "train/cat/1.png"]
    found = predictions(parts, names=names, logits=LOGITS[:3])
    np.testing.assert_array_equal(stored(found)[0][0], LOGITS[2:0:-1])
    np.testing.assert_array_equal(stored(found, "test")[0][0], LOGITS[:1])


def test_probabilities_become_logits(predictions, parts):
    for name, outputs in (
        ("probabilities", "logits"),
        ("predictions", "probabilities"),
        ("softmax", "probabilities"),
    ):
        found = predictions(parts, outputs, **{name: PROBABILITIES})
        (logits,) = stored(found)[0]
        again = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        np.testing.assert_allclose(
            again, PROBABILITIES[parts["train"].ids], rtol=1e-5
        )
    found = predictions(parts, "scores", scores=LOGITS, other=PROBABILITIES)
    np.testing.assert_array_equal(
        stored(found)[0][0], LOGITS[parts["train"].ids]
    )
    found = predictions(parts, "label_probabilities", predictions=PROBABILITIES)
    (logits,) = stored(found)[0]
    np.testing.assert_allclose(
        1 / (1 + np.exp(-logits)), PROBABILITIES[parts["train"].ids], rtol=1e-5
    )


def test_predicted_classes_are_picked_and_merged(predictions, parts):
    found = predictions(
        parts,
        classes=class_map.find("cow,cat+dog"),
        probabilities=PROBABILITIES,
        class_names=["cat", "dog", "cow"],
    )
    assert (found.num_classes, found.class_names) == (2, None)
    (logits,) = stored(found)[0]
    cow = PROBABILITIES[parts["train"].ids, 2]
    np.testing.assert_allclose(
        np.exp(logits), np.stack([cow, 1 - cow], axis=-1), rtol=1e-5
    )
    with pytest.raises(ValueError, match="needs predictions of classes"):
        predictions(parts, classes=class_map.find("0,1"), features=LOGITS)


def test_features_are_stored_beside_logits_or_alone(predictions, parts):
    wide = RANDOM.normal(size=(20, 8)).astype("float16")
    found = predictions(parts, logits=LOGITS, embeddings=wide)
    last = {"teacher": "", "pool": "average", "shape": [8]}
    assert (found.num_classes, found.features) == (3, [last])
    _, features = stored(found)[0]
    np.testing.assert_array_equal(features, wide[parts["train"].ids])
    # By the name of the layer, as the student asks for it.
    conv = {"teacher": "conv_5", "pool": "average"}
    found = predictions(
        parts, wanted=[conv], logits=LOGITS, conv_5=wide, features=wide
    )
    assert found.features == [{**conv, "shape": [8]}]
    found = predictions(parts, "features", vectors=wide)
    assert (found.num_classes, found.features) == (0, [last])
    assert found.choice.record() == {
        "predictions": ["vectors"],
        "outputs": "features",
    }
    with pytest.raises(ValueError, match="without conv_6, with .*conv_5"):
        conv["teacher"] = "conv_6"
        predictions(parts, wanted=[conv], logits=LOGITS, conv_5=wide)
    with pytest.raises(ValueError, match="a vector for each image.*attention"):
        maps = {"teacher": "", "pool": "attention_map"}
        predictions(parts, wanted=[maps], features=wide, logits=LOGITS)


def changed(values, row, value):
    values = values.copy()
    values[row] = value
    return values


@pytest.mark.parametrize(
    "message, arrays",
    [
        (
            "every train image.* without 2 of 16, the first one id 9",
            {"ids": np.delete(np.arange(20), [9, 12]), "logits": LOGITS[:18]},
        ),
        (
            "with 2 of no image of the data, the first one 20",
            {"ids": np.arange(2, 22), "logits": LOGITS},
        ),
        (
            "with 1 again, the first one of 7",
            {"ids": [*range(20), 7], "logits": LOGITS[[*range(20), 0]]},
        ),
        (
            "without file names must have ids.*'a.png'",
            {"names": ["a.png"] * 20, "logits": LOGITS},
        ),
        (
            "must be finite.* logits with 2 others, the first one of id 3",
            {"logits": changed(LOGITS, [3, 9], np.nan)},
        ),
        (
            "features must be finite.* features with 1 others.*id 3",
            {"logits": LOGITS, "features": changed(LOGITS, 3, np.inf)},
        ),
        (
            "sum to 1. .*, probabilities with 1 others, the first one of id 5",
            {"probabilities": changed(PROBABILITIES, 5, 0.2)},
        ),
        ("outputs=probabilities converts them", {"logits": PROBABILITIES}),
        ("names the one with the logits", {"a": LOGITS, "b": LOGITS}),
        (
            "test image.* without 2 of 5, the first one id 3",
            {
                "logits": LOGITS,
                "test_ids": [0, 1, 2],
                "test_logits": LOGITS[:3],
            },
        ),
        (
            "logits of 3 to train, 2 for test",
            {"logits": LOGITS, "test_logits": LOGITS[:5, :2]},
        ),
        (
            "logits of 3 to train, none for test",
            {"logits": LOGITS, "test_features": LOGITS[:5, :2]},
        ),
    ],
    ids=range(12),
)
def test_predictions_that_do_not_fit_are_refused(
    predictions, parts, message, arrays
):
    with pytest.raises(ValueError, match=message) as error:
        predictions(parts, **arrays)
    assert "\n" not in str(error.value)


def test_names_that_do_not_fit_are_refused(predictions):
    def refused(message, names, **parts):
        with pytest.raises(ValueError, match=message) as error:
            predictions(parts, names=names, logits=LOGITS[: len(names)])
        assert "\n" not in str(error.value)

    twins = in_files("a/1.png", "b/1.png")
    refused("that of one example.*1.png", ["1.png", "b/1.png"], train=twins)
    refused(
        "with 1 that fit several images, the first one 'a/1.png'",
        ["a/1.png"],
        train=in_files("train/a/1.png"),
        test=in_files("test/a/1.png"),
    )
    refused("1 of no image.*'a/2.png'", ["a/1.png", "a/2.png"], train=twins)
    refused(
        "without 1 of 2, the first one /.*b/1.png", ["a/1.png"], train=twins
    )
    with pytest.raises(ValueError, match="their names.* 2 for 2 images in f"):
        predictions({"train": twins}, logits=LOGITS[:2])
    with pytest.raises(ValueError, match="outputs=probabilities needs such"):
        predictions({"train": in_memory(20)}, "probabilities", logits=LOGITS)
    with pytest.raises(ValueError, match="must name an array.*'scores'"):
        predictions({"train": in_memory(20)}, "scores", logits=LOGITS)
