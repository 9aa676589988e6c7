"""Fetching music as notes: a tiny archive from a server on this machine."""

import io
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from levada.data import symbolic
from levada.data.symbolic import SOURCES, fetch, manifest_digest
from levada.errors import InputError

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"

FILES = {"info.csv": b"drummer,session\n", "drummer1/session1/1_funk_80_beat_4-4.mid": b"MThd" + bytes(range(256)) * 99}


def packed(files: dict[str, bytes], *, top: str = "groove/") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return file.getvalue()


class Server(HTTPServer):
    """Serves one archive and remembers what it was asked for."""

    content = b""
    status = 200
    breaks_at = -1  # the first answer ends after so many bytes
    ranges = True
    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/groove.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range", "")
        server.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and server.ranges else 0
        self.send_response(server.status if server.status != 200 else 206 if start else 200)
        self.send_header("Content-Length", str(len(server.content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.end_headers()
        end = server.breaks_at if server.breaks_at >= 0 and len(server.asked) == 1 else len(server.content)
        self.wfile.write(server.content[start:end])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        running.content = packed(FILES)
        for name, content in FILES.items():
            path = tmp_path / "original" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        digest = manifest_digest(tmp_path / "original", list(FILES))
        monkeypatch.setitem(SOURCES, "groove", replace(SOURCES["groove"], url=running.url, count=2, digest=digest))
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


def held(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_arrives_is_the_files_that_are_read(server: Server, home: Path) -> None:
    more = {"README": b"read me", "drummer1/session1/1.wav": b"RIFF", "__MACOSX/drummer1/session1/._1.mid": b"junk"}
    server.content = packed(FILES | more)
    told: list[tuple[int, int]] = []
    assert fetch("groove", home / "groove", progress=lambda *now: told.append(now)) == home / "groove"
    assert held(home / "groove") == FILES
    assert told[-1] == (len(server.content), len(server.content))
    assert [path.name for path in home.iterdir()] == ["groove"]


@pytest.mark.parametrize("top", ["", "POP909-Dataset-0123abc/POP909/"])
def test_an_archive_may_be_packed_in_any_way(server: Server, home: Path, top: str) -> None:
    server.content = packed(FILES, top=top)
    assert held(fetch("groove", home / "groove")) == FILES


def test_what_is_here_is_not_fetched_again(server: Server, home: Path) -> None:
    fetch("groove", home / "groove")
    fetch("groove", home / "groove")
    assert len(server.asked) == 1
    (home / "groove" / "info.csv").write_bytes(b"damaged")
    fetch("groove", home / "groove")
    assert len(server.asked) == 2
    assert held(home / "groove") == FILES


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_taken_up_again(server: Server, home: Path, ranges: bool) -> None:
    server.breaks_at, server.ranges = 200, ranges
    assert held(fetch("groove", home / "groove")) == FILES
    assert server.asked == ["", "bytes=200-"]


def test_an_archive_may_be_downloaded_by_hand(server: Server, home: Path) -> None:
    (home / "by-hand.zip").write_bytes(server.content)
    assert held(fetch("groove", home / "groove", archive=home / "by-hand.zip")) == FILES
    assert server.asked == []


@pytest.mark.parametrize(("status", "times"), [(404, 1), (503, symbolic.TRIES)])
def test_refusals_say_the_address_and_what_to_do(server: Server, home: Path, status: int, times: int) -> None:
    server.status = status
    with pytest.raises(InputError, match=f"{re.escape(server.url)}.*{status}.*by hand") as caught:
        fetch("groove", home / "groove")
    assert str(home / "groove") in str(caught.value)
    assert len(server.asked) == times
    assert list(home.iterdir()) == []


@pytest.mark.usefixtures("server")
def test_nobody_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "groove", replace(SOURCES["groove"], url="http://127.0.0.1:1/groove.zip"))
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1/groove\.zip: could not be downloaded"):
        fetch("groove", home / "groove")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({**FILES, "info.csv": b"other"}, "files that differ"),
        ({"info.csv": FILES["info.csv"]}, "1 of 2 files"),
        ({**FILES, "drummer1/session1/2.mid": b""}, "3 of 2 files"),
        ({"notes.txt": b""}, "0 of 2 files"),
    ],
)
def test_other_content_is_refused(server: Server, home: Path, files: dict[str, bytes], said: str) -> None:
    server.content = packed(files)
    with pytest.raises(InputError, match=said):
        fetch("groove", home / "groove")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"<html>no archive</html>", packed(FILES)[:-40], b"PK\x05\x06" + b"\xff" * 18]
)
def test_what_is_no_archive_is_refused(server: Server, home: Path, content: bytes) -> None:
    server.content = content
    with pytest.raises(InputError, match="not a readable zip archive"):
        fetch("groove", home / "groove")
    assert list(home.iterdir()) == []


def test_nothing_is_written_outside(server: Server, home: Path) -> None:
    server.content = packed(FILES | {"../../drummer1/../../evil.mid": b"", "drummer1/../info.csv/../../evil.mid": b""})
    assert held(fetch("groove", home / "groove")) == FILES
    assert [path.name for path in home.iterdir()] == ["groove"]


@pytest.mark.usefixtures("server")
def test_a_file_too_large_is_not_unpacked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbolic, "LARGEST", 1000)
    with pytest.raises(InputError, match=r"a file of \d+ bytes"):
        fetch("groove", home / "groove")


@pytest.mark.usefixtures("server")
def test_a_full_disk_is_not_the_network(home: Path, full_disk: Any) -> None:
    with full_disk(10), pytest.raises(InputError, match="larger than is allowed"):
        fetch("groove", home / "groove")


def test_bad_names_and_places(server: Server, home: Path) -> None:
    with pytest.raises(InputError, match="there are groove, pop909"):
        fetch("gtzan", home / "gtzan")
    (home / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        fetch("groove", home / "file" / "groove")
    with pytest.raises(InputError, match="no such file"):
        fetch("groove", home / "groove", archive=home / "missing.zip")
    (home / "mine").mkdir()
    (home / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        fetch("groove", home / "mine")
    assert held(home / "mine") == {"thesis.txt": b"years of work"}
    assert server.asked == []


def test_the_digest_of_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"2")
    lines = sorted(f"{sha256(content).hexdigest()}  {name}\n" for name, content in (("a", b"2"), ("b", b"1")))
    assert manifest_digest(tmp_path, ["a", "b"]) == manifest_digest(tmp_path, ["b", "a"])
    assert manifest_digest(tmp_path, ["a", "b"]) == sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("name", ["groove", "pop909"])
@pytest.mark.skipif(not CORPORA.is_dir(), reason="needs the datasets in ../shared/corpora")
def test_the_digests_are_those_of_the_datasets(name: str) -> None:
    source = SOURCES[name]
    assert symbolic._files(CORPORA / name, source) == (source.count, source.digest)
    assert fetch(name, CORPORA / name) == CORPORA / name
