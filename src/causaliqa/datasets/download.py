"""Downloads that survive: mirrors, resumption, retries, and checksums that are enforced.

A file counts only after it has been verified; until then it is ``<name>.part`` in the cache. Next to both lies
``<name>.origin.json``, which says where the bytes came from and what tells a later version of them apart.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from causaliqa.datasets.archives import is_archive
from causaliqa.datasets.registry import Archive, Checksum
from causaliqa.errors import ConfigError, DataError
from causaliqa.io import _explain, sha256_bytes, sha256_file, write_json
from causaliqa.progress import progress

if TYPE_CHECKING:
    import requests

#: Environment variable that names a mirror: a folder, or an address that serves the archives by name.
MIRROR = "CAUSALIQA_MIRROR"
#: A mirror's list of checksums, as sha256sum writes it.
SUMS = "SHA256SUMS"
_SUMS_BYTES = 10_000_000


T = TypeVar("T")


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class Settings(BaseModel):
    """How patiently to download."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connect_timeout_s: float = Field(15.0, gt=0)
    read_timeout_s: float = Field(60.0, gt=0, description="Longest silence of a server.")
    attempts: int = Field(5, ge=1, description="Attempts at an address in a row that bring no more bytes.")
    backoff_s: float = Field(2.0, ge=0, description="Wait after the first failure; doubled by each further one.")
    retry_after_limit_s: float = Field(120.0, ge=0, description="Longest wait that a server may ask for.")
    lock_timeout_s: float = Field(86_400.0, description="Longest wait for another process; negative: for ever.")
    chunk_bytes: int = Field(1 << 18, gt=0)
    max_bytes: int = Field(200 * 10**9, gt=0, description="Larger files are refused.")
    space_factor: float = Field(2.2, ge=1, description="Free space that an archive needs, in units of its size.")
    sleep: Callable[[float], None] = time.sleep
    free_bytes: Callable[[Path], int] = _free_bytes


_DEFAULT = Settings()


class _Fact(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Recorded(_Fact):
    """What the first download of a file was."""

    sha256: Checksum
    size: int = Field(ge=0)


class _Origin(_Fact):
    """Where the bytes in the cache come from."""

    address: str = Field(description="SHA-256 of the address, which may hold a password.")
    etag: str | None = None
    last_modified: str | None = None
    total: int | None = None
    mtime_ns: int | None = Field(None, description="Of the complete, verified file.")

    @property
    def validator(self) -> str | None:
        """What If-Range may carry: a strong ETag, else a date."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    def differs(self, other: _Origin) -> bool:
        """Return whether another answer speaks of other bytes, as far as both say."""
        pairs: list[tuple[object, object]] = [(self.total, other.total)]
        if self.address == other.address:
            pairs += [(self.etag, other.etag), (self.last_modified, other.last_modified)]
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)

    def updated(self, other: _Origin) -> _Origin:
        """Return `other`, with what it leaves out if it is of the same address: an answer to If-Range is short."""
        known = self if self.address == other.address else _Origin(address=other.address, total=self.total)
        return known.model_copy(update=other.model_dump(exclude_none=True))


_RECORDS = TypeAdapter(dict[str, _Recorded])


class _SourceFailed(Exception):
    """An address cannot give the file; the message says why, and the next one is tried."""


class _Interrupted(Exception):
    """An attempt failed in a way that may pass; the message says how."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def mirror_from_environment() -> str | None:
    """Return what CAUSALIQA_MIRROR names, a folder or an http(s) address, or None if it is unset or empty."""
    return os.environ.get(MIRROR, "").strip() or None


def _lock_file(path: Path, timeout_s: float, what: str) -> contextlib.AbstractContextManager[object]:
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path)
        try:
            return held.acquire(timeout=0)
        except Timeout:
            sys.stderr.write(f"waiting for another process that {what}\n")
        return held.acquire(timeout=timeout_s)
    except Timeout:
        raise DataError(
            f"{path}: another process that {what} has held this lock for {timeout_s:g} s; "
            "wait for it or end it, then run the same command again"
        ) from None
    except OSError as error:
        raise _explain(error, path) from error


