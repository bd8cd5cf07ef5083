"""The stages end to end on real digits: records, resume, refusals."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import config as config_lib
from kd_keras.data import datasets, splits
from kd_keras.teachers import loading
from kd_keras.teachers import teacher as teachers
from kd_keras.training import callbacks, stages


def small_config(**overrides):
    """A few seconds: narrow networks, 400 digits, two epochs."""
    config = config_lib.default_config()
    config.name = "small"
    config.data.validation_examples = 100
    config.data.augment.translate = 1
    config.teacher.model = "cnn"
    config.teacher.widths = (4, 8)
    for role in ("teacher", "student"):
        config[role].epochs = 2
        config[role].batch_size = 64
    for stage in config_lib.STAGES:
        config[stage].optimizer.learning_rate = 1e-2
    config.update_from_flattened_dict(overrides)
    return config


@pytest.fixture
def run(small_mnist, tmp_path):
    """Runs stages in a temporary directory."""

    def run(*names, workdir="work", dataset=small_mnist, **options):
        config = options.pop("config", None) or small_config()
        return stages.run(
            config,
            stages=names,
            workdir=tmp_path / workdir,
            savedmodels=tmp_path / options.pop("savedmodels", "models"),
            dataset=dataset,
            **options,
        )

    return run


def read_metrics(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def weights_of(path):
    return keras.models.load_model(path, compile=False).get_weights()


def same_bits(first, second):
    return all(
        np.array_equal(a, b)
        for a, b in zip(weights_of(first), weights_of(second), strict=True)
    )


def test_all_stages_leave_their_whole_record(run, tmp_path, small_mnist):
    reports = run("teacher", "student", "baseline", command="the command")
    assert [report["stage"] for report in reports] == [*config_lib.STAGES]
    for report in reports:
        stage = report["stage"]
        folder = tmp_path / "work" / stage
        assert json.loads((folder / "report.json").read_text()) == report
        config = json.loads((folder / "config.json").read_text())
        assert config["config"]["name"] == "small"
        versions = json.loads((folder / "versions.json").read_text())
        assert versions["packages"]["keras"] == keras.__version__
        lines = read_metrics(folder / "metrics.jsonl")
        assert [line["epoch"] for line in lines] == [1, 2]
        for line in lines:
            assert line["seconds"] > 0
            assert line["examples_per_second"] == pytest.approx(
                400 / line["seconds"], rel=0.01
            )
            assert {"loss", "val_loss", "val_accuracy"} <= line.keys()
        assert report["seconds"] == pytest.approx(
            sum(line["seconds"] for line in lines), abs=0.11
        )
        assert report["epochs"] == 2

        # The report is true of the model that lies beside it.
        model = keras.models.load_model(folder / f"{stage}.keras")
        logits = model.predict(small_mnist.test.images, verbose=0)
        errors = (logits.argmax(-1) != small_mnist.test.labels).sum()
        assert report["test_examples"] == 300
        assert report["test_errors"] == errors
        assert report["test_accuracy"] == pytest.approx(1 - errors / 300)
        nll = keras.losses.sparse_categorical_crossentropy(
            small_mnist.test.labels, logits, from_logits=True
        )
        assert report["test_nll"] == pytest.approx(np.mean(nll), rel=1e-3)
        assert report["parameters"] == model.count_params()

        card = (
            tmp_path / "models" / f"small_{stage}" / "model_card.md"
        ).read_text()
        assert f"{errors} of 300" in card and "the command" in card
        for record in ("config.json", "report.json", "metrics.jsonl"):
            exported = tmp_path / "models" / f"small_{stage}" / record
            assert exported.read_text() == (folder / record).read_text()

    teacher, student, _ = reports
    teacher_model = keras.models.load_model(
        tmp_path / "work/teacher/teacher.keras"
    )
    student_model = keras.models.load_model(
        tmp_path / "work/student/student.keras"
    )
    agreement = np.mean(
        teacher_model.predict(small_mnist.test.images, verbose=0).argmax(-1)
        == student_model.predict(small_mnist.test.images, verbose=0).argmax(-1)
    )
    assert student["agreement"] == pytest.approx(agreement, abs=1e-6)
    assert "agreement" not in teacher
    # It learns: chance is 270 errors.
    assert teacher["test_errors"] < 200


def read_scalars(folder):
    scalars = {}
    for file in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                scalars.setdefault(value.tag, []).append(value)
    return scalars


def test_tensorboard_has_scalars_learning_rate_and_views(run, tmp_path):
    run("teacher", "student")
    folder = tmp_path / "work" / "student" / "tensorboard"
    train = read_scalars(folder / "train")
    assert len(train["epoch_soft_loss"]) == 2
    rates = [
        float(tf.make_ndarray(v.tensor)) for v in train["epoch_learning_rate"]
    ]
    # Cosine from 1e-2, half-way and at the end.
    np.testing.assert_allclose(rates, [5e-3, 0], atol=1e-6)
    assert "epoch_accuracy" in read_scalars(folder / "validation")
    (first, _) = read_scalars(folder / "views")["views"]
    picture = tf.io.decode_png(first.tensor.string_val[2]).numpy()
    assert picture.shape == (28 * 3 + 60, 8 * 28 * 3, 3)


def test_predictions_are_drawn_as_bars_in_their_proportions():
    pictures = np.full((2, 4, 4, 1), 7, np.uint8)
    drawing = callbacks.draw_predictions(
        pictures,
        {
            "teacher": np.array([[0.5, 0.5], [1.0, 0.0]]),
            "student": np.array([[0.25, 0.75], [0.0, 1.0]]),
        },
        scale=4,
        bar_height=20,
    )
    assert drawing.shape == (36, 32, 3)
    assert (drawing[:16] == 7).all()
    is_bar = (drawing[16:] != 255).any(-1)
    np.testing.assert_array_equal(
        is_bar.sum(0)[::4], [10, 5, 10, 15, 20, 0, 0, 20]
    )


def test_the_student_s_training_data_has_no_labels(run, monkeypatch):
    run("teacher")
    seen = []
    fit = keras.Model.fit

    def spy(self, x, *args, **options):
        seen.append(x.element_spec)
        return fit(self, x, *args, **options)

    monkeypatch.setattr(keras.Model, "fit", spy)
    run("student")
    assert isinstance(seen[0], tf.TensorSpec)
    run(
        "student",
        workdir="hard",
        config=small_config(**{"distill.hard_loss_weight": 0.1}),
    )
    assert len(seen[1]) == 2


def test_the_same_command_gives_the_same_bits_and_another_seed_others(
    run, tmp_path
):
    run("teacher", "student", workdir="first", savedmodels="first_models")
    run("teacher", "student", workdir="second", savedmodels="second_models")
    run(
        "teacher",
        workdir="third",
        config=small_config(seed=1),
        savedmodels="third_models",
    )
    for stage in ("teacher", "student"):
        assert same_bits(
            tmp_path / f"first/{stage}/{stage}.keras",
            tmp_path / f"second/{stage}/{stage}.keras",
        )
    assert not same_bits(
        tmp_path / "first/teacher/teacher.keras",
        tmp_path / "third/teacher/teacher.keras",
    )


class Interrupted(Exception):
    pass


def interrupt_after(monkeypatch, batches):
    """Raises in the middle of training, as if the process were killed."""
    count = 0
    original = callbacks.StopOnNaN.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        nonlocal count
        count += 1
        if count > batches:
            raise Interrupted
        original(self, batch, logs)

    monkeypatch.setattr(
        callbacks.StopOnNaN, "on_train_batch_end", on_train_batch_end
    )


def network_with_dropout(*, image_shape, num_classes):
    inputs = keras.Input(image_shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(16)(x))
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))


@pytest.mark.parametrize("stage", ["teacher", "student"])
def test_an_interrupted_run_ends_in_the_bits_of_an_uninterrupted_one(
    run, tmp_path, stage
):
    config = small_config(
        **{
            f"{stage}.model": f"{__name__}:network_with_dropout",
            f"{stage}.widths": (),
            f"{stage}.epochs": 3,
        }
    )
    if stage == "student":
        run("teacher")
    run(stage, config=config, workdir="whole")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, batches=7 + 7 + 3)  # in the third epoch
        with pytest.raises(Interrupted):
            run(stage, config=config, workdir="broken")
    folder = tmp_path / "broken" / stage
    assert not (folder / "report.json").exists()
    run(stage, config=config, workdir="broken")
    whole = tmp_path / "whole" / stage
    assert same_bits(whole / f"{stage}.keras", folder / f"{stage}.keras")
    for line, expected in zip(
        read_metrics(folder / "metrics.jsonl"),
        read_metrics(whole / "metrics.jsonl"),
        strict=True,
    ):
        for timing in ("seconds", "examples_per_second"):
            del line[timing], expected[timing]
        assert line == expected


def test_killed_between_an_epoch_s_record_and_its_state_it_records_it_once(
    run, tmp_path
):
    def die(self, epoch, logs=None):
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.SaveCheckpoint, "on_epoch_end", die)
        with pytest.raises(Interrupted):
            run("teacher")
    metrics = tmp_path / "work" / "teacher" / "metrics.jsonl"
    assert [line["epoch"] for line in read_metrics(metrics)] == [1]
    run("teacher")
    assert [line["epoch"] for line in read_metrics(metrics)] == [1, 2]


def test_a_finished_stage_is_not_run_again(run, tmp_path, monkeypatch):
    first = run("teacher", command="the first command")
    monkeypatch.setattr(keras.Model, "fit", None)
    assert run("teacher") == first
    # Exported again where the export is gone.
    path = tmp_path / "models" / "small_teacher"
    (path / "saved_model.pb").unlink()
    path.rename(tmp_path / "gone")
    run("teacher", command="another command")
    assert (path / "saved_model.pb").exists()
    # The card tells of the training, not of the export.
    assert "the first command" in (path / "model_card.md").read_text()


def test_a_run_goes_on_wherever_its_teacher_lies(
    run, tmp_path, taught, monkeypatch
):
    (first,) = run("student", config=from_store(""))
    shutil.move(tmp_path / "models" / "small_teacher", tmp_path / "moved")
    config = from_store("", **{"teacher.path": str(tmp_path / "moved")})
    monkeypatch.setattr(keras.Model, "fit", None)
    assert run("student", config=config) == [first]
    export_dummy_teacher(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"teacher\.fingerprint \(was"):
        run("student", config=config)


def test_restart_begins_anew(run, tmp_path):
    run("teacher")
    marker = tmp_path / "work" / "teacher" / "marker"
    with pytest.raises(ValueError, match="Did you mean"):
        broken = small_config(**{"teacher.model": "cmn", "teacher.widths": ()})
        run("teacher", restart=True, config=broken)
    assert (marker.parent / "report.json").exists()
    marker.touch()
    with pytest.raises(ValueError, match="a run writes.*with marker; move"):
        run("teacher", restart=True, config=small_config(seed=5))
    assert marker.exists() and (marker.parent / "report.json").exists()
    marker.unlink()
    (before,) = run("teacher")
    (after,) = run("teacher", restart=True, config=small_config(seed=5))
    assert after["test_nll"] != before["test_nll"]


def test_a_work_directory_of_another_configuration_is_refused(run, tmp_path):
    run("teacher", "student")
    with pytest.raises(ValueError, match=r"seed \(was 0, is 1\)"):
        run("teacher", config=small_config(seed=1))
    with pytest.raises(ValueError, match=r"distill\.temperature \(was 4"):
        run("student", config=small_config(**{"distill.temperature": 2.0}))
    # What a stage does not depend on may change.
    run("teacher", config=small_config(**{"distill.temperature": 2.0}))
    # Another teacher under the same path is another configuration.
    run("teacher", config=small_config(seed=1), workdir="other")
    with pytest.raises(ValueError, match=r"teacher\.fingerprint"):
        run("student")


def test_a_nan_loss_stops_and_keeps_the_last_good_state(run, tmp_path):
    config = small_config(
        **{"teacher.optimizer.name": "sgd", "teacher.epochs": 4}
    )
    good = None

    class Poison(callbacks.MetricsLog):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == 2:
                nonlocal good
                good = self.model.network.get_weights()
                self.model.network.layers[-1].bias.assign([np.nan] * 10)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "MetricsLog", Poison)
        with pytest.raises(
            ValueError, match=r"nan at step 15 \(epoch 3\).*after epoch 2"
        ):
            run("teacher", config=config)
    folder = tmp_path / "work" / "teacher" / "checkpoints"
    kept = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
    names = [n for n, _ in tf.train.list_variables(str(folder))]
    arrays = [kept.get_tensor(n) for n in names if n.startswith("network")]
    assert all(np.isfinite(array).all() for array in arrays)
    assert len(arrays) == len(good)
    for weight in good:
        assert any(
            array.shape == weight.shape and (array == weight).all()
            for array in arrays
        )


def flat_folder(tmp_path, images, name="pictures"):
    folder = tmp_path / name
    folder.mkdir()
    for i, image in enumerate(images):
        (folder / f"{i}.png").write_bytes(tf.io.encode_png(image).numpy())
    return folder


def test_the_student_learns_from_a_flat_folder_without_labels(
    run, tmp_path, small_mnist
):
    run("teacher")
    folder = flat_folder(tmp_path, small_mnist.train.images[:100])
    config = small_config(
        **{
            "name": "own",
            "data.name": "folder",
            "data.data_dir": str(folder),
            "teacher.path": str(tmp_path / "models" / "small_teacher"),
        }
    )
    (report,) = run("student", config=config, workdir="own", dataset=None)
    assert report["test_errors"] is None and report["test_examples"] == 0
    lines = read_metrics(tmp_path / "own/student/metrics.jsonl")
    assert lines[1]["loss"] < lines[0]["loss"]
    with pytest.raises(ValueError, match="the teacher stage needs labels"):
        run("teacher", config=config, workdir="own", dataset=None)


def test_all_stages_run_from_a_folder_with_classes(run, tmp_path, small_mnist):
    for name in ("0", "1", "2"):
        which = small_mnist.train.labels == int(name)
        (tmp_path / "sorted").mkdir(exist_ok=True)
        flat_folder(
            tmp_path / "sorted", small_mnist.train.images[which][:30], name
        )
    config = small_config(
        **{
            "data.name": "folder",
            "data.data_dir": str(tmp_path / "sorted"),
            "data.validation_examples": 0,
            "teacher.batch_size": 16,
            "student.batch_size": 16,
        }
    )
    reports = run("teacher", "student", "baseline", config=config, dataset=None)
    assert [report["test_examples"] for report in reports] == [9, 9, 9]


def test_two_devices_give_the_student_of_one(run, tmp_path):
    run("teacher")
    # AdamW divides by the size of the gradient, rounding errors too.
    sgd = {
        "student.optimizer.name": "sgd",
        "student.optimizer.learning_rate": 1e-3,
    }
    run("student", workdir="one", config=small_config(**sgd))
    run("student", workdir="two", config=small_config(devices="2", **sgd))
    for one, two in zip(
        weights_of(tmp_path / "one/student/student.keras"),
        weights_of(tmp_path / "two/student/student.keras"),
    ):
        np.testing.assert_allclose(two, one, atol=1e-4)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_exports_float32(run, tmp_path, precision):
    run("teacher", config=small_config(precision=precision))
    model = keras.models.load_model(tmp_path / "work/teacher/teacher.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"distill.temperature": 0.0}, "distill.temperature must be > 0"),
        ({"student.batch_size": 401}, "Received: 401 of 400"),
        ({"student.model": "resnet9"}, "Did you mean"),
        ({"data.validation_examples": 500}, "Received: 500 of 500"),
        ({"teacher.path": "nowhere"}, "run --stage=teacher first"),
        ({"teacher.weights": (1.0, 2.0)}, "for each teacher.*for 1"),
        ({"transfer.omit_classes": (10,)}, "0 to 9. Received: 10"),
        ({"transfer.fraction": 0.1}, "Received: 64 of 40"),
        ({"store.path": "nowhere"}, "must be a logit store"),
        ({"store.path": "auto", "store.top_k": 10}, "Received: 10 of 10"),
        # Nothing is labelled for a student that cannot be.
        ({"store.path": "auto", "student.model": "resnet9"}, "Did you mean"),
    ],
)
def test_what_cannot_be_is_refused_and_touches_nothing(
    run, tmp_path, fields, message
):
    if "teacher.path" not in fields:
        export_dummy_teacher(tmp_path / "models" / "small_teacher")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        run("student", config=small_config(**fields))
    assert sorted(tmp_path.rglob("*")) == before


def export_dummy_teacher(path, *, shape=(28, 28, 1), classes=10):
    from kd_keras.deployment import saved_model as exports

    inputs = keras.Input(shape)
    outputs = keras.layers.Dense(classes)(keras.layers.Flatten()(inputs))
    exports.export_saved_model(keras.Model(inputs, outputs), path)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"shape": (32, 32, 3)}, r"teacher \(32, 32, 3\), data \(28, 28, 1\)"),
        ({"classes": 7}, "teacher 7, data 10"),
    ],
)
def test_a_teacher_of_something_else_is_refused(
    run, tmp_path, teacher, message
):
    export_dummy_teacher(tmp_path / "models" / "small_teacher", **teacher)
    with pytest.raises(ValueError, match=message):
        run("student")
    assert not (tmp_path / "work").exists()


def test_stages_depend_on_their_own_augmentation_alone():
    config = small_config().copy_and_resolve_references()
    assert not any(
        field.startswith("data.augment")
        for field in config_lib.stage_fields(config, "teacher")
    )
    student = config_lib.stage_fields(config, "student")
    assert student["data.augment.translate"] == 1
    assert not any(field.startswith("teacher.augment") for field in student)


@pytest.mark.parametrize(
    ("cpuinfo", "precision"),
    [
        ("AuthenticAMD avx512f avx512_bf16", "mixed_bfloat16"),
        ("GenuineIntel avx512f avx512_bf16", "float32"),
        ("GenuineIntel avx512_bf16 amx_bf16", "mixed_bfloat16"),
        ("AuthenticAMD avx2", "float32"),
    ],
)
def test_auto_precision_is_bfloat16_where_it_is_faster(
    cpuinfo, precision, monkeypatch
):
    monkeypatch.setattr(stages.pathlib.Path, "read_text", lambda path: cpuinfo)
    assert stages.resolve_precision("auto") == precision
    assert stages.resolve_precision("float32") == "float32"


def test_student_and_baseline_learn_from_the_transfer_set(
    run, tmp_path, small_mnist, monkeypatch
):
    config = small_config(
        **{"transfer.omit_classes": (3,), "transfer.fraction": 0.5}
    )
    sizes, log = {}, callbacks.MetricsLog.__init__

    def spy(self, run_dir, *, num_examples, **options):
        sizes[run_dir.stage] = num_examples
        log(self, run_dir, num_examples=num_examples, **options)

    monkeypatch.setattr(callbacks.MetricsLog, "__init__", spy)
    reports = run("teacher", "student", "baseline", config=config)
    # 400 are left of the validation split.
    train, _ = splits.split_off(small_mnist.train, 100)
    half = round((train.labels != 3).sum() / 2)
    assert sizes == {"teacher": 400, "student": half, "baseline": half}
    # Tested on all the classes, and the card tells the size.
    assert [report["test_examples"] for report in reports] == [300] * 3
    card = (tmp_path / "models" / "small_student" / "model_card.md").read_text()
    assert f"{half} training examples" in card
    # It is a part of what a student is, not of what its teacher is.
    config.transfer.fraction = 0.4
    run("teacher", config=config)
    for stage in ("student", "baseline"):
        with pytest.raises(ValueError, match=r"transfer\.fraction \(was 0.5"):
            run(stage, config=config)


def test_a_live_teacher_is_asked_once_about_validation(
    run, monkeypatch, taught
):
    """Its logits there do not change from epoch to epoch."""
    asked, call = [], teachers.Teacher.__call__

    def counting(self, images):
        tf.py_function(lambda x: asked.append(len(x)), [images], [])
        return call(self, images)

    monkeypatch.setattr(teachers.Teacher, "__call__", counting)
    run("student", config=small_config(**{"student.epochs": 3}))
    # No other batch is of its size: see `small_config`.
    assert asked.count(100) == 1
    # The batches of training are counted, too, so none is missed.
    assert sum(asked) >= 3 * 400 + 100


# The student's stage from a store


def from_store(path="auto", **overrides):
    """Mixed views, more epochs than views, labels in validation alone."""
    return small_config(
        **{
            "store.path": str(path),
            "store.views": 2,
            "store.dtype": "float32",
            "student.epochs": 3,
            # Above it, rounding errors grow from step to step.
            "student.optimizer.learning_rate": 1e-3,
            "data.augment.mirror": "random",
            **overrides,
        }
    )


@pytest.fixture(scope="module")
def trained_teacher(small_mnist, tmp_path_factory):
    """A SavedModel that the teacher stage wrote."""
    folder = tmp_path_factory.mktemp("teacher")
    stages.run(
        small_config(),
        stages=["teacher"],
        workdir=folder / "work",
        savedmodels=folder,
        dataset=small_mnist,
    )
    return folder / "small_teacher"


@pytest.fixture
def taught(trained_teacher, tmp_path):
    """The teacher where the student's stage looks for it."""
    shutil.copytree(trained_teacher, tmp_path / "models" / "small_teacher")


