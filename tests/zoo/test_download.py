"""Whatever happens on the way, the file is the right one or it is not there."""

from __future__ import annotations

import hashlib
import socket
import sys
from email.message import Message
from io import BytesIO
from urllib.request import Request

import pytest

from crossfield.errors import InputError
from crossfield.zoo.download import ChecksumError, download
from tests.zoo.server import CONTENT, Answer, serving

MODULE = sys.modules["crossfield.zoo.download"]
OTHER = CONTENT[::-1][:-500]
BREAKS = Answer(stop_after=100_000)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(MODULE, "PAUSE", 0.001)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "file.model"


def get(server, target, **settings):
    return download(server.url, target, progress=lambda done, total: None, timeout=5, **settings)


def refusal(server, target, **settings) -> str:
    """The message with which a download fails; it names the URL, on one line, and leaves no target."""
    with pytest.raises(InputError) as error:
        get(server, target, **settings)
    assert str(error.value).startswith(f"{server.url}: ")
    assert not target.exists()
    return error.value.message


def files(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file(server, target):
    target.write_text("an older file")
    assert get(server, target, sha256=sha256(CONTENT), size=len(CONTENT)) == sha256(CONTENT)
    assert target.read_bytes() == CONTENT
    assert files(target) == ["file.model"]
    (asked,) = server.asked
    assert asked.range is asked.if_range is None
    assert asked.agent.startswith("crossfield/")


def test_a_length_that_is_not_stated(server, target):
    server.then = Answer(length=-1)
    assert get(server, target) == sha256(CONTENT)


def test_goes_on_where_the_connection_broke(server, target):
    server.script = [BREAKS, BREAKS]
    assert get(server, target) == sha256(CONTENT)
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-", "bytes=200000-"]
    assert {asked.if_range for asked in server.asked[1:]} == {'"one"'}
    assert files(target) == ["file.model"]


def test_a_part_that_does_not_say_of_how_much(server, target):
    server.script = [BREAKS, Answer(says_total=False, stop_after=1000)]
    assert get(server, target) == sha256(CONTENT)
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-", "bytes=101000-"]


def test_goes_on_in_the_next_call(server, target):
    server.then = Answer(stop_after=20_000)
    message = refusal(server, target)
    assert message == (
        "the download failed 5 times (after 100000 of 307200 bytes); "
        "0.1 MB are kept, and the next try goes on from there"
    )
    assert files(target) == ["file.model.part", "file.model.part.json"]
    server.asked.clear()
    server.then = Answer()
    assert get(server, target) == sha256(CONTENT)
    assert [asked.range for asked in server.asked] == ["bytes=100000-"]


def test_an_interruption_keeps_what_has_come(server, target):
    def interrupt(done, total):
        if done > 150_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, target, progress=interrupt)
    assert get(server, target) == sha256(CONTENT)
    assert int(server.asked[1].range.removeprefix("bytes=").removesuffix("-")) > 150_000


def test_killed_just_before_the_end(server, target):
    def interrupt(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, target, progress=interrupt)
    assert get(server, target) == sha256(CONTENT)
    assert len(server.asked) == 1


@pytest.mark.parametrize("rest", [Answer(ranges=False), Answer(content=OTHER, etag='"two"')])
def test_a_server_that_sends_all_again(server, target, rest):
    """It gives no parts, or the file was changed."""
    server.script = [BREAKS, rest]
    assert get(server, target) == sha256(rest.content)
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-"]


@pytest.mark.parametrize(
    "rest",
    [
        Answer(content=OTHER, etag='"two"', if_range=False),  # another file, and no word of it
        Answer(content=OTHER, if_range=False),  # of another length
        Answer(start=50_000),  # another part
        Answer(content=OTHER[:1000], if_range=False),  # there is no such part (416)
    ],
)
def test_parts_of_different_files_are_not_joined(server, target, rest):
    server.script = [BREAKS, rest]
    assert get(server, target) == sha256(CONTENT)
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-", None]


@pytest.mark.parametrize(
    ("answer", "goes_on"),
    [
        ({"etag": None}, False),
        ({"etag": 'W/"weak"'}, False),
        ({"etag": None, "modified": "Tue, 01 Oct 2024 10:00:00 GMT"}, True),
        ({"etag": 'W/"weak"', "modified": "Tue, 01 Oct 2024 10:00:00 GMT"}, True),
    ],
)
def test_a_part_counts_only_if_its_file_is_known(server, target, answer, goes_on):
    server.script = [Answer(stop_after=100_000, **answer), Answer(**answer)]
    assert get(server, target) == sha256(CONTENT)
    assert server.asked[1].range == ("bytes=100000-" if goes_on else None)
    assert server.asked[1].if_range == answer.get("modified")


