"""What a benchmark is: inputs, calculation, analysis, and the numbers that it ends in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from ase import Atoms
from ase.calculators.calculator import Calculator

from crossfield.bench.domain.results import Curve, Entry, Problem
from crossfield.bench.domain.sources import Sources
from crossfield.errors import InputError

Domain = Literal[
    "materials", "molecular_crystals", "molecules", "surfaces", "reactions", "physicality", "liquids"
]
DOMAINS: tuple[Domain, ...] = (
    "materials",
    "molecular_crystals",
    "molecules",
    "surfaces",
    "reactions",
    "physicality",
    "liquids",
)
VACUUM = 10.0  # Å on each side of molecules; calculators that take them for periodic see no neighbours there
Values = Mapping[str, Any]  # what a calculation found: plain values that JSON can hold


class NotConverged(Exception):
    """A relaxation, or another search, that did not end; the message says where it stood."""


@dataclass(frozen=True)
class Metric:
    """A number that a benchmark ends in, with the values that score 1 and 0.

    Attributes:
        name: "MAE"; unique in its benchmark.
        unit: of the number; "" where it has none.
        good: value from which on the score is 1.
        bad: value from which on it is 0; linear between the two. None for both: shown, and not scored.
        weight: in the score of the benchmark.
        description: what it is, in one line.
    """

    name: str
    unit: str
    good: float | None
    bad: float | None
    weight: float = 1.0
    description: str = ""


@dataclass(frozen=True)
class Reference:
    """What predictions are compared with.

    Attributes:
        method: "PBE", "CCSD(T)/CBS", "DMC", "experiment"; "" where nothing is (physicality).
        functional: whether it is a density functional, so that a model of another one must differ from it.
    """

    method: str
    functional: bool = False


@dataclass(frozen=True)
class Item:
    """One calculation: small, independent of the others, and the unit that is kept and never done twice.

    Attributes:
        name: unique in its benchmark, as users know it.
        structures: by role ("complex", "host"); each has `info["charge"]` (e) and `info["spin"]` (2S+1; if
            none is given, 1 in crystals, else the lowest possible), and molecules have a box, since some
            calculators want one.
        settings: whatever else the calculation depends on, plain values that JSON can hold.
        quick: whether it belongs to the small part that `--quick` does.
        scored: whether scores follow from it; others are shown besides.
    """

    name: str
    structures: Mapping[str, Atoms]
    settings: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False
    scored: bool = True

    def __post_init__(self) -> None:
        for atoms in self.structures.values():
            atoms.info.setdefault("charge", 0)
            electrons = int(atoms.numbers.sum()) - atoms.info["charge"]
            atoms.info.setdefault("spin", 1 if atoms.pbc.any() else 1 + electrons % 2)
            if not (atoms.pbc.any() or atoms.cell.any()):
                atoms.center(vacuum=VACUUM)


@dataclass
class Inputs:
    """What a benchmark reads.

    Attributes:
        items: the calculations.
        problems: parts of the set that are missing or cannot be read.
        context: what the analysis needs besides: references, reactions.
        part: share of the systems of the set that could be read, where it is known how many there are.
    """

    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    context: Any = None
    part: float = 1.0

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """What cannot be read within the block is noted down under a name, and the rest goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  files from anywhere, and the parsers of several libraries
            self.problems.append(Problem(name=name, kind="input", reason=_line(error)))


@dataclass(frozen=True)
class Findings:
    """What the analysis makes of the calculations.

    Attributes:
        metrics: by name of the metric; None where too little was calculated.
        entries: one per compared number, for the table and the way down to a structure.
        curves: energy curves, distributions.
        notes: sentences for the reader.
    """

    metrics: Mapping[str, float | None]
    entries: Sequence[Entry] = ()
    curves: Sequence[Curve] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: key, on the command line and in files.
        title: for people.
        domain: where it counts.
        description: what is calculated, in a sentence or two; protocol included.
        reference: what it is compared with.
        metrics: what it ends in.
        inputs: reads the sources and gives the calculations; `Inputs.reading` catches what is broken.
        calculate: one calculation, by an ASE calculator. A function of a module, since it goes to other
            processes. It raises `NotConverged` where a search does not end; whatever else it, or the
            calculator, raises counts as a failure of this item.
        analyse: from the inputs and the values by name of item (those that there are) to findings.
        sources: names of the sets that it reads (sources.yaml).
        dispersion: whether D3(BJ) is added for theories that contain none.
        states: whether charge and spin are what it is about: models that do not read them then do not cover
            charged and open-shell systems. Else these are asked about them all the same, as published
            protocols do, and a note says how many there are.
        own_elements: whether it is about the elements that a model covers, however few these are: the others
            then do not count among the calculations half of which are needed for a score.
        packages: what must be installed besides (pip install 'crossfield[bench]').
        opt_in: whether it runs only when it is named, because it is long.
        version: of the calculation; a new one forgets what was calculated before.
    """

    name: str
    title: str
    domain: Domain
    description: str
    reference: Reference
    metrics: Sequence[Metric]
    inputs: Callable[[Sources], Inputs]
    calculate: Callable[[Item, Calculator], Values]
    analyse: Callable[[Inputs, Mapping[str, Values]], Findings]
    sources: Sequence[str] = ()
    dispersion: bool = False
    states: bool = False
    own_elements: bool = False
    packages: Sequence[str] = ()
    opt_in: bool = False
    version: int = 1


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, (InputError, OSError)) else f"{type(error).__name__}: {text}"
