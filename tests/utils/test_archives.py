"""Archives that unpack to too much are refused before they are unpacked."""

import gzip
import io
import tarfile
import zipfile

import pytest

from kd_keras.utils import archives

SMALL = 100_000


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    monkeypatch.setattr(archives, "_SMALL_BYTES", SMALL)


def write_tar(path, size, *, name="package/file", type=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, type
    header = member.tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(gzip.compress(header + bytes(size + -size % 512 + 1024)))
    return path


def test_a_small_archive_is_unpacked(tmp_path):
    path = write_tar(tmp_path / "a.tgz", 50_000)
    archives.untar(path, tmp_path)
    assert (tmp_path / "package/file").read_bytes() == bytes(50_000)
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.parametrize("type", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, type):
    path = write_tar(tmp_path / "a.tgz", 10 * SMALL, type=type)
    with pytest.raises(ValueError, match="unpack to at most 100,000"):
        archives.untar(path, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.tgz"]


def test_a_sparse_member_is_refused(tmp_path):
    """Its size is larger than what the archive stores of it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/sparse")
        member.pax_headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.map": "0,0",
            "GNU.sparse.size": str(10**12),
        }
        archive.addfile(member)
    (tmp_path / "a.tgz").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="1,000,000,000,000 bytes"):
        archives.untar(tmp_path / "a.tgz", tmp_path)


def test_nothing_is_written_outside_of_the_folder(tmp_path):
    (tmp_path / "in").mkdir()
    path = write_tar(tmp_path / "a.tgz", 10, name="../outside")
    with pytest.raises(ValueError, match="harmless"):
        archives.untar(path, tmp_path / "in")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "contents",
    [b"", b"no gzip", gzip.compress(b"x", mtime=0)[:9]],
    ids=["empty", "other", "cut"],
)
def test_a_damaged_archive_is_refused(tmp_path, contents):
    path = tmp_path / "a.tgz"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match="must be whole"):
        archives.untar(path, tmp_path)


def test_gzip_files_are_unpacked_up_to_the_limit(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"digits"))
    assert archives.gunzip(path) == b"digits"
    path.write_bytes(gzip.compress(bytes(10 * SMALL)))
    with pytest.raises(ValueError, match="unpack to at most"):
        archives.gunzip(path)


def test_the_sizes_in_a_zip_file_are_summed(tmp_path):
    path = tmp_path / "a.keras"
    for count, refused in ((1, False), (2, True)):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for i in range(count):
                archive.writestr(f"file{i}", bytes(80_000))
        if refused:
            with pytest.raises(ValueError, match="160,000 bytes or more"):
                archives.check_zip(path)
        else:
            archives.check_zip(path)


def test_what_hardly_shrinks_may_be_of_any_size(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(bytes(SMALL))
    archives.check_expansion(path, 32 * SMALL)
    with pytest.raises(ValueError, match="3,200,001 bytes"):
        archives.check_expansion(path, 32 * SMALL + 1)
