"""The command of the README for one's own photos, shortened."""

import json

import pages
import photos
import pytest
from commands import run_forked

# Most of the time is TensorFlow's tracing of the layers.
SHORTER = (
    "--config.data.image_size=16",
    "--config.teacher.model=cnn_tiny",
    "--config.teacher.widths=()",
    "--config.student.model=cnn_tiny",
    "--config.student.widths=()",
    "--config.teacher.epochs=4",
    "--config.student.epochs=4",
    "--config.teacher.batch_size=32",
    "--config.student.batch_size=32",
)


@pytest.mark.slow
def test_the_readme_trains_on_a_folder_of_100_photos(mnist, tmp_path):
    for digit, name in enumerate(("bird", "cat", "cow", "dog", "horse")):
        images = mnist.train.images[mnist.train.labels == digit]
        photos.write_folder(tmp_path / "animals" / name, images[:20])
    (arguments,) = (
        arguments
        for program, *arguments in pages.command_lines("README.md")
        if program == "kd-keras" and "--config=photos" in arguments
    )
    case = [str(tmp_path), [*arguments, *SHORTER]]
    ((code, output),) = run_forked("documented_command", [case])
    assert code == 0, output
    records = sorted(tmp_path.glob("runs/photos/*/report.json"))
    reports = {r.parent.name: json.loads(r.read_text()) for r in records}
    assert list(reports) == ["baseline", "student", "teacher"]
    assert all(report["test_examples"] == 10 for report in reports.values())
    assert (tmp_path / "savedmodels/photos_student/saved_model.pb").exists()
