"""A file that computes something else than the model is not written."""

import nets
import pytest

from kd_keras.deployment import exporting
from kd_keras.deployment import saved_model as exports


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "words"),
    [
        ("litert", "digits.tflite must compute what the model does"),
        ("litert_int8", "digits_int8.tflite must agree with the model"),
    ],
)
def test_a_file_of_another_model_is_not_written(
    exported, saved_digits, data, tmp_path, monkeypatch, format, words
):
    other = nets.copy_of(exported[0])
    other.set_weights([-w for w in other.get_weights()])
    exports.export_saved_model(other, tmp_path / "other")
    source = exporting.source_lib.Source(tmp_path / "other")
    source.reference = saved_digits
    monkeypatch.setattr(exporting.source_lib, "Source", lambda *_: source)
    with pytest.raises(ValueError, match=words):
        exporting.export(
            saved_digits,
            formats=[format],
            output=tmp_path / "out",
            data=data,
        )
    assert not [*(tmp_path / "out").glob("*")]
