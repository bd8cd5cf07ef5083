"""Fingerprints follow the weights, not the path or the format."""

import json
import pathlib

import nets
import numpy as np
import pytest

from kd_keras.deployment import saved_model as exports
from kd_keras.teachers.fingerprint import fingerprint

OLD_RUN = pathlib.Path(__file__).parents[1] / "files" / "run_of_0_1"


@pytest.mark.slow
def test_equal_weights_have_equal_fingerprints(tmp_path):
    network = nets.make_network()
    exports.export_saved_model(network, tmp_path / "a")
    exports.export_saved_model(network, tmp_path / "b")
    network.save(tmp_path / "a.keras")
    other = nets.copy_of(network)
    other.layers[-1].bias.assign_add(np.full(nets.NUM_CLASSES, 1e-3))
    exports.export_saved_model(other, tmp_path / "c")
    a, b, file, c = (
        fingerprint(tmp_path / name) for name in ("a", "b", "a.keras", "c")
    )
    assert a == b == file != c


@pytest.mark.parametrize(
    "path", ["models/tiny_teacher", "work/teacher/teacher.keras"]
)
def test_a_fingerprint_is_that_of_older_versions(path):
    manifest = json.loads((OLD_RUN / "work/store/manifest.json").read_text())
    assert fingerprint(OLD_RUN / path) == manifest["teacher"]["fingerprint"]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        fingerprint(tmp_path / "nowhere.keras")
