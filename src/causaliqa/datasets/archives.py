"""Unpack archives that nobody has vouched for: nothing leaves its folder, links or explodes."""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import re
import shutil
import stat
import struct
import subprocess
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from causaliqa.errors import DataError
from causaliqa.io import _explain

#: Bytes read at once.
_BLOCK = 1 << 16
#: Bytes that a tar header may announce for a long name or a set of attributes; real ones have some hundred.
_TAR_EXTENSION = 1 << 20
_TAR_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_TAR_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)

_BY_HAND = "if you trust it, unpack it by hand and declare the folder as a dataset with source local"
_AGAIN = "delete it and download it again"

#: Programs that write all members of a rar to a pipe, best first: bsdtar knows no solid ones of the older format.
_UNPACKERS = (
    ("unrar", "p", "-inul", "-p-", "--"),
    ("unar", "-quiet", "-password", "", "-output-directory", "-"),
    ("7z", "x", "-so", "-bd", "-p", "--"),
    ("7zz", "x", "-so", "-bd", "-p", "--"),
    ("bsdtar", "-xOf"),
)
_INSTALL = "install unrar, unar, 7z with its rar module, or bsdtar (libarchive-tools)"

#: What the standard library's readers raise on damaged files; RecursionError by headers that nest without end.
_DAMAGE: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    ValueError,
    IndexError,
    KeyError,
    RecursionError,
)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold. Bytes are counted as they come out; what headers claim does not count.

    Attributes
    ----------
    max_members : members, folders included.
    max_bytes : bytes of all members together.
    max_member_bytes : bytes of one member. Lower it where members are read into memory.
    max_ratio : bytes that come out by byte of the archive, for each member and for the whole.
    ratio_from : bytes up to which the ratio is not judged: an image of one colour rightly shrinks a thousandfold.
    """

    max_members: int = 2_000_000
    max_bytes: int = 10**12
    max_member_bytes: int = 10**11
    max_ratio: float = 200.0
    ratio_from: int = 1 << 26


_DEFAULT = Limits()


class _Guard:
    """The checks on one archive, and the words of their errors."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self.archive = archive
        self.limits = limits
        self.size = archive.stat().st_size
        self.damage = _DAMAGE
        self._member = ""
        self._members = 0
        self._bytes = 0
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def refuse(self, what: str, remedy: str = _BY_HAND) -> NoReturn:
        """Raise an error that names the archive and the member."""
        # ascii(): a name may hold line ends, terminal codes or halves of characters.
        shown = ascii(self._member[:200])
        raise DataError(f"{self.archive}: member {shown} {what}; {remedy}")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what a damaged archive raises into one line."""
        try:
            yield
        except self.damage as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{self.archive}: truncated or corrupt ({reason}); {_AGAIN}") from error

    def one_more(self) -> None:
        """Count a member."""
        self._members += 1
        if self._members > self.limits.max_members:
            raise DataError(f"{self.archive}: has more than {self.limits.max_members} members; {_BY_HAND}")

    def count(self, size: int) -> None:
        """Count bytes that came out of the archive."""
        self._bytes += size
        if self._bytes > self.limits.max_bytes:
            self.refuse(f"takes the archive above {self.limits.max_bytes} bytes unpacked")
        self.judge_ratio(self._bytes, self.size)

    def judge_ratio(self, size: int, compressed: int) -> None:
        """Refuse a bomb: `size` bytes out of `compressed` ones."""
        if size > max(self.limits.ratio_from, self.limits.max_ratio * compressed):
            self.refuse(f"unpacks to more than {self.limits.max_ratio:g} times its compressed size, as a bomb does")

    def admit(self, name: str, folder: bool) -> str | None:
        """Check the next member's name; return it cleaned, or None for folders and what desktops leave behind."""
        self._member = name
        self.one_more()
        if "\\" in name:
            self.refuse("has a backslash in its name")
        if name.startswith("/") or re.match("[A-Za-z]:", name):
            self.refuse("has an absolute path")
        if "\ufffd" in name or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
            self.refuse("has control or undecodable characters in its name")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            self.refuse("leads out of the folder")
        if len(name.encode()) > 1024 or any(len(part.encode()) > 255 for part in parts):
            self.refuse("has a name that is too long for a file system")
        if folder:
            return None
        if not parts or name.endswith("/"):
            self.refuse("is a file without a name")
        if "__MACOSX" in parts or parts[-1] in (".DS_Store", "Thumbs.db"):
            return None
        # Two names that differ only in case or in how accents are composed are one file on some disks.
        folded = [unicodedata.normalize("NFC", part).casefold() for part in parts]
        above = ["/".join(folded[:depth]) for depth in range(1, len(folded))]
        key = "/".join(folded)
        if key in self._files:
            self.refuse("occurs twice, perhaps in another case")
        if key in self._folders or any(path in self._files for path in above):
            self.refuse("is both a file and a folder")
        self._files.add(key)
        self._folders.update(above)
        return "/".join(parts)


