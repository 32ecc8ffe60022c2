"""Download of one file: goes on where it broke off, is checked, and then put in its place at once.

Until then it is in `TARGET.part`; `TARGET.part.json` says which file on the server that is a part of. The
rest is asked for (Range) under the condition that the file is still the same (If-Range), as in RFC 9110.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.client import HTTPException, HTTPMessage, HTTPResponse
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import IO, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from crossfield.errors import InputError
from crossfield.files import replacing
from crossfield.zoo.bar import Report, transfer

ATTEMPTS = 5
PAUSE = 1.0  # s before the second attempt; twice as long before every further one
CHUNK = 1 << 16  # bytes
LIMIT = 8 << 30  # bytes, where no size is known
_PASSING = (408, 429, 500, 502, 503, 504)  # HTTP status of troubles that pass
_ELSEWHERE = "download the file in another way and give its path"


class ChecksumError(InputError):
    """A file arrived, but not the one that was published."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    progress: Report | None = None,
    timeout: float = 30.0,
) -> str:
    """Download a file, or the rest of it. Only one process at a time may do so for one target.

    Args:
        url: https, or http on this machine.
        target: file to write; its folder must exist.
        sha256: what it must be; None: anything.
        size: number of bytes it must have; None: any.
        progress: called with bytes so far and bytes in all (None: not known); None: a bar on standard error.
        timeout: seconds without a byte after which a connection counts as broken.

    Returns:
        SHA-256 of the file.

    Raises:
        InputError: no such file, no network, broken off too often, or another file than expected.
        OSError: it cannot be written.
    """
    _check_scheme(url)
    part = _Part(target, url)
    with _named(part.path):
        with nullcontext(progress) if progress else transfer(target.name, url) as report:
            _complete(part, size, report, timeout)
        digest = file_sha256(part.path)
        if sha256 is not None and digest != sha256:
            part.clear()
            raise ChecksumError(
                f"what came is not the file that was published (SHA-256 {digest}, expected {sha256}); it was "
                "deleted",
                file=url,
            )
        os.replace(part.path, target)
        part.clear()
    return digest


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _BrokenOff(Exception):
    """Something that another attempt may overcome."""


class _Unreachable(_BrokenOff):
    """No connection at all."""


class _Source(NamedTuple):
    """What tells one version of a file on a server from another; None: the server did not say."""

    validator: str | None = None  # ETag or time of the last change
    total: int | None = None  # bytes

    def differs(self, other: _Source) -> bool:
        return any(a != b for a, b in zip(self, other) if a is not None and b is not None)


class _Part:
    """The file until it is whole, and a note of what it is a part of."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.url = url

    def state(self) -> tuple[int, _Source]:
        """Number of bytes to go on from, and their source."""
        try:
            note, done = json.loads(self.note.read_bytes()), self.path.stat().st_size
            source = _Source(note["validator"], note["total"])
            sound = note["url"] == self.url and source.validator and done <= (source.total or done)
        except (OSError, ValueError, KeyError, TypeError):
            sound = False
        return (done, source) if sound else (0, _Source())

    def begin(self, source: _Source) -> None:
        """Start anew; the note comes last, so that it never speaks of older bytes."""
        self.path.write_bytes(b"")
        with replacing(self.note) as temporary:
            temporary.write_text(json.dumps({"url": self.url, **source._asdict()}))

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _complete(part: _Part, size: int | None, report: Report, timeout: float) -> None:
    """As many attempts as it takes, within limits."""
    fault = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            return _attempt(part, size, report, timeout)
        except _BrokenOff as error:
            fault = str(error)
            if attempt == 0 and isinstance(error, _Unreachable):
                raise InputError(
                    f"cannot be reached ({fault}); without a network, {_ELSEWHERE}", file=part.url
                ) from error
    done, _ = part.state()
    rest = f"; {done / 1e6:.1f} MB are kept, and the next try goes on from there" if done else ""
    raise InputError(f"the download failed {ATTEMPTS} times ({fault}){rest}", file=part.url)


def _attempt(part: _Part, size: int | None, report: Report, timeout: float) -> None:
    """One request for what is missing, until nothing is missing any more."""
    done, known = part.state()
    if done and done == known.total:
        return
    with _open(part, done, known, timeout) as response:
        found = _source(response.headers)
        if size is not None and found.total not in (None, size):
            part.clear()
            raise InputError(
                f"the server has a file of {found.total} bytes, the one that was published has {size}",
                file=part.url,
            )
        if done and response.status == 206:
            if _start(response.headers) != done or known.differs(found):
                part.clear()
                raise _BrokenOff("the file was changed meanwhile")
        else:  # all of it: none was there, or the file was changed, or the server gives no parts
            done, known = 0, found
            part.begin(found)
        total = next((n for n in (found.total, known.total, size) if n is not None), None)
        with part.path.open("ab") as file:
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                report(done, total)
                if done > (LIMIT if total is None else total):
                    part.clear()
                    raise InputError(f"the server sends more than {done - 1} bytes", file=part.url)
    if done == 0 or (total is not None and done != total):
        raise _BrokenOff(f"after {done} of {total or 'some'} bytes")


def _open(part: _Part, done: int, known: _Source, timeout: float) -> HTTPResponse:
    request = Request(part.url, headers={"User-Agent": f"crossfield/{version('crossfield')}"})
    if done:
        request.add_header("Range", f"bytes={done}-")
        request.add_header("If-Range", known.validator or "")
    try:
        response: HTTPResponse = build_opener(_Redirects).open(request, timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416:
            part.clear()
            raise _BrokenOff("the file was changed meanwhile") from error
        answer = f"HTTP {error.code} {error.reason}"
        if error.code in _PASSING:
            raise _BrokenOff(answer) from error
        raise InputError(f"{answer}; {_ELSEWHERE}", file=part.url) from error
    except URLError as error:
        raise _Unreachable(_reason(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise _BrokenOff(_reason(error)) from error
    if response.headers.get_content_type() == "text/html":
        response.close()
        raise InputError(f"the server sends a web page instead of a file; {_ELSEWHERE}", file=part.url)
    return response


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read1(CHUNK)
    except (OSError, HTTPException) as error:
        raise _BrokenOff(_reason(error)) from error


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _source(headers: HTTPMessage) -> _Source:
    etag = headers.get("ETag", "W/")
    # a weak tag does not promise the same bytes
    validator = headers.get("Last-Modified") if etag.startswith("W/") else etag
    length = str(headers.get("Content-Range") or headers.get("Content-Length"))
    found = re.fullmatch(r"(?:bytes \d+-\d+/)?(\d+)", length)
    return _Source(validator, int(found[1]) if found else None)


def _start(headers: HTTPMessage) -> int | None:
    """Position of the first byte of a partial answer."""
    found = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(found[1]) if found else None


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, not many, and none to a connection that others can read or change."""

    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            _check_scheme(newurl, here=urlsplit(req.full_url).scheme == "http")
        except (InputError, ValueError) as error:  # ValueError: not even an address
            fp.close()
            raise InputError(f"leads to {error}", file=req.full_url) from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str, *, here: bool = True) -> None:
    """Only https; or http within this computer, if `here`."""
    where = urlsplit(url)
    within = here and where.scheme == "http" and _is_here(where.hostname or "")
    if where.scheme != "https" and not within:
        raise InputError("only https is used to download", file=url)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A full disk says which file it was."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error
        raise
