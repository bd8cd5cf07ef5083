"""Students of predictions that were made elsewhere."""

import numpy as np
import pytest
from stage_runs import export_dummy_teacher, small_config, weights_of

import kd_keras
from kd_keras.data import augmentation, datasets
from kd_keras.training import runs

pytestmark = pytest.mark.slow

PLAIN = {"data.augment.translate": 0, "student.epochs": 2, "seed": 3}


@pytest.fixture(scope="module")
def digits(mnist):
    """500 and 300 digits, numbered from 0 on."""
    train, test = mnist.train, mnist.test
    return datasets.Dataset(
        name="mnist",
        train=datasets.Examples(train.images[:500], train.labels[:500]),
        test=datasets.Examples(test.images[:300], test.labels[:300]),
        source="the kd_keras package",
    )


@pytest.fixture
def predict(tmp_path):
    export_dummy_teacher(tmp_path / "teacher")
    teacher = kd_keras.load_teacher(tmp_path / "teacher")
    return lambda images: teacher(images).numpy()


@pytest.fixture
def label(digits, tmp_path):
    def label(file, workdir="elsewhere", dataset=digits, **fields):
        return runs.label(
            small_config(**{"store.dtype": "float32", **PLAIN, **fields}),
            workdir=tmp_path / workdir,
            savedmodels=tmp_path / "none",
            dataset=dataset,
            predictions=file,
        )

    return label


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_a_student_of_predictions_is_that_of_the_live_teacher(
    digits, predict, label, run, tmp_path
):
    export_dummy_teacher(tmp_path / "models" / "small_teacher")
    (expected,) = run("student", config=small_config(**PLAIN), dataset=digits)
    order = np.random.default_rng(0).permutation(500)
    file = saved(
        tmp_path / "file.npz",
        ids=digits.train.ids[order],
        logits=predict(digits.train.images[order]),
        test_logits=predict(digits.test.images),
    )
    path, finished = label(file)
    assert finished
    # The store's teacher is the file, not the teacher that is here.
    config = small_config(**PLAIN, **{"store.path": str(path)})
    (report,) = run("student", config=config, dataset=digits, workdir="stored")
    for live, stored in zip(
        *(
            weights_of(tmp_path / name / "student" / "student.keras")
            for name in ("work", "stored")
        ),
        strict=True,
    ):
        np.testing.assert_allclose(stored, live, atol=1e-5)
    for key in ("test_errors", "agreement"):
        assert report[key] == pytest.approx(expected[key])
    # The predictions are of other views.
    config.data.augment.translate = 1
    with pytest.raises(ValueError, match="augment=none.*share_views=true"):
        run("student", config=config, dataset=digits, workdir="other")
    config.data.mixup = 0.5
    config.store.share_views = True
    with pytest.raises(ValueError, match="share_views .*mixup=0.5"):
        run("student", config=config, dataset=digits, workdir="other")


def test_predictions_of_views_are_stored_with_their_augmentation(
    digits, predict, label, tmp_path
):
    spec = augmentation.ViewSpec(seed=3, translate=1)
    images, ids = digits.train.images, digits.train.ids
    logits = [
        predict(augmentation.make_views(images, ids, view=view, spec=spec))
        for view in range(2)
    ]
    file = saved(tmp_path / "file.npz", logits=logits)
    path, _ = label(file, **{"data.augment.translate": 1})
    opened = kd_keras.LogitStore.open(path)
    assert opened.manifest["spec"] == spec.record()
    # The validation images' predictions are of augmented views.
    assert list(opened.manifest["parts"]) == ["train"]
    kept = np.load(path / "train-ids.npy")
    for view in range(2):
        np.testing.assert_array_equal(
            opened.logits(kept, view), logits[view][kept]
        )
    with pytest.raises(ValueError, match="2 views, and no augmentation"):
        label(file, workdir="plain")


def test_a_refused_file_leaves_nothing(digits, predict, label, tmp_path):
    good = predict(digits.train.images)

    def refused(message, fields=(), **arrays):
        file = saved(tmp_path / "file.npz", **arrays)
        with pytest.raises(ValueError, match=message) as error:
            label(file, **dict(fields))
        assert "\n" not in str(error.value)
        assert not (tmp_path / "elsewhere").exists()

    refused("10 numbers for each image.*with 9", logits=good[:, :9])
    refused("leave teacher.path out", {"teacher.path": "x"}, logits=good)
    refused(
        "teacher.preprocess out", {"teacher.preprocess": "0-1"}, logits=good
    )
    refused(
        "store.top_k must be 0 with label_probabilities.*Received: 3",
        {"store.top_k": 3},
        label_probabilities=1 / (1 + np.exp(-good)),
    )


def test_classes_must_be_those_of_the_data(digits, predict, label, tmp_path):
    names = [f"digit {i}" for i in range(10)]
    named = datasets.Dataset(
        name="mnist",
        train=digits.train,
        test=None,
        source="a test",
        class_names=names,
    )
    good = predict(digits.train.images)
    file = saved(tmp_path / "a.npz", logits=good, class_names=names[::-1])
    with pytest.raises(ValueError, match="the same in another order"):
        label(file, dataset=named)
    file = saved(tmp_path / "b.npz", logits=good, class_names=names)
    path, _ = label(file, dataset=named)
    assert kd_keras.LogitStore.open(path).manifest["class_names"] == names
    # The digests of two files differ, and so do their stores.
    file = saved(tmp_path / "c.npz", logits=good + 1, class_names=names)
    with pytest.raises(ValueError, match=r"teacher\.fingerprint \(was"):
        label(file, dataset=named)


def test_views_may_share_the_prediction_of_their_image(
    digits, predict, label, run, tmp_path, caplog
):
    file = saved(tmp_path / "file.npz", logits=predict(digits.train.images))
    shared = {"data.augment.translate": 1, "store.share_views": True}
    path, _ = label(file, **shared)
    config = small_config(**{**PLAIN, **shared, "store.path": str(path)})
    (report,) = run("student", config=config, dataset=digits)
    assert "all views of an image share one prediction" in caplog.text
    # No test image was predicted.
    assert report["agreement"] is None and report["test_errors"] < 300
