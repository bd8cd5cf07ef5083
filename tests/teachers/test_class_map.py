"""Class maps, with numbers worked by hand."""

import json

import nets
import numpy as np
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.teachers import class_map
from kd_keras.teachers.outputs import Outputs
from kd_keras.teachers.teacher import Teacher

NAMES = ["cat", "tabby", "dog", "wolf"]
# Of the logits log(1, 2, 3, 4).
PROBABILITIES = [0.1, 0.2, 0.3, 0.4]


def make_teacher(**attributes):
    """A teacher with the same four probabilities for all images."""
    logits = np.log([[1.0, 2.0, 3.0, 4.0]]).astype("float32")

    def function(images):
        return Outputs(tf.repeat(logits, len(images), axis=0), (images,))

    return Teacher(
        function,
        **{
            "path": "four.keras",
            "image_shape": nets.IMAGE_SHAPE,
            "num_classes": 4,
            "class_names": NAMES,
            **attributes,
        },
    )


def write(path, value):
    path.write_text(json.dumps(value))
    return str(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Picked, of 0.3 + 0.1, and in another order.
        ("2,0", [0.75, 0.25]),
        ("dog,cat", [0.75, 0.25]),
        # 0.1 + 0.2 : 0.3 + 0.4
        ("cat+tabby, dog+wolf", [0.3, 0.7]),
        ("0+1,2+3", [0.3, 0.7]),
        # 0.2 : 0.1 + 0.3 + 0.4
        ("tabby,cat+2+3", [0.2, 0.8]),
        # 0.3 : 0.1 + 0.2, of 0.6 : 0.4 is left out.
        ("dog,0+1", [0.5, 0.5]),
    ],
)
def test_probabilities_are_picked_or_added(text, expected):
    teacher = class_map.mapped(make_teacher(), text)
    p = tf.nn.softmax(teacher(nets.make_images(3)))
    np.testing.assert_allclose(p, [expected] * 3, atol=1e-6)
    assert teacher.num_classes == len(expected)


def test_a_temperature_softens_the_merged_probabilities():
    teacher = class_map.mapped(make_teacher(), "cat+tabby,dog+wolf")
    softened = tf.nn.softmax(teacher(nets.make_images(1)) / 2)
    # sqrt(0.3) : sqrt(0.7) = 0.5477 : 0.8367. Softened first and then added,
    # it would be 1 + 1.4142 : 1.7321 + 2 = 0.3928 : 0.6072.
    np.testing.assert_allclose(softened, [[0.39564, 0.60436]], atol=1e-5)


def test_logits_that_are_picked_stay_as_they_are_and_features_too():
    teacher, images = make_teacher(), nets.make_images(2)
    outputs = class_map.mapped(teacher, "3,1").outputs(images)
    expected = tf.gather(teacher(images), [3, 1], axis=-1)
    np.testing.assert_array_equal(outputs.logits, expected)
    np.testing.assert_array_equal(outputs.features[0], images)
    # No images: a store may ask for them.
    assert class_map.mapped(teacher, "3+0,1")(images[:0]).shape == (0, 2)


def test_a_column_of_probability_0_changes_no_sum():
    logits = tf.constant([[-np.inf, 0.0, 1000.0]])
    merged = class_map.map_logits(logits, [[0, 1], [2]])
    np.testing.assert_array_equal(merged, [[0.0, 1000.0]])


def test_a_file_names_the_classes_of_the_data(tmp_path):
    path = write(
        tmp_path / "map.json", {"canine": ["dog", 3], "feline": ["cat", 1]}
    )
    found = class_map.find(path)
    assert class_map.names(path, NAMES) == ["canine", "feline"]
    ordered = found.in_order_of(["feline", "canine"])
    assert ordered.names == ("feline", "canine")
    assert ordered.groups == (("cat", 1), ("dog", 3))
    teacher = class_map.mapped(make_teacher(), ordered)
    assert teacher.class_names == ["feline", "canine"]
    p = tf.nn.softmax(teacher(nets.make_images(1)))
    np.testing.assert_allclose(p, [[0.3, 0.7]], atol=1e-6)


