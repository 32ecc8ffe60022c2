"""Two small data sets with exact analytic labels, and a run that trains on both in a few seconds."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from rich.console import Console

from crossfield.train import Config, config_from_dict

Settings = Callable[..., dict[str, Any]]


def label(atoms: Atoms, calculator: Any, system: str) -> Atoms:
    atoms.calc = calculator
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if atoms.pbc.all():
        labels["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **labels)
    atoms.info["system"] = system
    return atoms


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`metals.xyz`: 14 cells of Cu and Al with stress; `clusters.xyz`: 24 clusters of Ne without."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(1)
    metals = []
    for i in range(14):
        element, a = (("Cu", 3.6), ("Al", 4.05))[i % 2]
        atoms = bulk(element, a=a * (1 + 0.01 * random.normal())) * (2, 1, 1)
        atoms.rattle(0.05, seed=i)
        metals.append(label(atoms, EMT(), f"{element}{i // 4}"))
    clusters = []
    for i in range(24):
        x = 2.0 * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.87, 0]])[: 2 + i % 2]
        atoms = Atoms("Ne" * len(x), x + 0.1 * random.normal(size=x.shape))
        clusters.append(label(atoms, MorsePotential(epsilon=0.4, r0=2.0, rho0=4.0), f"Ne{len(x)}_{i // 4}"))
    write(folder / "metals.xyz", metals, format="extxyz")
    write(folder / "clusters.xyz", clusters, format="extxyz")
    return folder


@pytest.fixture
def settings(data_folder: Path, tmp_path: Path) -> Settings:
    """The contents of a configuration file; arguments replace or add whole sections."""

    def make(**sections: Any) -> dict[str, Any]:
        return {
            "heads": {
                "metals": {"theory": "emt", "data": str(data_folder / "metals.xyz")},
                "clusters": {
                    "theory": "morse",
                    "data": str(data_folder / "clusters.xyz"),
                    "E0": {"Ne": 0.0},
                },
            },
            "theories": {"emt": {}, "morse": {}},
            "model": {
                "cutoff": 4.0,
                "channels": 4,
                "l_max": 1,
                "correlation": 2,
                "layers": 2,
                "radial_basis": 4,
                "radial_network": [8],
                "density_width": 8,
                "readout_width": 4,
            },
            "split": {"validation": 0.25, "test": 0.2},
            "output": str(tmp_path / "run"),
            **sections,
            "training": {
                "epochs": 2,
                "batch_size": 4,
                "threads": 1,
                "device": "cpu",
                **sections.get("training", {}),
            },
        }

    return make


@pytest.fixture
def configure(settings: Settings) -> Callable[..., Config]:
    """A configuration of a small run."""

    def make(*overrides: str, **sections: Any) -> Config:
        return config_from_dict(settings(**sections), overrides)

    return make


@pytest.fixture
def console() -> Console:
    """Keeps what is printed, as a file would."""
    return Console(file=io.StringIO(), width=200)
