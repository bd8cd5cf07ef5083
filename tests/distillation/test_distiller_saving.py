"""Files of a Distiller: its settings, and nothing of the teacher."""

import json
import zipfile

import distilling
import h5py
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.deployment import saved_model as exports


@pytest.mark.slow
def test_training_works_with_keras_callbacks(tmp_path):
    teacher, student = nets.make_network(), nets.make_network()
    images = nets.make_images()
    distiller = kd_keras.Distiller(student, teacher)
    distiller.compile(optimizer=keras.optimizers.Adam(0.01))
    distiller.fit(
        images,
        validation_data=(images, None),
        epochs=3,
        verbose=0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                str(tmp_path / "best.weights.h5"),
                save_best_only=True,
                save_weights_only=True,
            ),
            keras.callbacks.ModelCheckpoint(str(tmp_path / "last.keras")),
            keras.callbacks.BackupAndRestore(str(tmp_path / "backup")),
            keras.callbacks.EarlyStopping("val_agreement", mode="max"),
            keras.callbacks.ReduceLROnPlateau("val_loss"),
            keras.callbacks.TensorBoard(str(tmp_path / "logs")),
            keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        ],
    )
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert "val_soft_loss" in header
    assert list((tmp_path / "logs" / "train").iterdir())
    reloaded = keras.models.load_model(tmp_path / "last.keras")
    np.testing.assert_allclose(
        reloaded.predict(images, verbose=0),
        student.predict(images, verbose=0),
        atol=1e-6,
    )


