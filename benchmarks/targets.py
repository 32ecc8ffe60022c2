"""What inference and training on a GPU are to reach, and what of it was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from cases import INFERENCE, LARGEST, STEP, TRAINING, Case
from turns import Line

SIZE, DTYPE = "MH-1", "float32"


class Target(NamedTuple):
    """One of them."""

    what: str
    quantity: str
    structures: tuple[str, ...]  # the lowest value of them counts
    value: Callable[[Line], float | None]
    text: str  # for a value
    bound: float
    below: bool  # the bound is the most, else the least
    known: str = ""  # of others, for comparison


def per_atom(line: Line) -> float | None:
    """µs per atom."""
    return 1e6 * line.ours.seconds / line.ours.atoms if line.ours else None


def milliseconds(line: Line) -> float | None:
    """Of a step."""
    return 1e3 * line.ours.seconds if line.ours else None


def per_second(line: Line) -> float | None:
    """Steps per second."""
    return 1.0 / line.ours.seconds if line.ours else None


def atoms(line: Line) -> float | None:
    """That fit."""
    return float(line.ours.atoms) if line.ours else None


TARGETS = (
    Target(
        "energy, forces and stress, AlN 864 or diamond 1000",
        INFERENCE,
        ("AlN 864", "diamond 1000"),
        per_atom,
        "{:.2f} µs/atom",
        bound=3.0,
        below=True,
        known="AlN 864 on an RTX 5090: 6.67 and 24.1 µs/atom",
    ),
    Target(
        "MD step of AlN 144 in ASE",
        STEP,
        ("AlN 144",),
        milliseconds,
        "{:.2f} ms",
        bound=2.5,
        below=True,
        known="the bound is for 138 atoms",
    ),
    Target(
        "MD steps of diamond 1000 in ASE",
        STEP,
        ("diamond 1000",),
        per_second,
        "{:.0f} a second",
        bound=43.0,
        below=False,
        known="the bound is what is published for an H100",
    ),
    Target("atoms that fit", LARGEST, ("diamond 1000",), atoms, "{:,.0f}", bound=1e6, below=False),
    Target(
        "training, times mace-torch, the least",
        TRAINING,
        ("Si 64", "water 192"),
        lambda line: line.ratio,
        "{:.2f}",
        bound=2.0,
        below=False,
    ),
)


def found(target: Target, lines: Sequence[Line]) -> float | None:
    """What was measured; None: nothing."""
    wanted = [Case(SIZE, DTYPE, target.quantity, name) for name in target.structures]
    values = [target.value(line) for line in lines if line.case in wanted]
    return min((value for value in values if value is not None), default=None)


def met(target: Target, value: float) -> bool:
    """Whether a value reaches the target."""
    return value <= target.bound if target.below else value >= target.bound