@pytest.fixture
def no_teacher_loaded(monkeypatch):
    def load(path, **options):
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr(loading, "load_teacher", load)


def test_a_student_from_the_store_is_that_of_the_live_teacher(
    run, tmp_path, small_mnist, monkeypatch, request, taught
):
    live = from_store("", **{"student.epochs": 2, "data.mixup": 0.3})
    config = from_store(**{"student.epochs": 2, "data.mixup": 0.3})
    (expected,) = run("student", config=live, workdir="live")
    path, finished = stages.label(
        config,
        workdir=tmp_path / "stored",
        savedmodels=tmp_path / "models",
        dataset=small_mnist,
    )
    assert finished and path == tmp_path / "stored" / "store"
    request.getfixturevalue("no_teacher_loaded")
    # `auto` finds it, and so does its path.
    (found,) = run("student", config=config, workdir="stored")
    config.store.path = str(path)
    (given,) = run("student", config=config, workdir="given")
    a, b, c = (
        weights_of(tmp_path / name / "student" / "student.keras")
        for name in ("live", "stored", "given")
    )
    for of_live, of_auto, of_path in zip(a, b, c):
        np.testing.assert_allclose(of_auto, of_live, atol=1e-5)
        np.testing.assert_array_equal(of_path, of_auto)
    for report in (found, given):
        for key in ("test_errors", "agreement"):
            assert report[key] == pytest.approx(expected[key])
    lines = [
        read_metrics(tmp_path / name / "student" / "metrics.jsonl")[-1]
        for name in ("live", "stored")
    ]
    assert lines[0].keys() == lines[1].keys()
    for key in ("loss", "val_loss", "val_agreement", "val_accuracy"):
        assert lines[1][key] == pytest.approx(lines[0][key], rel=1e-4), key


