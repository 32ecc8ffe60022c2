"""The page while a run goes on: a server on this computer that only knows the page and its changes."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from crossfield.errors import InputError
from crossfield.report.page import Report, render

CHANGES = "/changes"
LOCAL = ("127.0.0.1", "localhost")


class ReportServer(ThreadingHTTPServer):
    """Serves a report that is built anew when its sources change.

    Args:
        build: makes the report as it is now.
        stamp: what changes when the report would; cheap.
        host: address to listen on.
        port: 0: any that is free.

    Raises:
        InputError: the address is taken, or is not one of this computer.
    """

    daemon_threads = True  # an open page does not keep the command from ending

    def __init__(
        self, build: Callable[[], Report], stamp: Callable[[], object], host: str = LOCAL[0], port: int = 0
    ) -> None:
        self._build, self._stamp = build, stamp
        self._lock = threading.Lock()  # one thread builds, the others wait for what it makes
        self._known: tuple[object, Report] | None = None
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"cannot listen on {host}:{port} ({error}); choose another --port, or 0 for any that "
                "is free, and for --host an address of this computer"
            ) from error
        self.host = host

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{self.host}:{self.server_port}/"

    def report(self) -> Report:
        """The report as it is now.

        Raises:
            InputError: a file is damaged.
            OSError: a file went away while it was read.
        """
        with self._lock:
            stamp = self._stamp()  # before reading: what is written meanwhile is found the next time
            if self._known is None or self._known[0] != stamp:
                self._known = stamp, self._build()
            return self._known[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader who went away is no error; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: ReportServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Crossfield", ""
    timeout = 60  # s; of a connection that says nothing

    def do_GET(self) -> None:
        """The page, or what has changed."""
        path = self.path.partition("?")[0]
        if not self._is_for_us():
            self._send(HTTPStatus.FORBIDDEN, "text/plain", "this server answers to its own address only\n")
        elif path not in ("/", CHANGES):
            self._send(HTTPStatus.NOT_FOUND, "text/plain", "there is nothing but the report here: /\n")
        else:
            self._answer(path)

    do_HEAD = do_GET

    def _answer(self, path: str) -> None:
        try:
            report = self.server.report()
        except (InputError, OSError) as error:
            again = {"Refresh": "3"} if path == "/" else {}
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n", again)
            return
        tag = {"ETag": f'"{report.version}"'}
        if path == "/":
            self._send(HTTPStatus.OK, "text/html", render(report, live=CHANGES))
        elif self.headers.get("If-None-Match") == tag["ETag"]:
            self._send(HTTPStatus.NOT_MODIFIED, "application/json", "", tag)
        else:
            text = json.dumps(report.as_dict(), ensure_ascii=False)
            self._send(HTTPStatus.OK, "application/json", text, tag)

    def _is_for_us(self) -> bool:
        """Whether it is asked for by a local name; a site elsewhere may have its own name point here."""
        if self.server.host not in LOCAL:
            return True  # the user wants others to read it
        name = (self.headers.get("Host") or "").rpartition(":")
        return (name[0] or name[2]) in LOCAL

    def _send(self, status: HTTPStatus, kind: str, text: str, headers: Mapping[str, str] = {}) -> None:
        body = text.encode()
        self.send_response(status)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status is not HTTPStatus.NOT_MODIFIED:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for the address and for errors."""
