"""Files of torch.save read as torch.load reads them, but nothing in them is ever executed."""

from __future__ import annotations

import gc
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from crossfield.errors import InputError
from crossfield.zoo import pickled, torchfile
from crossfield.zoo.pickled import Name, Record
from tests.zoo import hostile
from tests.zoo.hostile import call, integer, name, saved, several, storage, stored, tensor, text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.model"


def refusal(path) -> str:
    """The message with which a file is refused; names the file, on one line."""
    with pytest.raises(InputError) as error:
        torchfile.read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).isprintable()
    assert len(error.value.message) < 400
    return error.value.message


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


DATA = {
    "none": None,
    "flags": [True, False],
    "integers": [0, 1, 255, 256, 65536, -1, 2**31, -(2**40), 2**100],
    "floats": (1.5, -0.0, float("inf"), 1e-300),
    "text": ["", "Å", "\u4e2d" * 300],
    "bytes": [b"", b"\xff\0", b"x" * 300],
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "sets": [set(), {1, "a", None}, frozenset({2.5})],
    "dicts": [{}, {1: "a", None: {2.0: []}}],
    3: "a key",
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_reads_as_it_was(path, protocol):
    torch.save(DATA, path, pickle_protocol=protocol)
    assert same(torchfile.read(path).root, DATA)


def test_other_kinds_of_plain_data_become_the_nearest_one(path):
    torch.save(
        {
            "array": bytearray(b"ab"),
            "ordered": OrderedDict(a=1),
            "size": torch.Size([2, 3]),
            "scalars": [np.float64(0.5), np.float32(0.5), np.int64(-3), np.int32(4), np.bool_(True)],
        },
        path,
    )
    expected = {"array": b"ab", "ordered": {"a": 1}, "size": (2, 3), "scalars": [0.5, 0.5, -3, 4, True]}
    assert same(torchfile.read(path).root, expected)


TENSORS = [
    torch.arange(6.0).reshape(2, 3),
    torch.arange(6.0, dtype=torch.float64).reshape(2, 3).T,
    torch.arange(24)[3::2],
    torch.arange(24, dtype=torch.int32).reshape(2, 3, 4)[:, 1:, ::2],
    torch.arange(4, dtype=torch.int16),
    torch.arange(-2, 2, dtype=torch.int8),
    torch.arange(4, dtype=torch.uint8),
    torch.tensor([True, False, True]),
    torch.tensor([0.1, -7.5], dtype=torch.float16),
    torch.tensor([0.1, -7.5], dtype=torch.bfloat16),
    torch.tensor(3.5),
    torch.empty(0),
    torch.empty(2, 0, 3),
    torch.arange(5.0)[5:],
    torch.tensor([torch.nan, -0.0]).view(torch.int32),
]


def test_tensors_keep_values_types_and_shapes(path):
    torch.save(TENSORS, path)
    read = torchfile.read(path).root
    assert same(read, TENSORS)
    assert all(x.is_contiguous() and not x.requires_grad for x in read)


def test_tensors_that_shared_memory_share_none(path):
    x = torch.arange(12.0)
    torch.save([x, x[2:5], x.reshape(3, 4).T], path)
    a, b, c = torchfile.read(path).root
    a.zero_()
    assert b.tolist() == [2, 3, 4]
    assert torch.equal(c, torch.arange(12.0).reshape(3, 4).T)
    assert b.untyped_storage().nbytes() == 12


def test_a_module_reads_as_records_of_its_attributes(path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).double()
    torch.save(module, path)
    content = torchfile.read(path)
    assert content.root.qualname == "torch.nn.modules.container.Sequential"
    assert "torch.nn.modules.linear.Linear" in content.names
    linear, norm = content.root.state["_modules"].values()
    assert same(linear.state["_parameters"], {k: v.data for k, v in module[0].named_parameters()})
    assert same(norm.state["_buffers"], dict(module[1].named_buffers()))
    assert linear.state["in_features"] == 3


def test_a_state_dict_reads_as_a_dict(path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    torch.save({"model": module.state_dict()}, path)
    assert same(torchfile.read(path).root, {"model": dict(module.state_dict())})


def test_names_and_calls_become_names_and_records(path):
    torch.save([torch.nn.functional.silu, torch.float64, torch.device("cpu"), complex(1, 2)], path)
    function, dtype, device, number = torchfile.read(path).root
    assert function == Name("torch.nn.functional.silu")
    assert dtype == Name("torch.float64")
    assert (device.qualname, device.args) == ("torch.device", ("cpu",))
    assert (number.qualname, number.args) == ("__builtin__.complex", (1.0, 2.0))
    assert repr(number) == "Record('__builtin__.complex')"


def test_what_is_given_to_an_object_is_recorded(path):
    made = several() + b"(" + text("a") + integer(1) + b"u(" + integer(5) + b"e" + integer(7) + b"b"
    saved(path, name("some.Kind") + several(integer(2)) + b"}" + text("key") + integer(3) + b"s\x92")
    assert torchfile.read(path).root.kwargs == {"key": 3}
    saved(path, name("some.Kind") + made[:2] + b"\x81" + made[2:])
    record = torchfile.read(path).root
    assert (record.entries, record.items, record.state, record.args) == ({"a": 1}, [5], 7, ())


def test_an_object_may_contain_itself(path):
    saved(path, b"]q\x00h\x00a")
    root = torchfile.read(path).root
    assert root[0] is root
    recursive: list[object] = []
    recursive.append((recursive,))
    torch.save(recursive, path)
    root = torchfile.read(path).root
    assert root[0][0] is root


# ---------------------------------------------------------------------------------------- nothing is executed


@pytest.mark.parametrize("which", hostile.bombs(""))
def test_nothing_is_executed_or_imported(tmp_path, path, monkeypatch, which):
    marker = tmp_path / "executed"
    make = f"import os; os.mkdir({str(marker)!r})"
    for file in ("planted.py", "executed.py"):
        (tmp_path / file).write_text(make)
    (tmp_path / "executed.pt").write_bytes(hostile.PROTO + call("os.mkdir", text(str(marker))) + hostile.STOP)
    monkeypatch.syspath_prepend(str(tmp_path))
    saved(path, hostile.bombs(str(marker))[which])
    modules = dict(sys.modules)
    try:
        root = torchfile.read(path).root
    except InputError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 (to refuse it is as good)
    else:
        assert isinstance(root, Name | Record)
    assert sys.modules == modules
    assert not marker.exists()


def test_the_bombs_are_live(tmp_path):
    """Those of the test above do work, where someone executes them."""
    marker = tmp_path / "executed"
    (tmp_path / "bomb.pkl").write_bytes(hostile.PROTO + hostile.bombs(str(marker))["getattr"] + hostile.STOP)
    run = "import pickle; pickle.load(open('bomb.pkl', 'rb'))"
    subprocess.run([sys.executable, "-c", run], cwd=tmp_path, check=True)
    assert marker.exists()


FLOAT64 = call("numpy.dtype", text("f8")) + several(integer(3), text("<")) + b"b"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"\x82\x01", "EXT1 at byte 2: this operation is not supported"),
        (b"\x83\x01\x00", "EXT2"),
        (b"(ios\nmkdir\n", "INST"),
        (b"(" + name("os.mkdir") + b"o", "OBJ"),
        (b"Pos\n", "PERSID"),
        (b"\x97", "NEXT_BUFFER"),
        (b"N2", "DUP"),
        (b"I5\n", "INT"),
        (b"\x8b\x00\x01\x00\x00" + b"\x01" * 256, "LONG4"),
        (b"\xff", "unknown"),
        (b"\x80\x02N", "PROTO at byte 2"),
        (b"", "STOP at byte 2: something is left"),
        (b"NN", "something is left"),
        (b"(N", "something is left"),
        (b"N.", "behind the end"),
        (b"0", "POP at byte 2: the stack is empty"),
        (b"(0", "the stack is empty"),
        (b"N(R", "the stack is empty"),
        (b"1", "no mark"),
        (b"t", "no mark"),
        (b"N\x86", "TUPLE2 at byte 3: the stack is empty"),
        (b"q\x01", "the stack is empty"),
        (b"h\x01", "BINGET at byte 2: nothing is stored under 1"),
        (b"NNa", "appends to a NoneType"),
        (b"NNNs", "in a NoneType"),
        (b"}(Nu", "sets 1 keys"),
        (b"](N\x90", "adds members to a list"),
        (b"})Ns", "a tuple is a key"),
        (b"}]Ns", "a list is a key"),
        (b"}" + integer(2**63) + b"Ns", "a int is a key"),
        (b"(]\x91", "a list is a key"),
        (call("builtins.set", b"])a"), "a tuple is a key"),
        (call("builtins.frozenset", text("abc")), "something else than a new list"),
        (call("_codecs.encode", text("a"), text("rot13")), "latin1"),
        (call("_codecs.encode", text("\u4e2d"), text("latin1")), "latin-1"),
        (call(call("a.b")), "calls a Record"),
        (call("a.b") + several() + b"\x81", "calls a Record"),
        (call("numpy.core.multiarray.scalar", FLOAT64, call("builtins.bytes")), "not a float"),
        (call("numpy.core.multiarray.scalar", FLOAT64, text("")), "not a float"),
        (call("builtins.bytes", text("a")), "something else than a new string"),
        (call("builtins.set"), "something else than a new list"),
        (name("a.b") + b"NR", "with a NoneType"),
        (name("a.b") + b")N\x92", "calls a Name"),
        (call("a.b") + b"NbNb", "sets the state of a Record"),
        (call("a.b") + b"}b}b", "sets the state of a Record"),
        (name("a.b") + b"}b", "sets the state of a Name"),
        (b"]}b", "sets the state of a list"),
        (b"ca b\nc\n", "is not a name"),
        (b"ca\\d\nc\n", "GLOBAL at byte 2"),
        (b"ca\n\n", "is not a name"),
        (text("a\x1b[2J") + text("b") + b"\x93", "is not a name"),
        (text("a" * 600) + text("b") + b"\x93", "not a name"),
        (b"N" + text("b") + b"\x93", "not a name"),
        (b"NQ", "BINPERSID at byte 3: this is not a storage"),
        (several(text("module"), name("a.b")) + b"Q", "this is not a storage"),
        (b"S'" + b"x" * 10_000 + b"\n", "STRING at byte 2"),
    ],
)
def test_programs_that_are_refused(path, program, message):
    assert message in refusal(saved(path, program))


