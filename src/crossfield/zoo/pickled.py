"""What a pickle says, without doing what it says.

A pickle is a program for a small stack machine, and unpickling runs it: any module it names is imported, any
function is called. This machine reads the same byte code and builds inert things only: plain data, a `Name`
where the program names a class or function, a `Record` where it would call one. Nothing is imported or looked
up; the only calls are to functions of our own that stand for a few of those that a pickle may name.

What it makes may be nested to any depth and may contain itself, as in any pickle; who walks it must not count
on an end. The opcodes are described in the standard library's pickletools.
"""

from __future__ import annotations

import io
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

MAX_OPERATIONS = 1_000_000  # a large model has some ten thousand; each takes 0.3 kB at the most
MAX_NAME = 500  # characters

Key: TypeAlias = str | int | float | None
Function: TypeAlias = Callable[[tuple[object, ...]], object]


class Fault(Exception):
    """A pickle that is damaged or asks for something unknown; the message says where."""


@dataclass(frozen=True, slots=True)
class Name:
    """A class or a function that the pickle names, such as `torch.nn.functional.silu`."""

    qualname: str


@dataclass(eq=False, slots=True, repr=False)
class Record:
    """An object that unpickling would have made."""

    qualname: str  # of the class or function that makes it
    args: tuple[object, ...] = ()  # with which that would be called
    kwargs: dict[Key, object] = field(default_factory=dict)
    state: object = None  # what it would be given afterwards, mostly its attributes
    items: list[object] = field(default_factory=list)  # appended to it
    entries: dict[Key, object] = field(default_factory=dict)  # set in it

    def __repr__(self) -> str:
        return f"Record({self.qualname!r})"  # no more: the rest has no end when it contains itself


def load(
    data: bytes, functions: Mapping[str, Function], persistent: Callable[[object], object]
) -> tuple[object, frozenset[str]]:
    """What a pickle of protocol 2 to 5 says, and the names of all classes and functions in it.

    Args:
        data: its bytes.
        functions: what stands for a function that the pickle calls, by the name of that function. It is given
            the arguments, of any kind and number, and raises `Fault` where they are not as expected.
        persistent: what stands for a persistent id, likewise.

    Raises:
        Fault: with the opcode and its position in the bytes.
    """
    stream = io.BytesIO(data)
    machine = Machine(len(data), functions, persistent)
    operations = enumerate(pickletools.genops(stream))
    opcode = ""
    while opcode != "STOP":
        start = stream.tell()
        try:
            number, (info, argument, _) = next(operations)
            opcode = info.name
            if opcode not in ACTIONS:
                raise Fault("this operation is not supported")
            if (opcode == "PROTO") != (number == 0):
                raise Fault("a pickle of protocol 2 to 5 begins with PROTO")
            if number == MAX_OPERATIONS:
                raise Fault(f"more than {MAX_OPERATIONS} operations")
            ACTIONS[opcode](machine, argument)
        except (Fault, ValueError, DeprecationWarning) as error:  # a warning for unknown escapes in names
            code = data[start : start + 1].decode("latin-1")
            opcode = next((each.name for each in pickletools.opcodes if each.code == code), "opcode")
            raise Fault(f"{opcode} at byte {start}: {str(error)[:200]}") from error
    if machine.below or len(machine.stack) != 1 or stream.tell() != len(data):
        raise Fault(f"STOP at byte {start}: something is left on the stack or behind the end")
    return machine.stack[0], frozenset(machine.names)


