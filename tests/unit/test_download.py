from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from causaliqa.datasets import download
from causaliqa.datasets.download import Settings, lock, mirror_from_environment, obtain
from causaliqa.datasets.registry import Archive
from causaliqa.errors import CausalIQAError, ConfigError, DataError

CONTENT = bytes(range(256)) * 400
SHA = hashlib.sha256(CONTENT).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@dataclass
class Reply:
    """How the server answers one request.

    Attributes
    ----------
    body : the whole file.
    status : if not 200, answered without a file.
    headers : further headers.
    ranges : whether a request for a range is honoured.
    if_range : whether If-Range is minded.
    stop_after : bytes of the body after which the connection is closed.
    stall_after : bytes of the body after which nothing comes any more.
    length : whether Content-Length is sent.
    etag, modified : of the file.
    """

    body: bytes = CONTENT
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    if_range: bool = True
    stop_after: int | None = None
    stall_after: int | None = None
    length: bool = True
    etag: str | None = '"one"'
    modified: str | None = None


@dataclass
class Server:
    """A local server. `replies` maps a path to its answers in order; the last one stays."""

    address: str
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"{self.address}{path}"

    def ranges(self, path: str) -> list[str | None]:
        return [asked for requested, asked in self.requests if requested == path]


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked = self.headers.get("Range")
            state.requests.append((path, asked))
            replies = state.replies.get(path, [Reply(status=404)])
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            body, status, headers = reply.body, reply.status, dict(reply.headers)
            if reply.etag:
                headers["ETag"] = reply.etag
            if reply.modified:
                headers["Last-Modified"] = reply.modified
            fresh = self.headers.get("If-Range") in (None, reply.etag, reply.modified) or not reply.if_range
            if status != 200:
                body = b"sorry"
            elif asked and reply.ranges and fresh:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    status, headers["Content-Range"], body = 416, f"bytes */{len(body)}", b""
                else:
                    status, headers["Content-Range"] = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
                    headers |= reply.headers
                    body = body[start:]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if reply.length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: reply.stop_after if reply.stall_after is None else reply.stall_after])
            self.wfile.flush()
            if reply.stall_after is not None:
                state.closing.wait(10)
            self.close_connection = True

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield state
    state.closing.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@dataclass
class Case:
    """A cache, a record and settings that do not wait."""

    folder: Path
    waits: list[float] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def record(self) -> Path:
        return self.folder / "checksums.json"

    def obtain(self, archive: Archive, mirror: str | None = None, **options: Any) -> Path:
        defaults: dict[str, Any] = {"attempts": 3, "chunk_bytes": 4096, "read_timeout_s": 5.0}
        settings = Settings(sleep=self.waits.append, **{**defaults, **options})
        return obtain("toy", archive, self.cache, record=self.record, mirror=mirror, settings=settings)

    def fails(self, archive: Archive, match: str, mirror: str | None = None, **options: Any) -> str:
        with pytest.raises(CausalIQAError, match=match) as error:
            self.obtain(archive, mirror, **options)
        assert "\n" not in str(error.value)
        assert "; " in str(error.value)
        return str(error.value)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.cache.iterdir())


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def archive(*urls: str, **options: Any) -> Archive:
    return Archive(**{"name": "x.zip", "urls": urls, "sha256": SHA, **options})


# The plain way


def test_a_file_is_downloaded_once(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply()]
    path = case.obtain(archive(server.url("/x"), size=len(CONTENT)))
    assert path == case.cache / "x.zip"
    assert path.read_bytes() == CONTENT
    assert case.obtain(archive(server.url("/x"))) == path
    assert server.requests == [("/x", None)]
    assert case.files() == ["x.zip", "x.zip.origin.json"]
    assert not case.record.exists()  # the registry knows the checksum


def test_no_password_of_an_address_is_stored_or_shown(server: Server, case: Case) -> None:
    secret = server.address.replace("http://", "http://user:hidden@")
    server.replies["/x"] = [Reply()]
    case.obtain(archive(f"{secret}/x?token=hidden"))
    assert "hidden" not in (case.cache / "x.zip.origin.json").read_text()
    message = case.fails(archive(f"{secret}/gone?token=hidden", name="y.zip"), "answers 404")
    assert "hidden" not in message


def test_a_body_without_a_length(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(length=False)]
    assert case.obtain(archive(server.url("/x"))).read_bytes() == CONTENT


