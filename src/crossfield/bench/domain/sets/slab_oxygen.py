"""Adsorption of an oxygen atom on slabs of the elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ase import Atoms

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Item, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.dispersion import WITHOUT_U
from crossfield.bench.domain.sets.differences import Difference, add, compare, entries, mean_absolute_error
from crossfield.bench.domain.sets.reading import bare, children, expect, frames, number
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

# elements whose oxides get a Hubbard U in data of the Materials Project; the reference here has none
WITH_U = frozenset(("Co", "Cr", "Fe", "Mn", "Mo", "Ni", "V", "W"))
BLOCKS: Mapping[str, frozenset[int]] = {
    "s block": frozenset((1, 2, 3, 4, 11, 12, 19, 20, 37, 38, 55, 56, 87, 88)),
    "d block": frozenset((*range(21, 31), *range(39, 49), *range(72, 81))),
    "f block": frozenset((*range(57, 72), *range(89, 104))),
}
TERMS = {"oxygen on slab": 1.0, "slab": -1.0, "oxygen": -1.0}
SYSTEMS = 58
TRIPLET = 3  # multiplicity of the free atom


def inputs(sources: Sources) -> Inputs:
    """One file of three structures per element: slab, slab with oxygen, oxygen atom."""
    folder = sources.open("slab_oxygen")
    found = Inputs(context={})
    for place in children(folder):
        if place.name.endswith("-O.xyz"):
            with found.reading(place.name):
                add(found, *_system(place))
    expect(found, SYSTEMS)
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Mean absolute errors of adsorption energies, eV."""
    compared = compare(inputs, values, "eV")
    of_u = [c for c in compared if c.name.split()[-1] in WITH_U]
    others = [c for c in compared if c.name.split()[-1] not in WITH_U]
    metrics = {
        "MAE": mean_absolute_error(compared),
        "MAE (elements with U)": mean_absolute_error(of_u),
        "MAE (others)": mean_absolute_error(others),
    }
    return Findings(metrics, entries(compared, "adsorption energy", "eV"))


def _system(place: Place) -> tuple[Item, Difference]:
    """The three are told apart by what they consist of: their labels call the bare slab that with oxygen."""
    structures = _roles(frames(place, "extxyz"), place)
    reference = Difference(TERMS, 0.0).energy(
        {role: number(str(_info(atoms, place)), place) for role, atoms in structures.items()}
    )
    slab = structures["slab"]
    z = int(slab.numbers[0])
    block = next((name for name, members in BLOCKS.items() if z in members), "p block")
    item = Item(
        f"O on {slab.get_chemical_symbols()[0]}", {r: bare(a) for r, a in structures.items()}, quick=True
    )
    item.structures["oxygen"].info["spin"] = TRIPLET
    return item, Difference(TERMS, reference, group=block, note=f"{len(slab)} atoms in the slab")


def _roles(found: Sequence[Atoms], place: Place) -> dict[str, Atoms]:
    by_size = sorted(found, key=len)
    if len(by_size) == 3:
        oxygen, slab, both = by_size
        elements = set(slab.symbols)
        if (
            str(oxygen.symbols) == "O"
            and len(elements) == 1
            and "O" not in elements
            and sorted([*slab.symbols, "O"]) == sorted(both.symbols)
        ):
            return {"oxygen on slab": both, "slab": slab, "oxygen": oxygen}
    formulas = ", ".join(atoms.get_chemical_formula() for atoms in found)
    raise InputError(f"is no slab of one element, slab with O, and O: {formulas}", file=str(place))


def _info(atoms: Atoms, place: Place) -> object:
    if "ref_energy" not in atoms.info:
        raise InputError(f"{atoms.get_chemical_formula()} has no ref_energy", file=str(place))
    return atoms.info["ref_energy"]


BENCHMARK = Benchmark(
    name="slab_oxygen",
    title="Oxygen on elemental slabs",
    domain="surfaces",
    description=(
        "Adsorption energies of an oxygen atom on top of the most stable surface of 58 elements, against the "
        "free atom, from single points at the published geometries. Reference: PBE with the settings of "
        "MatPES, without Hubbard U (source slab_oxygen). The free atom is a triplet, which models that read "
        "no spin take no notice of; no magnetisation is asked for in slabs."
    ),
    reference=Reference(f"PBE {WITHOUT_U}", functional=True),
    metrics=(
        Metric("MAE", "eV", 0.1, 2.0, description="mean absolute error of adsorption energies"),
        Metric(
            "MAE (elements with U)",
            "eV",
            None,
            None,
            description=f"of {', '.join(sorted(WITH_U))}, for which some data sets use a Hubbard U",
        ),
        Metric("MAE (others)", "eV", None, None, description="of all other elements"),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("slab_oxygen",),
)
