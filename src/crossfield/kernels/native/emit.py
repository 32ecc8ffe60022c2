"""A small language for kernels: Python that writes LLVM code, with vectors of the host's width.

A kernel is a Python function that works on `Value`s: arithmetic on them appends instructions to the `Code` in
hand. Numbers that Python knows (coefficients, sizes, loops over paths) are gone by the time it runs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from crossfield.kernels.formulas.number import Operation, Quantity

Precision = Literal["float32", "float64"]
# Products and sums may be fused, and sums across lanes taken in any order; NaN and infinities stay what they
# are.
FAST = "contract nsz"


@dataclass(frozen=True)
class Machine:
    """What kernels are written for.

    Attributes:
        vector_bytes: width of a vector register.
        registers: how many of them there are.
    """

    vector_bytes: int
    registers: int


@dataclass(frozen=True, eq=False)
class Value(Quantity):
    """Something computed: an instruction's result, an argument or a constant."""

    code: Code
    type: str
    text: str

    def combined(self, operation: Operation, other: Value | float, *, swap: bool = False) -> Value:
        a, b = self.code.alike(self, other)
        return self.code.binary(operation, b, a) if swap else self.code.binary(operation, a, b)

    def exp(self) -> Value:
        """To the last digit or two; beyond what can be written it saturates."""
        return _exp(self.code, self)

    def inverse_root(self) -> Value:
        return 1.0 / self.code.call("sqrt", self)

    def negated(self) -> Value:
        """Not, of a condition."""
        return self.code.instruction(self.type, f"xor {self.type} {self.text}, true")

    def shifted(self, size: int) -> Value:
        """A whole number that is not negative, over a power of two."""
        assert size & (size - 1) == 0
        return self.code.instruction("i64", f"lshr i64 {self.text}, {size.bit_length() - 1}")