class Machine:
    """The stack, the marks on it and the memory, for a pickle of `size` bytes; the rest is as in `load`."""

    def __init__(
        self, size: int, functions: Mapping[str, Function], persistent: Callable[[object], object]
    ) -> None:
        self.stack: list[object] = []  # above the last mark
        self.below: list[list[object]] = []  # between earlier marks
        self.memory: dict[int, object] = {}
        self.names: dict[str, Name] = {}
        self.persistent = persistent
        self.functions = functions
        # A pickler makes one string for each bytes and one list for each set; a program that uses one again
        # and again would fill the memory.
        self.bytes_left = size
        self.members_left = MAX_OPERATIONS

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack:
            raise Fault("the stack is empty")
        return self.stack.pop()

    def top(self) -> object:
        if not self.stack:
            raise Fault("the stack is empty")
        return self.stack[-1]

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[object]:
        """All that is above the last mark."""
        if not self.below:
            raise Fault("there is no mark on the stack")
        values, self.stack = self.stack, self.below.pop()
        return values

    def get(self, index: int) -> None:
        if index not in self.memory:
            raise Fault(f"nothing is stored under {index}")
        self.push(self.memory[index])

    def put(self, index: int) -> None:
        self.memory[index] = self.top()

    def collect(self, length: int) -> None:
        self.push(tuple([self.pop() for _ in range(length)][::-1]))

    def append(self, values: list[object]) -> None:
        target = self.top()
        items = target.items if isinstance(target, Record) else target
        if not isinstance(items, list):
            raise Fault(f"appends to a {type(items).__name__}")
        items.extend(values)

    def set_items(self, values: list[object]) -> None:
        target = self.top()
        entries = target.entries if isinstance(target, Record) else target
        if not isinstance(entries, dict) or len(values) % 2:
            raise Fault(f"sets {len(values)} keys and values in a {type(entries).__name__}")
        for key, value in zip(values[::2], values[1::2]):
            entries[_key(key)] = value

    def add_items(self, values: list[object]) -> None:
        target = self.top()
        if not isinstance(target, set):
            raise Fault(f"adds members to a {type(target).__name__}")
        target.update(map(_key, values))

    def name(self, name: object, module: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > MAX_NAME:
            raise Fault("not a name")
        qualname = f"{module}.{name}"
        if not all(part.isidentifier() for part in qualname.split(".")):
            raise Fault(f"{qualname!r} is not a name")
        self.push(self.names.setdefault(qualname, Name(qualname)))

    def reduce(self, args: object, function: object) -> None:
        """Call a function, if it is one of ours."""
        name = function.qualname if isinstance(function, Name) else ""
        if isinstance(args, tuple) and name in FUNCTIONS:
            self.push(FUNCTIONS[name](self, args))
        elif isinstance(args, tuple) and name in self.functions:
            self.push(self.functions[name](args))
        else:
            self.new({}, args, function)

    def new(self, kwargs: object, args: object, made_by: object) -> None:
        if not isinstance(made_by, Name) or not isinstance(args, tuple) or not isinstance(kwargs, dict):
            raise Fault(f"calls a {type(made_by).__name__} with a {type(args).__name__}")
        self.push(Record(made_by.qualname, args, kwargs))

    def build(self, state: object) -> None:
        target = self.top()
        if isinstance(target, dict):
            return  # attributes of an OrderedDict: the _metadata of a state dict
        if not isinstance(target, Record) or target.state is not None or state is None:
            raise Fault(f"sets the state of a {type(target).__name__} for which there should be none")
        target.state = state

    def members(self, args: tuple[object, ...]) -> list[Key]:
        """Arguments of set and frozenset."""
        match args:
            case (list(values),) if len(values) <= self.members_left:
                self.members_left -= len(values)
                return [_key(value) for value in values]
        raise Fault("a set is made of something else than a new list")

    def as_bytes(self, args: tuple[object, ...]) -> bytes:
        """Arguments of bytes, of bytearray, and of the encoding in which protocol 2 has them."""
        match args:
            case ():
                return b""
            case (bytes(data),):
                return data
            case (str(text), str("latin1" | "latin-1")) if len(text) <= self.bytes_left:
                self.bytes_left -= len(text)
                return text.encode("latin-1")
        raise Fault("bytes are made of something else than a new string in latin1")


def _key(value: object) -> Key:
    """A key of a dict or member of a set.

    Only what is plain: the hash of deeply nested tuples overflows the stack, and thousands of integers of any
    length can be found that have one hash.
    """
    if value is None or isinstance(value, (str, float)) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    raise Fault(f"a {type(value).__name__} is a key; only text and numbers can be")


def _ordered_dict(machine: Machine, args: tuple[object, ...]) -> dict[Key, object]:
    if args:
        raise Fault("an OrderedDict is made of something")
    return {}


_SCALARS = {"f4<": "<f", "f8<": "<d", "i4<": "<i", "i8<": "<q", "b1|": "?"}  # numpy to struct


def _scalar(machine: Machine, args: tuple[object, ...]) -> float | int | bool:
    """A scalar of numpy."""
    match args:
        case (
            Record(qualname="numpy.dtype", args=(str(code), *_), state=(_, str(order), *_)),
            bytes(data),
        ) if code + order in _SCALARS:
            layout = _SCALARS[code + order]
            if len(data) == struct.calcsize(layout):
                return struct.unpack(layout, data)[0]
    raise Fault("a scalar of numpy that is not a float, an int or a bool")


FUNCTIONS: dict[str, Callable[[Machine, tuple[object, ...]], object]] = {
    "collections.OrderedDict": _ordered_dict,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "_codecs.encode": Machine.as_bytes,
}
for _module in ("builtins", "__builtin__"):  # of Python 3 and, in protocol 2, of Python 2
    FUNCTIONS[f"{_module}.set"] = lambda machine, args: set(machine.members(args))
    FUNCTIONS[f"{_module}.frozenset"] = lambda machine, args: frozenset(machine.members(args))
    FUNCTIONS[f"{_module}.bytes"] = FUNCTIONS[f"{_module}.bytearray"] = Machine.as_bytes

# What protocols 2 to 5 of CPython write, but for persistent ids as text, extension codes, buffers outside the
# pickle, and integers of more than 255 bytes.
ACTIONS: dict[str, Callable[[Machine, Any], object]] = {
    "PROTO": lambda machine, version: None,
    "FRAME": lambda machine, length: None,  # only helps to read ahead
    "STOP": lambda machine, _: None,
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), Machine.get),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), Machine.put),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memory)),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), Machine.push),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), Machine.push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), Machine.push),
    "BYTEARRAY8": lambda machine, data: machine.push(bytes(data)),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.collect(1),
    "TUPLE2": lambda machine, _: machine.collect(2),
    "TUPLE3": lambda machine, _: machine.collect(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_mark()),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "ADDITEMS": lambda machine, _: machine.add_items(machine.pop_mark()),
    "FROZENSET": lambda machine, _: machine.push(frozenset(map(_key, machine.pop_mark()))),
    "GLOBAL": lambda machine, names: machine.name(*names.split(" ", 1)[::-1]),
    "STACK_GLOBAL": lambda machine, _: machine.name(machine.pop(), machine.pop()),
    "REDUCE": lambda machine, _: machine.reduce(machine.pop(), machine.pop()),
    "NEWOBJ": lambda machine, _: machine.new({}, machine.pop(), machine.pop()),
    "NEWOBJ_EX": lambda machine, _: machine.new(machine.pop(), machine.pop(), machine.pop()),
    "BUILD": lambda machine, _: machine.build(machine.pop()),
    "BINPERSID": lambda machine, _: machine.push(machine.persistent(machine.pop())),
}