@pytest.mark.parametrize(
    "note", ["", "{", "[]", "{}", '{"url": "https://other", "validator": "x", "total": 9}']
)
def test_a_part_of_unknown_origin_is_not_used(server, target, note):
    target.with_name("file.model.part").write_bytes(b"something else")
    target.with_name("file.model.part.json").write_text(note)
    assert get(server, target) == sha256(CONTENT)
    assert server.asked[0].range is None


def test_a_stall_is_a_broken_connection(server, target):
    server.script = [Answer(stall_after=1000), Answer(stall_after=0)]
    assert download(server.url, target, progress=lambda *_: None, timeout=0.2) == sha256(CONTENT)
    assert [asked.range for asked in server.asked] == [None, "bytes=1000-", "bytes=1000-"]


def test_a_server_that_always_stalls(server, target, monkeypatch):
    monkeypatch.setattr(MODULE, "ATTEMPTS", 2)
    server.then = Answer(stall_after=0)
    with pytest.raises(InputError, match=r"failed 2 times \(no answer in time\)$"):
        download(server.url, target, timeout=0.1)


def test_more_promised_than_there_is(server, target):
    server.then = Answer(length=len(CONTENT) + 10, ranges=False)
    assert "failed 5 times (after 307200 of 307210 bytes)" in refusal(server, target)


@pytest.mark.parametrize(
    "wrong",
    [
        Answer(length=1000),  # less promised than there is
        Answer(content=CONTENT[:-1] + b"\0"),
        Answer(content=OTHER),
    ],
)
def test_another_file_is_deleted(server, target, wrong):
    server.then = wrong
    with pytest.raises(ChecksumError):
        get(server, target, sha256=sha256(CONTENT))
    assert "not the file that was published" in refusal(server, target, sha256=sha256(CONTENT))
    assert files(target) == []


def test_another_size_is_not_even_downloaded(server, target):
    message = refusal(server, target, size=5)
    assert message == "the server has a file of 307200 bytes, the one that was published has 5"
    assert files(target) == []
    server.then = Answer(length=-1)
    assert "failed 5 times" in refusal(server, target, size=len(CONTENT) + 1)


