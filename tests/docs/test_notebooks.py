"""The notebooks run from top to bottom, offline."""

import json

import matplotlib
import pytest
from pages import REPOSITORY

pytestmark = pytest.mark.slow
NOTEBOOKS = REPOSITORY / "docs/notebooks"


@pytest.mark.parametrize("name", ["first_student", "your_keras_model"])
def test_a_notebook_runs(name, tmp_path, monkeypatch, capsys):
    # Without Jupyter: the cells have no commands of its own.
    matplotlib.use("Agg")
    place = tmp_path / "docs" / "notebooks"
    place.mkdir(parents=True)
    (tmp_path / "savedmodels").symlink_to(REPOSITORY / "savedmodels")
    monkeypatch.chdir(place)
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    names = {"__name__": name}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), name, "exec"), names)
    assert (place / "student.keras").exists()
    if name == "first_student":
        # Half the errors of the network on labels, when it was written.
        assert names["count"]["student"] < 0.75 * names["count"]["baseline"]
    else:
        agreement = names["results"]["against_teacher"]["agreement"]
        assert agreement > 0.95
