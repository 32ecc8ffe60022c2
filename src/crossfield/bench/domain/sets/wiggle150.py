"""Wiggle150: strained conformers of three drug-like molecules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crossfield.bench.domain.benchmark import (
    Benchmark,
    Findings,
    Inputs,
    Item,
    Metric,
    Reference,
    Values,
)
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import entries, mean_absolute_error
from crossfield.bench.domain.sets.reactions import ROLE, Reaction, compare, located, molecule
from crossfield.bench.domain.sets.reading import bare, number, parsed, same_atoms, text
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

SOURCE = "wiggle150"
FILE = "ct5c00015_si_003.xyz"  # as in the supporting information
MOLECULES = {"ado": "adenosine", "bpn": "benzylpenicillin", "efa": "efavirenz"}
CONFORMERS = 51  # of each; number 0 is relaxed, and the others are compared with it


def inputs(sources: Sources) -> Inputs:
    """Conformers, and their energies relative to the relaxed one as the context."""
    found = Inputs(context=[])
    place = sources.open(SOURCE) / FILE
    lines = text(place).splitlines()
    conformers: dict[str, tuple[Item, float]] = {}
    with found.reading("all that follows a damaged frame"):
        for index, block in enumerate(_blocks(lines, place)):
            with found.reading(f"frame {index}"), located(place, index):
                item, energy = _conformer(block, place)
                if item.name in conformers:
                    raise InputError(f"{item.name} stands twice")
                conformers[item.name] = (item, energy)
    for short, name in MOLECULES.items():
        own = {label: pair for label, pair in conformers.items() if label.startswith(f"{short}_")}
        with found.reading(name):
            _relate(short, own, place, found)
            if len(own) < CONFORMERS:
                raise InputError(f"has {len(own)} of {CONFORMERS} conformers of {name}", file=str(place))
    found.part = len(found.items) / (CONFORMERS * len(MOLECULES))
    return found


def _relate(short: str, own: Mapping[str, tuple[Item, float]], place: Place, found: Inputs) -> None:
    """Conformers of a molecule, and their energies relative to the relaxed one."""
    ground = f"{short}_00"
    if ground not in own:
        raise InputError(f"has no {ground}, to which energies are relative", file=str(place))
    relaxed, lowest = own[ground]
    found.items.append(relaxed)
    for label, (item, energy) in own.items():
        if label == ground:
            continue
        with found.reading(label):
            if not same_atoms(relaxed.structures[ROLE], [item.structures[ROLE]]):
                raise InputError(f"{label} has other atoms than {ground}", file=str(place))
            found.items.append(item)
            found.context.append(Reaction(label, energy - lowest, {label: 1, ground: -1}, MOLECULES[short]))


def _blocks(lines: list[str], place: Place) -> Iterator[list[str]]:
    """Frames: a number of atoms, a comment, a line for each atom."""
    start = 0
    while start < len(lines):
        if not lines[start].strip().isdecimal():
            raise InputError(
                f"line {start + 1} is no number of atoms: {lines[start][:40]!r}", file=str(place)
            )
        end = start + 2 + int(lines[start])
        yield lines[start:end]
        start = end


def _conformer(block: list[str], place: Place) -> tuple[Item, float]:
    """A conformer, and its energy in kcal/mol; the comment line is a label and the energy."""
    if len(block) < 2 + int(block[0]):
        raise InputError("is cut off")
    words = block[1].split()
    if len(words) != 2 or words[0].partition("_")[0] not in MOLECULES:
        raise InputError(f"{block[1][:40]!r} is no label with an energy")
    (atoms,) = parsed("\n".join(block) + "\n", "xyz", place)
    return molecule(words[0], bare(atoms), quick=True), number(words[1], place)


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Mean absolute error over all conformers, and by molecule."""
    compared = compare(inputs.context, inputs, values)
    metrics = {"MAE": mean_absolute_error(compared)}
    for name in MOLECULES.values():
        metrics[f"MAE, {name}"] = mean_absolute_error(c for c in compared if c.group == name)
    return Findings(metrics, entries(compared, "energy relative to the relaxed conformer", "kcal/mol"))


BENCHMARK = Benchmark(
    name="wiggle150",
    title="Wiggle150",
    domain="molecules",
    description=(
        "Single points of 150 strained conformers of adenosine, benzylpenicillin and efavirenz, relative to "
        "the relaxed conformer of each. References are DLPNO-CCSD(T)/CBS energies "
        "(doi:10.1021/acs.jctc.5c00015)."
    ),
    reference=Reference("DLPNO-CCSD(T)/CBS"),
    metrics=(
        Metric("MAE", "kcal/mol", 1.0, 10.0, description="over all conformers"),
        *(
            Metric(f"MAE, {name}", "kcal/mol", None, None, description=f"conformers of {name}")
            for name in MOLECULES.values()
        ),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=(SOURCE,),
    dispersion=True,
)