def test_auto_labels_first_and_then_finds_its_store(run, tmp_path, taught):
    run("student", config=from_store())
    store_dir = tmp_path / "work" / "store"
    shard = next(store_dir.glob("train-0*.npy"))
    assert np.load(shard).shape == (2, 400, 10)
    written = shard.stat().st_mtime_ns
    shutil.rmtree(tmp_path / "work" / "student")
    run("student", config=from_store())
    assert shard.stat().st_mtime_ns == written
    # Another configuration of the stage is refused as ever.
    with pytest.raises(ValueError, match=r"train\.views \(was 2, is 3\)"):
        run("student", config=from_store(**{"store.views": 3}))
    with pytest.raises(ValueError, match=r"distill\.temperature \(was"):
        run("student", config=from_store(**{"distill.temperature": 2.0}))


def test_the_store_of_a_transfer_set_holds_no_more(run, tmp_path, taught):
    options = {
        "transfer.only_classes": (7, 8),
        "student.batch_size": 16,
        "student.epochs": 2,
    }
    run("student", config=from_store("", **options), workdir="live")
    run("student", config=from_store(**options))
    ids = np.load(tmp_path / "work" / "store" / "train-ids.npy")
    assert 40 < len(ids) < 120
    for live, stored in zip(
        weights_of(tmp_path / "live" / "student" / "student.keras"),
        weights_of(tmp_path / "work" / "student" / "student.keras"),
    ):
        np.testing.assert_allclose(stored, live, atol=1e-4)


