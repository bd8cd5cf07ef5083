"""Checkpoints: all that a training needs to resume.

That a resumed run ends in the bits of an uninterrupted one is tested in
`test_resuming.py`.
"""

import os

import keras
import nets
import numpy as np
import pytest

import kd_keras
from kd_keras.distillation import trainer
from kd_keras.training import checkpoints
from kd_keras.training.checkpoints import Position


@pytest.mark.slow
def test_a_checkpoint_restores_optimizer_and_random_state(tmp_path):
    def make():
        network = nets.make_network(batch_norm=True, dropout=0.5)
        optimizer = keras.optimizers.Adam(0.01)
        distiller = kd_keras.Distiller(network, nets.make_network())
        distiller.compile(optimizer=optimizer)
        optimizer.build(network.trainable_variables)
        return distiller, checkpoints.Checkpoints(tmp_path, distiller)

    images = nets.make_images(16)
    first, states = make()
    assert states.restore() == (0, 0)
    first.fit(images, epochs=2, verbose=0)
    states.save(Position(2))
    second, states = make()
    assert states.restore() == (2, 0)
    for a, b in zip(
        [*first.network.variables, *first.optimizer.variables],
        [*second.network.variables, *second.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert int(second.optimizer.iterations) == 2
    assert any("seed" in v.path for v in second.network.variables)


@pytest.mark.slow
def test_projections_and_queues_resume_in_the_same_bits(tmp_path):
    teacher, images = nets.make_network(units=12), nets.make_images(40)
    start = nets.make_network(units=8)

    def make():
        # Projections start from other values each time.
        distiller = kd_keras.Distiller(
            nets.copy_of(start),
            teacher,
            features=[
                kd_keras.FeatureMatch(loss="queue_kl", queue_size=24),
                kd_keras.FeatureMatch(projection="orthogonal"),
            ],
        )
        distiller.compile(keras.optimizers.Adam(0.01))
        distiller.optimizer.build(distiller.trained_variables)
        return distiller, checkpoints.Checkpoints(tmp_path, distiller)

    def fit(distiller, epochs):
        distiller.fit(
            images, epochs=epochs, batch_size=16, shuffle=False, verbose=0
        )

    whole, states = make()
    fit(whole, 1)
    states.save(Position(1))
    fit(whole, 1)
    resumed, states = make()
    assert states.restore() == (1, 0)
    fit(resumed, 1)
    for a, b in zip(
        [*whole.network.variables, *whole.own_variables],
        [*resumed.network.variables, *resumed.own_variables],
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def small_network():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model = trainer.SupervisedTrainer(network)
    model.compile("sgd")
    model.optimizer.build(network.trainable_variables)
    return network, model


@pytest.fixture
def saved(tmp_path):
    """A function that opens the states after 1 and 2 epochs, in `tmp_path`.

    The only weight is the number of epochs.
    """
    network, model = small_network()

    def open_states():
        network.set_weights([np.zeros((1, 1)), np.zeros(1)])
        states = checkpoints.Checkpoints(tmp_path, model)
        return states, lambda: network.get_weights()[0].item()

    states, _ = open_states()
    for epochs in (1, 2):
        network.set_weights([np.full((1, 1), epochs), np.zeros(1)])
        states.save(Position(epochs))
    return open_states


DATA = "ckpt-2.data-00000-of-00001"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"[]"])
def test_the_list_of_version_0_1_is_not_needed(saved, tmp_path, content):
    if content is not None:
        (tmp_path / "checkpoint").write_bytes(content)
    states, weight = saved()
    assert states.restore() == (2, 0) and weight() == 2


def test_what_is_too_old_or_left_by_a_killed_process_is_removed(
    saved, tmp_path
):
    left = tmp_path / "ckpt-3_temp" / "part-00000-of-00001.index"
    left.parent.mkdir()
    left.touch()
    (tmp_path / "checkpoint.tmp1a2b").touch()
    (tmp_path / ".kd_keras-new-killed").mkdir()
    (tmp_path / "ckpt-3.data-00000-of-00001").touch()
    (tmp_path / "thesis.txt").touch()
    states, _ = saved()
    assert states.restore() == (2, 0)
    states.save(Position(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ckpt-2.data-00000-of-00001",
        "ckpt-2.index",
        "ckpt-3.data-00000-of-00001",
        "ckpt-3.index",
        "thesis.txt",
    ]


def test_a_process_killed_while_it_saves_leaves_the_state_before(
    saved, tmp_path, monkeypatch
):
    replace, moved = os.replace, []

    def killed(source, target):
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        replace(source, target)

    states, _ = saved()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            states.save(Position(3))
    assert checkpoints.saved_positions(tmp_path) == [(1, 0), (2, 0)]
    states, weight = saved()
    assert states.restore() == (2, 0) and weight() == 2
    assert not list(tmp_path.glob("ckpt-3*"))


def test_no_other_folder_matches_the_path_of_checkpoints(tmp_path):
    network, model = small_network()
    folder, other = tmp_path / "[a]*", tmp_path / "ab"
    for path in (other, folder):
        states = checkpoints.Checkpoints(path, model)
        for epochs in (1, 2, 3):
            network.set_weights([np.full((1, 1), epochs), np.zeros(1)])
            states.save(Position(epochs))
        assert len(list(path.iterdir())) == 4
    network.set_weights([np.zeros((1, 1)), np.zeros(1)])
    states = checkpoints.Checkpoints(folder, model)
    assert states.restore() == (3, 0) and network.get_weights()[0].item() == 3
    assert len(list(other.iterdir())) == 4


@pytest.mark.parametrize("name", ["ckpt-2.index", DATA])
def test_a_damaged_state_gives_way_to_the_one_before(
    saved, tmp_path, caplog, name
):
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    states, weight = saved()
    assert states.restore() == (1, 0) and weight() == 1
    assert "ckpt-2 is damaged; takes" in caplog.text


def test_states_within_epochs_are_ordered_and_give_way_like_the_others(
    saved, tmp_path, caplog
):
    states, weight = saved()
    states.save(Position(2, 9), seconds=0.5)
    states.save(Position(2, 10), seconds=1.5)
    assert checkpoints.saved_positions(tmp_path) == [(2, 9), (2, 10)]
    states, _ = saved()
    assert states.restore() == (2, 10) and states.seconds == 1.5
    (tmp_path / "ckpt-2-10.index").write_bytes(b"damaged")
    states, _ = saved()
    assert states.restore() == (2, 9) and states.seconds == 0.5
    assert "ckpt-2-10 is damaged; takes" in caplog.text
    states.save(Position(3))
    assert checkpoints.saved_positions(tmp_path) == [(2, 10), (3, 0)]
    states, _ = saved()
    assert states.restore() == (3, 0) and states.seconds == 0


def test_the_first_state_of_all_is_not_left_out_where_it_is_damaged(
    saved, tmp_path
):
    for path in tmp_path.glob("*"):
        path.rename(tmp_path / path.name.replace("ckpt-1.", "ckpt-0-5."))
    for path in tmp_path.glob("*.index"):
        path.write_bytes(b"")
    states, _ = saved()
    with pytest.raises(ValueError, match="ckpt-2.*ckpt-0-5, damaged; start"):
        states.restore()
    for path in tmp_path.glob("ckpt-2*"):
        path.unlink()
    with pytest.raises(ValueError, match="Received: .*ckpt-0-5, damaged"):
        states.restore()


def test_a_training_never_starts_over_where_all_states_are_damaged(
    saved, tmp_path
):
    for path in tmp_path.glob("*.index"):
        path.write_bytes(b"")
    states, weight = saved()
    with pytest.raises(ValueError, match="ckpt-2.*ckpt-1, damaged; start over"):
        states.restore()
    # A killed process may leave half of its first state.
    (tmp_path / "ckpt-2.index").unlink()
    states, weight = saved()
    assert states.restore() == (0, 0) and weight() == 0
