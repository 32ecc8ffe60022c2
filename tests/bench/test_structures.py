from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from crossfield.bench.structures import LARGE, NAMES, primer, structure


@pytest.mark.parametrize("name", NAMES)
def test_a_structure_has_the_atoms_that_its_name_says(name: str) -> None:
    atoms = structure(name)
    assert len(atoms) == int(name.split()[1])
    assert atoms.pbc.all() or not atoms.pbc.any()
    if len(atoms) < 300:
        distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
        np.fill_diagonal(distances, np.inf)
        assert distances.min() > 0.7  # O-H bonds, rattled


def test_structures_are_the_same_every_time() -> None:
    assert np.array_equal(structure("water 192").positions, structure("water 192").positions)


def test_large_ones_are_among_them() -> None:
    assert set(LARGE) < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_primer_has_the_elements_of_a_structure(name: str) -> None:
    atoms = structure(name)
    first = primer(atoms)
    assert sorted(first.numbers) == sorted(set(atoms.numbers))
    assert (first.pbc == atoms.pbc).all()


def test_mace_torch_is_measured_without_importing_torch_first() -> None:
    """The oracle's environment imports these; what they draw in should not depend on Crossfield's model."""
    code = (
        "import sys\n"
        "import crossfield.bench.machine, crossfield.bench.memory\n"
        "import crossfield.bench.structures, crossfield.bench.timing\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
