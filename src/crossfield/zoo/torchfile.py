"""Files of `torch.save`, read without unpickling: a zip archive of one pickle and the bytes of its tensors.

The pickle is read by `crossfield.zoo.pickled`; the archive is held to what torch writes: one folder, entries
that are stored as they are (so nothing can grow when it is read) and have bytes of their own.
"""

from __future__ import annotations

import math
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.zoo import pickled
from crossfield.zoo.pickled import Fault, Name

MAX_PICKLE = 64 * 2**20  # bytes
MAX_COPIES = 16  # bytes of all tensors for each byte of the file: some may share their bytes
MAX_DIMENSIONS = 32

DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


class Content(NamedTuple):
    """What a file holds.

    Its tensors, parameters too, are contiguous copies on the CPU that share no memory and need no gradient.
    """

    root: object  # what was saved: plain data, tensors, and `pickled.Record` for all else
    names: frozenset[str]  # all classes and functions that the file names


def read(path: Path) -> Content:
    """Read a file that `torch.save` wrote.

    Nothing in the file is executed or imported, whatever it names.

    Raises:
        InputError: not such a file, of an older format, damaged, or with something unknown in it.
    """
    try:
        if not path.is_file():
            raise Fault("this is not a file" if path.exists() else "no such file")
        with path.open("rb") as file, _open(file) as archive:
            storages = _Storages(archive, _entries(archive, file))
            content = pickled.load(storages.pickle(), storages.functions(), storages.load)
            storages.check_all_used()
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror or error})", file=path) from error
    except Fault as error:
        raise InputError(str(error), file=path) from error
    return Content(*content)


@contextmanager
def _damage() -> Iterator[None]:
    """What zipfile raises for damaged archives, as `Fault`."""
    try:
        yield
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OverflowError, struct.error) as e:
        raise Fault(f"the file is damaged or cut short ({str(e)[:200]})") from e


def _open(file: IO[bytes]) -> zipfile.ZipFile:
    """The archive, if it is one; other files that may be taken for it are named."""
    head = file.read(16)
    if re.match(rb"\x80[\x02-\x05]", head):
        raise Fault(
            "a pickle outside a zip archive, as torch before 1.6 saved it; where it was made, torch.load it "
            "and torch.save it again with a recent torch in that environment"
        )
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < file.seek(0, 2):
        raise Fault("a safetensors file, not one of torch.save")
    if not head.startswith(b"PK\x03\x04"):
        raise Fault("not a file of torch.save (not a zip archive)")
    with _damage():
        return zipfile.ZipFile(file)


def _entries(archive: zipfile.ZipFile, file: IO[bytes]) -> dict[str, zipfile.ZipInfo]:
    """The entries by their names within the one folder."""
    infos = archive.infolist()
    entries = {info.filename.partition("/")[2]: info for info in infos}
    if len({info.filename.partition("/")[0] for info in infos}) != 1:
        raise Fault("not a file of torch.save (its entries are not in one folder)")
    if len(entries) != len(infos):
        raise Fault("two entries of the archive have the same name")
    if "constants.pkl" in entries or any(name.startswith("code/") for name in entries):
        raise Fault("a compiled model (TorchScript); give the .model file that it was compiled from")
    if "data.pkl" not in entries:
        raise Fault("not a file of torch.save (it has no data.pkl)")
    for name, info in entries.items():
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise Fault(f"entry {name!r} is compressed, which torch.save does not do")
        if info.flag_bits & ~0x808:  # sizes behind the data, names in UTF-8
            raise Fault(f"entry {name!r} is encrypted or of an unknown kind")
        if name.startswith("data/") and not re.fullmatch(r"data/[0-9]+", name):
            raise Fault(f"entry {name!r} is not named as torch.save does")
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise Fault(f"entry {info.filename!r} overlaps another one")
        with _damage():
            file.seek(info.header_offset)
            end = info.header_offset + 30 + sum(struct.unpack("<26x2H", file.read(30))) + info.file_size
    if end > archive.start_dir:
        raise Fault("the entries overlap their directory")
    return entries


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class _Storage:
    values: Tensor  # (n,)