def test_a_pickle_without_beginning_or_end(path):
    assert "begins with PROTO" in refusal(stored(path, {"data.pkl": b"N."}))
    assert "exhausted before seeing STOP" in refusal(stored(path, {"data.pkl": b"\x80\x02N"}))
    assert "exhausted before seeing STOP" in refusal(stored(path, {"data.pkl": b""}))


# --------------------------------------------------------------------------- nothing grows, nothing overflows


@pytest.mark.parametrize(
    ("program", "levels"),
    [
        (b")" + b"\x85" * 100_000, 100_000),
        (b"(" * 100_000 + b"N" + b"t" * 100_000, 100_000),
        (b"]" * 100_000 + b"N" + b"a" * 100_000, 100_000),
        (b"}N" * 100_000 + b"N" + b"s" * 100_000, 100_000),
        (name("a.b") + b"q\0" + b"h\0" * 100_000 + b"N" + b"\x85R" * 100_000 + b"\x86", 100_001),
    ],
    ids=["tuple1", "tuple", "list", "dict", "record"],
)
def test_deep_nesting_is_no_danger(path, program, levels):
    """Many levels are read, and let go, without recursion."""
    root = inner = torchfile.read(saved(path, program)).root
    for _ in range(levels):
        match inner:
            case Record():
                (inner,) = inner.args
            case dict():
                (inner,) = inner.values()
            case _:
                inner = inner[-1]
    assert inner in (None, ())
    del root
    gc.collect()