def test_more_than_there_can_be(server, target, monkeypatch):
    """Without a length, nothing else would end it."""
    monkeypatch.setattr(MODULE, "LIMIT", len(CONTENT) // 2)
    server.then = Answer(length=-1, etag=None)
    assert "sends more than" in refusal(server, target)
    assert files(target) == []


@pytest.mark.parametrize("where", ["http://localhost/m", "http://127.0.0.1:9/m", "https://[", "ftp://x/m"])
def test_https_never_leads_to_anything_else(where):
    request = Request("https://example.org/m")
    with pytest.raises(InputError, match=r"example\.org/m: leads to"):
        MODULE._Redirects().redirect_request(request, BytesIO(), 302, "", Message(), where)


def test_nothing_is_no_file(server, target):
    server.then = Answer(content=b"")
    assert "failed 5 times" in refusal(server, target)


@pytest.mark.parametrize("passing", [Answer(status=500), Answer(status=503), Answer(silent=True)])
def test_troubles_that_pass(server, target, passing):
    server.script = [passing, BREAKS, passing]
    assert get(server, target) == sha256(CONTENT)
    assert len(server.asked) == 4


def test_troubles_that_do_not_pass(server, target):
    server.then = Answer(status=503)
    assert refusal(server, target) == "the download failed 5 times (HTTP 503 Service Unavailable)"
    server.asked.clear()
    server.then = Answer(silent=True)
    assert "the download failed 5 times (Remote end closed connection" in refusal(server, target)
    assert len(server.asked) == 5


@pytest.mark.parametrize(("status", "words"), [(404, "Not Found"), (403, "Forbidden"), (410, "Gone")])
def test_no_such_file(server, target, status, words):
    server.then = Answer(status=status)
    message = refusal(server, target)
    assert message == f"HTTP {status} {words}; download the file in another way and give its path"
    assert len(server.asked) == 1


def test_a_web_page_is_no_file(server, target):
    server.then = Answer(content=b"<html>Log in</html>", kind="text/html; charset=utf-8")
    assert "sends a web page instead of a file" in refusal(server, target)
    assert files(target) == []


def test_redirects_are_followed(server, target):
    server.script = [Answer(redirect="/second"), Answer(redirect=f"{server.url}/third"), BREAKS]
    assert get(server, target) == sha256(CONTENT)
    assert [asked.path for asked in server.asked] == [
        "/file.model",
        "/second",
        "/file.model/third",
        "/file.model",
    ]
    assert server.asked[3].range == "bytes=100000-"


def test_a_part_is_asked_for_behind_a_redirect(server, target):
    server.script = [BREAKS, Answer(redirect="/second")]
    assert get(server, target) == sha256(CONTENT)
    assert server.asked[2][:3] == ("/second", "bytes=100000-", '"one"')


@pytest.mark.parametrize("where", ["/file.model", "/other"])
def test_redirects_have_an_end(server, target, where):
    server.then = Answer(redirect=where)
    assert "HTTP 302" in refusal(server, target)
    assert len(server.asked) <= 7


def test_redirects_that_never_repeat(server, target):
    server.script = [Answer(redirect=f"/{i}") for i in range(40)]
    assert "HTTP 302" in refusal(server, target)
    assert len(server.asked) <= 7


@pytest.mark.parametrize(
    "where", ["http://example.org/x", "http://127.0.0.1.example.org/x", "ftp://127.0.0.1/x"]
)
def test_redirects_to_where_others_can_listen(server, target, where, monkeypatch):
    server.then = Answer(redirect=where)
    monkeypatch.setattr(socket, "getaddrinfo", only_loopback)
    message = refusal(server, target)
    assert where in message
    assert len(server.asked) == 1


def test_redirect_to_a_local_file(server, target, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("mine")
    server.then = Answer(redirect=secret.as_uri())
    refusal(server, target)
    assert files(target) == ["secret"]


def only_loopback(host, *_, **__):
    if host != "127.0.0.1":
        raise AssertionError(f"{host} was to be reached")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, int(_[0])))]


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "file:///etc/hostname", "ftp://127.0.0.1/x", "x.model", "http:/x"]
)
def test_other_schemes(target, url, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", only_loopback)
    with pytest.raises(InputError, match="only https is used"):
        download(url, target)


@pytest.mark.parametrize("url", ["http://localhost:1/x", "http://[::1]:1/x", "http://127.0.0.2:1/x"])
def test_nobody_listens(target, url):
    with pytest.raises(InputError) as error:
        download(url, target)
    assert error.value.message.startswith("cannot be reached (")
    assert error.value.message.endswith(
        "); without a network, download the file in another way and give its path"
    )
    assert files(target) == []


def test_no_network(target, monkeypatch):
    tried = []

    def no_name(host, *_, **__):
        tried.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    url = "https://models.example.org/x.model"
    with pytest.raises(InputError) as error:
        download(url, target)
    assert str(error.value) == (
        f"{url}: cannot be reached (Name or service not known); "
        "without a network, download the file in another way and give its path"
    )
    assert tried == ["models.example.org"]


def test_a_network_that_is_lost_on_the_way(server, target, monkeypatch):
    """Then another attempt is worth it, and what has come is kept."""
    server.script = [BREAKS]
    usual, calls = socket.create_connection, []

    def lost_once(*arguments, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return usual(*arguments, **settings)

    monkeypatch.setattr(socket, "create_connection", lost_once)
    assert get(server, target) == sha256(CONTENT)
    assert [asked.range for asked in server.asked] == [None, "bytes=100000-"]


def test_a_full_disk(server, target):
    part = target.with_name("file.model.part")
    part.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as error:
        get(server, target)
    assert error.value.filename == str(part)


def test_a_folder_that_is_not_there(server, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        get(server, tmp_path / "gone" / "file.model")
    assert "gone" in str(error.value.filename)


@pytest.mark.parametrize("total", [len(CONTENT), None])
def test_progress(server, target, total):
    server.script = [Answer(length=-1 if total is None else None)]
    reports = []
    download(server.url, target, progress=lambda *report: reports.append(report))
    done = [report[0] for report in reports]
    assert done == sorted(done)
    assert len(done) > 1
    assert reports[-1] == (len(CONTENT), total)
    assert {report[1] for report in reports} == {total}


def test_one_line_where_there_is_no_terminal(server, target, capsys):
    download(server.url, target)
    assert capsys.readouterr() == ("", f"downloading file.model from {server.url}\n")


def test_a_bar_on_a_terminal(server, target, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    download(server.url, target)
    out, err = capsys.readouterr()
    assert out == ""
    assert "downloading file.model" in err
