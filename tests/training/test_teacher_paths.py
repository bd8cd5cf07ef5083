"""Which teachers TensorFlow computes."""

import pytest
from stage_runs import export_dummy_teacher, small_config

from kd_keras.training import prepare, teacher_paths


@pytest.fixture
def onnx(tmp_path):
    """Path of a file that is known as ONNX by its name."""
    path = tmp_path / "teacher.onnx"
    path.write_bytes(b"")
    return path


def test_teachers_are_graphs_if_all_are_of_tensorflow(onnx, tmp_path):
    export_dummy_teacher(tmp_path / "saved")
    # One that is still to be trained will be.
    known = [tmp_path / "saved", tmp_path / "missing"]
    assert teacher_paths.are_graphs(known)
    assert not teacher_paths.are_graphs([*known, onnx])


@pytest.mark.parametrize(
    ("is_faster", "trained", "given"),
    [(True, "bfloat16", "float32"), (False, "float32", "float32")],
)
def test_auto_is_resolved_for_the_kind_of_the_teacher(
    is_faster, trained, given, onnx, small_mnist, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        prepare.devices.processor, "is_faster_in_bfloat16", lambda: is_faster
    )
    for path, precision in (("", trained), (str(onnx), given)):
        context = prepare.prepare(
            small_config(**{"teacher.precision": "auto", "teacher.path": path}),
            workdir=tmp_path,
            savedmodels=tmp_path,
            dataset=small_mnist,
        )
        assert context.config.teacher.precision == precision
