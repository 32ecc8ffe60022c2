"""Every version of our own format that there was stays readable: one small file of each is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from crossfield.zoo import checkpoint, load
from tests.zoo.samples import EXPECTED, structures

FOLDER = Path(__file__).parent / "formats"


def test_there_is_a_file_of_every_version():
    versions = {checkpoint.read_metadata(path)["format_version"] for path in FOLDER.iterdir()}
    assert versions == set(range(1, checkpoint.KIND.version + 1))


def test_version_1():
    """Written when the format was made, with what it gave then."""
    potential = load(FOLDER / "v1.safetensors", table_accuracy=None)
    assert potential.heads == ["a", "b"]
    assert potential.head is None
    assert potential.model.config.blocks == ("nonlinear", "nonlinear")
    water = Atoms(
        "OHH", [[0.0, 0.0, 0.1], [0.76, 0.0, 0.69], [-0.7, 0.1, 0.75]], info={"charge": 1, "spin": 2}
    )
    (result,) = potential.predict(water, head="a")
    assert result.energy == pytest.approx(-2070.1215955638227, rel=1e-13)
    forces = [
        [0.0016464741013695722, -0.0008855368782818392, -0.009289999692379255],
        [0.004432937699014905, 8.174407369068247e-06, 0.00353891462796874],
        [-0.006079411800384476, 0.000877362470912771, 0.005751085064410513],
    ]
    np.testing.assert_allclose(result.forces, forces, rtol=0, atol=1e-14)


def test_version_2():
    """An imported model with a default head."""
    potential = load(FOLDER / "v2.safetensors", table_accuracy=None)
    assert potential.head == "house"
    for i, atoms in enumerate(structures()):
        (result,) = potential.predict(atoms, head=potential.heads[i])
        assert result.energy == pytest.approx(EXPECTED["nonlinear"]["energy"][i], rel=1e-12)


def test_version_3():
    """Weights are scaled for the two heads and three elements there were before others were added."""
    potential = load(FOLDER / "v3.safetensors", table_accuracy=None)
    config = potential.model.config
    assert (config.scaled_for_heads, config.scaled_for_elements) == (2, 3)
    assert (potential.heads, config.elements, potential.head) == (["a", "b", "c"], (1, 6, 7, 8), "b")
    water = Atoms(
        "OHH", [[0.0, 0.0, 0.1], [0.76, 0.0, 0.69], [-0.7, 0.1, 0.75]], info={"charge": 1, "spin": 2}
    )
    for head, energy in (("a", -2069.286365520527), ("b", -2072.062370448067), ("c", -2026.1811852240337)):
        (result,) = potential.predict(water, head=head)
        assert result.energy == pytest.approx(energy, rel=1e-13)
    (result,) = potential.predict(water, head="a")
    forces = [
        [-0.012616839273965057, -0.02402002553683825, -0.2964546931457395],
        [-0.10686311768869966, 0.019700009295926878, 0.1521445327338472],
        [0.11947995696266471, 0.00432001624091137, 0.1443101604118923],
    ]
    np.testing.assert_allclose(result.forces, forces, rtol=0, atol=1e-13)