def test_an_interrupted_student_from_a_store_ends_in_the_same_bits(
    run, tmp_path, monkeypatch, taught
):
    run("student", config=from_store(), workdir="whole")
    save = callbacks.SaveCheckpoint.on_epoch_end

    def killed(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch == 1:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.SaveCheckpoint, "on_epoch_end", killed)
        with pytest.raises(Interrupted):
            run("student", config=from_store(), workdir="cut")
    run("student", config=from_store(), workdir="cut")
    assert same_bits(
        tmp_path / "whole" / "student" / "student.keras",
        tmp_path / "cut" / "student" / "student.keras",
    )


def test_a_store_of_something_else_is_refused(
    run, tmp_path, small_mnist, taught
):
    path, _ = stages.label(
        from_store(),
        workdir=tmp_path,
        savedmodels=tmp_path / "models",
        dataset=small_mnist,
    )

    def refused(field, dataset=small_mnist, **overrides):
        with pytest.raises(ValueError, match=rf"Differing: .*{field} \(was"):
            run(
                "student",
                config=from_store(path, **overrides),
                dataset=dataset,
                workdir="other",
            )
        assert not (tmp_path / "other").exists()

    refused(r"spec\.seed", seed=1)
    refused(r"spec\.translate", **{"data.augment.translate": 2})
    refused(r"spec\.mixup", **{"data.mixup": 0.5})
    refused(r"parts\.train\.fingerprint", **{"data.validation_examples": 90})
    refused(r"parts\.train\.examples", **{"transfer.fraction": 0.9})
    fewer_classes = small_mnist.train.subset(
        np.flatnonzero(small_mnist.train.labels < 9)
    )
    fewer_classes.num_classes = 9
    refused(
        "num_classes",
        dataset=datasets.Dataset(
            name="mnist", train=fewer_classes, test=None, source="here"
        ),
    )
    # Another teacher; its weights count, not its path.
    export_dummy_teacher(tmp_path / "other_teacher")
    refused(
        r"teacher\.fingerprint",
        **{"teacher.path": str(tmp_path / "other_teacher")},
    )
    shutil.move(tmp_path / "models" / "small_teacher", tmp_path / "moved")
    moved = from_store(path, **{"teacher.path": str(tmp_path / "moved")})
    run("student", config=moved, workdir="moved_too")
    # Without any teacher here, the store stands for it.
    run("student", config=from_store(path), workdir="alone")
    assert same_bits(
        tmp_path / "moved_too" / "student" / "student.keras",
        tmp_path / "alone" / "student" / "student.keras",
    )
    shard = next(path.glob("train-0*.npy"))
    shard.unlink()
    with pytest.raises(ValueError, match=f"{shard.name}, which is missing"):
        run("student", config=from_store(path), workdir="other")
    with pytest.raises(ValueError, match="must be a logit store"):
        run("student", config=from_store(tmp_path), workdir="other")