def test_an_empty_file(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(body=b"")]
    empty = archive(server.url("/x"), sha256=hashlib.sha256(b"").hexdigest())
    assert case.obtain(empty).read_bytes() == b""


def test_the_next_address_is_tried_at_once_where_one_has_no_such_file(server: Server, case: Case) -> None:
    server.replies |= {f"/{status}": [Reply(status=status)] for status in (401, 403, 404)} | {"/x": [Reply()]}
    urls = [server.url(path) for path in ("/401", "/403", "/404", "/x")]
    assert case.obtain(archive(*urls)).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/401", "/403", "/404", "/x"]
    assert case.waits == []


def test_the_last_error_lists_every_address_and_the_remedies(server: Server, case: Case) -> None:
    server.replies["/broken"] = [Reply(status=500)]
    message = case.fails(archive(server.url("/gone"), server.url("/broken")), "^toy: x.zip cannot be downloaded")
    assert f"{server.url('/gone')}: answers 404" in message
    assert f"{server.url('/broken')}: answers 500, 3 times" in message
    for remedy in ("check the network", "set CAUSALIQA_MIRROR to a folder or an address that serves x.zip"):
        assert remedy in message
    assert f"put the file at {case.cache / 'x.zip'}" in message


# Retries


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_passing_failures_are_waited_for(server: Server, case: Case, status: int) -> None:
    server.replies["/x"] = [Reply(status=status), Reply(status=status), Reply()]
    assert case.obtain(archive(server.url("/x")), backoff_s=0.5).read_bytes() == CONTENT
    assert case.waits == [0.5, 1.0]


def test_retry_after_is_honoured_up_to_a_limit(server: Server, case: Case) -> None:
    busy = Reply(status=503, headers={"Retry-After": "7"})
    server.replies["/x"] = [busy, Reply()]
    assert case.obtain(archive(server.url("/x"))).read_bytes() == CONTENT
    assert case.waits == [7.0]
    server.replies["/y"] = [busy]
    message = case.fails(archive(server.url("/y"), name="y.zip"), "asks to wait 7 s", retry_after_limit_s=6.0)
    assert "answers 503" in message
    assert server.ranges("/y") == [None]


def test_retry_after_may_be_a_date(server: Server, case: Case) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    replies = [Reply(status=429, headers={"Retry-After": value}) for value in (soon, "nonsense")]
    server.replies["/x"] = [*replies, Reply()]
    case.obtain(archive(server.url("/x")))
    assert 2.0 < case.waits[0] <= 50.0
    assert case.waits[1] == 4.0  # the ordinary wait


def test_a_server_that_is_not_there(case: Case) -> None:
    message = case.fails(archive("http://127.0.0.1:1/x"), "cannot be reached, 3 times")
    assert "127.0.0.1:1" in message
    assert case.waits == [2.0, 4.0]


def test_a_stalled_transfer_is_resumed(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(stall_after=50_000), Reply()]
    assert case.obtain(archive(server.url("/x")), read_timeout_s=0.2).read_bytes() == CONTENT
    assert server.ranges("/x") == [None, "bytes=50000-"]


def test_a_server_that_never_answers(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(stall_after=0)]
    case.fails(archive(server.url("/x")), "no answer in time, 2 times", read_timeout_s=0.1, attempts=2)


def test_bytes_that_arrive_count_as_success(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(stop_after=10_000) for _ in range(8)] + [Reply()]
    assert case.obtain(archive(server.url("/x")), attempts=2).read_bytes() == CONTENT
    assert server.ranges("/x") == [None, *(f"bytes={10_000 * i}-" for i in range(1, 9))]
    assert set(case.waits) == {2.0}


def test_a_server_that_always_starts_anew_and_breaks_off_is_given_up(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(stop_after=50_000, ranges=False)]
    case.fails(archive(server.url("/x")), "broke off.*, 3 times")
    assert len(server.requests) <= 5


@pytest.mark.parametrize("url", ["http://[bad/x", "http://user@/x"])
def test_an_address_that_makes_no_sense(case: Case, url: str) -> None:
    case.fails(archive(url), "cannot be downloaded")


def test_a_redirect_away_from_http_is_not_followed(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(status=302, headers={"Location": "file:///etc/passwd"})]
    case.fails(archive(server.url("/x"), sha256=None), "not usable")