@pytest.mark.slow
def test_a_saved_distiller_keeps_its_settings_and_can_train(tmp_path):
    teacher, student = nets.make_network(), nets.make_network()
    images = nets.make_images()
    distiller, _ = distilling.distil(student, teacher, images)
    distiller.save(tmp_path / "distiller.keras")
    reloaded = keras.models.load_model(tmp_path / "distiller.keras")
    assert (
        reloaded.temperature == distilling.TEMPERATURE
        and reloaded.soft_loss == "kl"
    )
    logits = teacher.predict(images, verbose=0)
    reloaded.fit(images, {"teacher_logits": logits}, verbose=0)
    with zipfile.ZipFile(tmp_path / "distiller.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert "teacher" not in json.dumps(config)


@pytest.mark.slow
def test_a_saved_distiller_keeps_its_loss_and_schedules(tmp_path):
    student, images = nets.make_network(), nets.make_images()
    distiller, _ = distilling.distil(
        student,
        nets.make_network(),
        images,
        temperature=keras.optimizers.schedules.PolynomialDecay(6.0, 4, 2.0),
        soft_loss="dkd",
        soft_loss_options={"beta": 2.0},
    )
    distiller.save(tmp_path / "distiller.keras")
    reloaded = keras.models.load_model(tmp_path / "distiller.keras")
    assert (reloaded.soft_loss, reloaded.soft_loss_options) == (
        "dkd",
        {"beta": 2.0},
    )
    assert float(reloaded.temperature(2)) == 4.0


def units_in(config):
    """The set of all values under the key `units`, at any depth."""
    if isinstance(config, list):
        return set().union(*map(units_in, config))
    if not isinstance(config, dict):
        return set()
    own = {config["units"]} if "units" in config else set()
    return own.union(*map(units_in, config.values()))


@pytest.mark.slow
def test_the_teacher_is_in_no_weights_checkpoint_or_file(tmp_path):
    student, teacher = nets.make_network(units=3), nets.make_network(units=77)
    distiller = distilling.compiled(student, teacher)
    distiller.fit(nets.make_images(), verbose=0)
    assert len(distiller.weights) == len(student.weights)
    tf.train.Checkpoint(distiller).save(str(tmp_path / "checkpoint"))
    shapes = [shape for _, shape in tf.train.list_variables(str(tmp_path))]
    assert not any(77 in shape for shape in shapes)
    distiller.save_weights(tmp_path / "distiller.weights.h5")
    distiller.save(tmp_path / "distiller.keras")
    with zipfile.ZipFile(tmp_path / "distiller.keras") as archive:
        config = json.loads(archive.read("config.json"))
        # Not by a search in the text, which also holds the identities of
        # objects: their digits may contain a 77.
        assert units_in(config) == {3, 5}
        archive.extract("model.weights.h5", tmp_path)
    import h5py

    sizes = []
    for name in ("distiller.weights.h5", "model.weights.h5"):
        with h5py.File(tmp_path / name) as file:
            file.visititems(
                lambda _, item: sizes.append(getattr(item, "shape", ()))
            )
    assert (64, 3) in sizes
    assert not any(77 in shape for shape in sizes)
    exports.export_saved_model(student, tmp_path / "saved")
    variables = tf.train.list_variables(
        str(tmp_path / "saved/variables/variables")
    )
    assert not any(77 in shape for _, shape in variables)


@pytest.mark.slow
def test_the_student_loads_the_weights_that_a_distiller_saves(tmp_path):
    teacher, student = nets.make_network(), nets.make_network()
    distiller, _ = distilling.distil(
        student,
        teacher,
        nets.make_images(16),
        optimizer=keras.optimizers.Adam(),
    )
    path = tmp_path / "student.weights.h5"
    distiller.save_weights(path)
    plain = nets.make_network()
    plain.load_weights(path)
    nets.assert_same_weights(plain, student)
    again = kd_keras.Distiller(nets.make_network(), teacher)
    again.compile(keras.optimizers.Adam())
    again.optimizer.build(again.student.trainable_variables)
    again.load_weights(path)
    nets.assert_same_weights(again.student, student)
    assert again.optimizer.iterations == 1


@pytest.mark.slow
def test_a_reloaded_distiller_with_its_teacher_trains_on(tmp_path):
    teacher, images = nets.make_network(), nets.make_images(16)
    first, _ = distilling.distil(
        nets.make_network(),
        teacher,
        images,
        optimizer=keras.optimizers.Adam(0.01),
    )
    first.save(tmp_path / "distiller.keras")
    again = keras.models.load_model(tmp_path / "distiller.keras")
    again.set_teacher(teacher)
    for distiller in (first, again):
        distiller.fit(images, batch_size=16, shuffle=False, verbose=0)
    nets.assert_same_weights(again.student, first.student)
    assert len(again.weights) == len(again.student.weights)
    # The file can be loaded as a teacher, too.
    loaded = kd_keras.load_teacher(tmp_path / "distiller.keras")
    assert loaded.num_classes == nets.NUM_CLASSES


@pytest.mark.slow
def test_a_distiller_of_mixed_precision_is_reloaded_under_another(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    student = nets.make_network()
    keras.config.set_dtype_policy("float32")
    teacher, images = nets.make_network(), nets.make_images(16)
    first, _ = distilling.distil(
        student, teacher, images, optimizer=keras.optimizers.Adam(0.01)
    )
    first.save(tmp_path / "distiller.keras")
    again = keras.models.load_model(tmp_path / "distiller.keras")
    again.set_teacher(teacher)
    # Else small gradients would be 0 in float16, and Adam's moments lost.
    assert isinstance(again.optimizer, keras.optimizers.LossScaleOptimizer)
    for distiller in (first, again):
        distiller.fit(images, batch_size=16, shuffle=False, verbose=0)
    nets.assert_same_weights(again.student, first.student)


@pytest.mark.slow
def test_projections_are_in_the_file_of_the_distiller_alone(tmp_path):
    teacher, images = nets.make_network(units=12), nets.make_images(32)
    student = nets.make_network(units=8)
    matches = [
        kd_keras.FeatureMatch(loss="queue_kl", queue_size=24, weight=2.0),
        kd_keras.FeatureMatch(loss="mse", projection="orthogonal"),
    ]
    distiller, _ = distilling.distil(
        student,
        teacher,
        images,
        features=matches,
        optimizer=keras.optimizers.Adam(0.01),
    )
    distiller.save(tmp_path / "distiller.keras")
    distiller.save_weights(tmp_path / "student.weights.h5")
    distiller.export(tmp_path / "student", verbose=False)
    reloaded = keras.models.load_model(tmp_path / "distiller.keras")
    for a, b in zip(distiller.weights, reloaded.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(map(repr, reloaded.features)) == list(map(repr, matches))
    # The file holds the optimizer's state, too, so both continue alike.
    reloaded.set_teacher(teacher)
    for model in (distiller, reloaded):
        model.fit(images, batch_size=16, shuffle=False, verbose=0)
    nets.assert_same_weights(distiller.student, reloaded.student, atol=1e-6)

    with h5py.File(tmp_path / "student.weights.h5") as file:
        sizes = []
        file.visititems(
            lambda name, item: sizes.append(getattr(item, "size", None))
        )
    assert sorted(filter(None, sizes)) == sorted(
        int(np.prod(x.shape)) for x in student.variables
    )
    exported = tf.saved_model.load(tmp_path / "student")
    assert len(exported.variables) == len(student.variables)


def test_backups_of_the_student_alone_are_refused(tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    distiller = distilling.compiled(
        nets.make_network(),
        nets.make_network(),
        features=[kd_keras.FeatureMatch()],
    )
    with pytest.raises(ValueError, match="must not have BackupAndRestore"):
        distiller.fit(nets.make_images(16), callbacks=[backup], verbose=0)
