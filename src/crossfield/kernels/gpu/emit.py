"""A small language for kernels: Python that writes the text of a Triton function.

Formulas work on `Value`s, each of which is a name in that text; arithmetic on them appends lines. Numbers
that Python knows (coefficients, sizes, loops over paths) are gone by the time it is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from crossfield.kernels.formulas.number import Operation, Quantity

SYMBOLS: dict[Operation, str] = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
REAL = {torch.float32: "tl.float32", torch.float64: "tl.float64"}


@dataclass(frozen=True, eq=False)
class Value(Quantity):
    """A tensor of Triton's, by its name."""

    code: Code
    text: str

    def combined(self, operation: Operation, other: Value | float, *, swap: bool = False) -> Value:
        a, b = self.text, other.text if isinstance(other, Value) else repr(float(other))
        if swap:
            a, b = b, a
        return self.code.new(f"{a} {SYMBOLS[operation]} {b}")

    def exp(self) -> Value:
        return self.code.new(f"tl.exp({self.text})")

    def inverse_root(self) -> Value:
        return self.code.new(f"1.0 / tl.sqrt({self.text})")


class Code:
    """One function in the making.

    Args:
        arguments: names of its arguments: pointers, whole numbers (n_...), sizes of tiles (in capitals).
        dtype: of its real numbers.
    """

    def __init__(self, arguments: Sequence[str], dtype: torch.dtype) -> None:
        self.arguments = tuple(arguments)
        self.real = REAL[dtype]
        self._lines: list[str] = []
        self._indent = 1
        self._count = 0

    def text(self, name: str) -> str:
        """The function in Triton's language."""
        given = [f"{a}: tl.constexpr" if len(a) > 1 and a.isupper() else a for a in self.arguments]
        return "\n".join([f"def {name}({', '.join(given)}):", *self._lines]) + "\n"

    def line(self, text: str) -> None:
        """Write a line."""
        self._lines.append("    " * self._indent + text)

    def new(self, text: str) -> Value:
        """Something computed, under a name of its own."""
        self._count += 1
        name = f"v{self._count}"
        self.line(f"{name} = {text}")
        return Value(self, name)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines under a head, such as a loop."""
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1

    def zeros(self, name: str, shape: str) -> Value:
        """Something to add to."""
        self.line(f"{name} = tl.zeros({shape}, {self.real})")
        return Value(self, name)

    def add(self, total: Value, term: Value) -> None:
        """Add to something that was zero once."""
        self.line(f"{total.text} += {term.text}")

    def load(self, place: str, mask: str) -> Value:
        """Read, zeros where the mask does not hold."""
        return self.new(f"tl.load({place}, mask={mask}, other=0.0)")

    def store(self, value: Value, place: str, mask: str) -> None:
        """Write where the mask holds."""
        self.line(f"tl.store({place}, {value.text}, mask={mask})")


def channels_of(name: str, atom: str, rows: int, row: int, channels: int) -> str:
    """Where the channels `c` of a row of every atom are, in an array (atoms, rows, channels)."""
    return f"{name} + ({atom} * {rows * channels} + {row * channels})[:, None] + c[None, :]"
