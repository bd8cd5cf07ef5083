"""Evaluation of a model against its teacher and a baseline."""

import json

import keras
import nets
import numpy as np
import pytest
import scipy.special

import kd_keras
from kd_keras import config as config_lib
from kd_keras.data import datasets, splits
from kd_keras.evaluation import comparison, metrics, summary
from kd_keras.teachers.classifier import Classifier


@pytest.fixture(scope="module")
def data():
    images = nets.make_images(103).astype("uint8")
    labels = nets.make_labels(103)
    train = datasets.Examples(images[:60], labels[:60], num_classes=5)
    test = datasets.Examples(images[60:], labels[60:], num_classes=5)
    return datasets.Dataset(
        name="random",
        train=train,
        test=test,
        source="a generator",
        class_names=list("abcde"),
    )


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(3)
    return [nets.make_network() for _ in range(3)]


def logits_of(network, examples):
    return network.predict(examples.images, verbose=0)


@pytest.mark.slow
def test_results_are_the_metrics_of_the_whole_test_set(data, models):
    model, teacher, baseline = models
    results = kd_keras.evaluate_model(
        model,
        teacher=teacher,
        baseline=baseline,
        data=data,
        temperature=3.0,
        batch_size=10,
    )
    labels = data.test.labels
    logits = [logits_of(network, data.test) for network in models]
    for role, values in zip(("model", "teacher", "baseline"), logits):
        expected = metrics.measure(logits=values, labels=labels)
        found = results["models"][role]
        assert found["examples"] == 43
        assert found["errors"] == expected["errors"]
        assert found["nll"] == pytest.approx(expected["nll"], rel=1e-5)
        assert "calibrated" not in found
    expected = metrics.compare_with_teacher(
        logits=logits[0],
        teacher_logits=logits[1],
        labels=labels,
        temperature=3.0,
    )
    assert results["against_teacher"] == pytest.approx(expected, rel=1e-4)
    expected = metrics.compare(
        logits=logits[0], other_logits=logits[2], labels=labels
    )
    assert results["against_baseline"] == expected
    json.dumps(results)


@pytest.mark.slow
@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_several_models_are_measured_as_their_ensemble(
    data, models, tmp_path, mean
):
    path = tmp_path / "second.keras"
    models[1].save(path)
    results = kd_keras.evaluate_model(
        [models[0], path], baseline=[models[0]], data=data, mean=mean
    )
    first, second = (logits_of(network, data.test) for network in models[:2])
    logits = (first + second) / 2
    if mean == "arithmetic":
        p, q = (scipy.special.softmax(x, axis=-1) for x in (first, second))
        logits = np.log((p + q) / 2)
    expected = metrics.measure(logits=logits, labels=data.test.labels)
    found = results["models"]["model"]
    assert found["errors"] == expected["errors"]
    assert found["nll"] == pytest.approx(expected["nll"], rel=1e-5)
    alone = metrics.measure(logits=first, labels=data.test.labels)
    assert results["models"]["baseline"]["nll"] == pytest.approx(alone["nll"])
    assert found["nll"] != pytest.approx(alone["nll"], rel=1e-3)


def test_a_model_at_chance_is_named(data, models, caplog):
    def constant(images):
        return np.tile(2 * np.eye(5, dtype="float32")[3], (len(images), 1))

    with caplog.at_level("WARNING", logger="kd_keras"):
        kd_keras.evaluate_model(constant, data=data, split="train")
    (record,) = caplog.records
    assert "model: no better than chance: " in record.getMessage()
    assert "class 3 for all of them" in record.getMessage()


def test_a_model_alone_is_measured_without_comparisons(data, models):
    results = kd_keras.evaluate_model(models[0], data=data, split="train")
    assert results["models"]["model"]["examples"] == 60
    assert results["against_teacher"] is results["against_baseline"] is None


@pytest.mark.slow
def test_the_calibration_temperature_is_fitted_on_validation_examples(
    models, monkeypatch
):
    # Of the training examples 9 in 10 are right, of the test set half.
    images = nets.make_images(200).astype("uint8")
    top = models[0].predict(images, verbose=0).argmax(-1)
    wrong = np.arange(200) % np.repeat([10, 2], 100) == 0
    labels = (top + wrong) % 5
    data = datasets.Dataset(
        name="random",
        train=datasets.Examples(images[:100], labels[:100], num_classes=5),
        test=datasets.Examples(images[100:], labels[100:], num_classes=5),
        source="a generator",
        class_names=list("abcde"),
    )
    fields = config_lib.default_config().data
    fields.validation_examples = 40
    monkeypatch.setattr(comparison.sources, "load_dataset", lambda _: data)
    results = kd_keras.evaluate_model(models[0], data=fields)
    _, held_out = splits.split_off(data.train, 40)
    test_logits = logits_of(models[0], data.test)
    temperature, of_test = (
        metrics.calibration_temperature(logits=logits, labels=labels)
        for logits, labels in (
            (logits_of(models[0], held_out), held_out.labels),
            (test_logits, data.test.labels),
        )
    )
    assert of_test > 1.2 * temperature
    found = results["models"]["model"]["calibrated"]
    assert found["temperature"] == pytest.approx(temperature, rel=1e-3)
    assert found["nll"] == pytest.approx(
        metrics.negative_log_likelihood(
            logits=test_logits / temperature, labels=data.test.labels
        ),
        rel=1e-4,
    )


