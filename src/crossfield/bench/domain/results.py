"""The file of results: what was measured, by which model, what it scores, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from ase import Atoms
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from crossfield.errors import InputError
from crossfield.files import replacing

FORMAT = 1
MEASURED = ("complete", "partial")  # status of benchmarks with numbers


Score = Annotated[float, Field(ge=0, le=1 + 1e-9)]  # sums of weights are rounded


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(_Strict):
    """Something that could not be done.

    Attributes:
        name: of the item, or of the part of the set.
        kind: "input": missing or malformed in the set; "not covered": elements, charge or spin that the head
            does not know; "not converged"; "failed": the calculation raised, or gave numbers that are not
            finite; "died": its process ended, most likely for want of memory.
        reason: in one line.
    """

    name: str
    kind: Literal["input", "not covered", "not converged", "failed", "died"]
    reason: str


class Structure(_Strict):
    """A structure to look at."""

    Z: tuple[int, ...]  # (N)
    positions: tuple[tuple[FiniteFloat, FiniteFloat, FiniteFloat], ...]  # (N, 3) Å
    cell: tuple[tuple[FiniteFloat, FiniteFloat, FiniteFloat], ...] | None = None  # (3, 3) Å

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        if len(self.Z) != len(self.positions) or (self.cell is not None and len(self.cell) != 3):
            raise ValueError("numbers of atoms, positions and cell vectors do not go together")
        return self

    @classmethod
    def of(cls, atoms: Atoms) -> Self:
        """A structure of ASE, to 0.1 mÅ."""
        return cls(
            Z=tuple(atoms.numbers.tolist()),
            positions=tuple(tuple(r) for r in atoms.positions.round(4).tolist()),
            cell=tuple(tuple(a) for a in atoms.cell.array.round(4).tolist()) if atoms.pbc.any() else None,
        )


class Entry(_Strict):
    """One number that was compared.

    Attributes:
        name: what it is of, as users know it.
        group: subset, for tables with many.
        quantity: "binding energy".
        unit: of both values.
        reference: None where there is none.
        predicted: None where it could not be calculated.
        items: names of the items it follows from, whose structures can be looked at.
        note: in one line.
    """

    name: str
    group: str = ""
    quantity: str = ""
    unit: str = ""
    reference: FiniteFloat | None = None
    predicted: FiniteFloat | None = None
    items: tuple[str, ...] = ()
    note: str = ""


class Curve(_Strict):
    """A curve, with the reference where there is one."""

    name: str
    group: str = ""
    x_label: str  # with the unit
    y_label: str
    x: tuple[FiniteFloat, ...]
    y: tuple[FiniteFloat | None, ...]
    reference_x: tuple[FiniteFloat, ...] = ()
    reference_y: tuple[FiniteFloat, ...] = ()

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if len(self.x) != len(self.y) or len(self.reference_x) != len(self.reference_y):
            raise ValueError("x and y of a curve differ in length")
        return self


class MetricResult(_Strict):
    """A metric, with its score."""

    name: str
    unit: str
    description: str = ""
    value: FiniteFloat | None  # None: too little was calculated
    good: FiniteFloat | None
    bad: FiniteFloat | None
    weight: FiniteFloat
    score: Score | None


class BenchmarkResult(_Strict):
    """What came of one benchmark.

    Attributes:
        status: "complete"; "partial": some items are missing, for the reasons in `problems`; "missing": there
            are no numbers, for `reason`; "not run": it was not asked for.
        score: weighted mean of the scores of its metrics; None where one of them has none, or fewer than half
            of its calculations could be done.
        mismatch: a sentence if the model's functional is not that of the reference.
        dispersion: what was added ("D3(BJ) of PBE"), or why nothing was; "" where none is asked for.
        total, done: numbers of items, in the set (or its quick part), and calculated.
        seconds: spent on all calculations, whenever they were done.
        structures: of the items that entries refer to, by name and role.
    """

    name: str
    title: str
    domain: str
    description: str
    reference: str
    status: Literal["complete", "partial", "missing", "not run"]
    reason: str = ""
    score: Score | None = None
    metrics: tuple[MetricResult, ...] = ()
    mismatch: str = ""
    dispersion: str = ""
    total: int = Field(default=0, ge=0)
    done: int = Field(default=0, ge=0)
    seconds: FiniteFloat = 0.0
    entries: tuple[Entry, ...] = ()
    curves: tuple[Curve, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    structures: dict[str, dict[str, Structure]] = Field(default_factory=dict)


class SubjectResult(_Strict):
    """Which model was measured.

    Attributes:
        weights: SHA-256 of its file; None for someone else's calculator.
        elements: atomic numbers that it covers; None: not known.
    """

    name: str
    weights: str | None = None
    head: str | None
    theory: dict[str, Any]
    fingerprint: str
    dtype: str | None
    versions: dict[str, str]
    elements: tuple[int, ...] | None


class DomainScore(_Strict):
    """Mean over the benchmarks of a domain."""

    domain: str
    weight: FiniteFloat  # in the global score
    score: Score | None  # of those that have one; None: none has
    complete: int = Field(ge=0)  # benchmarks with a score of all their items
    partial: int = Field(ge=0)  # with a score of some of their items
    total: int = Field(ge=0)  # benchmarks in the domain that are scored


class DomainResults(_Strict):
    """All results of one model.

    Attributes:
        format: version of this file.
        quick: whether only the small parts of sets were calculated.
        global_score: with the weights of the paper; None unless all weighted domains have a score.
        covered_weight: sum of the weights of the domains that have one.
        covered_score: weighted mean over these; None if there is none.
    """

    format: Literal[1] = 1
    subject: SubjectResult
    quick: bool
    date: str
    machine: str
    workers: int
    global_score: Score | None
    covered_weight: Score
    covered_score: Score | None
    domains: tuple[DomainScore, ...]
    benchmarks: tuple[BenchmarkResult, ...]

    def benchmark(self, name: str) -> BenchmarkResult | None:
        """The result of this name."""
        return next((b for b in self.benchmarks if b.name == name), None)


def write_results(results: DomainResults, path: Path) -> None:
    """Write a file of results, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(results.model_dump_json(), encoding="utf-8")


def read_results(path: Path) -> DomainResults:
    """Read a file of results.

    Raises:
        InputError: it is none, or damaged.
    """
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError("is no JSON, or damaged", file=path) from error
    if not isinstance(values, Mapping) or "benchmarks" not in values:
        raise InputError("is no file of benchmark results", file=path)
    if values.get("format") != FORMAT:
        raise InputError(
            f"has results of format {values.get('format')!r}; this version reads {FORMAT}", file=path
        )
    try:
        return DomainResults.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {first['msg']}", file=path) from error
