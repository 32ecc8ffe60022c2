"""Files of torch.save put together by hand, to hold what torch would not write."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

PROTO, STOP, MARK, TUPLE, REDUCE, NONE, FALSE = b"\x80\x02", b".", b"(", b"t", b"R", b"N", b"\x89"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def several(*values: bytes) -> bytes:
    """A tuple."""
    return MARK + b"".join(values) + TUPLE


def name(qualname: str) -> bytes:
    return b"c" + "\n".join(qualname.rsplit(".", 1)).encode() + b"\n"


def call(function: str | bytes, *args: bytes) -> bytes:
    return (name(function) if isinstance(function, str) else function) + several(*args) + REDUCE


def storage(length: int, key: str = "0", kind: str = "torch.FloatStorage") -> bytes:
    return several(text("storage"), name(kind), text(key), text("cpu"), integer(length)) + b"Q"


def tensor(held: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *more: bytes) -> bytes:
    return call(
        "torch._utils._rebuild_tensor_v2",
        held,
        integer(offset),
        several(*map(integer, size)),
        several(*map(integer, stride)),
        FALSE,
        call("collections.OrderedDict"),
        *more,
    )


def stored(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """An archive."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for entry, data in entries.items():
            archive.writestr(f"top/{entry}", data)
    return path


def saved(path: Path, program: bytes, *storages: bytes, **more: bytes) -> Path:
    """A file of torch.save with this pickle (without its beginning and end) and these storages."""
    entries = {"data.pkl": PROTO + program + STOP, **more}
    return stored(path, entries | {f"data/{key}": data for key, data in enumerate(storages)})


def bombs(marker: str) -> dict[str, bytes]:
    """Programs each of which makes a folder when it is executed."""
    module = call("importlib.import_module", text("os"))
    return {
        "os": call("os.mkdir", text(marker)),
        "posix": call("posix.system", text(f"mkdir {marker}")),
        "subprocess": call("subprocess.check_call", b"]" + text("mkdir") + b"a" + text(marker) + b"a"),
        "eval": call("builtins.eval", text(f"__import__('os').mkdir({marker!r})")),
        "exec": call("__builtin__.exec", text(f"__import__('os').mkdir({marker!r})")),
        "getattr": call(call("builtins.getattr", module, text("mkdir")), text(marker)),
        "attrgetter": call(call(call("operator.attrgetter", text("mkdir")), module), text(marker)),
        "methodcaller": call(call("operator.methodcaller", text("mkdir"), text(marker)), module),
        "partial": call(call("functools.partial", name("os.mkdir"), text(marker))),
        "map": call("builtins.list", call("builtins.map", name("os.mkdir"), b"]" + text(marker) + b"a")),
        "set": call("builtins.set", call("builtins.map", name("os.mkdir"), b"]" + text(marker) + b"a")),
        "dict": call("collections.OrderedDict", call("builtins.map", name("os.mkdir"), text(marker))),
        "run": call("runpy.run_path", text(f"{marker}.py")),
        "import": call("importlib.import_module", text("planted")),
        "name": name("planted.thing"),
        "new": name("planted.Thing") + several() + b"\x81",
        "build": name("planted.Thing") + b"}b",
        "state": call("planted.Thing") + b"}" + text("__reduce__") + name("os.mkdir") + b"sb",
        "storage": storage(1, kind="planted.FloatStorage"),
        "persistent": several(name("os.mkdir"), text(marker)) + b"Q",
        "load": call("torch.load", text(f"{marker}.pt"), b"N", b"N", FALSE),
        "dotted": text("os") + text("path.join") + b"\x93" + several(text(marker)) + b"R",
        "attribute": text("builtins") + text("set.__class__.mro") + b"\x93" + several() + b"R",
        "parameter": call("torch._utils._rebuild_parameter", call("os.mkdir", text(marker)), FALSE, b"}"),
        "scalar": call("numpy.core.multiarray.scalar", call("numpy.dtype", text("O")), text("x")),
    }


_ENDLESS = struct.pack("<Q", 2**62)
ONE = 2**20 * b"\1"  # of a megabyte
# each asks for gigabytes; the one storage that goes with it is ONE
GROWING = {
    "bytes": b"\x8e" + _ENDLESS,
    "bytearray": b"\x96" + _ENDLESS,
    "text": b"\x8d" + _ENDLESS,
    "bytes4": b"B" + b"\xff" * 4,
    "text4": b"X" + b"\xff" * 4,
    "integer": b"\x8b" + b"\xff\xff\xff\x7f",
    "encode": b"X"
    + struct.pack("<I", 2**20)
    + ONE
    + b"q\0"
    + call("_codecs.encode", b"h\0", text("latin1")) * 5000,
    "set": b"](" + b"".join(map(integer, range(50_000))) + b"eq\0" + call("builtins.set", b"h\0") * 5000,
    "name": text("a" * 10**6) + b"q\0" + b"h\0h\0\x93" * 5000,
    "stride": tensor(storage(2**18), 0, (2**40,), (0,)),
    "size": tensor(storage(2**18), 0, (2**62, 2**62), (0, 0)),
    "empty": tensor(storage(2**18), 0, (0, 2**62, 2**62), (0, 0, 0)),
    "copies": tensor(storage(2**18) + b"q\0", 0, (2**18,), (1,)) + tensor(b"h\0", 0, (2**18,), (1,)) * 5000,
    "dimensions": tensor(storage(2**18), 0, (1,) * 10_000, (1,) * 10_000),
    "longer": tensor(storage(2**40), 0, (2**40,), (1,)),
}