class _Member(io.RawIOBase):
    """The bytes of one member, counted as they come.

    `compressed` is its size in the archive; None where the archive is one stream whose bytes are counted below.
    """

    def __init__(self, guard: _Guard, read: Callable[[int], bytes], compressed: int | None) -> None:
        self._guard = guard
        self._read = read
        self._compressed = compressed
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        with self._guard.reading():
            block = self._read(len(view))
        self._size += len(block)
        if self._size > self._guard.limits.max_member_bytes:
            self._guard.refuse(f"is larger than {self._guard.limits.max_member_bytes} bytes")
        if self._compressed is not None:
            self._guard.judge_ratio(self._size, self._compressed)
            self._guard.count(len(block))
        view[: len(block)] = block
        return len(block)


@contextlib.contextmanager
def _opened(guard: _Guard, read: Callable[[int], bytes], compressed: int | None) -> Iterator[IO[bytes]]:
    with io.BufferedReader(_Member(guard, read, compressed), _BLOCK) as stream:
        yield stream


def _text(raw: bytes) -> str:
    """Decode a name: UTF-8, else the code page that zip has always meant, which knows every byte."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp437")


class _Counted(io.RawIOBase):
    """A decompressed tar, counted: a bomb is noticed wherever in the stream it lies."""

    def __init__(self, guard: _Guard, source: IO[bytes]) -> None:
        self._guard = guard
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self._guard.count(len(block))
        return block


def _tar(guard: _Guard, decompress: Callable[..., Any]) -> Iterator[tuple[str, IO[bytes]]]:
    ended = False

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
            nonlocal ended
            # tarfile takes a damaged header in the middle for the end; only a block of zeros is one.
            ended = len(buf) == tarfile.BLOCKSIZE and not any(buf)
            header = super().frombuf(buf, encoding, errors)
            # These are read into memory as a whole, or loop, before the member is seen.
            extension = header.type in (*_TAR_EXTENSIONS, *_TAR_LONG_NAMES)
            if header.size < 0 or (extension and header.size > _TAR_EXTENSION):
                raise tarfile.ReadError(f"a header announces {header.size} bytes")
            if header.type == tarfile.GNUTYPE_SPARSE:
                raise tarfile.ReadError("it holds sparse files, which are not supported")
            return header

    with guard.reading(), decompress(guard.archive, "rb") as source:
        counted = _Counted(guard, source)
        with tarfile.open(fileobj=counted, mode="r|", bufsize=_BLOCK, tarinfo=Header, encoding="utf-8") as tar:
            while (header := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
                name = guard.admit(_text(header.name.encode("utf-8", "surrogateescape")), header.isdir())
                if header.issym() or header.islnk():
                    guard.refuse("is a link")
                if header.isdev():
                    guard.refuse("is a device or a pipe")
                if header.issparse() or not (header.isreg() or header.isdir()):
                    guard.refuse("is not a plain file")
                if name is None:
                    continue
                content = tar.extractfile(header)
                assert content is not None  # it is a plain file
                with _opened(guard, content.read, None) as stream:
                    yield name, stream
        if not ended:
            raise tarfile.ReadError("it ends without its end mark")
        # The checksum of the compressed stream comes last.
        while counted.read(_BLOCK):
            pass


def _count_zip_entries(guard: _Guard) -> None:
    """Count the entries of the central directory before zipfile reads all of them into memory."""
    with guard.archive.open("rb") as handle:
        start = max(0, guard.size - 22 - 0xFFFF - 76)
        handle.seek(start)
        tail = handle.read()
        # The same search as zipfile's: without a comment first, then backwards.
        plain = tail[-22:-18] == b"PK\5\6" and tail.endswith(b"\0\0")
        end = len(tail) - 22 if plain else tail.rfind(b"PK\5\6")
        if end < 0 or end + 22 > len(tail):
            raise zipfile.BadZipFile("it has no directory at its end")
        size = struct.unpack_from("<L", tail, end + 12)[0]
        if end >= 76 and tail[end - 20 : end - 16] == b"PK\6\7" and tail[end - 76 : end - 72] == b"PK\6\6":
            end -= 76
            size = struct.unpack_from("<Q", tail, end + 40)[0]
        position, stop = start + end - size, start + end
        if position < 0:
            raise zipfile.BadZipFile("its directory is larger than the file")
        entries = 0
        handle.seek(position)
        while position < stop:
            entry = handle.read(46)
            if len(entry) < 46 or entry[:4] != b"PK\1\2":
                raise zipfile.BadZipFile("its directory is damaged")
            extra = sum(struct.unpack_from("<3H", entry, 28))
            position += 46 + extra
            handle.seek(extra, os.SEEK_CUR)
            entries += 1
            if entries > guard.limits.max_members:
                raise DataError(f"{guard.archive}: has more than {guard.limits.max_members} members; {_BY_HAND}")


def _zip(guard: _Guard) -> Iterator[tuple[str, IO[bytes]]]:
    with guard.reading():
        _count_zip_entries(guard)
        with zipfile.ZipFile(guard.archive) as container:
            for entry in container.infolist():
                name = entry.orig_filename
                if not entry.flag_bits & 0x800:
                    name = _text(name.encode("cp437"))
                admitted = guard.admit(name, entry.is_dir())
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind == stat.S_IFLNK:
                    guard.refuse("is a link")
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    guard.refuse("is a device or a pipe")
                if entry.flag_bits & 0x41:
                    guard.refuse("is encrypted")
                if admitted is None:
                    continue
                try:
                    content = container.open(entry)
                except NotImplementedError as error:  # zipfile's word for a compression that it does not know
                    guard.refuse(f"cannot be unpacked here ({error})")
                with content, _opened(guard, content.read, min(entry.compress_size, guard.size)) as stream:
                    yield admitted, stream


def _rar(guard: _Guard) -> Iterator[tuple[str, IO[bytes]]]:
    import rarfile

    guard.damage = (*_DAMAGE, rarfile.Error)
    ended = False

    def look(block: Any) -> None:
        nonlocal ended
        if block.type == rarfile.RAR_BLOCK_ENDARC:
            ended = True
        elif block.type == rarfile.RAR_BLOCK_MAIN and block.flags & rarfile.RAR_MAIN_VOLUME:
            raise DataError(f"{guard.archive}: is one of several volumes; unpack them by hand and pack them as one zip")
        elif block.type == rarfile.RAR_BLOCK_FILE:
            guard.one_more()

    try:
        with (
            guard.reading(),
            # part_only: without it, other files of the folder would be opened as further volumes.
            rarfile.RarFile(str(guard.archive.resolve()), info_callback=look, errors="strict", part_only=True) as rar,
        ):
            if rar.needs_password():
                raise DataError(f"{guard.archive}: is encrypted; unpack it by hand and pack it as a zip")
            if not ended:
                raise rarfile.BadRarFile("it ends without its end mark, which only archives older than RAR 3 may lack")
            yield from _rar_members(guard, rar)
    except DataError as error:
        if isinstance(error.__cause__, rarfile.RarCannotExec):
            raise DataError(f"{guard.archive}: the comment of this rar needs an unpacker; {_INSTALL}") from error
        raise


def _rar_members(guard: _Guard, rar: Any) -> Iterator[tuple[str, IO[bytes]]]:
    import rarfile

    guard._members = 0
    members = []
    for info in rar.infolist():
        name = guard.admit(info.filename, info.is_dir())
        if info.is_symlink() or info.file_redir:
            guard.refuse("is a link")
        if info.host_os == rarfile.RAR_OS_UNIX and stat.S_IFMT(info.mode or 0) not in (0, stat.S_IFREG, stat.S_IFDIR):
            guard.refuse("is a device or a pipe")
        if info.flags & (rarfile.RAR_FILE_SPLIT_BEFORE | rarfile.RAR_FILE_SPLIT_AFTER):
            guard.refuse("goes on in another volume")
        if not info.is_dir():
            members.append((name, info))
    if all(info.compress_type == rarfile.RAR_M0 for _, info in members):
        for name, info in members:
            if name is not None:
                guard._member = name
                with rar.open(info) as content, _opened(guard, content.read, info.compress_size) as stream:
                    yield name, stream
        return
    # One run of an unpacker writes all members one after the other. A run for each would take time quadratic in
    # their number where the archive is solid.
    with _unpacker(guard, any(info.file_size for _, info in members)) as pipe:
        for name, info in members:
            guard._member = info.filename
            with _opened(guard, _part(pipe, info), min(info.compress_size, guard.size)) as stream:
                if name is not None:
                    yield name, stream
                while stream.read(_BLOCK):
                    pass
        if pipe.read(1):
            raise rarfile.BadRarFile("the unpacker gives more than the archive lists")


@contextlib.contextmanager
def _unpacker(guard: _Guard, some: bool) -> Iterator[io.BufferedReader]:
    """Yield a pipe from the first unpacker that makes something of the archive.

    Parameters
    ----------
    guard : of the archive.
    some : whether any byte is to come.
    """
    found = [command for command in _UNPACKERS if shutil.which(command[0])]
    if not found:
        raise DataError(f"{guard.archive}: this rar needs an unpacker; {_INSTALL}")
    for command in found:
        # stderr apart: a warning between the bytes would damage them. An absolute path cannot pass for an option.
        process = subprocess.Popen(
            [*command, str(guard.archive.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        pipe = process.stdout
        assert isinstance(pipe, io.BufferedReader)
        try:
            if some and not pipe.peek(1):
                continue
            yield pipe
            if status := process.wait():
                raise DataError(f"{guard.archive}: {command[0]} fails on it (status {status}); {_AGAIN}, or {_INSTALL}")
            return
        finally:
            pipe.close()
            process.kill()
            process.wait()
    names = ", ".join(command[0] for command in found)
    raise DataError(f"{guard.archive}: truncated or corrupt, or not for {names}; {_AGAIN}, or {_INSTALL}")


def _part(pipe: IO[bytes], info: Any) -> Callable[[int], bytes]:
    """Return a reader of the next ``info.file_size`` bytes of a pipe that checks their CRC at the end."""
    import rarfile

    left, crc = info.file_size, 0

    def read(size: int) -> bytes:
        nonlocal left, crc
        if left == 0:
            return b""
        block = pipe.read(min(size, left))
        left -= len(block)
        crc = zlib.crc32(block, crc)
        if not block or (left == 0 and info.CRC is not None and crc != info.CRC):
            raise rarfile.BadRarFile(f"{info.filename!a} comes out wrong, or needs another unpacker: unrar or unar")
        return block

    return read


def _reader(name: str) -> Callable[[_Guard], Iterator[tuple[str, IO[bytes]]]] | None:
    lower = name.lower()
    if lower.endswith(".zip"):
        return _zip
    if lower.endswith(".rar"):
        return _rar
    for suffixes, decompress in (
        ((".tar",), open),
        ((".tar.gz", ".tgz"), gzip.open),
        ((".tar.bz2", ".tbz2"), bz2.open),
        ((".tar.xz", ".txz"), lzma.open),
    ):
        if lower.endswith(suffixes):
            return functools.partial(_tar, decompress=decompress)
    return None


def is_archive(name: str) -> bool:
    """Return whether a file of this name is unpacked: .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip, .rar."""
    return _reader(name) is not None


def open_members(archive: Path, limits: Limits = _DEFAULT) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the files of an archive as (path inside, stream), in its order, without writing anything.

    Folders, ``__MACOSX/``, ``.DS_Store`` and ``Thumbs.db`` are left out. Names are UTF-8, else code page 437.
    A stream can be read until the next member is asked for. The checksum of a zip's or a stored rar's member is
    checked when it has been read to its end.

    Parameters
    ----------
    archive : .tar, .tar.gz, .tgz, .tar.bz2, .tbz2, .tar.xz, .txz, .zip or .rar; told apart by name.
    limits : what it may hold.

    Raises
    ------
    DataError
        If the archive is missing, truncated, corrupt or encrypted, if it is a compressed rar and no unpacker is
        installed, or if a member is refused: a path that is absolute or leads out of the folder, a link, a device,
        a name that occurs twice (also in another case), more than `limits` allow. Also raised while a stream is
        read.
    """
    reader = _reader(archive.name)
    if reader is None:
        raise DataError(f"{archive}: not an archive that can be unpacked; pack it as .zip or .tar.gz")
    if not archive.is_file():
        raise DataError(f"{archive}: missing; download it again")
    yield from reader(_Guard(archive, limits))


def unpack(archive: Path, out: Path, limits: Limits = _DEFAULT) -> int:
    """Unpack an archive into a fresh folder, member by member; return how many files it had.

    Files get mode 0644. If anything fails, nothing of the folder is left.

    Parameters
    ----------
    archive : see :func:`open_members`.
    out : folder, missing or empty: what lies in it already could be written over, or be a link to elsewhere.
    limits : what the archive may hold.

    Raises
    ------
    DataError
        As :func:`open_members`, or if the folder is not empty.
    CausalIQAError
        If the disk is full or the folder is not writable.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out}: not an empty folder; remove it, and {archive.name} is unpacked anew")
    files = 0
    try:
        for name, stream in open_members(archive, limits):
            target = out / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                with os.fdopen(descriptor, "wb") as handle:
                    shutil.copyfileobj(stream, handle, _BLOCK)
            except OSError as error:
                raise _explain(error, target) from error
            files += 1
        out.mkdir(parents=True, exist_ok=True)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return files
