"""Records of runs and stores, compared with the requested configuration."""

import logging

import pytest

from kd_keras.config import differences

A, B = "a" * 64, "b" * 64


def test_changed_added_and_removed_entries_differ():
    was = {"same": 1, "changed": 2, "removed": 3}
    now = {"same": 1, "changed": 4, "added": "x"}
    assert differences.differing(was, now) == [
        "added (was None, is 'x')",
        "changed (was 2, is 4)",
        "removed (was 3, is None)",
    ]
    assert differences.differing(was, dict(was)) == []


def test_contents_are_named_with_their_place():
    was = {"data.train.examples": 5, "teacher.graph": f"keras:{A}"}
    now = {"data.train.examples": 6, "teacher.graph": f"keras:{B}"}
    places = {"data": "folder /here", "teacher": "there.keras"}
    assert differences.differing(was, now, places) == [
        "data.train.examples (was 5, is 6; folder /here)",
        "teacher.graph (was 'keras:aaaaaaaaaaaa...', is "
        "'keras:bbbbbbbbbbbb...'; there.keras)",
    ]
    was, now = {"code.nets:net": A}, {"code.nets:net": B}
    assert differences.differing(was, now, places) == [
        "the code of nets:net has changed"
    ]


def test_a_field_that_a_record_lacks_had_its_default():
    assert differences.differing({}, {"distill.temperature": 4.0}) == []
    assert differences.differing({}, {"distill.temperature": 5.0}) == [
        "distill.temperature (was 4.0, is 5.0)"
    ]


def test_views_of_a_store_are_named_by_their_field():
    was, now = ({"store.parts.train.views": count} for count in (2, 3))
    assert differences.differing(was, now) == ["store.views (was 2, is 3)"]


def test_a_record_of_one_process_has_no_number_of_workers():
    assert differences.differing({"workers": 2}, {}) == [
        "workers (was 2, is 1)"
    ]
    assert differences.differing({}, {"workers": 2}) == [
        "workers (was 1, is 2)"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "data.test.labels",
        "code.nets:net",
        "teacher.graph",
        "store.teacher.graph",
        "parts.train.contents",
    ],
)
def test_what_old_records_lack_is_said_and_not_refused(caplog, name):
    now = {"seed": 0, name: A}
    assert differences.differing({"seed": 0}, now) == []
    assert differences.differing({"seed": 0, name: B}, now)
    # But a record with the entry differs from a run without it.
    assert differences.differing(now, {"seed": 0})
    with caplog.at_level(logging.WARNING):
        differences.log_incomparable(now, now, "here")
        assert not caplog.messages
        differences.log_incomparable({"seed": 0}, now, "here")
    (message,) = caplog.messages
    shown = "data" if name.startswith("data") else name
    assert message.startswith(f"here: {shown} could not be compared")


def test_graphs_of_two_kinds_of_files_cannot_be_compared():
    was, now = ({"teacher.graph": f"{k}:{A}"} for k in ("keras", "onnx"))
    assert differences.differing(was, now) == []
    assert differences.incomparable(was, now) == "teacher.graph"


def test_data_of_recorded_contents_may_lie_elsewhere():
    was = {"data.data_dir": "here", "data.train.fingerprint": A}
    now = {"data.data_dir": "there", "data.train.fingerprint": A}
    assert differences.differing(was, now) == []
    del was["data.train.fingerprint"]
    assert differences.differing(was, now) == [
        "data.data_dir (was 'here', is 'there')"
    ]
