"""Text from a file that may be anything."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from pathlib import Path

from crossfield.errors import InputError

MAX_BYTES = 8 * 2**30  # of text; protects against a small archive that unpacks without end
CHUNK = 2**24
GZIP = b"\x1f\x8b"
OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstandard archive",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF file",
    b"- of Ulm": "an ASE trajectory",
    b"SQLite format 3": "an SQLite database",
}


def read_text(path: Path) -> str:
    """The whole text of a UTF-8 file, plain or gzipped; gzip is told by its first bytes, not by the name.

    Raises:
        InputError: no such file, not a regular file, not readable, empty, damaged, or not text.
    """
    data = _read_bytes(path)
    if data.startswith(GZIP):
        data = _unpack(path)
    if not data.strip():
        raise InputError("the file is empty", file=path)
    for start, what in OTHER_FORMATS.items():
        if data.startswith(start):
            raise InputError(f"this is {what}, not extended XYZ text", file=path)
    if b"\0" in data:
        raise InputError("binary data, not extended XYZ text", file=path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"not UTF-8 text (line {line})", file=path) from error


def _read_bytes(path: Path) -> bytes:
    try:
        # before opening: to open a pipe would wait for ever
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError("this is a directory, not a file", file=path)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("not a regular file", file=path)
        if status.st_size > MAX_BYTES:
            raise InputError(f"larger than {MAX_BYTES >> 30} GiB; split the file", file=path)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError("no such file", file=path) from error
    except OSError as error:
        raise InputError(f"cannot be read: {os.strerror(error.errno or 0)}", file=path) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        # a NUL byte in the name itself
        raise InputError("not a file name", file=repr(str(path))) from error


def _unpack(path: Path) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        with gzip.open(path, "rb") as stream:
            while part := stream.read(CHUNK):
                size += len(part)
                if b"\0" in part:
                    raise InputError("gzipped binary data, not extended XYZ text", file=path)
                if size > MAX_BYTES:
                    raise InputError(f"unpacks to more than {MAX_BYTES >> 30} GiB; split the file", file=path)
                parts.append(part)
    except EOFError as error:
        raise InputError("the gzip file is cut short", file=path) from error
    except (OSError, zlib.error) as error:
        raise InputError("the gzip file is damaged", file=path) from error
    return b"".join(parts)
