"""Output directories in object stores: whole, and only over our own."""

import pytest
from object_store import STORE, names, put, puts, read

from kd_keras.utils import files, manifests, remote, remote_copies
from kd_keras.utils import remote_outputs as outputs


class Interrupted(Exception):
    pass


def export(url, contents, *, fails=False):
    """Writes a directory of exports, as commands do."""
    with outputs.directory(url, "--output") as place:
        directory = files.OutputDirectory(place)
        for name, text in contents.items():
            directory.write_text(name, text)
        if fails:
            raise Interrupted


def publish(url, name, contents):
    """Writes a model's directory, as stages do."""
    with (
        outputs.models(url, "--savedmodels", prefix="net_") as place,
        files.replacing_directory(f"{place}/{name}") as new,
    ):
        for file, text in contents.items():
            (new / file).write_text(text)


def fail_at(name, operation="put"):
    def fail(done, path):
        if done == operation and path.endswith(name):
            raise ConnectionResetError("reset by peer")

    STORE.fail = fail


def test_a_local_directory_is_as_it_is(tmp_path):
    with outputs.directory(tmp_path, "--output") as place:
        assert place is tmp_path
    with outputs.models(str(tmp_path), "--x", prefix="") as place:
        assert place == str(tmp_path)


def test_the_list_of_files_is_uploaded_last(bucket):
    url = f"{bucket}/edge"
    export(url, {"a.onnx": "1", "b.onnx": "2"})
    assert sorted(puts()[1:3]) == ["a.onnx", "b.onnx"]
    assert puts()[0] == remote.UNFINISHED and puts()[3:] == [manifests.NAME]
    assert names(url) == ["a.onnx", "b.onnx", manifests.NAME]
    path = remote_copies.local(url, "--model")
    assert not files.foreign_files(path)


def test_only_what_changed_is_uploaded(bucket):
    url = f"{bucket}/edge"
    export(url, {"a.onnx": "1", "b.onnx": "2"})
    STORE.done.clear()
    export(url, {"b.onnx": "3"})
    assert puts() == [remote.UNFINISHED, "b.onnx", manifests.NAME]
    assert read(f"{url}/a.onnx") == b"1"
    STORE.done.clear()
    with outputs.directory(url, "--output"):
        pass
    assert not puts()


def test_nothing_is_uploaded_after_an_error(bucket):
    with pytest.raises(Interrupted):
        export(f"{bucket}/edge", {"a.onnx": "1"}, fails=True)
    assert not STORE.objects


def test_objects_of_others_are_not_replaced(bucket):
    url = f"{bucket}/edge"
    put(url, {"a.onnx": b"theirs"})
    with pytest.raises(ValueError, match="must be new or written by this"):
        export(url, {"a.onnx": "1"})
    STORE.done.clear()
    export(url, {"b.onnx": "2"})
    assert read(f"{url}/a.onnx") == b"theirs"
    assert "a.onnx" not in puts()
    put(f"{bucket}/models/net_teacher", {"x": b"theirs"})
    with pytest.raises(ValueError, match="hold only what this program"):
        publish(f"{bucket}/models", "net_teacher", {"y": "ours"})


@pytest.mark.parametrize("name", ["b.onnx", manifests.NAME])
def test_an_interrupted_upload_is_unread_and_goes_on(bucket, name):
    url = f"{bucket}/edge"
    export(url, {"a.onnx": "1", "b.onnx": "2"})
    fail_at(name)
    with pytest.raises(ValueError, match="reset by peer"):
        export(url, {"a.onnx": "3", "b.onnx": "4"})
    STORE.fail = None
    with pytest.raises(ValueError, match="must be uploaded whole"):
        remote_copies.local(url, "--model")
    export(url, {"a.onnx": "3", "b.onnx": "4"})
    assert names(url) == ["a.onnx", "b.onnx", manifests.NAME]
    assert read(f"{url}/b.onnx") == b"4"
    assert not files.foreign_files(remote_copies.local(url, "--model"))


def test_a_directory_that_changes_meanwhile_is_refused(bucket):
    url = f"{bucket}/edge"
    with (
        pytest.raises(ValueError, match="has changed meanwhile"),
        outputs.directory(url, "--output") as place,
    ):
        files.OutputDirectory(place).write_text("a.onnx", "1")
        put(url, {"a.onnx": b"theirs"})
    assert read(f"{url}/a.onnx") == b"theirs"


def test_models_of_one_name_are_replaced(bucket):
    url = f"{bucket}/models"
    put(url, {"other_teacher/x": b"theirs", "README": b"theirs"})
    publish(url, "net_teacher", {"a": "1", "b": "2"})
    publish(url, "net_teacher", {"a": "3"})
    publish(url, "net_student", {"a": "4"})
    assert names(url) == [
        "README",
        "net_student/a",
        f"net_student/{manifests.NAME}",
        "net_teacher/a",
        f"net_teacher/{manifests.NAME}",
        "other_teacher/x",
    ]
    assert read(f"{url}/net_teacher/a") == b"3"
    assert not [path for _, path in STORE.done if "other_teacher" in path]


def test_a_place_that_cannot_be_written_is_refused_at_once(bucket):
    fail_at("", "put")
    with pytest.raises(ValueError, match="reset by peer"):
        export(f"{bucket}/edge", {}, fails=True)
