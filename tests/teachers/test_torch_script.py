"""TorchScript files, and pickles of the same suffix, which are not read."""

import warnings
import zipfile

import pytest
from pytorch_files import EXPECTED, FILES, IMAGES, assert_close

import kd_keras
from kd_keras.teachers import fingerprint, loading

REFUSED = r"must be TorchScript.*torch:module:function, or .*\.pt2"


def test_pickles_are_refused_without_pytorch(tmp_path):
    with zipfile.ZipFile(tmp_path / "weights.pth", "w") as archive:
        archive.writestr("weights/data.pkl", b"\x80\x02.")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02}q\x00.")
    for name in ("weights.pth", "old.pt"):
        for function in (kd_keras.load_teacher, fingerprint.fingerprint):
            with pytest.raises(ValueError, match=REFUSED) as caught:
                function(tmp_path / name)
            assert "\n" not in str(caught.value)
    (tmp_path / "damaged.pt").write_bytes(b"x" * 99)
    with pytest.raises(
        ValueError, match="must be TorchScript.*another kind; write a"
    ):
        kd_keras.load_teacher(tmp_path / "damaged.pt")


torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def network():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FILES)
        import make_files

        return make_files.network()


@pytest.fixture(scope="module")
def script(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "script.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network).save(path)
    return path


def test_logits_are_those_of_the_module(script):
    teacher = kd_keras.load_teacher(script)
    assert teacher.image_shape == (None, None, 3) and teacher.num_classes == 5
    assert_close(teacher(IMAGES), EXPECTED["logits"])


def test_there_are_no_inner_outputs(script):
    with pytest.raises(ValueError, match="model without them.*'stem'"):
        kd_keras.load_teacher(script, features=("stem",))


def test_the_output_may_be_an_embedding(script):
    teacher = kd_keras.load_teacher(script, outputs="features")
    logits, (embedding,) = teacher.outputs(IMAGES)
    assert logits is None and teacher.feature_shapes == [(5,)]
    assert_close(embedding, EXPECTED["logits"])


def test_a_fingerprint_is_of_the_weights_and_the_code(
    network, script, tmp_path
):
    weights = fingerprint.fingerprint(script)
    graph = fingerprint.graph_fingerprint(script)
    assert graph.startswith("torch_script:")
    copy = tmp_path / "copy.torchscript"
    copy.write_bytes(script.read_bytes())
    assert fingerprint.fingerprint(copy) == weights
    assert fingerprint.graph_fingerprint(copy) == graph
    with zipfile.ZipFile(script) as source:
        entries = {name: source.read(name) for name in source.namelist()}

    def prints(name, change):
        with zipfile.ZipFile(tmp_path / "other.pt", "w") as target:
            for entry, contents in entries.items():
                target.writestr(
                    entry, change(contents) if entry == name else contents
                )
        return (
            fingerprint.fingerprint(tmp_path / "other.pt"),
            fingerprint.graph_fingerprint(tmp_path / "other.pt"),
        )

    other = prints("script/data/0", lambda x: bytes([x[0] ^ 1]) + x[1:])
    assert other[0] != weights and other[1] != graph
    other = prints("script/code/__torch__/make_files.py", lambda x: x + b"#")
    assert other[0] == weights and other[1] != graph


@pytest.mark.parametrize("kind", ["weights", "module"])
def test_what_torch_save_wrote_is_refused_unread(network, tmp_path, kind):
    class Code:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").write_text, ("",))

    path = tmp_path / "saved.pt"
    torch.save(network.state_dict() if kind == "weights" else Code(), path)
    with pytest.raises(ValueError, match=REFUSED):
        kd_keras.load_teacher(path)
    with pytest.raises(ValueError, match=REFUSED):
        loading.load_classifier(path)
    assert not (tmp_path / "ran").exists()


def test_a_cut_file_is_refused(script, tmp_path):
    path = tmp_path / "cut.pt"
    path.write_bytes(script.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="damaged or of another") as caught:
        kd_keras.load_teacher(path)
    assert "\n" not in str(caught.value)