def test_a_loaded_teacher_is_measured_as_its_network(data, models, tmp_path):
    models[0].save(tmp_path / "network.keras")
    teacher = kd_keras.load_teacher(tmp_path / "network.keras")
    options = {"data": data, "teacher": models[1]}
    results = kd_keras.evaluate_model(teacher, **options)
    expected = kd_keras.evaluate_model(models[0], **options)
    assert results["models"]["model"] == expected["models"]["model"]
    assert results["against_teacher"] == expected["against_teacher"]


def test_data_that_is_no_dataset_is_refused(data, models):
    for given in (data.test, (data.test.images, data.test.labels), None):
        with pytest.raises(ValueError, match="Dataset.*Received: "):
            kd_keras.evaluate_model(models[0], data=given)


def test_the_summary_calls_only_significant_differences_better(data, models):
    results = kd_keras.evaluate_model(models[0], baseline=models[0], data=data)
    assert "no significant difference" in summary.summary(results)
    results["against_baseline"] |= {"difference": 0.2, "p_value": 0.01}
    assert "the model is better" in summary.summary(results)
    results["against_baseline"] |= {"difference": -0.2}
    assert "the model is worse" in summary.summary(results)
    text = summary.summary(results)
    assert f"{results['models']['model']['errors']:,}" in text
    assert "no validation set" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "validation"}, "split must not be empty.*validation"),
        ({"split": "tests"}, "split must be one of"),
        ({"temperature": 0.0}, "temperature must be from 0.001"),
        ({"teacher": nets.make_network(num_classes=7)}, "same number of class"),
        ({"baseline": "nowhere"}, "nowhere, which does not exist"),
        (
            {"baseline": [nets.make_network(num_classes=n) for n in (5, 7)]},
            r"same num_classes.*\[5, 7\]",
        ),
    ],
)
def test_invalid_arguments_are_refused(data, models, options, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        kd_keras.evaluate_model(models[0], data=data, **options)


def test_images_without_labels_are_refused(models):
    examples = datasets.Examples(nets.make_images(9).astype("uint8"))
    data = datasets.Dataset(
        name="flat", train=examples, test=None, source="", class_names=[]
    )
    with pytest.raises(ValueError, match="needs labels"):
        kd_keras.evaluate_model(models[0], data=data, split="train")
    with pytest.raises(ValueError, match="without labels, .*evaluate with"):
        kd_keras.evaluate_model(models[0], data=data)


def test_evaluation_has_the_parts_of_the_run(data, monkeypatch):
    monkeypatch.setattr(comparison.sources, "load_dataset", lambda _: data)
    fields = config_lib.default_config().data
    fields.update(validation_examples=10, max_train_examples=20)
    parts = comparison.load_parts(fields)
    sizes = {name: len(parts[name]) for name in comparison.SPLITS}
    assert sizes == {"test": 43, "validation": 10, "train": 20}


@pytest.mark.slow
def test_a_set_without_labels_shows_the_agreement_with_a_teacher(data):
    images = data.test.sample(43)
    flat = datasets.Dataset(
        "flat", datasets.Examples(images), None, source="a folder"
    )
    student, teacher = nets.make_network(), nets.make_network()
    options = {"data": flat, "split": "train", "verbose": 0}
    results = kd_keras.evaluate_model(student, teacher=teacher, **options)
    tops = [
        network.predict(images, verbose=0).argmax(-1)
        for network in (student, teacher)
    ]
    compared = results["against_teacher"]
    assert compared["agreement"] == np.mean(tops[0] == tops[1]) < 1
    assert compared["teacher_mistakes"] is None and results["models"] == {}
    assert json.loads(json.dumps(results)) == results
    text = summary.summary(results)
    assert "flat, train, without labels:\nwith the teacher: agreement" in text
    with pytest.raises(ValueError, match="needs labels, or a teacher"):
        kd_keras.evaluate_model(student, **options)
    with pytest.raises(ValueError, match="with a baseline needs labels"):
        kd_keras.evaluate_model(
            student, teacher=teacher, baseline=teacher, **options
        )
    with pytest.raises(ValueError, match=r"test of flat \(it has train, w"):
        kd_keras.evaluate_model(
            student, teacher=teacher, **{**options, "split": "test"}
        )


def test_only_a_teacher_of_colours_fits_grey_images():
    images = np.zeros((2, 8, 8, 1), "uint8")
    examples = datasets.Examples(images, np.arange(2), num_classes=2)
    of_colours = Classifier(
        None, path="it", kind=None, image_shape=(8, 8, 3), num_classes=2
    )
    comparison.check_fit(of_colours, examples, repeats_grey=True)
    with pytest.raises(ValueError, match="same image size and channels"):
        comparison.check_fit(of_colours, examples)