def test_labelling_needs_no_labels(run, tmp_path, small_mnist, taught):
    unlabelled = datasets.Dataset(
        name="pictures",
        train=datasets.Examples(small_mnist.train.images),
        test=None,
        source="here",
    )
    (report,) = run(
        "student", config=from_store(), dataset=unlabelled, workdir="flat"
    )
    assert report["agreement"] is None
    parts = json.loads(
        (tmp_path / "flat" / "store" / "manifest.json").read_text()
    )["parts"]
    assert list(parts) == ["train"] and parts["train"]["examples"] == 500


@pytest.fixture(scope="module")
def plain_weights(trained_teacher, small_mnist, tmp_path_factory):
    """Of a student that learnt in the paper's way."""
    folder = tmp_path_factory.mktemp("plain")
    teacher = {"teacher.path": str(trained_teacher), "student.epochs": 2}
    stages.run(
        from_store("", **teacher),
        stages=["student"],
        workdir=folder,
        savedmodels=folder,
        dataset=small_mnist,
    )
    return weights_of(folder / "student" / "student.keras")


@pytest.mark.parametrize(
    "overrides",
    [
        {"distill.loss": "dkd", "distill.dkd.beta": 2.0},
        {"distill.loss": "dist"},
        {"distill.loss": "mse"},
        {"distill.standardize": True},
        {"distill.final_temperature": 1.0},
        {"distill.final_hard_loss_weight": 1.0},
        {"data.cutmix": 0.5},
    ],
)
def test_every_way_to_distil_works_live_and_stored(
    run, tmp_path, taught, plain_weights, overrides
):
    options = {"student.epochs": 2, **overrides}
    run("student", config=from_store("", **options), workdir="live")
    run("student", config=from_store("auto", **options), workdir="stored")
    live, stored = (
        weights_of(tmp_path / name / "student" / "student.keras")
        for name in ("live", "stored")
    )
    for a, b in zip(live, stored):
        np.testing.assert_allclose(a, b, atol=1e-4)
    # And it is not the plain way.
    assert not np.allclose(live[0], plain_weights[0], atol=1e-4)


