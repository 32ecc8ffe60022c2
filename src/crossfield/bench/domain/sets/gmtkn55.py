"""GMTKN55: general main-group thermochemistry, kinetics and noncovalent interactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import Compared, entries
from crossfield.bench.domain.sets.gmtkn55_read import CORRECTED, SOURCE, Subset, read_subsets
from crossfield.bench.domain.sets.reactions import compare

MAIN, CLOSED, PEG = "WTMAD-2", "WTMAD-2, closed shells", "WTMAD, as ML-PEG"
CATEGORIES = {
    "Basic properties and reaction energies for small systems": "WTMAD-2, small systems",
    "Reaction energies for large systems and isomerisation reactions": "WTMAD-2, large systems",
    "Reaction barrier heights": "WTMAD-2, barrier heights",
    "Intramolecular noncovalent interactions": "WTMAD-2, intramolecular",
    "Intermolecular noncovalent interactions": "WTMAD-2, intermolecular",
}


def wtmad2(compared: Iterable[Compared], weights: Mapping[str, float]) -> float | None:
    """Weighted total mean absolute deviation, second form, kcal/mol.

    $$ \\frac{\\sum_i N_i w_i \\mathrm{MAD}_i}{\\sum_i N_i}, \\quad w_i = \\frac{56.84}{|\\Delta E|_i} $$

    with N_i the reactions of subset i that were calculated, and the mean size of all its reference energies
    (Goerigk et al., Phys. Chem. Chem. Phys. 19, 32184 (2017)); that is the mean of weighted errors.

    Args:
        compared: reactions; those without a prediction do not count.
        weights: w_i by name of subset.
    """
    weighted = [weights[c.group] * abs(c.error) for c in compared if c.error is not None]
    return float(np.mean(weighted)) if weighted else None


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """WTMAD-2 over the subsets that the model can answer for, and that every model can, by category."""
    subsets: Sequence[Subset] = inputs.context
    compared = compare((r for s in subsets for r in s.reactions), inputs, values)
    weights = {s.name: s.weight for s in subsets}
    closed = {s.name: s for s in subsets if s.closed_shell}
    main = [c for c in compared if c.group in closed]
    everything = _answers_for_ions_and_radicals(inputs, compared)
    counted = [c for c in compared if c.group not in _repeated(subsets)] if everything else main
    metrics = {MAIN: wtmad2(counted, weights), CLOSED: wtmad2(main, weights)}
    for category, name in CATEGORIES.items():
        metrics[name] = wtmad2([c for c in main if closed[c.group].category == category], weights)
    stated = {s.name: s.stated_weight for s in subsets if s.left_out is False}
    metrics[PEG] = wtmad2([c for c in compared if c.group in stated], stated)
    shown = entries(compared, "reaction energy", "kcal/mol")
    return Findings(metrics, shown, notes=_notes(subsets, compared, everything))


def _repeated(subsets: Sequence[Subset]) -> set[str]:
    """Subsets with the references of another one, which were put in by mistake."""
    references = {s.name: [r.reference for r in s.reactions] for s in subsets}
    same = references.get("BH76RC") and references["BH76RC"] == references.get("BH76", [])[:30]
    return {"BH76RC"} if same else set()


def _answers_for_ions_and_radicals(inputs: Inputs, compared: Sequence[Compared]) -> bool:
    """Whether reactions with charged and with open-shell molecules are among those that were calculated."""
    states = {i.name: a.info for i in inputs.items for a in i.structures.values()}
    found = [states[name] for c in compared if c.predicted is not None for name in c.items]
    return any(s["charge"] != 0 for s in found) and any(s["spin"] != 1 for s in found)


def _notes(subsets: Sequence[Subset], compared: Sequence[Compared], everything: bool) -> list[str]:
    closed = [s.name for s in subsets if s.closed_shell]
    peg = {s.name for s in subsets if s.left_out is False}
    notes = [
        f"{MAIN} is over all subsets, since the model reads charge and spin; of other models it is over the "
        f"{len(closed)} of {CLOSED}."
        if everything
        else f"{MAIN} is over the {len(closed)} subsets all of whose molecules are neutral and closed-shell: "
        f"{', '.join(closed)}."
    ]
    if peg:
        notes.append(
            f"ML-PEG chooses subsets by a column of the set, and takes its weights ({PEG}): it counts "
            f"{_listed(sorted(peg - set(closed)))}, which hold ions and are answered there without charge, "
            f"and leaves out {_listed([n for n in closed if n not in peg])}."
        )
    done = {c.group for c in compared if c.predicted is not None}
    without = [s.name for s in subsets if s.name not in done]
    if without:
        notes.append(f"No reaction was calculated of {', '.join(without)}.")
    if any(name in {n for c in compared for n in c.items} for name in CORRECTED):
        notes.append("The hydrogen atom of SIE4x4 is a singlet in the file, and was calculated as a doublet.")
    if _repeated(subsets):
        notes.append(
            "BH76RC of this file repeats barriers of BH76 instead of the reaction energies of the paper, and "
            f"is not in {MAIN}."
        )
    return notes


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _shown(name: str, description: str) -> Metric:
    return Metric(name, "kcal/mol", None, None, description=description)


BENCHMARK = Benchmark(
    name="gmtkn55",
    title="GMTKN55",
    domain="molecules",
    description=(
        "Single points of the molecules of 1505 reactions in 55 subsets, combined to reaction energies, "
        "barriers and interaction energies, whose errors are averaged with the weights of WTMAD-2. "
        "References are coupled-cluster energies near the basis-set limit (Goerigk et al., Phys. Chem. Chem. "
        "Phys. 19, 32184 (2017), doi:10.1039/C7CP04913G)."
    ),
    reference=Reference("CCSD(T)/CBS and higher"),
    metrics=(
        Metric(
            MAIN,
            "kcal/mol",
            0.5,
            50.0,
            description="over subsets of neutral closed shells; over all, if charge and spin are read",
        ),
        _shown(CLOSED, "over subsets of neutral closed-shell molecules alone, of every model"),
        _shown(PEG, "over the subsets that ML-PEG counts; of their ions, those that the model can answer"),
        *(_shown(name, f"{category}; neutral closed-shell subsets") for category, name in CATEGORIES.items()),
    ),
    inputs=read_subsets,
    calculate=energies,
    analyse=analyse,
    sources=(SOURCE,),
    dispersion=True,
    states=True,
)
