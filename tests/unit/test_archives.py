import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import rarfile

from causaliqa.datasets import archives
from causaliqa.datasets.archives import Limits, is_archive, open_members, unpack
from causaliqa.errors import CausalIQAError, DataError

FILES = {"set/a.png": b"first" * 100, "set/sub/b.png": bytes(range(256)), "set/empty.txt": b""}


def tar_bytes(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o777
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return buffer.getvalue()


def tar_member(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zip_bytes(files: dict[str, bytes], mode: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, mode << 16
            container.writestr(info, content)
    return buffer.getvalue()


def rar_block(kind: int, flags: int, fields: bytes, data: bytes = b"") -> bytes:
    body = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
    return struct.pack("<H", zlib.crc32(body) & 0xFFFF) + body + data


def rar_member(name: str, content: bytes, method: int = 0x30, flags: int = 0, mode: int = 0o100644) -> bytes:
    raw = name.encode()
    sizes = struct.pack("<LLBLLBBHL", len(content), len(content), 3, zlib.crc32(content), 0, 20, method, len(raw), mode)
    return rar_block(0x74, 0x8000 | flags, sizes + raw, content)


def rar_bytes(*members: bytes, main: int = 0, end: bool = True) -> bytes:
    blocks = [rar_block(0x73, main, bytes(6)), *members, *([rar_block(0x7B, 0x4000, b"")] * end)]
    return b"Rar!\x1a\x07\x00" + b"".join(blocks)


def rar5_bytes(name: str, content: bytes, link: str = "") -> bytes:
    """Return a rar of the newer format with one member; all its numbers stay below 128, one byte each."""
    redirect = bytes([5, 1, 0, len(link)]) + link.encode()
    extra = bytes([len(redirect)]) + redirect if link else b""
    fields = bytes([4, len(content), 0]) + struct.pack("<L", zlib.crc32(content)) + bytes([0, 1, len(name)])
    sizes = bytes([2, 3, len(extra), len(content)]) if link else bytes([2, 2, len(content)])
    out = b"Rar!\x1a\x07\x01\x00"
    for body, data in (
        (bytes([1, 0, 0]), b""),
        (sizes + fields + name.encode() + extra, content),
        (bytes([5, 0, 0]), b""),
    ):
        sized = bytes([len(body)]) + body
        out += struct.pack("<L", zlib.crc32(sized)) + sized + data
    return out


def stored_rar(files: dict[str, bytes]) -> bytes:
    return rar_bytes(*(rar_member(name, content) for name, content in files.items()))


def unpacked(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


GOOD: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "x.tar": tar_bytes,
    "x.tar.gz": lambda files: gzip.compress(tar_bytes(files)),
    "x.TGZ": lambda files: gzip.compress(tar_bytes(files)),
    "x.tar.bz2": lambda files: bz2.compress(tar_bytes(files)),
    "x.tar.xz": lambda files: lzma.compress(tar_bytes(files)),
    "x.zip": zip_bytes,
    "x.rar": stored_rar,
}


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def refused(archive: Path, match: str, limits: Limits | None = None) -> None:
    """Assert that the archive is refused in one line that names it, and that nothing is left or written outside."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(DataError, match=match) as error:
        unpack(archive, archive.parent / "out", limits or Limits())
    assert str(error.value).startswith(str(archive))
    assert "\n" not in str(error.value)
    assert "; " in str(error.value)
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("name", GOOD)
def test_every_format_unpacks(make: Callable[[str, bytes], Path], tmp_path: Path, name: str) -> None:
    archive = make(name, GOOD[name](FILES))
    assert is_archive(name)
    assert unpack(archive, tmp_path / "out") == 3
    assert unpacked(tmp_path / "out") == FILES
    assert [member for member, _ in open_members(archive)] == list(FILES)
    assert {member: stream.read() for member, stream in open_members(archive)} == FILES


@pytest.mark.parametrize("name", GOOD)
def test_members_may_be_left_unread(make: Callable[[str, bytes], Path], name: str) -> None:
    large = {"a": os.urandom(300_000), "b": os.urandom(300_000), "c": b"last"}
    read = {}
    for member, stream in open_members(make(name, GOOD[name](large))):
        read[member] = stream.read(10 if member == "b" else 0) if member != "c" else stream.read()
    assert read == {"a": b"", "b": large["b"][:10], "c": b"last"}


def test_what_is_an_archive() -> None:
    assert not any(is_archive(name) for name in ("x.csv", "x.gz", "tar", "zip", "x.zip.txt", "x.mat"))


@pytest.mark.parametrize("name", GOOD)
def test_modes_are_not_taken_over(make: Callable[[str, bytes], Path], tmp_path: Path, name: str) -> None:
    umask = os.umask(0)
    try:
        unpack(make(name, GOOD[name](FILES)), tmp_path / "out")
    finally:
        os.umask(umask)
    assert {stat.S_IMODE((tmp_path / "out" / member).stat().st_mode) for member in FILES} == {0o644}


@pytest.mark.parametrize("name", GOOD)
def test_what_desktops_leave_behind_is_left_out(make: Callable[[str, bytes], Path], tmp_path: Path, name: str) -> None:
    junk = {"__MACOSX/set/._a.png": b"j", "set/.DS_Store": b"j", "set/Thumbs.db": b"j", "./set//b.png": b"kept"}
    assert unpack(make(name, GOOD[name](junk)), tmp_path / "out") == 1
    assert unpacked(tmp_path / "out") == {"set/b.png": b"kept"}


def test_folders_are_no_files(make: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    folder = tar_member("set", tarfile.DIRTYPE)
    for archive in (
        make("x.tar", tar_bytes({}, folder, tar_member("./", tarfile.DIRTYPE))),
        make("x.zip", zip_bytes({"set/": b""})),
        make("x.rar", rar_bytes(rar_member("set", b"", flags=0xE0, mode=0o40755))),
    ):
        out = tmp_path / f"out-{archive.suffix}"
        assert unpack(archive, out) == 0
        assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip", "x.rar"])
@pytest.mark.parametrize(
    ("member", "match"),
    [
        ("../slip", "leads out of the folder"),
        ("a/../../slip", "leads out of the folder"),
        ("/tmp/slip", "absolute path"),
        ("C:/slip", "absolute path"),
        ("c:slip", "absolute path"),
        ("a\nb", "control"),
        ("a\x1b[2Jb", "control"),
        ("x" * 256, "too long"),
        ("/".join(["abcdefgh"] * 120), "too long"),
    ],
)
def test_bad_names_are_refused(make: Callable[[str, bytes], Path], name: str, member: str, match: str) -> None:
    refused(make(name, GOOD[name]({"good": b"g", member: b"bad"})), match)


@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_backslashes_are_refused(make: Callable[[str, bytes], Path], name: str) -> None:
    refused(make(name, GOOD[name]({"..\\slip": b"bad"})), "backslash")


def test_backslashes_of_a_rar_separate_folders(make: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    assert unpack(make("x.rar", stored_rar({"a\\b.png": b"1"})), tmp_path / "out") == 1
    assert unpacked(tmp_path / "out") == {"a/b.png": b"1"}


def test_backslashes_of_a_rar_lead_nowhere(make: Callable[[str, bytes], Path]) -> None:
    refused(make("x.rar", stored_rar({"..\\slip": b"bad"})), "leads out of the folder")
    refused(make("x.rar", stored_rar({"\\\\host\\slip": b"bad"})), "absolute path")


def test_rars_of_the_newer_format(make: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    assert unpack(make("x.rar", rar5_bytes("a/b.png", b"content")), tmp_path / "out") == 1
    assert unpacked(tmp_path / "out") == {"a/b.png": b"content"}


def test_links_and_slips_by_rars_of_the_newer_format(make: Callable[[str, bytes], Path]) -> None:
    refused(make("y.rar", rar5_bytes("bad", b"", link="/etc/passwd")), "is a link")
    refused(make("x.rar", rar5_bytes("../slip", b"bad")), "leads out of the folder")


def test_a_file_without_a_name_is_refused(make: Callable[[str, bytes], Path]) -> None:
    refused(make("x.zip", zip_bytes({".": b"1"})), "without a name")


@pytest.mark.parametrize("name", ["x.tar", "x.zip", "x.rar"])
@pytest.mark.parametrize(
    ("first", "second", "match"),
    [
        ("a/b.png", "A/B.PNG", "occurs twice"),
        ("a/b.png", "a/./b.png", "occurs twice"),
        ("\u00e9.png", "e\u0301.png", "occurs twice"),
        ("a", "a/b", "both a file and a folder"),
        ("a/b", "A", "both a file and a folder"),
    ],
)
def test_names_that_collide_are_refused(
    make: Callable[[str, bytes], Path], name: str, first: str, second: str, match: str
) -> None:
    refused(make(name, GOOD[name]({first: b"1", second: b"2"})), match)


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (b"Z", "not a plain file"),
        (tarfile.GNUTYPE_SPARSE, "sparse"),
    ],
)
def test_tar_members_that_are_no_files_are_refused(make: Callable[[str, bytes], Path], kind: bytes, match: str) -> None:
    refused(make("x.tar", tar_bytes({"a": b"1"}, tar_member("bad", kind, "/etc/passwd"))), match)


def test_a_sparse_file_of_the_newer_kind_is_refused(make: Callable[[str, bytes], Path]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("huge")
        info.pax_headers = {"GNU.sparse.size": str(10**15), "GNU.sparse.map": "0,1", "GNU.sparse.major": "0"}
        info.size = 1
        tar.addfile(info, io.BytesIO(b"1"))
    refused(make("x.tar", buffer.getvalue()), "not a plain file")


@pytest.mark.parametrize(
    ("mode", "match"), [(stat.S_IFLNK | 0o777, "is a link"), (stat.S_IFIFO, "pipe"), (stat.S_IFCHR, "device")]
)
def test_zip_and_rar_members_that_are_no_files_are_refused(
    make: Callable[[str, bytes], Path], mode: int, match: str
) -> None:
    refused(make("x.zip", zip_bytes({"bad": b"/etc/passwd"}, mode)), match)
    refused(make("x.rar", rar_bytes(rar_member("bad", b"/etc/passwd", mode=mode))), match)


@pytest.mark.parametrize("name", GOOD)
def test_limits_hold(make: Callable[[str, bytes], Path], name: str) -> None:
    archive = make(name, GOOD[name]({f"{i}.bin": os.urandom(5000) for i in range(20)}))
    refused(archive, "more than 19 members", Limits(max_members=19))
    refused(archive, "above 50000 bytes unpacked", Limits(max_bytes=50_000))
    refused(archive, "larger than 4999 bytes", Limits(max_member_bytes=4999))
    just = Limits(max_members=20, max_bytes=200_000, max_member_bytes=5000)
    assert unpack(archive, archive.parent / "out", just) == 20


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar.bz2", "x.tar.xz", "x.zip"])
def test_bombs_are_refused(make: Callable[[str, bytes], Path], name: str) -> None:
    archive = make(name, GOOD[name]({"zeros": bytes(20_000_000)}))
    refused(archive, "'zeros' unpacks to more than 200 times", Limits(ratio_from=1_000_000))
    # One image of a single colour is no bomb.
    assert unpack(archive, archive.parent / "out", Limits(ratio_from=30_000_000)) == 1


def test_many_small_bombs_are_one(make: Callable[[str, bytes], Path]) -> None:
    archive = make("x.zip", zip_bytes({f"{i}": bytes(900_000) for i in range(5)}))
    refused(archive, "'1' unpacks to more than 200 times", Limits(ratio_from=1_000_000))


def test_a_bomb_among_what_is_left_out_is_noticed(make: Callable[[str, bytes], Path]) -> None:
    archive = make("x.tar.gz", gzip.compress(tar_bytes({"Thumbs.db": bytes(20_000_000), "a": b"1"})))
    refused(archive, "unpacks to more than 200 times", Limits(ratio_from=1_000_000))


def test_a_tar_header_cannot_ask_for_memory(make: Callable[[str, bytes], Path]) -> None:
    header = tarfile.TarInfo("@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**33
    refused(make("x.tar", header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)), "announces 8589934592 bytes")


def test_tar_headers_cannot_nest_without_end(make: Callable[[str, bytes], Path]) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 0
    refused(make("x.tar", header.tobuf() * 5000 + bytes(1024)), "truncated or corrupt")


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_archives_are_named(make: Callable[[str, bytes], Path], name: str, keep: float) -> None:
    content = GOOD[name]({f"{i}": os.urandom(20_000) for i in range(4)})
    # The last 10 kB of a plain tar are padding.
    useful = len(content.rstrip(b"\0")) if name == "x.tar" else len(content)
    refused(make(name, content[: int(useful * keep)]), r"truncated or corrupt .*delete it and download it again")


@pytest.mark.parametrize("name", ["x.tar", "x.rar"])
def test_an_archive_cut_between_two_members_is_truncated(make: Callable[[str, bytes], Path], name: str) -> None:
    content = {"x.tar": tar_bytes({"a": b"1" * 512})[:1024], "x.rar": rar_bytes(rar_member("a", b"1"), end=False)}
    refused(make(name, content[name]), "ends without its end mark")


@pytest.mark.parametrize("name", GOOD)
def test_flipped_bytes_never_crash(make: Callable[[str, bytes], Path], tmp_path: Path, name: str) -> None:
    good = GOOD[name]({"a/b.png": b"some content", "c.png": b"more of it"})
    outcomes: set[int] = set()
    for position in range(0, len(good.rstrip(b"\0")), 3):
        damaged = bytearray(good)
        damaged[position] ^= 0x55
        archive = make(name, bytes(damaged))
        try:
            unpack(archive, tmp_path / "out")
        except DataError as error:
            outcomes.add(str(error).count("\n"))
        for path in sorted(tmp_path.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    # Some were refused, all in one line, and nothing else was raised.
    assert outcomes == {0}


def test_a_tar_damaged_in_the_middle_does_not_pass_for_a_short_one(make: Callable[[str, bytes], Path]) -> None:
    content = bytearray(tar_bytes({"a": b"1", "b": b"2"}))
    content[1024:1034] = b"\xff" * 10
    refused(make("x.tar", bytes(content)), "truncated or corrupt")


def test_the_checksum_of_a_compressed_tar_is_checked(make: Callable[[str, bytes], Path]) -> None:
    content = bytearray(gzip.compress(tar_bytes(FILES)))
    content[-8] ^= 1
    refused(make("x.tar.gz", bytes(content)), "CRC")


def test_a_wrong_checksum_inside_a_rar_is_noticed(make: Callable[[str, bytes], Path]) -> None:
    content = stored_rar({"a": b"content"}).replace(b"content", b"Content")
    refused(make("x.rar", content), "CRC check failed")


@pytest.mark.parametrize("name", GOOD)
def test_a_file_of_another_kind_is_named(make: Callable[[str, bytes], Path], name: str) -> None:
    refused(make(name, b"This is no archive of any kind. " * 100), "truncated or corrupt")


def test_an_encrypted_zip_is_refused(make: Callable[[str, bytes], Path]) -> None:
    content = bytearray(zip_bytes({"a": b"secret"}))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    refused(make("x.zip", bytes(content)), "'a' is encrypted")


def test_encrypted_rars_are_refused(make: Callable[[str, bytes], Path]) -> None:
    refused(make("x.rar", rar_bytes(rar_member("a", b"secret", flags=0x04))), "is encrypted")
    refused(make("y.rar", rar_bytes(rar_member("a", b"secret"), main=0x80)), "is encrypted")


def test_an_unknown_compression_of_zip_is_named(make: Callable[[str, bytes], Path]) -> None:
    content = bytearray(zip_bytes({"a": b"1"}))
    for position in (8, content.index(b"PK\1\2") + 10):
        content[position] = 97
    refused(make("x.zip", bytes(content)), "cannot be unpacked here .*unpack it by hand")


def test_a_rar_of_several_volumes_is_refused(make: Callable[[str, bytes], Path]) -> None:
    make("x.r00", stored_rar({"b": b"2"}))
    refused(make("x.rar", rar_bytes(rar_member("a", b"1"), main=0x01)), "one of several volumes")
    refused(make("y.rar", rar_bytes(rar_member("a", b"1", flags=0x02))), "goes on in another volume")


def test_names_that_are_not_utf8_are_read_as_code_page_437(make: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    tar = make("x.tar", tar_bytes({"bild.png": b"1"}).replace(b"bild.png", b"b\x81ld.png"))
    # The header's checksum: the sum of its bytes.
    content = bytearray(tar.read_bytes())
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    tar.write_bytes(content)
    zipped = make("x.zip", zip_bytes({"bild.png": b"1"}).replace(b"bild.png", b"b\x81ld.png"))
    utf8 = make("y.zip", zip_bytes({"bild2.png": b"1"}).replace(b"bild2.png", "büld.png".encode()))
    for number, archive in enumerate((tar, zipped, utf8)):
        unpack(archive, tmp_path / f"{number}")
        assert unpacked(tmp_path / f"{number}") == {"büld.png": b"1"}


def test_a_zip_name_that_claims_to_be_utf8_and_is_not(make: Callable[[str, bytes], Path]) -> None:
    content = zip_bytes({"büld.png": b"1"}).replace("ü".encode(), b"\xff\xff")
    refused(make("x.zip", content), "truncated or corrupt .*utf-8")


def test_zip_members_are_counted_before_the_directory_is_read(
    make: Callable[[str, bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make("x.zip", zip_bytes({f"{i}": b"" for i in range(50)}))
    monkeypatch.setattr(zipfile, "ZipFile", lambda path: pytest.fail("the directory was read into memory"))
    refused(archive, "more than 49 members", Limits(max_members=49))


def test_a_zip64_and_a_zip_with_a_comment(
    make: Callable[[str, bytes], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as container:
        container.comment = b"a comment"
        with container.open("a", "w", force_zip64=True) as handle:
            handle.write(b"1")
    assert unpack(make("x.zip", buffer.getvalue()), tmp_path / "x") == 1
    many = io.BytesIO()
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10)
    with zipfile.ZipFile(many, "w") as container:
        for number in range(11):
            container.writestr(f"{number}", b"")
    archive = make("y.zip", many.getvalue())
    assert b"PK\6\6" in many.getvalue()
    assert sum(1 for _ in open_members(archive)) == 11
    with pytest.raises(DataError, match="more than 10 members"):
        next(open_members(archive, Limits(max_members=10)))


def test_a_folder_that_is_not_empty_is_refused(make: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    archive = make("x.zip", zip_bytes(FILES))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(DataError, match="not an empty folder; remove it"):
        unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_a_missing_archive_and_one_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.zip: missing; download it again"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
    with pytest.raises(DataError, match=r"x\.7z: not an archive that can be unpacked; pack it as"):
        unpack(tmp_path / "x.7z", tmp_path / "out")


def test_a_full_disk_is_named(
    make: Callable[[str, bytes], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full exists on Linux only")
    archive = make("x.zip", zip_bytes({"a": os.urandom(100_000)}))
    real = os.open
    monkeypatch.setattr(
        archives.os,
        "open",
        lambda path, flags, *rest, **options: (
            real("/dev/full", os.O_WRONLY) if flags & os.O_CREAT else real(path, flags, *rest, **options)
        ),
    )
    with pytest.raises(CausalIQAError, match=r"out/a: the disk is full; free some space"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Compressed rars go through an unpacker. A small script stands for it, since only one program can make such archives.


@pytest.fixture
def unpacker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that installs an unpacker whose body is a Python script; no other one is found."""
    folder = tmp_path.parent / f"{tmp_path.name}-bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(body: str, name: str = "unrar") -> None:
        tool = folder / name
        tool.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
        tool.chmod(0o755)

    return install


COMPRESSED = rar_bytes(
    rar_member("a", b"first", method=0x33), rar_member("Thumbs.db", b"junk"), rar_member("b", b"second", method=0x33)
)


def test_a_compressed_rar_is_unpacked_in_one_run(
    make: Callable[[str, bytes], Path], tmp_path: Path, unpacker: Callable[[str], None]
) -> None:
    runs = tmp_path.parent / f"{tmp_path.name}-runs"
    unpacker(f"open({str(runs)!r}, 'a').write(sys.argv[-1])\nsys.stdout.write('firstjunksecond')")
    archive = make("x.rar", COMPRESSED)
    assert unpack(archive, tmp_path / "out") == 2
    assert unpacked(tmp_path / "out") == {"a": b"first", "b": b"second"}
    assert runs.read_text() == str(archive)
    # Members that nobody reads do not shift those after them.
    assert [stream.read() for name, stream in open_members(archive) if name == "b"] == [b"second"]


@pytest.mark.parametrize(
    "body",
    [
        "sys.stdout.write('firstjunk')",
        "sys.stdout.write('firstjunkSECOND')",
        "sys.stdout.write('firstjunksecondmore')",
        "sys.exit(2)",
    ],
)
def test_an_unpacker_that_fails_is_noticed(
    make: Callable[[str, bytes], Path], unpacker: Callable[[str], None], body: str
) -> None:
    unpacker(body)
    refused(make("x.rar", COMPRESSED), "truncated or corrupt")


def test_an_unpacker_that_says_it_failed_is_believed(
    make: Callable[[str, bytes], Path], unpacker: Callable[[str], None]
) -> None:
    unpacker("sys.stdout.write('firstjunksecond'); sys.exit(3)")
    refused(make("x.rar", COMPRESSED), r"unrar fails on it \(status 3\); delete it and download it again, or install")


def test_another_unpacker_is_tried(
    make: Callable[[str, bytes], Path], tmp_path: Path, unpacker: Callable[..., None]
) -> None:
    unpacker("sys.exit(2)", "7z")
    refused(make("x.rar", COMPRESSED), "truncated or corrupt, or not for 7z; .* or install unrar, unar")
    unpacker("sys.stdout.write('firstjunksecond')", "bsdtar")
    assert unpack(tmp_path / "x.rar", tmp_path / "out") == 2


def test_an_unpacker_is_stopped_with_its_reader(
    make: Callable[[str, bytes], Path], unpacker: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    real = subprocess.Popen

    def popen(*args: object, **options: object) -> object:
        started.append(real(*args, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(archives.subprocess, "Popen", popen)
    unpacker("sys.stdout.write('first'); sys.stdout.flush(); import time; time.sleep(600)")
    members = open_members(make("x.rar", COMPRESSED))
    assert next(members)[0] == "a"
    members.close()
    assert [process.poll() is not None for process in started] == [True]


def test_without_an_unpacker_the_remedy_is_named(
    make: Callable[[str, bytes], Path], unpacker: Callable[[str], None]
) -> None:
    refused(make("x.rar", COMPRESSED), r"needs an unpacker; install unrar, unar, 7z .* bsdtar \(libarchive-tools\)")


def test_a_comment_may_need_an_unpacker_too(
    make: Callable[[str, bytes], Path], unpacker: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rarfile, "CURRENT_SETUP", None)
    comment = struct.pack("<LLBLLBBHL", 4, 9, 3, 0, 0, 29, 0x33, 3, 0) + b"CMT"
    content = rar_bytes(rar_block(0x7A, 0x8000, comment, b"text"), rar_member("a", b"1"))
    refused(make("x.rar", content), "the comment of this rar needs an unpacker; install unrar")
