"""A server of one file on this machine that can go wrong in every way a download must survive."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from crossfield.zoo.published import Published, published

CONTENT = bytes(range(256)) * 1200  # 300 kB, more than one chunk


@dataclass(frozen=True)
class Answer:
    """How the server answers one request; the defaults are how it should."""

    content: bytes = CONTENT
    status: int | None = None  # None: 200 or 206
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True  # whether it serves parts at all
    if_range: bool = True  # whether it minds the condition of a request for a part
    says_total: bool = True  # whether a part comes with the length of the whole file
    start: int | None = None  # where a part begins, if not where it should
    length: int | None = None  # Content-Length, if not the truth; -1: not stated
    kind: str = "application/octet-stream"
    stop_after: int | None = None  # bytes after which the connection is closed
    stall_after: int | None = None  # bytes after which nothing comes any more
    silent: bool = False  # closes the connection without an answer
    redirect: str | None = None


class Asked(NamedTuple):
    """What a request was for."""

    path: str
    range: str | None
    if_range: str | None
    agent: str | None


@dataclass
class Server:
    """Answers of `script` one by one, then `then` for ever."""

    url: str = ""
    script: list[Answer] = field(default_factory=list)
    then: Answer = field(default_factory=Answer)
    asked: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)  # lets stalled answers go

    def next(self) -> Answer:
        assert len(self.asked) < 50, "too many requests"
        return self.script.pop(0) if self.script else self.then


def publish(monkeypatch: pytest.MonkeyPatch, server: Server, **changes: object) -> Published:
    """Make "here", a model on this server, one of the published ones."""
    fields = {
        "name": "here",
        "description": "A model for tests",
        "url": "https://127.0.0.1/file.model",
        "sha256": None,
        "size": None,
        "licence": "MIT",
        "elements": "1, 6-8",
        "parameters": None,
        "heads": {"solids": "pbe_gpaw", "surfaces": "rpbe_gpaw"},
        "default_head": "solids",
        "reference": "none",
    }
    model = Published.model_validate(fields | changes).model_copy(update={"url": server.url})
    monkeypatch.setitem(published(), "here", model)
    return model


def replace_converter(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, Published | None]]:
    """Put in a converter that only copies; gives the list of what it was called with."""
    calls: list[tuple[bytes, Published | None]] = []

    def convert(
        source: Path, target: Path, *, published: Published | None = None, digest: str | None = None
    ) -> None:
        calls.append((source.read_bytes(), published))
        target.write_bytes(b"converted " + source.read_bytes())

    module = ModuleType("crossfield.zoo.convert")
    module.__dict__.update(convert=convert, VERSION=1)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port of 127.0.0.1, until the block ends."""
    state = Server()

    class Handler(_Handler):
        server_state = state

    server = _Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/file.model"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        thread.join()
        server.server_close()  # waits for the answers under way


class _Server(ThreadingHTTPServer):
    daemon_threads = False


class _Handler(BaseHTTPRequestHandler):
    server_state: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state = self.server_state
        header = self.headers.get
        state.asked.append(Asked(self.path, header("Range"), header("If-Range"), header("User-Agent")))
        answer = state.next()
        self.close_connection = True
        if answer.silent:
            return
        start = self._start(answer)
        body = answer.content[start:] if start is not None else answer.content
        self._headers(answer, start, body)
        if answer.redirect is None:
            self._body(answer, body)

    def _start(self, answer: Answer) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (answer.etag, answer.modified)
        if asked is None or not answer.ranges or (answer.if_range and not same):
            return None
        return int(asked[1]) if answer.start is None else answer.start

    def _headers(self, answer: Answer, start: int | None, body: bytes) -> None:
        total = len(answer.content)
        beyond = start is not None and start >= total
        usual = 416 if beyond else 200 if start is None else 206
        self.send_response(302 if answer.redirect else answer.status or usual)
        if answer.redirect:
            self.send_header("Location", answer.redirect)
            self.send_header("Content-Length", "0")
        elif answer.length != -1:
            self.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
        if start is not None:
            whole = total if answer.says_total else "*"
            part = f"bytes */{total}" if beyond else f"bytes {start}-{total - 1}/{whole}"
            self.send_header("Content-Range", part)
        for name, value in (("ETag", answer.etag), ("Last-Modified", answer.modified)):
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Connection", "close")
        self.end_headers()

    def _body(self, answer: Answer, body: bytes) -> None:
        stop = answer.stop_after if answer.stall_after is None else answer.stall_after
        try:
            self.wfile.write(body[:stop])
            if answer.stall_after is not None:
                self.wfile.flush()
                self.server_state.over.wait(10)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the other side has given up, as it should

    def log_message(self, format: str, *args: object) -> None:
        pass