class _Storages:
    """The entries of the archive, and the tensors made from them."""

    def __init__(self, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> None:
        self.archive = archive
        self.entries = entries
        self.loaded: dict[str, _Storage] = {}  # by key
        self.bytes_left = MAX_COPIES * sum(info.file_size for info in entries.values())

    def functions(self) -> dict[str, pickled.Function]:
        """Functions of torch that take part in making tensors."""
        return {
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch.Size": _size,
        }

    def pickle(self) -> bytes:
        """The pickle."""
        if "byteorder" in self.entries and self.read("byteorder") != b"little":
            raise Fault("its numbers are not little-endian; save it again on another machine")
        if self.entries["data.pkl"].file_size > MAX_PICKLE:
            raise Fault(f"data.pkl has more than {MAX_PICKLE // 2**20} MiB without the tensors")
        return self.read("data.pkl")

    def read(self, name: str) -> bytes:
        """The bytes of an entry, whose checksum zipfile compares."""
        with _damage():
            return self.archive.read(self.entries[name])

    def load(self, pid: object) -> _Storage:
        """The storage of a persistent id."""
        match pid:
            case (str("storage"), Name(qualname), str(key), str(), int(length)) if qualname in DTYPES:
                dtype = DTYPES[qualname]
            case (str("storage"), Name(qualname), *_):
                raise Fault(f"storage of type {qualname} is not supported")
            case _:
                raise Fault("this is not a storage of torch")
        if key not in self.loaded:
            if f"data/{key}" not in self.entries:
                raise Fault(f"storage {key[:40]!r} is not in the archive")
            self.loaded[key] = _Storage(_values(self.read(f"data/{key}"), dtype, key))
        storage = self.loaded[key]
        if storage.values.dtype != dtype or len(storage.values) != length:
            raise Fault(f"storage {key!r} does not have the type or length it should have")
        return storage

    def check_all_used(self) -> None:
        """Every storage belongs to something."""
        for name in self.entries:
            if name.startswith("data/") and name.removeprefix("data/") not in self.loaded:
                raise Fault(f"entry {name!r} is left over: nothing refers to it")

    def tensor(self, args: tuple[object, ...]) -> Tensor:
        """A tensor; a seventh argument would say that its values are to be negated or conjugated."""
        match args:
            case (_Storage(values), offset, tuple(size), tuple(stride), bool(), dict()) if (
                len(size) == len(stride) <= MAX_DIMENSIONS
            ):
                start, *sizes = _integers((offset, *size))
                strides = _integers(stride)
            case _:
                raise Fault("the description of a tensor is not as expected")
        count = math.prod(sizes)
        last = start + sum((n - 1) * step for n, step in zip(sizes, strides)) if count else start - 1
        if last >= len(values):
            raise Fault("a tensor reaches beyond its storage")
        if count > len(values) or math.prod(n or 1 for n in sizes) >= 2**63:
            raise Fault("a tensor has more elements than its storage (an expanded one?)")
        self.bytes_left -= count * values.itemsize
        if self.bytes_left < 0:
            raise Fault("the tensors share their storages too often")
        return values.as_strided(sizes, strides, start).clone(memory_format=torch.contiguous_format)


def _values(data: bytes, dtype: torch.dtype, key: str) -> Tensor:
    """Values of a storage, (n,)."""
    if len(data) % dtype.itemsize:
        raise Fault(f"storage {key!r} is not a whole number of {dtype}")
    if not data:
        return torch.empty(0, dtype=dtype)
    bytes_ = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    if dtype == torch.bool and bool((bytes_ > 1).any()):
        raise Fault(f"storage {key!r} has truth values that are neither true nor false")
    return bytes_.view(dtype)


def _integers(values: tuple[object, ...]) -> list[int]:
    found = [value for value in values if type(value) is int and 0 <= value < 2**63]
    if len(found) != len(values):
        raise Fault("an offset, size or stride of a tensor is negative or not an integer")
    return found


def _parameter(args: tuple[object, ...]) -> Tensor:
    match args:
        case (Tensor() as tensor, bool(), dict(), *_):
            return tensor
    raise Fault("the description of a parameter is not as expected")


def _size(args: tuple[object, ...]) -> tuple[object, ...]:
    match args:
        case (tuple(sizes),):
            return sizes
    raise Fault("the description of a size is not as expected")
