"""LNCI16: very large non-covalent complexes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from scipy.spatial import KDTree

from crossfield.bench.domain.benchmark import Benchmark, Findings, Inputs, Metric, Reference, Values
from crossfield.bench.domain.calculations import energies
from crossfield.bench.domain.sets.differences import add, compare, entries, mean_absolute_error
from crossfield.bench.domain.sets.interaction import interaction
from crossfield.bench.domain.sets.reading import charge, expect, structure
from crossfield.bench.domain.sources import Place, Sources
from crossfield.errors import InputError

# by ωB97X-3c, kcal/mol: doi 10.1055/s-0042-1753141; TYK2 and FXa as its authors corrected them
REFERENCES: Mapping[str, float] = {
    "BpocMeOH": -6.19,
    "BpocBenz": -6.81,
    "BNTube": -14.32,
    "BrCap": -21.12,
    "SH3": -25.65,
    "GramA": -36.30,
    "DithBrCap": -45.63,
    "Rotax": -55.89,
    "DHComplex": -57.57,
    "MolMus": -62.58,
    "FXa": -70.73,
    "TYK2": -72.31,
    "FullGraph": -74.13,
    "2xHB238": -74.92,
    "DNA": -363.30,
    "Nylon": -566.23,
}
RELAXED = frozenset(("TYK2", "FXa"))  # their published parts are relaxed by themselves
MOVED = 0.01  # Å; atoms of the other parts that are further from the complex belong to another structure
QUICK = 450  # atoms at most


def inputs(sources: Sources) -> Inputs:
    """A folder per complex with the complex, the host and the guest, and their charges."""
    folder = sources.open("lnci16") / "benchmark-LNCI16-main"
    found = Inputs(context={})
    for name, reference in REFERENCES.items():
        with found.reading(name):
            structures = {role: _read(folder / name / role) for role in ("complex", "host", "guest")}
            if name in RELAXED:
                structures = _cut(**structures)
            elif (moved := _moved(**structures)) > MOVED:
                raise InputError(
                    f"host and guest are not where they are in the complex (up to {moved:.2g} Å away)",
                    file=str(folder / name),
                )
            quick = len(structures["complex"]) <= QUICK
            add(found, *interaction(name, structures, reference, quick=quick))
    expect(found, len(REFERENCES))
    return found


def analyse(inputs: Inputs, values: Mapping[str, Values]) -> Findings:
    """Errors of interaction energies, kcal/mol."""
    compared = compare(inputs, values, "kcal/mol")
    shares = [abs(c.error / c.reference) for c in compared if c.error is not None]
    metrics = {
        "MAE": mean_absolute_error(compared),
        "Relative error": float(100 * np.mean(shares)) if shares else None,
    }
    return Findings(metrics, entries(compared, "interaction energy", "kcal/mol"))


def _read(folder: Place) -> Atoms:
    atoms = structure(folder / "struc.xyz", "xyz")
    atoms.info["charge"] = charge(folder / ".CHRG")
    return atoms


def _cut(complex: Atoms, host: Atoms, guest: Atoms) -> dict[str, Atoms]:
    """Host and guest as they are in the complex, which lists the atoms of one after those of the other."""
    n, m = len(host), len(guest)
    for first, second in ((slice(0, n), slice(n, n + m)), (slice(m, n + m), slice(0, m))):
        cut_host, cut_guest = complex[first], complex[second]
        if np.array_equal(cut_host.numbers, host.numbers) and np.array_equal(
            cut_guest.numbers, guest.numbers
        ):
            cut_host.info, cut_guest.info = dict(host.info), dict(guest.info)
            return {"complex": complex, "host": cut_host, "guest": cut_guest}
    raise InputError("host and guest cannot be found in the order of the atoms of the complex")


def _moved(complex: Atoms, host: Atoms, guest: Atoms) -> float:
    """How far at most an atom of host or guest is from all atoms of the complex, Å."""
    distances, _ = KDTree(complex.positions).query(np.concatenate([host.positions, guest.positions]))
    return float(distances.max())


BENCHMARK = Benchmark(
    name="lnci16",
    title="LNCI16 interaction energies",
    domain="molecules",
    description=(
        "Interaction energies of 16 non-covalent complexes of 380 to 1,988 atoms (proteins, DNA, polymers, "
        "cages), two of them charged, from single points of the complex and of host and guest as they are in "
        "it; those of TYK2 and FXa are cut out of the complex, since the published ones are relaxed. "
        "Reference: ωB97X-3c, which contains D4 dispersion (source lnci16)."
    ),
    reference=Reference("ωB97X-3c", functional=True),
    metrics=(
        Metric("MAE", "kcal/mol", 0.0, 100.0, description="mean absolute error of interaction energies"),
        Metric("Relative error", "%", None, None, description="mean of absolute error over reference"),
    ),
    inputs=inputs,
    calculate=energies,
    analyse=analyse,
    sources=("lnci16",),
    dispersion=True,
)
