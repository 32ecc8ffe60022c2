"""What a benchmark takes for a model: its items, those that the model covers, and what is added."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import NamedTuple

from crossfield.bench.domain.benchmark import Benchmark, Inputs, Item
from crossfield.bench.domain.dispersion import dispersion_to_add
from crossfield.bench.domain.results import Problem
from crossfield.bench.domain.sources import Sources
from crossfield.bench.domain.store import Outcome, item_digest
from crossfield.bench.domain.subject import Subject
from crossfield.errors import InputError
from crossfield.theory.elements import symbols


@dataclass
class Plan:
    """A benchmark with what it takes."""

    benchmark: Benchmark
    inputs: Inputs
    items: list[Item]  # those of the set, or of its quick part
    parameters: str | None  # of the dispersion that is added
    remark: str  # about it
    digests: dict[str, str] = field(default_factory=dict)  # of items that the model covers, by name
    problems: list[Problem] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Which part of the calculations that scores follow from could be done, of the whole set."""
        counted = [
            item.name
            for item in self.items
            if item.scored and (item.name in self.digests or not self.benchmark.own_elements)
        ]
        done = sum(name in self.outcomes and self.outcomes[name].status == "done" for name in counted)
        return self.inputs.part * done / len(counted) if counted else 0.0


class Missing(NamedTuple):
    """Why a benchmark has nothing to calculate."""

    reason: str
    problems: tuple[Problem, ...] = ()


def make_plan(benchmark: Benchmark, subject: Subject, sources: Sources, *, quick: bool) -> Plan | Missing:
    """What to calculate, with what cannot be; or why that is nothing."""
    for package in benchmark.packages:
        if find_spec(package) is None:
            return Missing(_not_installed(package))
    try:
        inputs = benchmark.inputs(sources)
    except (InputError, OSError) as error:
        return Missing(str(error))
    if not inputs.items:
        return Missing("the set has nothing that can be read", tuple(inputs.problems))
    items = [item for item in inputs.items if item.quick or not quick]
    if not items:
        return Missing("it has no quick part", tuple(inputs.problems))
    parameters, remark = dispersion_to_add(subject.theory) if benchmark.dispersion else (None, "")
    if parameters is not None and find_spec("dftd3") is None:
        return Missing(f"{_not_installed('dftd3')}, which adds {remark}")
    inputs.items = items  # so that the analysis does not miss what was not asked for
    found = Plan(benchmark, inputs, items, parameters, remark)
    for item in items:
        if (obstacle := _not_covered(item, subject, benchmark)) is not None:
            found.problems.append(Problem(name=item.name, kind="not covered", reason=obstacle))
        else:
            found.digests[item.name] = item_digest(benchmark, item, parameters)
    return found


def _not_installed(package: str) -> str:
    return f"the package {package} is not installed (pip install 'crossfield[bench]')"


def _not_covered(item: Item, subject: Subject, benchmark: Benchmark) -> str | None:
    """Why a model cannot answer for an item; None: it can."""
    for atoms in item.structures.values():
        charge, spin = atoms.info["charge"], atoms.info["spin"]
        if subject.elements is not None:
            missing = sorted(set(atoms.numbers.tolist()) - subject.elements)
            if missing:
                return f"the head does not cover {', '.join(symbols(missing))}"
        reason = subject.refuses(charge, spin)
        if reason is None and benchmark.states:
            reason = subject.unread(charge, spin)
        if reason is not None:
            return reason
    return None


def notes_on_states(plan: Plan, subject: Subject) -> list[str]:
    """A note on systems whose charge or spin the model took no notice of."""
    unread = sum(
        any(
            subject.unread(a.info["charge"], a.info["spin"])
            for a in item.structures.values()
            if not a.pbc.any()  # of crystals and slabs, charge and spin are nobody's input
        )
        for item in plan.items
        if item.name in plan.outcomes
    )
    if not unread:
        return []
    return [
        f"{unread} of {len(plan.items)} calculations are of charged or open-shell systems, and the model "
        "does not read that: they count, as in published results of such models"
    ]