def test_deep_nesting_is_no_key(path):
    """Its hash would overflow the stack."""
    assert "a tuple is a key" in refusal(saved(path, b"})" + b"\x85" * 100_000 + b"Ns"))


def test_few_bytes_may_stand_for_very_many_items(path):
    """Lists of ten times the list before, a hundred times: nothing walks them."""
    levels = b"".join(b"](" + 10 * (b"h" + bytes([i])) + b"eq" + bytes([i + 1]) for i in range(100))
    root = torchfile.read(saved(path, b"(]q\0" + levels + b"t")).root
    assert len(root) == 101
    assert root[100][9] is root[99]


LIMITED = """
import resource, sys
from pathlib import Path
from crossfield.errors import InputError
from crossfield.zoo import torchfile
torchfile.read(Path("sound"))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20, -1))
for path in sys.argv[1:]:
    try:
        torchfile.read(Path(path))
    except InputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
def test_no_file_takes_much_more_memory_than_it_has_bytes(tmp_path):
    """All are refused within 200 MiB, though they ask for many gigabytes."""
    saved(tmp_path / "sound", tensor(storage(2**18), 0, (2**18,), (1,)), hostile.ONE)
    for key, program in hostile.GROWING.items():
        saved(tmp_path / key, program, hostile.ONE)
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, *hostile.GROWING],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == list(hostile.GROWING)


def test_numbers_that_only_look_large_do_no_harm(path):
    """An index of the memory and a frame need no room."""
    saved(path, b"\x95" + b"\xff" * 8 + b"Nr" + b"\xff" * 4 + b"0j" + b"\xff" * 4)
    assert torchfile.read(path).root is None


def test_too_many_operations(path, monkeypatch):
    monkeypatch.setattr(pickled, "MAX_OPERATIONS", 100)
    assert "more than 100 operations" in refusal(saved(path, b"N0" * 60 + b"N"))
    assert torchfile.read(saved(path, b"N0" * 40 + b"N")).root is None


def test_too_long_a_pickle(path, monkeypatch):
    monkeypatch.setattr(torchfile, "MAX_PICKLE", 2**20)
    assert "data.pkl has more than 1 MiB" in refusal(saved(path, text("a" * 2**20)))


# ---------------------------------------------------------------------------------------------------- tensors

FLOATS = np.arange(6, dtype="<f4").tobytes()
ALL = tensor(storage(6), 0, (6,), (1,))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (tensor(storage(6), 1, (6,), (1,)), "beyond its storage"),
        (tensor(storage(6), 0, (2, 3), (4, 1)), "beyond its storage"),
        (tensor(storage(6), 0, (2,), (2**62,)), "beyond its storage"),
        (tensor(storage(6), 7, (0,), (1,)), "beyond its storage"),
        (tensor(storage(6), 6, (), ()), "beyond its storage"),
        (tensor(storage(6), -1, (2,), (1,)), "negative"),
        (tensor(storage(6), 5, (2,), (-1,)), "negative"),
        (tensor(storage(6), 0, (-2,), (1,)), "negative"),
        (tensor(storage(6), 2**64, (2,), (1,)), "negative or not an integer"),
        (tensor(storage(6), 0, (7,), (0,)), "more elements than its storage"),
        (tensor(storage(6), 0, (2, 3), (1,)), "not as expected"),
        (tensor(b"N", 0, (2,), (1,)), "not as expected"),
        (tensor(text("0"), 0, (2,), (1,)), "not as expected"),
        (tensor(storage(6), 0, (2,), (1,), b"}"), "not as expected"),
        (call("torch._utils._rebuild_tensor_v2"), "not as expected"),
        (call("torch._utils._rebuild_parameter", storage(6)), "not as expected"),
        (call("torch.Size", integer(3)), "not as expected"),
        (storage(5), "type or length"),
        (storage(-6), "type or length"),
        (storage(6, kind="torch.DoubleStorage"), "type or length"),
        (storage(6, kind="torch.IntStorage") + storage(6), "type or length"),
        (storage(6, kind="torch.storage.UntypedStorage"), "storage of type torch.storage.UntypedStorage"),
        (storage(6, kind="torch.ComplexFloatStorage"), "storage of type torch.ComplexFloatStorage"),
        (storage(6, key="1"), "storage '1' is not in the archive"),
        (storage(6, key="../data/0"), "storage '../data/0' is not in the archive"),
        (storage(6, key="00"), "storage '00' is not in the archive"),
        (storage(6, key="\x1b" * 1000), "is not in the archive"),
        (b"N", "entry 'data/0' is left over"),
    ],
)
def test_tensors_that_are_refused(path, program, message):
    assert message in refusal(saved(path, program, FLOATS))


def test_tensors_share_a_storage_only_so_often(path):
    assert "share their storages too often" in refusal(saved(path, hostile.GROWING["copies"], hostile.ONE))


def test_half_a_number_is_refused(path):
    assert "not a whole number of torch.float32" in refusal(saved(path, ALL, FLOATS[:-1]))


def test_truth_values_are_true_or_false(path):
    truths = tensor(storage(3, kind="torch.BoolStorage"), 0, (3,), (1,))
    assert torchfile.read(saved(path, truths, b"\0\1\1")).root.tolist() == [False, True, True]
    assert "neither true nor false" in refusal(saved(path, truths, b"\0\1\2"))


def test_numbers_are_little_endian(path):
    assert same(torchfile.read(saved(path, ALL, FLOATS, byteorder=b"little")).root, torch.arange(6.0))
    assert "not little-endian" in refusal(saved(path, ALL, FLOATS, byteorder=b"big"))


# --------------------------------------------------------------------------------------------------- archives


def test_compressed_entries_are_refused(path):
    """A kilobyte of a zip archive may hold a megabyte."""
    stored(path, {"data.pkl": b"\x80\x02N.", "data/0": bytes(2**20)}, zipfile.ZIP_DEFLATED)
    assert "is compressed" in refusal(path)


def directory_entry(data: bytes, entry: str) -> int:
    """Where the directory of the archive describes an entry."""
    return data.index(b"top/" + entry.encode(), data.index(b"PK\1\2")) - 46


@pytest.mark.parametrize(
    ("offset", "layout", "value", "message"),
    [
        (8, "<H", 1, "encrypted"),
        (10, "<H", 99, "compressed"),
        (20, "<I", 2**30, "compressed"),
        (42, "<I", 0, "overlaps another one"),
        (42, "<I", 2**30, "cut short"),
        (16, "<I", 0, "CRC"),
        (6, "<H", 99, "version"),
    ],
)
def test_a_directory_that_does_not_tell_the_truth(path, offset, layout, value, message):
    data = bytearray(saved(path, ALL, FLOATS).read_bytes())
    struct.pack_into(layout, data, directory_entry(data, "data/0") + offset, value)
    path.write_bytes(data)
    assert message in refusal(path)


def test_entries_share_no_bytes(path):
    data = bytearray(saved(path, ALL, FLOATS, version=b"3").read_bytes())
    for size in (20, 24):  # the pickle would reach into the entry behind it
        struct.pack_into("<I", data, directory_entry(data, "data.pkl") + size, data.index(b"top/version"))
    path.write_bytes(data)
    assert "overlaps" in refusal(path)
    data = bytearray(saved(path, ALL, FLOATS).read_bytes())
    for size in (20, 24):  # the last one would reach into the directory
        struct.pack_into("<I", data, directory_entry(data, "data/0") + size, 40)
    path.write_bytes(data)
    assert "overlap their directory" in refusal(path)


def test_names_of_entries(path):
    pickle_ = {"data.pkl": b"\x80\x02N."}
    assert "left over" in refusal(stored(path, pickle_ | {"data/0": b""}))
    assert "not named as torch.save does" in refusal(stored(path, pickle_ | {"data/../../0": b""}))
    assert "not named as torch.save does" in refusal(stored(path, pickle_ | {"data/x": b""}))
    assert "has no data.pkl" in refusal(stored(path, {"other.pkl": b""}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("elsewhere/data.pkl", b"\x80\x02N.")
    assert "not in one folder" in refusal(path)
    with zipfile.ZipFile(stored(path, pickle_), "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("top/data.pkl", b"\x80\x02N.")
    assert "two entries" in refusal(path)


def test_other_files_are_told_apart(path, tmp_path):
    assert "no such file" in refusal(path)
    assert "this is not a file" in refusal(tmp_path)
    refusal(tmp_path / ("a" * 300))
    path.touch()
    assert "not a zip archive" in refusal(path)
    path.write_text("Hello.\n" * 100)
    assert "not a zip archive" in refusal(path)
    zipfile.ZipFile(path, "w").close()
    assert "not a zip archive" in refusal(path)
    path.write_bytes(pickle.dumps({}))
    assert "torch.save it again" in refusal(path)
    torch.save({}, path, _use_new_zipfile_serialization=False)
    assert "torch.save it again" in refusal(path)
    save_file({"x": torch.zeros(2)}, path)
    assert "a safetensors file" in refusal(path)
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(2)), path)
    assert "a compiled model (TorchScript)" in refusal(path)


# ----------------------------------------------------------------------------------------------------- damage


@pytest.fixture
def sound(path):
    """A small file of torch.save; what is in it."""
    content = {"a": [1, 2.5, "text"], "x": torch.arange(6.0), "flags": torch.tensor([True, False])}
    torch.save(content, path)
    return content


def test_truncated(path, sound):
    data = path.read_bytes()
    for place in np.linspace(0, len(data) - 1, 50).astype(int):
        path.write_bytes(data[:place])
        refusal(path)


def test_flipped_bits(path, sound):
    """A file with a wrong bit is refused, or the bit is of no importance."""
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for byte, bit in zip(rng.integers(0, len(data), 200), rng.integers(0, 8, 200)):
        damaged = bytearray(data)
        damaged[byte] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            read = torchfile.read(path).root
        except InputError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 (a file that reads as before is fine too)
            refused += 1
        else:
            assert same(read, sound)
    assert refused > 40  # torch pads its entries


def test_pickles_with_errors_in_them(path, sound):
    """Whatever a pickle says, it is read or refused; here the checksums are sound."""
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(entries["data.pkl"])
        for place in rng.integers(0, len(damaged), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        stored(path, entries | {"data.pkl": bytes(damaged)})
        try:
            torchfile.read(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 (nothing else is raised)
            refused += 1
    assert 100 < refused < 300


def test_one_bit_of_one_weight(path):
    data = bytearray(saved(path, ALL, FLOATS).read_bytes())
    data[data.index(FLOATS) + 4] ^= 1  # lowest bit of the mantissa
    path.write_bytes(data)
    assert "Bad CRC-32" in refusal(path)
