"""Teachers as the configuration names them."""

import json

import nets
import pytest

from kd_keras import config as config_lib
from kd_keras.training import teacher_files


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    directory = tmp_path_factory.mktemp("teachers")
    paths = [str(directory / name) for name in ("a.keras", "b.keras")]
    for path in paths:
        nets.make_network().save(path)
    return paths


def find(paths, fields, **options):
    config = config_lib.default_config()
    config.teacher.path = ",".join(paths)
    config.update_from_flattened_dict(
        {f"teacher.{name}": value for name, value in fields.items()}
    )
    return teacher_files.find(config, "savedmodels", **options)


def test_teachers_have_options_for_all_or_for_each(paths, tmp_path):
    classes = tmp_path / "classes.json"
    classes.write_text(json.dumps({"low": [0, 1], "high": 4}))
    fields = {
        "outputs": "logits, probabilities",
        "preprocess": "0-1",
        "resize": "bicubic,bilinear",
        "image_sizes": (0, 8),
        "classes": f",{classes}",
    }
    first, second = find(paths, fields, class_names=["high", "low"]).options
    assert first.record() == {
        "outputs": "logits",
        "preprocess": "0-1",
        "resize": "bicubic",
    }
    assert second.record().keys() == {
        "outputs",
        "preprocess",
        "image_size",
        "classes",
    }
    assert (second.outputs, second.image_size) == ("probabilities", 8)
    assert second.classes.groups == ((4,), (0, 1))


def test_the_teacher_is_identified_by_the_contents_of_its_class_map(
    paths, tmp_path
):
    classes = tmp_path / "classes.json"
    records = []
    for value in ({"low": [0, 1], "high": 4}, {"high": 4, "low": [0, 1]}):
        classes.write_text(json.dumps(value))
        fields = {"classes": str(classes)}
        found = find(paths[:1], fields, class_names=["low", "high"])
        assert found.class_names == ["low", "high"]
        # The map stays as it was read, whatever happens to the file.
        classes.unlink()
        assert found.teacher.num_classes == 2
        records.append(found.record)
    assert records[0] == records[1]
    assert records[0]["classes"] == [[0, 1], [4]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"outputs": "logits,logits,logits"},
            "teacher.outputs .*each of the 2",
        ),
        ({"classes": "a.json,b.json,c.json"}, "one map, or 2 .json files"),
    ],
)
def test_another_number_of_options_is_refused(paths, fields, words):
    with pytest.raises(ValueError, match=words):
        find(paths, fields)


def test_a_class_map_of_sigmoids_may_not_merge(paths):
    with pytest.raises(ValueError, match="may occur together.*a.keras"):
        find(paths[:1], {"classes": "0+1"}, activation="sigmoid")


@pytest.mark.parametrize(
    ("fields", "recorded"),
    [
        ({"mean": "geometric"}, {"mean": "geometric", "weights": []}),
        ({"weights": (1.0, 3.0)}, {"weights": [1.0, 3.0]}),
        ({"mirrored": True}, {"mirrored": True, "mean": "arithmetic"}),
    ],
)
def test_how_teachers_are_combined_is_recorded(paths, fields, recorded):
    record = find(paths, fields).record
    assert record == {**find(paths, {}).record, **recorded}
