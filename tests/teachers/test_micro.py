"""LiteRT for Microcontrollers in a process of its own, and C headers."""

import re

import pytest
from shipped import SHIPPED

from kd_keras.deployment.formats import c_array
from kd_keras.teachers import loading, micro

EXPORTS = SHIPPED / "cifar10_student_exports"


@pytest.fixture(scope="module")
def model():
    return (EXPORTS / "cifar10_student_int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def header(model):
    return c_array.header(model, name="net")


@pytest.fixture(scope="module")
def arena(header):
    return int(re.search(r"_ARENA_BYTES (\d+)", header)[1])


@pytest.fixture(scope="module")
def trials(model):
    with micro.Trials(model) as trials:
        yield trials


def test_a_trial_tells_whether_an_arena_is_large_enough(trials, arena):
    assert trials.failure(arena) is None
    assert trials.failure(micro.LARGEST_ARENA) is None
    assert "allocate" in trials.failure(1024)
    trials.check(arena)
    with pytest.raises(ValueError, match="with 1,024 bytes for its tensors"):
        trials.check(1024)


@pytest.mark.parametrize("is_over", [False, True])
def test_trials_outlive_an_interpreter_that_ends_its_process(
    model, arena, is_over
):
    with micro.Trials(model) as trials:
        assert trials.failure(arena) is None
        trials._process.kill()
        # Before or after its pipe is closed.
        if is_over:
            trials._process.wait()
        assert trials.failure(arena) == "its process ended"
        assert trials.failure(arena) is None


@pytest.mark.parametrize("claimed", ["1024", "10000000000000"])
def test_a_header_of_another_arena_ends_no_process(claimed, header, tmp_path):
    text = re.sub(r"(_ARENA_BYTES) \d+", rf"\1 {claimed}", header)
    (tmp_path / "net.h").write_text(text)
    if claimed == "1024":
        with pytest.raises(ValueError, match="net.h, which cannot be loaded"):
            loading.load_classifier(tmp_path / "net.h")
    else:
        classifier = loading.load_classifier(tmp_path / "net.h")
        assert classifier.arena_bytes == micro.LARGEST_ARENA
