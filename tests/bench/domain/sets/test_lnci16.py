from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import kcal, mol

from crossfield.bench.domain.benchmark import Inputs
from crossfield.bench.domain.sets.lnci16 import BENCHMARK, REFERENCES
from crossfield.bench.domain.sources import Sources
from tests.bench.domain.sets.squares import Squares

KCAL = kcal / mol


def xyz(atoms: Atoms) -> str:
    rows = [
        f"{s} {x:.5f} {y:.5f} {z:.5f}" for s, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True)
    ]
    return "\n".join([f"      {len(atoms)}", "", *rows, ""])


def write(
    folder: Path, name: str, *, guest_first: bool = False, shift: float = 0.0, charge: int = 0
) -> tuple[Atoms, Atoms]:
    """Host and guest are further apart, and shifted, in their own files where they are relaxed."""
    host, guest = molecule("C6H6"), molecule("CH3OH")
    guest.positions += [0, 0, 4.0]
    structures = {"complex": guest + host if guest_first else host + guest, "host": host, "guest": guest}
    for role, atoms in structures.items():
        place = folder / "LNCI16_data" / "benchmark-LNCI16-main" / name / role
        place.mkdir(parents=True)
        written = atoms.copy()
        if role != "complex":
            written.positions *= 1 + shift
        (place / "struc.xyz").write_text(xyz(written))
        (place / ".CHRG").write_text(f"{0 if role == 'guest' else charge}\n")
    return host, guest


def read(folder: Path) -> Inputs:
    return BENCHMARK.inputs(Sources(folder, online=False))


def test_all_sixteen_have_a_reference() -> None:
    """And of the two whose parts are cut out, the energies that the authors give for that."""
    assert len(REFERENCES) == 16
    assert (REFERENCES["TYK2"], REFERENCES["FXa"]) == (-72.31, -70.73)
    assert min(REFERENCES, key=lambda name: REFERENCES[name]) == "Nylon"
    assert max(REFERENCES.values()) < 0


def test_interaction_energies_are_in_kilocalories_per_mole(tmp_path: Path) -> None:
    write(tmp_path, "BNTube")
    inputs = read(tmp_path)
    (item,) = inputs.items
    found = BENCHMARK.analyse(inputs, {"BNTube": BENCHMARK.calculate(item, Squares())})
    (entry,) = found.entries
    assert (entry.reference, entry.predicted) == (-14.32, pytest.approx(2 * 12 * 6 / KCAL))
    planted = {"complex": -13.32 * KCAL, "host": 0.0, "guest": 0.0}
    found = BENCHMARK.analyse(inputs, {"BNTube": planted})
    assert found.metrics == {"MAE": pytest.approx(1.0), "Relative error": pytest.approx(100 / 14.32)}


@pytest.mark.parametrize("guest_first", [False, True])
def test_relaxed_parts_are_cut_out_of_the_complex(tmp_path: Path, guest_first: bool) -> None:
    host, guest = write(tmp_path, "TYK2", guest_first=guest_first, shift=0.05, charge=2)
    (item,) = read(tmp_path).items
    for role, expected in (("host", host), ("guest", guest)):
        distances = item.structures[role].get_all_distances()
        assert distances == pytest.approx(expected.get_all_distances(), abs=3e-5)
    charges = {role: atoms.info["charge"] for role, atoms in item.structures.items()}
    assert charges == {"complex": 2, "host": 2, "guest": 0}


def test_parts_that_are_elsewhere_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "GramA", shift=0.05)
    inputs = read(tmp_path)
    assert not inputs.items
    reason = next(p.reason for p in inputs.problems if p.name == "GramA")
    assert "are not where they are in the complex" in reason


def test_what_is_broken_is_noted_and_the_rest_goes_on(tmp_path: Path) -> None:
    for name in ("BNTube", "BrCap", "DNA", "FXa", "Rotax"):
        write(tmp_path, name)
    top = tmp_path / "LNCI16_data" / "benchmark-LNCI16-main"
    (top / "BrCap" / "host" / ".CHRG").unlink()
    cut = (top / "DNA" / "complex" / "struc.xyz").read_text()
    (top / "DNA" / "complex" / "struc.xyz").write_text(cut[:-60])
    scrambled = molecule("C6H6") + molecule("CH3OH")
    scrambled = scrambled[np.random.default_rng(0).permutation(len(scrambled))]
    (top / "FXa" / "complex" / "struc.xyz").write_text(xyz(scrambled))
    (top / "Rotax" / "guest" / "struc.xyz").write_text(cut.replace("C", "N", 1))
    inputs = read(tmp_path)
    assert [item.name for item in inputs.items] == ["BNTube"]
    reasons = {problem.name: problem.reason for problem in inputs.problems}
    assert ".CHRG: is missing" in reasons["BrCap"]
    assert "struc.xyz" in reasons["DNA"]
    assert "cannot be found" in reasons["FXa"]
    assert "Rotax" in reasons
    assert "is missing" in reasons["SH3"]
    assert len(reasons) == 15
