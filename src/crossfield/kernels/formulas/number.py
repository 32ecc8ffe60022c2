"""Numbers of generated code.

A formula is a Python function of such numbers: arithmetic on them writes instructions of a back end. With
numbers that carry a derivative along, the same function gives the derivative.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, Self, TypeVar

Operation = Literal["add", "sub", "mul", "div"]


class Arithmetic(Protocol):
    """What formulas need of a number."""

    def __add__(self, other: Self, /) -> Self: ...

    def __mul__(self, other: Self | float, /) -> Self: ...


class Quantity(ABC):
    """Something computed by generated code."""

    @abstractmethod
    def combined(self, operation: Operation, other: Self | float, *, swap: bool = False) -> Self:
        """This and another one; with `swap` the other way round."""

    @abstractmethod
    def exp(self) -> Self:
        """The exponential function of it."""

    @abstractmethod
    def inverse_root(self) -> Self:
        """1 over its square root."""

    def __add__(self, other: Self | float) -> Self:
        return self.combined("add", other)

    def __radd__(self, other: float) -> Self:
        return self.combined("add", other, swap=True)

    def __sub__(self, other: Self | float) -> Self:
        return self.combined("sub", other)

    def __rsub__(self, other: float) -> Self:
        return self.combined("sub", other, swap=True)

    def __mul__(self, other: Self | float) -> Self:
        return self.combined("mul", other)

    def __rmul__(self, other: float) -> Self:
        return self.combined("mul", other, swap=True)

    def __truediv__(self, other: Self | float) -> Self:
        return self.combined("div", other)

    def __rtruediv__(self, other: float) -> Self:
        return self.combined("div", other, swap=True)


Q = TypeVar("Q", bound=Quantity)
N = TypeVar("N", bound=Arithmetic)


@dataclass(frozen=True, eq=False)
class Dual(Generic[Q]):
    """A quantity with its derivative along some direction."""

    value: Q
    tangent: Q | None = None  # None: zero

    def __add__(self, other: Dual[Q] | Q | float) -> Dual[Q]:
        if isinstance(other, int | float):
            return Dual(self.value + other, self.tangent)
        b = other if isinstance(other, Dual) else Dual(other)
        if self.tangent is None or b.tangent is None:
            return Dual(self.value + b.value, self.tangent or b.tangent)
        return Dual(self.value + b.value, self.tangent + b.tangent)

    def __sub__(self, other: Dual[Q] | Q) -> Dual[Q]:
        return self + other * -1.0

    def __mul__(self, other: Dual[Q] | Q | float) -> Dual[Q]:
        if isinstance(other, int | float):
            return Dual(self.value * other, None if self.tangent is None else self.tangent * other)
        b = other if isinstance(other, Dual) else Dual(other)
        parts = []
        if self.tangent is not None:
            parts.append(self.tangent * b.value)
        if b.tangent is not None:
            parts.append(self.value * b.tangent)
        return Dual(self.value * b.value, sum_of(parts) if parts else None)

    def part(self, tangent: bool) -> Q:
        """The derivative, or the value."""
        found = self.tangent if tangent else self.value
        assert found is not None
        return found

    def inverse_root(self) -> Dual[Q]:
        """1 over its square root."""
        root = self.value.inverse_root()
        return Dual(root, None if self.tangent is None else self.tangent * root * root * root * -0.5)


def sum_of(terms: Sequence[N]) -> N:
    """The sum of at least one term."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def logistic(x: Dual[Q]) -> Dual[Q]:
    """1 / (1 + e^-x)."""
    s = 1.0 / (1.0 + (x.value * -1.0).exp())
    return Dual(s, None if x.tangent is None else x.tangent * (s * (1.0 - s)))