class Code:
    """One function in the making.

    Args:
        name: of the function.
        arguments: names of its arguments, all of them 64-bit: addresses or whole numbers.
        precision: of its real numbers.
        machine: for which it is written.
    """

    def __init__(self, name: str, arguments: Sequence[str], precision: Precision, machine: Machine) -> None:
        self.name, self.arguments = name, tuple(arguments)
        self.real = {"float32": "float", "float64": "double"}[precision]
        self.bytes = {"float32": 4, "float64": 8}[precision]
        self.machine = machine
        self.lanes = machine.vector_bytes // self.bytes
        self.vector = f"<{self.lanes} x {self.real}>"
        self.wide = f"<{self.lanes} x i64>"
        self._entry: list[str] = []
        self._body: list[str] = []
        self._declared: set[str] = set()
        self._count = 0
        self._block = "body"

    # -- the function as a whole

    def argument(self, name: str) -> Value:
        """An argument by name."""
        assert name in self.arguments
        return Value(self, "i64", f"%{name}")

    def text(self) -> str:
        """The function in LLVM's language."""
        head = ", ".join(f"i64 %{name}" for name in self.arguments)
        lines = [*sorted(self._declared), f"define void @{self.name}({head}) nounwind {{", "entry:"]
        lines += [*self._entry, "  br label %body", "body:", *self._body, "  ret void", "}"]
        return "\n".join(lines) + "\n"

    # -- numbers

    def number(self, value: float, type: str | None = None) -> Value:
        """A constant; a vector holds it in every lane."""
        type = type or self.vector
        if type.startswith("<"):
            lanes, element = type.strip("<>").split(" x ")
            one = f"{element} {_literal(value, element)}"
            return Value(self, type, f"<{', '.join([one] * int(lanes))}>")
        return Value(self, type, _literal(value, type))

    def whole(self, value: int) -> Value:
        """A whole number."""
        return self.number(value, "i64")

    def alike(self, a: Value, b: Value | float) -> tuple[Value, Value]:
        """Both with the same type: numbers become constants, scalars are spread over the lanes."""
        if not isinstance(b, Value):
            return a, self.number(b, a.type)
        if a.type == b.type:
            return a, b
        if a.type == self.vector and b.type == self.real:
            return a, self.spread(b)
        if b.type == self.vector and a.type == self.real:
            return self.spread(a), b
        raise TypeError(f"{a.type} and {b.type}")

    def binary(self, op: str, a: Value, b: Value) -> Value:
        """A op b."""
        if "i64" in a.type or "i32" in a.type:
            return self._new(a.type, f"{op} {a.type} {a.text}, {b.text}")
        return self._new(a.type, f"f{op} {FAST} {a.type} {a.text}, {b.text}")

    def call(self, function: str, *values: Value) -> Value:
        """An LLVM intrinsic of real numbers, by its name without the type: `sqrt`, `floor`, ..."""
        type = values[0].type
        name = f"llvm.{function}.{_mangled(type)}"
        self._declare(type, name, [v.type for v in values])
        given = ", ".join(f"{v.type} {v.text}" for v in values)
        return self._new(type, f"call {FAST} {type} @{name}({given})")

    def spread(self, scalar: Value) -> Value:
        """A scalar in every lane."""
        one = self._new(
            self.vector, f"insertelement {self.vector} poison, {scalar.type} {scalar.text}, i64 0"
        )
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self._new(
            self.vector, f"shufflevector {self.vector} {one.text}, {self.vector} poison, {zeros}"
        )

    def total(self, vector: Value) -> Value:
        """The sum of the lanes."""
        name = f"llvm.vector.reduce.fadd.{_mangled(self.vector)}"
        self._declare(self.real, name, [self.real, self.vector])
        zero = _literal(-0.0, self.real)
        return self._new(
            self.real,
            f"call reassoc {FAST} {self.real} @{name}({self.real} {zero}, {self.vector} {vector.text})",
        )

    def to_whole(self, x: Value, type: str) -> Value:
        """Rounded towards zero; of NaN, zero."""
        name = f"llvm.fptosi.sat.{_mangled(type)}.{_mangled(x.type)}"
        self._declare(type, name, [x.type])
        return self._new(type, f"call {type} @{name}({x.type} {x.text})")

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        """A where the condition holds, b elsewhere."""
        return self._new(
            a.type, f"select {condition.type} {condition.text}, {a.type} {a.text}, {b.type} {b.text}"
        )

    def less(self, a: Value, b: Value) -> Value:
        """A < b."""
        if a.type == "i64":
            return self._new("i1", f"icmp slt i64 {a.text}, {b.text}")
        flags = a.type.replace(self.real, "i1")
        return self._new(flags, f"fcmp olt {a.type} {a.text}, {b.text}")

    def lesser(self, a: Value, b: Value) -> Value:
        """The lesser of two whole numbers."""
        return self.where(self.less(a, b), a, b)

    # -- memory; addresses are whole numbers, offsets count real numbers

    def load(self, address: Value, offset: Value | int = 0, type: str | None = None) -> Value:
        """Read a vector, or another type."""
        type = type or self.vector
        pointer = self._pointer(address, offset)
        return self._new(type, f"load {type}, ptr {pointer}, align {_alignment(type)}")

    def scalar(self, address: Value, offset: Value | int = 0) -> Value:
        """Read one real number."""
        return self.load(address, offset, self.real)

    def index(self, address: Value, offset: Value | int = 0) -> Value:
        """Read one whole number."""
        step = self._pointer(address, offset, size=8)
        return self._new("i64", f"load i64, ptr {step}, align 8")

    def store(self, value: Value, address: Value, offset: Value | int = 0) -> None:
        """Write."""
        pointer = self._pointer(address, offset)
        self._body.append(f"  store {value.type} {value.text}, ptr {pointer}, align {_alignment(value.type)}")

    def first_lanes(self, count: Value) -> Value:
        """A mask of the first lanes."""
        lanes = ", ".join(f"i64 {k}" for k in range(self.lanes))
        one = self._new(self.wide, f"insertelement {self.wide} poison, i64 {count.text}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        all_ = self._new(self.wide, f"shufflevector {self.wide} {one.text}, {self.wide} poison, {zeros}")
        return self._new(f"<{self.lanes} x i1>", f"icmp slt {self.wide} <{lanes}>, {all_.text}")

    def load_where(self, mask: Value, address: Value, offset: Value | int = 0) -> Value:
        """Read the lanes of a mask; the others are zero, and their memory is not touched."""
        name = f"llvm.masked.load.{_mangled(self.vector)}.p0"
        pointer = self._pointer(address, offset)
        self._declare(self.vector, name, ["ptr", "i32", mask.type, self.vector])
        zero = self.number(0.0)
        return self._new(
            self.vector,
            f"call {self.vector} @{name}(ptr {pointer}, i32 {self.bytes}, {mask.type} {mask.text}, "
            f"{self.vector} {zero.text})",
        )

    def store_where(self, mask: Value, value: Value, address: Value, offset: Value | int = 0) -> None:
        """Write the lanes of a mask."""
        name = f"llvm.masked.store.{_mangled(self.vector)}.p0"
        pointer = self._pointer(address, offset)
        self._declare("void", name, [self.vector, "ptr", "i32", mask.type])
        self._body.append(
            f"  call void @{name}({value.type} {value.text}, ptr {pointer}, i32 {self.bytes}, "
            f"{mask.type} {mask.text})"
        )

    def array(self, size: int) -> Value:
        """Memory for `size` real numbers, on the stack; its address."""
        name = self._name()
        self._entry.append(f"  {name} = alloca [{size} x {self.real}], align {self.machine.vector_bytes}")
        address = self._name()
        self._entry.append(f"  {address} = ptrtoint ptr {name} to i64")
        return Value(self, "i64", address)

    def variable(self, initial: Value) -> Variable:
        """Something that changes as loops turn; it lives in a register."""
        name = self._name()
        self._entry.append(f"  {name} = alloca {initial.type}")
        made = Variable(self, initial.type, name)
        made.set(initial)
        return made

    # -- control

    @contextmanager
    def loop(self, start: Value | int, stop: Value | int, step: int = 1) -> Iterator[Value]:
        """Count from start to below stop."""
        start = start if isinstance(start, Value) else self.whole(start)
        stop = stop if isinstance(stop, Value) else self.whole(stop)
        self._count += 1
        n = self._count
        head, body, end = f"head{n}", f"turn{n}", f"end{n}"
        before = self._block
        self._body += [f"  br label %{head}", f"{head}:"]
        place = len(self._body)
        self._body.append("")  # the counter, once it is known from where the loop comes back
        self._body += [
            f"  %more{n} = icmp slt i64 %i{n}, {stop.text}",
            f"  br i1 %more{n}, label %{body}, label %{end}",
            f"{body}:",
        ]
        self._block = body
        yield Value(self, "i64", f"%i{n}")
        self._body += [f"  %next{n} = add nsw i64 %i{n}, {step}", f"  br label %{head}", f"{end}:"]
        self._body[place] = f"  %i{n} = phi i64 [ {start.text}, %{before} ], [ %next{n}, %{self._block} ]"
        self._block = end

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Only if a condition holds."""
        self._count += 1
        n = self._count
        self._body += [f"  br i1 {condition.text}, label %then{n}, label %after{n}", f"then{n}:"]
        self._block = f"then{n}"
        yield
        self._body += [f"  br label %after{n}", f"after{n}:"]
        self._block = f"after{n}"

    # -- inside

    def instruction(self, type: str, text: str) -> Value:
        """An instruction written out."""
        return self._new(type, text)

    def _pointer(self, address: Value, offset: Value | int, size: int | None = None) -> str:
        name, place = self._name(), self._name()
        self._body.append(f"  {name} = inttoptr i64 {address.text} to ptr")
        text = offset.text if isinstance(offset, Value) else str(offset)
        element = {None: self.real, 8: "i64"}[size]
        self._body.append(f"  {place} = getelementptr inbounds {element}, ptr {name}, i64 {text}")
        return place

    def _name(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def _new(self, type: str, text: str) -> Value:
        name = self._name()
        self._body.append(f"  {name} = {text}")
        return Value(self, type, name)

    def _declare(self, result: str, name: str, arguments: Sequence[str]) -> None:
        self._declared.add(f"declare {result} @{name}({', '.join(arguments)})")


@dataclass(frozen=True, eq=False)
class Variable:
    """A value that can be set anew."""

    code: Code
    type: str
    place: str

    def get(self) -> Value:
        """What it is now."""
        return self.code.instruction(self.type, f"load {self.type}, ptr {self.place}")

    def set(self, value: Value) -> None:
        """Change it."""
        self.code._body.append(f"  store {value.type} {value.text}, ptr {self.place}")

    def add(self, value: Value) -> None:
        """Add to it."""
        self.set(self.get() + value)


def over_channels(code: Code, channels: int, body: Callable[[Lanes], None]) -> None:
    """Write the body for all channels: in a loop, and once more for those that fill no vector."""
    L = code.lanes
    if channels >= L:
        with code.loop(0, channels // L) as block:
            body(Lanes(code, block * L, None))
    if channels % L:
        body(Lanes(code, code.whole(channels // L * L), code.first_lanes(code.whole(channels % L))))


@dataclass(frozen=True, eq=False)
class Lanes:
    """The channels in hand, in memory that has them side by side."""

    code: Code
    offset: Value
    mask: Value | None

    def load(self, address: Value, offset: int = 0) -> Value:
        """Read; `offset` counts real numbers."""
        place = self.offset + offset
        if self.mask is None:
            return self.code.load(address, place)
        return self.code.load_where(self.mask, address, place)

    def store(self, value: Value, address: Value, offset: int = 0) -> None:
        """Write."""
        place = self.offset + offset
        if self.mask is None:
            self.code.store(value, address, place)
        else:
            self.code.store_where(self.mask, value, address, place)

    def add(self, value: Value, address: Value, offset: int = 0) -> None:
        """Add to what is there."""
        self.store(self.load(address, offset) + value, address, offset)


def _literal(value: float, type: str) -> str:
    if type in ("i64", "i32"):
        return str(int(value))
    if type == "float":  # LLVM writes single precision as the double of the same value
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _mangled(type: str) -> str:
    if type.startswith("<"):
        lanes, element = type.strip("<>").split(" x ")
        return f"v{lanes}{_mangled(element)}"
    return {"float": "f32", "double": "f64", "i64": "i64", "i32": "i32"}[type]


def _alignment(type: str) -> int:
    element = type.strip("<>").split(" x ")[-1]
    return {"float": 4, "double": 8, "i64": 8, "i32": 4}[element]


def _exp(code: Code, x: Value) -> Value:
    """e^x = 2^n e^r with |r| <= ln(2)/2; e^r by its Taylor series, whose rest is below the precision."""
    single = code.real == "float"
    low, high, degree = (-87.0, 88.0, 7) if single else (-708.0, 709.0, 13)
    highest, lowest = code.number(high, x.type), code.number(low, x.type)
    x = code.where(code.less(highest, x), highest, x)  # NaN is beyond neither, and stays
    x = code.where(code.less(x, lowest), lowest, x)
    n = code.call("rint", x * 1.4426950408889634)
    # ln 2 in two parts, the first of few digits, so that n times it is exact
    first, second = (0.693359375, -2.12194440e-4) if single else (0.6931471803691238, 1.9082149292705877e-10)
    r = x - n * first - n * second
    y = code.number(1.0 / _factorial(degree), x.type)
    for k in reversed(range(degree)):
        y = y * r + 1.0 / _factorial(k)
    whole = x.type.replace(code.real, "i32" if single else "i64")
    bits = code.to_whole(n, whole)
    bias, shift = (127, 23) if single else (1023, 52)
    bits = code.instruction(whole, f"add {whole} {bits.text}, {code.number(bias, whole).text}")
    bits = code.instruction(whole, f"shl {whole} {bits.text}, {code.number(shift, whole).text}")
    return y * code.instruction(x.type, f"bitcast {whole} {bits.text} to {x.type}")


def _factorial(n: int) -> float:
    return 1.0 if n == 0 else n * _factorial(n - 1)