# Resumption


def interrupted(server: Server, case: Case, wanted: Archive, **reply: Any) -> None:
    """Leave the first 30000 bytes of a download."""
    server.replies["/x"] = [Reply(stop_after=30_000, **reply)]
    case.fails(wanted, "broke off", attempts=1)
    assert (case.cache / "x.zip.part").read_bytes() == CONTENT[:30_000]
    server.requests.clear()


@pytest.mark.parametrize(
    "validators",
    [{"etag": '"a"'}, {"etag": None, "modified": "Sat, 01 Jan 2022 00:00:00 GMT"}, {"etag": 'W/"a"'}, {"etag": None}],
)
def test_a_later_call_goes_on(server: Server, case: Case, validators: dict[str, str | None]) -> None:
    wanted = archive(server.url("/x"))
    interrupted(server, case, wanted, **validators)
    server.replies["/x"] = [Reply(**validators)]
    assert case.obtain(wanted).read_bytes() == CONTENT
    assert server.ranges("/x") == ["bytes=30000-"]


def test_without_validator_and_checksum_nothing_is_continued(server: Server, case: Case) -> None:
    wanted = archive(server.url("/x"), sha256=None)
    interrupted(server, case, wanted, etag=None)
    server.replies["/x"] = [Reply(etag=None)]
    assert case.obtain(wanted).read_bytes() == CONTENT
    assert server.ranges("/x") == [None]


@pytest.mark.parametrize("if_range", [True, False])
def test_a_changed_file_starts_from_zero(server: Server, case: Case, if_range: bool) -> None:
    interrupted(server, case, archive(server.url("/x"), sha256=None), etag='"old"')
    changed = CONTENT[::-1]
    server.replies["/x"] = [Reply(body=changed, etag='"new"', if_range=if_range)]
    assert case.obtain(archive(server.url("/x"), sha256=None)).read_bytes() == changed
    # A server that minds If-Range sends all of it; after one that does not, it is asked for again.
    assert server.ranges("/x") == (["bytes=30000-"] if if_range else ["bytes=30000-", None])


def test_a_server_that_ignores_ranges_starts_from_zero(server: Server, case: Case) -> None:
    wanted = archive(server.url("/x"))
    interrupted(server, case, wanted)
    server.replies["/x"] = [Reply(ranges=False)]
    assert case.obtain(wanted).read_bytes() == CONTENT


def test_a_partial_file_larger_than_the_file_starts_from_zero(server: Server, case: Case) -> None:
    wanted = archive(server.url("/x"))
    interrupted(server, case, wanted)
    (case.cache / "x.zip.part").write_bytes(CONTENT * 2)
    server.replies["/x"] = [Reply()]
    assert case.obtain(wanted).read_bytes() == CONTENT
    assert server.ranges("/x") == [f"bytes={2 * len(CONTENT)}-", None]


@pytest.mark.parametrize("claim", ["bytes 0-1/102400", "bytes 30000-102399/102401", "nonsense"])
def test_a_server_that_sends_another_range_starts_from_zero(server: Server, case: Case, claim: str) -> None:
    wanted = archive(server.url("/x"))
    interrupted(server, case, wanted)
    server.replies["/x"] = [Reply(headers={"Content-Range": claim}), Reply()]
    assert case.obtain(wanted).read_bytes() == CONTENT
    assert server.ranges("/x") == ["bytes=30000-", None]


def test_a_partial_file_of_unknown_origin_starts_from_zero(server: Server, case: Case) -> None:
    wanted = archive(server.url("/x"))
    interrupted(server, case, wanted)
    (case.cache / "x.zip.origin.json").write_text("{half")
    server.replies["/x"] = [Reply()]
    assert case.obtain(wanted).read_bytes() == CONTENT
    assert server.ranges("/x") == [None]


@pytest.mark.parametrize("sha256", [SHA, None])
def test_a_complete_file_that_was_not_verified_yet_is_not_downloaded_again(
    server: Server, case: Case, monkeypatch: pytest.MonkeyPatch, sha256: str | None
) -> None:
    def stop(path: Path) -> str:
        raise KeyboardInterrupt

    server.replies["/x"] = [Reply()]
    with monkeypatch.context() as patched:
        patched.setattr(download, "sha256_file", stop)
        with pytest.raises(KeyboardInterrupt):
            case.obtain(archive(server.url("/x"), sha256=sha256))
    assert case.obtain(archive(server.url("/x"), sha256=sha256)).read_bytes() == CONTENT
    assert server.ranges("/x") == [None]