def test_several_teachers_are_one(run, tmp_path, taught):
    run("teacher", config=small_config(seed=1, name="second"), workdir="second")
    paths = [
        str(tmp_path / "models" / f"{n}_teacher") for n in ("small", "second")
    ]
    both = ",".join(paths)

    def student(name, **overrides):
        options = {"student.epochs": 2, "data.validation_examples": 100}
        run(
            "student",
            config=small_config(**{**options, **overrides}),
            workdir=name,
        )
        return weights_of(tmp_path / name / "student" / "student.keras")

    options = {"teacher.path": both, "teacher.mean": "geometric"}
    live = student("live", **options)
    stored = student(
        "stored",
        **{**options, "store.path": "auto", "store.dtype": "float32"},
    )
    for a, b in zip(live, stored):
        np.testing.assert_allclose(a, b, atol=1e-5)
    others = [
        student("first", **{"teacher.path": paths[0]}),
        student("arithmetic", **{"teacher.path": both}),
        student("weighted", **{**options, "teacher.weights": (1.0, 3.0)}),
    ]
    for other in others:
        assert not np.allclose(live[0], other[0], atol=1e-5)
    # The order of the weights is part of which teacher it is.
    with pytest.raises(ValueError, match=r"teacher\.weights"):
        student("weighted", **{**options, "teacher.weights": (3.0, 1.0)})


def test_mixing_a_streamed_set_is_refused_and_touches_nothing(
    run, tmp_path, small_mnist
):
    export_dummy_teacher(tmp_path / "models" / "small_teacher")
    whole = small_mnist.train
    streamed = datasets.StreamedExamples(
        lambda: tf.data.Dataset.from_tensor_slices((whole.ids, whole.images)),
        count=len(whole),
        image_shape=whole.image_shape,
        labelled=False,
    )
    dataset = datasets.Dataset("streamed", streamed, None, "here")
    before = sorted(tmp_path.rglob("*"))
    for path in ("", "auto"):
        config = from_store(path, **{"data.mixup": 0.5})
        with pytest.raises(ValueError, match="raise data.memory_limit_mb"):
            run("student", config=config, dataset=dataset)
    assert sorted(tmp_path.rglob("*")) == before
