"""DMC-ICE13: lattice energies of ice polymorphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import (
    UNITS,
    Compared,
    Difference,
    add,
    compare,
    entries,
    mean_absolute_error,
)
from crossfield.bench.domain.sets.reading import expect, json_of, number, same_atoms, structure
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

# lattice energies by diffusion Monte Carlo, kJ/mol: doi 10.1063/5.0102645
DMC: Mapping[str, float] = {
    "Ih": -59.45,
    "II": -59.14,
    "III": -58.20,
    "IV": -55.62,
    "VI": -57.67,
    "VII": -54.46,
    "VIII": -55.22,
    "IX": -58.85,
    "XI": -59.29,
    "XIII": -57.33,
    "XIV": -57.75,
    "XV": -57.71,
    "XVII": -57.70,
}
STANDARD = "Ih"


def inputs(sources: Sources) -> Inputs:
    """A structure per polymorph, the water molecule in a box, and references of PBE-D3 in a JSON file."""
    top = sources.open("dmc_ice13")
    references = _references(top / "ice_polymorph_ref_PBE_D3.json")
    found = Inputs(context={})
    for name in DMC:
        with found.reading(name):
            if name not in references:
                raise InputError(f"{name} is missing in the references")
            add(found, *_ice(top / "INPUT" / "VASP", name, references[name]))
    expect(found, len(DMC))
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Errors of lattice energies, and of energies relative to ice Ih, meV per molecule."""
    suite = compare(inputs, values, "meV")
    exact = [c._replace(reference=DMC[c.name] * UNITS["kJ/mol"] / UNITS["meV"], group="DMC") for c in suite]
    relative = _relative(exact)
    metrics = {
        "MAE": mean_absolute_error(suite),
        "MAE (DMC)": mean_absolute_error(exact),
        "MAE relative to Ih (DMC)": mean_absolute_error(relative),
    }
    rows = [
        *entries([*suite, *exact], "lattice energy", "meV"),
        *entries(relative, "energy above ice Ih", "meV"),
    ]
    return Findings(metrics, rows)


def _relative(compared: Sequence[Compared]) -> list[Compared]:
    """Energies of all but ice Ih above that of ice Ih; empty where the latter is unknown."""
    standard = next((c for c in compared if c.name == STANDARD), None)
    if standard is None:
        return []
    return [
        c._replace(
            reference=c.reference - standard.reference,
            predicted=None
            if c.predicted is None or standard.predicted is None
            else c.predicted - standard.predicted,
            items=(*c.items, *standard.items),
        )
        for c in compared
        if c.name != STANDARD
    ]


def _references(place: Place) -> Mapping[str, float]:
    """Lattice energies in meV by polymorph."""
    found = json_of(place)
    if not isinstance(found, dict):
        raise InputError("has no lattice energies by name of polymorph", file=str(place))
    return {name: number(str(value), place) for name, value in found.items()}


def _ice(folder: Place, name: str, reference: float) -> tuple[Item, Difference]:
    ice, water = (structure(folder / kind / "POSCAR", "vasp") for kind in (name, "water"))
    count = len(ice) // 3
    if water.get_chemical_formula() != "H2O" or not same_atoms(ice, [water] * count):
        raise InputError(
            f"{ice.get_chemical_formula()} and {water.get_chemical_formula()} are no ice and water",
            file=str(folder / name / "POSCAR"),
        )
    item = Item(name, {"ice": ice, "water": water}, quick=True)
    return item, Difference({"ice": 1 / count, "water": -1.0}, reference, group="PBE-D3")


BENCHMARK = Benchmark(
    name="dmc_ice13",
    title="DMC-ICE13 lattice energies",
    domain="molecular_crystals",
    description=(
        "Lattice energies of 13 ice polymorphs: energy of the crystal per molecule less that of a water "
        "molecule in a periodic box of about 20 Å, from single points. As in the published suite, the score "
        "goes by the PBE-D3 energies that come with the structures (zero damping, source dmc_ice13); errors "
        "against diffusion Monte Carlo, absolute and relative to ice Ih, are given beside it."
    ),
    reference=Reference("PBE-D3", functional=True),
    metrics=(
        Metric("MAE", "meV", 0.0, 100.0, description="per molecule, against PBE-D3 (zero damping)"),
        Metric("MAE (DMC)", "meV", None, None, description="per molecule, against diffusion Monte Carlo"),
        Metric(
            "MAE relative to Ih (DMC)",
            "meV",
            None,
            None,
            description="of energies above ice Ih, per molecule, against diffusion Monte Carlo",
        ),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("dmc_ice13",),
    dispersion=True,
)