def test_an_interruption_keeps_what_has_arrived(server: Server, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bar:
        def __init__(self, **options: Any) -> None:
            self.bytes = options["initial"]

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def update(self, size: int) -> None:
            self.bytes += size
            if self.bytes >= 40_000:
                raise KeyboardInterrupt

    server.replies["/x"] = [Reply()]
    with monkeypatch.context() as patched:
        patched.setattr(download, "progress", Bar)
        with pytest.raises(KeyboardInterrupt):
            case.obtain(archive(server.url("/x")))
    kept = (case.cache / "x.zip.part").read_bytes()
    assert len(kept) >= 40_000
    assert kept == CONTENT[: len(kept)]
    assert case.obtain(archive(server.url("/x"))).read_bytes() == CONTENT
    assert server.ranges("/x") == [None, f"bytes={len(kept)}-"]


def test_another_address_goes_on_where_the_checksum_is_known(server: Server, case: Case) -> None:
    server.replies |= {"/x": [Reply(stop_after=30_000)], "/y": [Reply(etag='"other"')]}
    assert case.obtain(archive(server.url("/x"), server.url("/y")), attempts=1).read_bytes() == CONTENT
    assert server.ranges("/y") == ["bytes=30000-"]


def test_a_wrong_beginning_is_not_blamed_on_the_address_that_goes_on(server: Server, case: Case) -> None:
    server.replies |= {"/x": [Reply(body=CONTENT[::-1], stop_after=30_000)], "/y": [Reply()]}
    assert case.obtain(archive(server.url("/x"), server.url("/y")), attempts=1).read_bytes() == CONTENT
    assert server.ranges("/y") == ["bytes=30000-", None]


def test_another_address_starts_from_zero_where_no_checksum_is_known(server: Server, case: Case) -> None:
    server.replies |= {"/x": [Reply(stop_after=30_000)], "/y": [Reply()]}
    assert case.obtain(archive(server.url("/x"), server.url("/y"), sha256=None), attempts=1).read_bytes() == CONTENT
    assert server.ranges("/y") == [None]


# Verification


def test_wrong_content_is_deleted_and_the_next_address_tried(server: Server, case: Case) -> None:
    server.replies |= {"/bad": [Reply(body=CONTENT[::-1])], "/good": [Reply()]}
    assert case.obtain(archive(server.url("/bad"), server.url("/good"))).read_bytes() == CONTENT
    message = case.fails(archive(server.url("/bad"), name="y.zip"), f"has SHA-256 .*, not {SHA} of the registry")
    assert "the file has" in message
    assert case.files() == ["x.zip", "x.zip.origin.json"]
    assert server.ranges("/bad") == [None, None]


def test_a_wrong_size_is_noticed_before_the_transfer(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply()]
    case.fails(archive(server.url("/x"), size=5), "the file has 102400 bytes, not the 5 of the registry")
    assert case.files() == []


def test_a_body_that_is_longer_than_it_should_be_is_cut_off(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(length=False)]
    case.fails(archive(server.url("/x"), size=5), "sends more than 5 bytes")
    assert "x.zip.part" not in case.files()


def test_absurdly_large_files_are_refused(server: Server, case: Case) -> None:
    server.replies |= {"/x": [Reply()], "/y": [Reply(length=False)]}
    case.fails(archive(server.url("/x")), "102400 bytes, more than the limit of 1000", max_bytes=1000)
    case.fails(archive(server.url("/y")), "sends more than 1000 bytes", max_bytes=1000)


@pytest.mark.parametrize("body", [PAGE, b"\xef\xbb\xbf\n <HTML><head>"])
def test_a_web_page_is_not_taken_for_the_file(server: Server, case: Case, body: bytes) -> None:
    server.replies |= {"/x": [Reply(body=body)], "/y": [Reply()]}
    case.fails(archive(server.url("/x"), sha256=None), "answers with a web page .*, not the file")
    assert not case.record.exists()
    assert case.obtain(archive(server.url("/x"), server.url("/y"), sha256=None)).read_bytes() == CONTENT


def test_a_web_page_is_fine_where_one_is_wanted(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(body=PAGE)]
    assert case.obtain(archive(server.url("/x"), name="x.html", sha256=None)).read_bytes() == PAGE


def test_a_web_page_put_there_by_hand_is_noticed(case: Case) -> None:
    case.cache.mkdir()
    (case.cache / "x.zip").write_bytes(PAGE)
    case.fails(archive(sha256=None, manual="Ask."), r"x\.zip: is a web page .*put the right file there")
    assert not case.record.exists()


# First downloads are recorded


def test_the_first_download_is_recorded_and_enforced(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply()]
    wanted = archive(server.url("/x"), sha256=None)
    path = case.obtain(wanted)
    text = case.record.read_text()
    assert json.loads(text) == {"toy/x.zip": {"sha256": SHA, "size": len(CONTENT)}}
    path.unlink()
    server.replies["/x"] = [Reply(body=CONTENT[::-1])]
    message = case.fails(wanted, "has SHA-256 .* of the first download")
    assert str(case.record) in message
    server.replies["/x"] = [Reply(body=CONTENT + b"more")]
    case.fails(wanted, f"not the {len(CONTENT)} of the first download")
    assert case.record.read_text() == text
    server.replies["/x"] = [Reply()]
    assert case.obtain(wanted).read_bytes() == CONTENT


def test_records_are_sorted_and_kept(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply()]
    for name in ("b.zip", "a.zip"):
        case.obtain(archive(server.url("/x"), name=name, sha256=None))
    assert list(json.loads(case.record.read_text())) == ["toy/a.zip", "toy/b.zip"]
    assert case.record.read_text().index("toy/a.zip") < case.record.read_text().index("toy/b.zip")


@pytest.mark.parametrize("text", ["{half", "[]", '{"toy/x.zip": {"sha256": "short", "size": 1}}'])
def test_a_damaged_record_is_named(server: Server, case: Case, text: str) -> None:
    server.replies["/x"] = [Reply()]
    case.record.write_text(text)
    case.fails(archive(server.url("/x"), sha256=None), r"checksums\.json: not a record of checksums .*restore it")
    assert case.record.read_text() == text


def test_a_record_written_meanwhile_counts(server: Server, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(path: Path) -> str:
        case.record.write_text(json.dumps({"toy/x.zip": {"sha256": "0" * 64, "size": 1}}))
        return SHA

    server.replies["/x"] = [Reply()]
    monkeypatch.setattr(download, "sha256_file", meanwhile)
    case.fails(archive(server.url("/x"), sha256=None), "was recorded as 000.* while .* was downloaded")


# Mirrors and files put there by hand


def test_a_mirror_folder_is_used_in_place(server: Server, case: Case, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "x.zip").write_bytes(CONTENT)
    assert case.obtain(archive(server.url("/x")), str(mirror)) == mirror / "x.zip"
    assert server.requests == []
    assert not case.cache.exists()


def test_a_mirror_folder_without_the_file_is_passed_over(server: Server, case: Case, tmp_path: Path) -> None:
    server.replies["/x"] = [Reply()]
    assert case.obtain(archive(server.url("/x")), str(tmp_path)) == case.cache / "x.zip"
    message = case.fails(archive(server.url("/gone"), name="y.zip"), "cannot be downloaded", str(tmp_path))
    assert f"{tmp_path / 'y.zip'}: not there" in message


def test_a_wrong_file_on_a_mirror_folder_is_named_and_kept(server: Server, case: Case, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"wrong")
    case.fails(archive(server.url("/x")), r"x\.zip: has SHA-256 .*; put the right file on the mirror", str(tmp_path))
    assert (tmp_path / "x.zip").read_bytes() == b"wrong"
    assert server.requests == []


def test_a_mirror_that_is_none(case: Case, tmp_path: Path) -> None:
    wanted = archive("http://127.0.0.1:1/x")
    with pytest.raises(ConfigError, match=r"CAUSALIQA_MIRROR: .*nowhere: no such folder; mount or make it"):
        case.obtain(wanted, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"CAUSALIQA_MIRROR: ftp://\.\.\.: neither a folder nor") as error:
        case.obtain(wanted, "ftp://user:hidden@host/")
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_address_comes_first(server: Server, case: Case, slash: str) -> None:
    server.replies["/m/x.zip"] = [Reply()]
    assert case.obtain(archive(server.url("/x")), server.url("/m") + slash).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/m/SHA256SUMS", "/m/x.zip"]


def test_the_addresses_follow_the_mirror(server: Server, case: Case) -> None:
    server.replies |= {"/m/x.zip": [Reply(body=b"wrong")], "/x": [Reply()]}
    assert case.obtain(archive(server.url("/x")), server.url("/m")).read_bytes() == CONTENT


def sums(checksum: str) -> bytes:
    return f"{'1' * 64}  other.zip\n{checksum} *./x.zip\n{'2' * 64}  x.zip.old\n".encode()


def test_checksums_of_a_mirror_address_are_checked(server: Server, case: Case) -> None:
    server.replies |= {"/m/x.zip": [Reply()], "/m/SHA256SUMS": [Reply(body=sums("0" * 64)), Reply(body=sums(SHA))]}
    wanted = archive(server.url("/gone"), sha256=None)
    case.fails(wanted, f"has SHA-256 {SHA}, not {'0' * 64} of the mirror's SHA256SUMS", server.url("/m"))
    assert not case.record.exists()
    assert case.obtain(wanted, server.url("/m")).read_bytes() == CONTENT


def test_checksums_of_a_mirror_folder_are_checked(case: Case, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(CONTENT)
    (tmp_path / "SHA256SUMS").write_bytes(sums("0" * 64))
    case.fails(archive(sha256=None, manual="Ask."), "of the mirror's SHA256SUMS", str(tmp_path))
    (tmp_path / "SHA256SUMS").write_bytes(sums(SHA.upper()))
    assert case.obtain(archive(sha256=None, manual="Ask."), str(tmp_path)) == tmp_path / "x.zip"


def test_a_file_put_there_by_hand_counts(case: Case) -> None:
    case.cache.mkdir()
    (case.cache / "x.zip").write_bytes(CONTENT)
    assert case.obtain(archive(manual="Ask.")) == case.cache / "x.zip"


def test_a_wrong_file_put_there_by_hand_is_named_and_kept(server: Server, case: Case) -> None:
    case.cache.mkdir()
    (case.cache / "x.zip").write_bytes(b"mine")
    case.fails(archive(server.url("/x")), r"x\.zip: has SHA-256 .*; put the right file there, or remove it")
    assert (case.cache / "x.zip").read_bytes() == b"mine"
    assert server.requests == []


def test_a_download_that_is_wrong_by_now_is_replaced(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(), Reply(body=b"version two")]
    case.obtain(archive(server.url("/x")))
    newer = archive(server.url("/x"), sha256=hashlib.sha256(b"version two").hexdigest())
    assert case.obtain(newer).read_bytes() == b"version two"


def test_a_file_put_in_the_place_of_a_download_is_kept(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply()]
    path = case.obtain(archive(server.url("/x")))
    path.unlink()
    path.write_bytes(b"mine")
    case.fails(archive(server.url("/x")), "put the right file there")
    assert path.read_bytes() == b"mine"


STEPS = "Fill in the form at\n https://example.org/form\n and follow the link. "


def test_manual_steps_are_printed(server: Server, case: Case) -> None:
    message = case.fails(archive(manual=STEPS), "^toy: x.zip is not served to everyone; to obtain it: Fill in the form")
    assert "at https://example.org/form and follow the link; then put the file at" in message
    assert str(case.cache / "x.zip") in message
    assert "set CAUSALIQA_MIRROR to a folder that has it" in message
    message = case.fails(archive(manual=STEPS), "not served to everyone", server.url("/m"))
    assert f"({server.url('/m/x.zip')}: answers 404)" in message


def test_manual_steps_follow_when_the_addresses_fail(server: Server, case: Case) -> None:
    message = case.fails(archive(server.url("/gone"), manual=STEPS), "cannot be downloaded")
    assert message.endswith("; by hand: Fill in the form at https://example.org/form and follow the link")


def test_the_mirror_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSALIQA_MIRROR", " /some/folder ")
    assert mirror_from_environment() == "/some/folder"
    monkeypatch.setenv("CAUSALIQA_MIRROR", " ")
    assert mirror_from_environment() is None
    monkeypatch.delenv("CAUSALIQA_MIRROR")
    assert mirror_from_environment() is None


# Disk


def test_the_space_for_an_archive_and_its_content_is_checked_first(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply()]
    just, less = (lambda folder: 225_280), (lambda folder: 225_279)
    match = r"cache: x\.zip needs 0\.00 GB, 0\.00 GB are free; free some space"
    case.fails(archive(server.url("/x")), match, free_bytes=less)
    assert case.files() == []
    assert case.obtain(archive(server.url("/x")), free_bytes=just).read_bytes() == CONTENT


def test_what_is_not_unpacked_needs_its_size_only(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply(length=False)]
    table = archive(server.url("/x"), name="x.csv", size=len(CONTENT))
    case.fails(table, "needs", free_bytes=lambda folder: len(CONTENT) - 1)
    assert case.obtain(table, free_bytes=lambda folder: len(CONTENT)).read_bytes() == CONTENT


def test_what_is_here_already_needs_no_space(server: Server, case: Case) -> None:
    wanted = archive(server.url("/x"))
    interrupted(server, case, wanted)
    server.replies["/x"] = [Reply()]
    assert case.obtain(wanted, free_bytes=lambda folder: 225_280 - 30_000).read_bytes() == CONTENT


def test_a_disk_that_gets_full_keeps_what_has_arrived(
    server: Server, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    class Full:
        def __init__(self, handle: Any) -> None:
            self.handle = handle

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            self.handle.close()

        def write(self, view: memoryview) -> int:
            if self.handle.tell() > 50_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            written: int = self.handle.write(view[:1000])  # files may take less than they are given
            return written

    def opened(self: Path, *args: Any, **options: Any) -> Any:
        handle = real(self, *args, **options)
        return Full(handle) if self.suffix == ".part" and args[0] == "ab" else handle

    server.replies |= {"/x": [Reply()], "/y": [Reply()]}
    wanted = archive(server.url("/x"), server.url("/y"))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        case.fails(wanted, r"x\.zip\.part: the disk is full; free some space and run the same command again")
    assert server.ranges("/y") == []
    kept = (case.cache / "x.zip.part").read_bytes()
    assert kept == CONTENT[: len(kept)]
    assert len(kept) > 50_000
    assert case.obtain(wanted).read_bytes() == CONTENT
    assert server.ranges("/x") == [None, f"bytes={len(kept)}-"]


def test_a_cache_that_cannot_be_made(case: Case) -> None:
    case.cache.write_text("a file")
    with pytest.raises(CausalIQAError, match=r"cache: cannot be written \(File exists\)"):
        case.obtain(archive(manual="Ask."))


# Locks


def test_a_lock_excludes_others_and_says_so_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with lock("toy", tmp_path):
            inside.set()
            while "waiting" not in capsys.readouterr().err:
                time.sleep(0.01)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with lock("other", tmp_path):
        order.append("other")
    with lock("toy", tmp_path):
        order.append("second")
    thread.join()
    assert order == ["other", "first", "second"]
    assert capsys.readouterr().err == ""


def hold(cache: Path, held: Any, release: Any) -> None:
    with lock("toy", cache):
        held.set()
        release.wait(30)


def test_a_lock_holds_between_processes_and_waits_so_long_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spawn = multiprocessing.get_context("spawn")
    held, release = spawn.Event(), spawn.Event()
    process = spawn.Process(target=hold, args=(tmp_path, held, release))
    process.start()
    try:
        assert held.wait(30)
        with (
            pytest.raises(DataError, match=r"\.toy\.lock: another process that fetches toy .* 0\.1 s; wait for it"),
            lock("toy", tmp_path, Settings(lock_timeout_s=0.1)),
        ):
            pytest.fail("two hold the same lock")
        assert re.fullmatch("waiting for another process that fetches toy\n", capsys.readouterr().err)
        # A killed process holds nothing.
        process.kill()
        process.join()
        with lock("toy", tmp_path, Settings(lock_timeout_s=10.0)):
            pass
    finally:
        process.kill()
        process.join()


def test_two_threads_record_both_files(server: Server, case: Case) -> None:
    server.replies["/x"] = [Reply()]
    names = [f"{number}.zip" for number in range(6)]
    errors: list[BaseException] = []

    def fetch(name: str) -> None:
        try:
            case.obtain(archive(server.url("/x"), name=name, sha256=None))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(json.loads(case.record.read_text())) == [f"toy/{name}" for name in names]


def test_the_lock_of_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CausalIQAError, match="cache"), lock("toy", tmp_path / "cache"):
        pytest.fail("locked")