@contextlib.contextmanager
def lock(dataset: str, cache: Path, settings: Settings = _DEFAULT) -> Iterator[None]:
    """Hold the lock of a dataset, so that two processes do not fetch it at the same time.

    Says once on stderr if it has to wait. The system frees the lock when the process ends, however it ends.

    Raises
    ------
    DataError
        If another process holds it for longer than ``settings.lock_timeout_s``.
    CausalIQAError
        If the cache is not writable.
    """
    with _lock_file(cache / f".{dataset}.lock", settings.lock_timeout_s, f"fetches {dataset}"):
        yield


def _read_records(record: Path) -> dict[str, _Recorded]:
    try:
        return _RECORDS.validate_json(record.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise DataError(
            f"{record}: not a record of checksums ({where}{first['msg']}); restore it from version control"
        ) from None
    except OSError as error:
        raise DataError(f"{record}: cannot be read ({error.strerror}); fix its permissions") from error


def _digest(url: str) -> str:
    return sha256_bytes(url.encode())


def _shown(url: str) -> str:
    """Return an address for messages: without a password or a token."""
    return re.sub(r"^(\w+://)(?:[^/?#]*@)?([^?#]*).*$", r"\1\2", url)


def _is_page(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype", b"<html"))


def _listed(sums: bytes, name: str) -> str | None:
    """Return the checksum of `name` in the output of sha256sum, if it lists it."""
    pattern = rb"^([0-9a-fA-F]{64}) [ *](?:\./)?" + re.escape(name).encode() + rb"\r?$"
    found = re.search(pattern, sums, re.MULTILINE)
    return found[1].decode().lower() if found else None


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


@dataclass
class _Fetch:
    """One file on its way into the cache."""

    dataset: str
    archive: Archive
    cache: Path
    record: Path
    settings: Settings
    failures: list[str] = field(default_factory=list)
    #: Whether the partial download began at another address.
    mixed: bool = False

    @property
    def name(self) -> str:
        return self.archive.name

    @property
    def key(self) -> str:
        return f"{self.dataset}/{self.name}"

    @property
    def final(self) -> Path:
        return self.cache / self.name

    @property
    def part(self) -> Path:
        return self.cache / f"{self.name}.part"

    @property
    def side(self) -> Path:
        return self.cache / f"{self.name}.origin.json"

    @property
    def may_be_page(self) -> bool:
        """Whether a web page is what the archive's name promises."""
        return self.name.lower().endswith((".html", ".htm"))

    def origin(self) -> _Origin | None:
        """Return where the bytes in the cache come from, None if that is not known."""
        try:
            return _Origin.model_validate_json(self.side.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        except OSError as error:
            raise _explain(error, self.side) from error

    def expected(self) -> tuple[str | None, int | None, str]:
        """Return checksum, size and who says so: the registry, else the record of the first download."""
        if self.archive.sha256 is not None:
            return self.archive.sha256, self.archive.size, "the registry"
        recorded = _read_records(self.record).get(self.key)
        if recorded is not None:
            return recorded.sha256, recorded.size, f"the first download, see {self.record}"
        return None, self.archive.size, "the registry"

    def problem(self, path: Path, listed: str | None = None) -> str | None:
        """Return what is wrong with a complete file, None if nothing is; record it if it is the first.

        Parameters
        ----------
        path : the file.
        listed : its checksum by the mirror that gives it, if it lists one.
        """
        checksum, size, whose = self.expected()
        actual = path.stat().st_size
        if size is not None and actual != size:
            return f"has {actual} bytes, not the {size} of {whose}"
        with path.open("rb") as handle:
            if not self.may_be_page and _is_page(handle.read(512)):
                return "is a web page (of a login, a confirmation or an error), not the file"
        found = sha256_file(path)
        if checksum is not None and found != checksum:
            return f"has SHA-256 {found}, not {checksum} of {whose}"
        if listed is not None and found != listed:
            return f"has SHA-256 {found}, not {listed} of the mirror's {SUMS}"
        if checksum is None:
            self.remember(found, actual)
        return None

    def remember(self, checksum: str, size: int) -> None:
        """Record the first download."""
        beside = self.record.with_name(f".{self.record.name}.lock")
        with _lock_file(beside, self.settings.lock_timeout_s, f"writes {self.record}"):
            records = _read_records(self.record)
            first = records.setdefault(self.key, _Recorded(sha256=checksum, size=size))
            if first.sha256 != checksum:
                raise DataError(
                    f"{self.record}: {self.key} was recorded as {first.sha256} while {checksum} was downloaded; "
                    "the address serves changing content: get the file from another source"
                )
            write_json(self.record, {key: value.model_dump() for key, value in records.items()})

    # Local sources

    def from_folder(self, folder: Path) -> Path | None:
        """Return the mirror folder's file, used in place; None if it is not there."""
        if not folder.is_dir():
            raise ConfigError(f"{MIRROR}: {folder}: no such folder; mount or make it, or unset the variable")
        path = folder / self.name
        if not path.is_file():
            self.failures.append(f"{path}: not there")
            return None
        sums = folder / SUMS
        try:
            listed = _listed(sums.read_bytes(), self.name) if sums.is_file() else None
            problem = self.problem(path, listed)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); fix the mirror") from error
        if problem:
            raise DataError(f"{path}: {problem}; put the right file on the mirror, or remove it there")
        return path

    def from_cache(self) -> Path | None:
        """Return the file if it is in the cache and right; delete it if it is wrong and was downloaded."""
        if not self.final.is_file():
            return None
        problem = self.problem(self.final)
        if problem is None:
            return self.final
        origin = self.origin()
        if origin is None or origin.mtime_ns != self.final.stat().st_mtime_ns:
            raise DataError(f"{self.final}: {problem}; put the right file there, or remove it to have it downloaded")
        self.failures.append(f"{self.final}: {problem} (deleted)")
        self.forget(self.final)
        return None

    def forget(self, path: Path) -> None:
        """Delete a file in the cache and what is known of its origin."""
        path.unlink(missing_ok=True)
        self.side.unlink(missing_ok=True)

    # Addresses

    def from_addresses(self, session: requests.Session, mirror: str | None) -> Path | None:
        """Return the file from the first address that gives the right one, None if none does."""
        addresses = list(self.archive.urls)
        if mirror is not None:
            addresses.insert(0, f"{mirror.rstrip('/')}/{self.name}")
        for number, url in enumerate(addresses):
            try:
                listed = None
                if mirror is not None and number == 0:
                    listed = self.patiently(lambda: self.sums(session, f"{mirror.rstrip('/')}/{SUMS}"))
                return self.from_address(session, url, listed)
            except _SourceFailed as failure:
                self.failures.append(f"{_shown(url)}: {failure}")
        return None

    def from_address(self, session: requests.Session, url: str, listed: str | None) -> Path:
        """Download from one address, verify and put the file in its place."""
        self.mixed = False
        while True:
            self.patiently(lambda: self.attempt(session, url))
            problem = self.problem(self.part, listed)
            if problem is None:
                break
            self.forget(self.part)
            if not self.mixed:
                raise _SourceFailed(f"the file {problem}")
            # The beginning came from another address, which may be the one that is wrong.
            self.mixed = False
        origin = self.origin() or _Origin(address=_digest(url))
        try:
            with self.part.open("rb") as handle:
                os.fsync(handle.fileno())
            self.part.replace(self.final)
        except OSError as error:
            raise _explain(error, self.final) from error
        verified = origin.model_copy(update={"mtime_ns": self.final.stat().st_mtime_ns})
        write_json(self.side, verified.model_dump())
        return self.final

    def have(self) -> int:
        """Return the size of the partial download in bytes."""
        return self.part.stat().st_size if self.part.exists() else 0

    def patiently(self, action: Callable[[], T]) -> T:
        """Repeat what fails in passing, with growing waits; bytes that arrive count as success."""
        failed, best = 0, self.have()
        while True:
            try:
                return action()
            except _Interrupted as failure:
                # A server that always starts anew brings bytes too, but never more.
                if self.have() >= best + self.settings.chunk_bytes:
                    failed, best = 0, self.have()
                failed += 1
                if failed >= self.settings.attempts:
                    raise _SourceFailed(f"{failure}{f', {failed} times' if failed > 1 else ''}") from failure
                wait = self.settings.backoff_s * 2 ** (failed - 1)
                if failure.wait_s is not None:
                    if failure.wait_s > self.settings.retry_after_limit_s:
                        raise _SourceFailed(f"{failure}, and asks to wait {failure.wait_s:g} s") from failure
                    wait = max(wait, failure.wait_s)
                self.settings.sleep(wait)

    @contextlib.contextmanager
    def answer(
        self, session: requests.Session, url: str, headers: dict[str, str], fine: tuple[int, ...]
    ) -> Iterator[requests.Response]:
        """Yield the answer to a request if its status is one of `fine`; sort failures into final and passing."""
        import requests
        import urllib3

        timeouts = (self.settings.connect_timeout_s, self.settings.read_timeout_s)
        try:
            # Identity: the bytes as they are stored, of which ranges and checksums speak.
            headers = {"Accept-Encoding": "identity", **headers}
            with session.get(url, headers=headers, stream=True, timeout=timeouts) as response:
                status = response.status_code
                if status in fine:
                    yield response
                elif status >= 500 or status in (408, 429):
                    raise _Interrupted(f"answers {status}", _retry_after(response.headers.get("Retry-After")))
                else:
                    raise _SourceFailed(f"answers {status}")
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise _Interrupted("no answer in time") from error
        except requests.exceptions.SSLError as error:
            raise _SourceFailed("its certificate is not valid") from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise _Interrupted("cannot be reached") from error
        except requests.RequestException as error:
            raise _SourceFailed(f"not usable ({type(error).__name__})") from error
        except (urllib3.exceptions.HTTPError, ConnectionError) as error:
            raise _Interrupted("the connection broke off") from error

    def sums(self, session: requests.Session, url: str) -> str | None:
        """Return the checksum that a mirror lists for the file; mirrors need not have a list."""
        with self.answer(session, url, {}, (200, 401, 403, 404, 410)) as response:
            if response.status_code != 200:
                return None
            content = response.raw.read(_SUMS_BYTES, decode_content=False)
            return _listed(content, self.name)

    def range_headers(self, origin: _Origin | None, url: str) -> dict[str, str]:
        """Return headers that ask for the rest of a partial download, none if it cannot be continued."""
        have = self.have()
        if not have or origin is None:
            return {}
        if origin.address == _digest(url) and origin.validator is not None:
            return {"Range": f"bytes={have}-", "If-Range": origin.validator}
        # Without a validator only a known checksum tells whether the two halves belong together.
        return {"Range": f"bytes={have}-"} if self.expected()[0] is not None else {}

    def attempt(self, session: requests.Session, url: str) -> None:
        """Bring the partial download to its end, or as far as the connection holds."""
        origin, have = self.origin(), self.have()
        headers = self.range_headers(origin, url)
        if have and origin is not None:
            here = origin.address == _digest(url)
            self.mixed |= not here
            if origin.total == have and (here or headers):
                return  # complete, but stopped before it was verified
        with self.answer(session, url, headers, (200, 206, 416) if headers else (200,)) as response:
            etag, date = response.headers.get("ETag"), response.headers.get("Last-Modified")
            if response.status_code == 200:
                self.mixed = False
                total = _number(response.headers.get("Content-Length"))
                self.receive(response, _Origin(address=_digest(url), etag=etag, last_modified=date, total=total), 0)
                return
            start, total = _content_range(response.headers.get("Content-Range"))
            stamp = _Origin(address=_digest(url), etag=etag, last_modified=date, total=total)
            if response.status_code == 206 and start == have and origin is not None and not origin.differs(stamp):
                self.receive(response, origin.updated(stamp), have)
                return
        # Another file than the one whose beginning is here, or a server that cannot count.
        self.forget(self.part)
        self.attempt(session, url)

    def check_size(self, total: int | None, have: int) -> None:
        """Refuse a file of the wrong size, or that does not fit, before any of it is transferred.

        Parameters
        ----------
        total : bytes of the whole file by the server, None if it does not say.
        have : bytes that are here already.
        """
        _, size, whose = self.expected()
        if total is not None and size is not None and total != size:
            raise _SourceFailed(f"the file has {total} bytes, not the {size} of {whose}")
        total = total or size
        if total is None:
            return
        if total > self.settings.max_bytes:
            raise _SourceFailed(f"the file has {total} bytes, more than the limit of {self.settings.max_bytes}")
        factor = self.settings.space_factor if is_archive(self.name) else 1.0
        needed, free = int(total * factor) - have, self.settings.free_bytes(self.cache)
        if needed > free:
            raise DataError(
                f"{self.cache}: {self.name} needs {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are free; "
                "free some space, or put this folder on a larger disk"
            )

    def receive(self, response: requests.Response, stamp: _Origin, have: int) -> None:
        """Append the body of an answer to the partial download.

        Parameters
        ----------
        response : its body starts at byte `have` of the file.
        stamp : where it comes from.
        have : bytes of the partial download to keep.
        """
        self.check_size(stamp.total, have)
        limit = stamp.total or self.expected()[1] or self.settings.max_bytes
        try:
            if not have:
                # Before the new origin is noted, or a crash would let the old bytes pass for its beginning.
                self.part.unlink(missing_ok=True)
            write_json(self.side, stamp.model_dump())
            handle = self.part.open("ab", buffering=0)
        except OSError as error:
            raise _explain(error, self.part) from error
        bar = progress(total=stamp.total, initial=have, unit="B", unit_scale=True, desc=self.name)
        with handle, bar:
            while block := response.raw.read1(self.settings.chunk_bytes, decode_content=False):
                if have == 0 and not self.may_be_page and _is_page(block[:512]):
                    self.forget(self.part)
                    raise _SourceFailed("answers with a web page (of a login or a confirmation), not the file")
                have += len(block)
                if have > limit:
                    self.forget(self.part)
                    raise _SourceFailed(f"sends more than {limit} bytes")
                try:
                    view = memoryview(block)
                    while view:
                        view = view[handle.write(view) :]
                except OSError as error:
                    raise _explain(error, self.part) from error
                bar.update(len(block))
        if stamp.total is not None and have < stamp.total:
            raise _Interrupted(f"the connection broke off after {have} of {stamp.total} bytes")

    def give_up(self) -> DataError:
        """Return the error that says what was tried and what to do."""
        steps = " ".join((self.archive.manual or "").split()).rstrip(".;")
        tried = "; ".join(self.failures)
        by_hand = f"set {MIRROR} to a folder or an address that serves {self.name}, or put the file at {self.final}"
        if not self.archive.urls:
            return DataError(
                f"{self.dataset}: {self.name} is not served to everyone{f' ({tried})' if tried else ''}; "
                f"to obtain it: {steps}; then put the file at {self.final}, or set {MIRROR} to a folder that has it"
            )
        return DataError(
            f"{self.dataset}: {self.name} cannot be downloaded ({tried}); check the network, {by_hand}"
            + (f"; by hand: {steps}" if steps else "")
        )


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.strip().isdecimal() else None


def _content_range(value: str | None) -> tuple[int | None, int | None]:
    """Return first byte and whole size of a Content-Range header, None where it does not say."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", (value or "").strip())
    return (_number(found[1]), _number(found[2])) if found else (None, None)


def obtain(
    dataset: str,
    archive: Archive,
    cache: Path,
    *,
    record: Path,
    mirror: str | None = None,
    settings: Settings = _DEFAULT,
) -> Path:
    """Return a verified local copy of an archive: of the mirror, the cache or the network, in this order.

    Call it while :func:`lock` is held. A download that stops, also by Ctrl-C, goes on at the next call.

    Parameters
    ----------
    dataset : name of the dataset.
    archive : what to obtain, and where it is served.
    cache : folder of downloads; a file put there by hand, by its name, is used.
    record : JSON file of the checksums of first downloads, for archives whose checksum the registry does not know.
    mirror : folder (its file is used in place) or http(s) address that serves archives by name, tried first.
        A SHA256SUMS there is checked against.
    settings : timeouts, retries and limits.

    Raises
    ------
    DataError
        If no source gives the right file, if a file on the mirror or put into the cache by hand is wrong, or if
        the disk is too small.
    ConfigError
        If the mirror is neither a folder nor an http(s) address.
    CausalIQAError
        If the disk gets full or the cache is not writable.
    """
    fetch = _Fetch(dataset, archive, cache, record, settings)
    address = None
    if mirror is not None:
        if re.match(r"https?://[^/]", mirror):
            address = mirror
        elif "://" in mirror:
            scheme = mirror.partition("://")[0]
            raise ConfigError(f"{MIRROR}: {scheme}://...: neither a folder nor an http(s) address; correct it")
        elif (path := fetch.from_folder(Path(mirror).expanduser())) is not None:
            return path
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if (path := fetch.from_cache()) is not None:
            return path
    except OSError as error:
        raise _explain(error, cache) from error
    if address is not None or archive.urls:
        import requests

        with requests.Session() as session:
            if (path := fetch.from_addresses(session, address)) is not None:
                return path
    raise fetch.give_up()