def test_the_record_is_of_the_contents(tmp_path):
    listed = write(tmp_path / "list.json", [["dog", 3], 0])
    named = write(tmp_path / "named.json", {"b": 0, "a": ["dog", 3]})
    records = [
        class_map.record("dog+3,0"),
        class_map.record(listed),
        class_map.record(class_map.find(named).in_order_of(["a", "b"])),
    ]
    assert records == [{"classes": [["dog", 3], [0]]}] * 3
    assert class_map.record("") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dgo,cat", r"four.keras \(cat, .*'dgo'. Did you mean 'dog'"),
        ("0,4", "from 0 to 3, .*four.keras. Received: 4"),
        ("0,cat", "at most once. Received: 0 several times"),
        ("0,,1", "must be a comma-separated list .* Received: '0,,1'"),
        ("nowhere.json", "nowhere.json, which cannot be read .No such file"),
    ],
)
def test_maps_that_a_teacher_cannot_follow_are_refused(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        class_map.mapped(make_teacher(), text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[0, 1", "not such JSON"),
        ("[" * 100_000, "not such JSON"),
        ('{"a": 0, "a": 1}', "'a' is there twice"),
        (
            '{"a": 0, "b\\n": 1}',
            r"printable UTF-8 text.*: 'b\\n' in .*map.json",
        ),
        ('{"a": 0, "\\udcff": 1}', r"printable.*: '\\udcff' in .*map.json"),
        ("[]", "Received: .*map.json"),
        ('"cat"', "Received: .*map.json"),
        ("[0, []]", "none for a class in"),
        ("[0, [true]]", "indices from 0.*Received: True"),
        ("[0, -1]", "indices from 0.*Received: -1"),
        ("[0, 1.0]", "indices from 0.*Received: 1.0"),
        ("[0, [[1]]]", r"indices from 0.*Received: \[1\]"),
    ],
)
def test_files_that_are_no_maps_are_refused(tmp_path, content, words):
    path = tmp_path / "map.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=words) as caught:
        class_map.find(str(path))
    assert "\n" not in str(caught.value)


def test_all_classes_of_the_data_must_be_covered(tmp_path):
    named = class_map.find(write(tmp_path / "map.json", {"cat": 0, "dog": 2}))
    with pytest.raises(ValueError, match="cover all .* without fish"):
        named.in_order_of(["cat", "dog", "fish"])
    with pytest.raises(ValueError, match="of the data .cat, dogs.*'dogs'"):
        named.in_order_of(["cat", "dogs"])
    # The data's own names, in another order than the data's.
    with pytest.raises(ValueError, match="same in another order"):
        class_map.find("dog,cat").in_order_of(["cat", "dog"])
    # Indices are no names, even of classes whose names are numbers.
    assert class_map.find("1,0").in_order_of(["0", "1"]).names is None
    assert class_map.find("dog,wolf").in_order_of(["cat", "dog"]).names is None


def test_names_of_several_classes_need_an_index():
    teacher = make_teacher(class_names=["crane", "dog", "crane", "wolf"])
    with pytest.raises(ValueError, match="several classes.* one of 0, 2"):
        class_map.mapped(teacher, "crane,dog")
    assert class_map.mapped(teacher, "2,dog").num_classes == 2


def test_names_of_imagenet_serve_where_a_teacher_records_none():
    teacher = make_teacher(class_names=None, num_classes=1000)
    found = class_map.find("goldfish,tabby+tiger_cat,toilet_tissue")
    columns = found.columns(model=teacher.path, num_classes=1000)
    assert columns == [[1], [281, 282], [999]]
    with pytest.raises(ValueError, match="Did you mean 'tiger_cat'"):
        class_map.mapped(teacher, "tiger cat,goldfish")
    with pytest.raises(ValueError, match="must be indices.*not known"):
        class_map.mapped(make_teacher(class_names=None), "cat,dog")


def test_sigmoids_are_picked_only():
    teacher = make_teacher(outputs_activation="sigmoid")
    assert class_map.mapped(teacher, "3,0").num_classes == 2
    with pytest.raises(ValueError, match="occur together.*0.1,2"):
        class_map.mapped(teacher, "0+1,2")
    with pytest.raises(ValueError, match="needs a teacher with logits"):
        class_map.mapped(make_teacher(has_logits=False), "0,1")


def test_teachers_of_an_ensemble_have_a_file_each():
    assert class_map.for_each("a.json,b.json", 2) == ["a.json", "b.json"]
    assert class_map.for_each(",b.json", 2) == ["", "b.json"]
    assert class_map.for_each("0,1,2", 2) == ["0,1,2"] * 2
    for text in ("a.json,b.json,c.json", "a.json,1"):
        with pytest.raises(ValueError, match="one map, or 2 .json files"):
            class_map.for_each(text, 2)


def test_a_file_teaches_its_classes(tmp_path):
    network = nets.make_network()
    network.save(tmp_path / "five.keras")
    teacher = kd_keras.load_teacher(
        tmp_path / "five.keras", classes="4,0+1+2", image_size=8
    )
    images = nets.make_images(4)
    p = tf.nn.softmax(network(images)).numpy()
    merged = np.stack([p[:, 4], p[:, :3].sum(1)], axis=1)
    np.testing.assert_allclose(
        tf.nn.softmax(teacher(images)),
        merged / merged.sum(1, keepdims=True),
        atol=1e-5,
    )
