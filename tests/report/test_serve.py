"""The server of a page that follows a run."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfield.errors import InputError
from crossfield.report.build import build_report, find_subject
from crossfield.report.serve import CHANGES, ReportServer
from tests.report.runs import epoch, make_run
from tests.report.serving import serving


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path, ("pbe",), epochs=1, finished=False)


@pytest.fixture
def server(run: Path) -> Iterator[ReportServer]:
    with serving(run) as server:
        yield server


def ask(
    server: ReportServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, reply.headers, body


def test_the_page_and_its_changes(server: ReportServer, run: Path) -> None:
    status, headers, page = ask(server, "/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert b'"live":"/changes"' in page
    status, headers, body = ask(server, CHANGES)
    before = json.loads(body)
    assert (status, headers["ETag"]) == (200, f'"{before["version"]}"')
    assert ask(server, CHANGES, If_None_Match=headers["ETag"])[0] == 304
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps(epoch(2, ("pbe",))) + "\n")
    status, _, body = ask(server, CHANGES, If_None_Match=headers["ETag"])
    after = json.loads(body)
    assert status == 200
    changed = [b["id"] for a, b in zip(before["sections"], after["sections"]) if a["hash"] != b["hash"]]
    assert {"overview", "training"} <= set(changed)
    assert not {"e0", "elements"} & set(changed)


def test_a_run_that_has_died_is_not_said_to_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although none of its files changes any more."""
    subject, now = find_subject(str(run)), time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with ReportServer(lambda: build_report(subject, live=True), lambda: subject.stamp) as server:
        assert "Running." in server.report().sections[0].html
        for seconds, said in ((61, "Not finished"), (3600, "the run was probably interrupted")):
            now += seconds
            assert said in server.report().sections[0].html
        last = server.report()
        assert server.report() is last  # not built anew without a reason


def test_half_a_line_changes_no_curve(server: ReportServer, run: Path) -> None:
    before = json.loads(ask(server, CHANGES)[2])
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps(epoch(2, ("pbe",)))[:50])
    after = json.loads(ask(server, CHANGES)[2])
    assert before["sections"][1] == after["sections"][1]


def test_a_damaged_file_is_told_until_it_is_whole(server: ReportServer, run: Path) -> None:
    (run / "errors.json").write_text("{")
    status, _, body = ask(server, CHANGES)
    assert status == 503
    assert b"errors.json: is damaged" in body
    (run / "errors.json").write_text("{}")
    assert ask(server, CHANGES)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/log.jsonl", "/../config.yaml", "/%2e%2e/config.yaml", "//etc/passwd", "/changes/..", "/index.html"],
)
def test_nothing_else_is_served(server: ReportServer, path: str) -> None:
    status, _, body = ask(server, path)
    assert status == 404
    assert b"nothing but the report" in body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", ""])
def test_sites_elsewhere_cannot_read_along(server: ReportServer, host: str) -> None:
    assert ask(server, CHANGES, Host=host)[0] == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1"])
def test_local_names_are_answered(server: ReportServer, host: str) -> None:
    assert ask(server, CHANGES, "HEAD", Host=host)[::2] == (200, b"")


def test_other_methods_are_refused(server: ReportServer) -> None:
    assert ask(server, "/", "POST")[0] == 501


def test_a_port_that_is_taken_is_an_error_of_the_user(server: ReportServer) -> None:
    with pytest.raises(InputError, match="choose another --port"):
        ReportServer(server.report, lambda: None, port=server.server_port)
