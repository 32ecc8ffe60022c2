"""Small data sets with exact analytic labels, runs on them of a few seconds, and a base to start from."""

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

from crossfield.train import Config, config_from_dict, train

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
    """Files of extended XYZ.

    `metals.xyz`: 14 cells of Cu and Al with stress. `clusters.xyz`: 24 clusters of Ne without. `alloys.xyz`:
    16 cells of Cu, Al and Au at another theory. `ions.xyz`: 16 clusters of Ne, every other one with a charge.
    """
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(1)
    metals = []
    for i in range(14):
        element, a = (("Cu", 3.6), ("Al", 4.05))[i % 2]
        atoms = bulk(element, a=a * (1 + 0.01 * random.normal())) * (2, 1, 1)
        atoms.rattle(0.05, seed=i)
        metals.append(label(atoms, EMT(), f"{element}{i // 4}"))
    clusters = [cluster(i, random, epsilon=0.4) for i in range(24)]
    write(folder / "metals.xyz", metals, format="extxyz")
    write(folder / "clusters.xyz", clusters, format="extxyz")
    write(folder / "alloys.xyz", [alloy(i, random) for i in range(16)], format="extxyz")
    ions = [cluster(i, random, epsilon=0.5, charge=i % 2) for i in range(16)]
    write(folder / "ions.xyz", ions, format="extxyz")
    return folder


def cluster(i: int, random: np.random.Generator, *, epsilon: float, charge: int | None = None) -> Atoms:
    x = 2.0 * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.87, 0]])[: 2 + i % 2]
    atoms = Atoms("Ne" * len(x), x + 0.1 * random.normal(size=x.shape))
    atoms = label(atoms, MorsePotential(epsilon=epsilon, r0=2.0, rho0=4.0), f"Ne{len(x)}_{i // 4}")
    if charge is not None:
        atoms.info["charge"] = charge
    return atoms


def alloy(i: int, random: np.random.Generator) -> Atoms:
    """Energies, forces and stress of EMT times 0.9, and another zero for every element."""
    atoms = bulk("Cu", a=3.8 * (1 + 0.01 * random.normal())) * (2, 1, 1)
    atoms.symbols[i % 2] = ("Al", "Cu", "Au", "Al")[i % 4]
    atoms.rattle(0.05, seed=100 + i)
    found = label(atoms, EMT(), f"alloy{i // 2}")
    labels = found.calc.results
    zero = {"Cu": -30.0, "Al": -20.0, "Au": -40.0}
    labels.update({name: 0.9 * value for name, value in labels.items()})
    labels["energy"] += sum(zero[symbol] for symbol in found.symbols)
    return found


def sections_of(data_folder: Path, output: Path, **sections: Any) -> dict[str, Any]:
    """The contents of a configuration file; arguments replace or add whole sections."""
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
        "output": str(output),
        **sections,
        "training": {
            "epochs": 2,
            "batch_size": 4,
            "threads": 1,
            "device": "cpu",
            **sections.get("training", {}),
        },
    }


@pytest.fixture
def settings(data_folder: Path, tmp_path: Path) -> Settings:
    """The contents of a configuration file; arguments replace or add whole sections."""
    return lambda **sections: sections_of(data_folder, **{"output": tmp_path / "run", **sections})


@pytest.fixture
def configure(settings: Settings) -> Callable[..., Config]:
    """A configuration of a small run."""

    def make(*overrides: str, **sections: Any) -> Config:
        return config_from_dict(settings(**sections), overrides)

    return make


@pytest.fixture(scope="session")
def base(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of Ne, Al and Cu with the heads `metals`, which has learnt a little, and `clusters`, hardly."""
    learning = {"epochs": 18, "batch_size": 2, "learning_rate": 0.01, "validate_every": 18}
    given = sections_of(data_folder, tmp_path_factory.mktemp("base") / "run", training=learning)
    given["model"]["channels"] = 8
    given["heads"]["clusters"]["E0"] = {"Ne": 0.0, "Al": -1.0, "Cu": -2.0}
    return train(config_from_dict(given), console=Console(file=io.StringIO())).checkpoint


@pytest.fixture
def finetune(data_folder: Path, base: Path, tmp_path: Path) -> Callable[..., Config]:
    """A configuration that teaches the base the head `alloys`; few structures are replayed."""

    def make(*overrides: str, **sections: Any) -> Config:
        given = {
            "base": str(base),
            "heads": {"alloys": {"theory": "emt_scaled", "data": str(data_folder / "alloys.xyz")}},
            "theories": {"emt_scaled": {}},
            "replay": {
                "metals": {"data": str(data_folder / "metals.xyz"), "own": False},
                "clusters": {"structures": str(data_folder / "clusters.xyz")},
            },
            "split": {"validation": 0.25, "test": 0.2},
            "output": str(tmp_path / "fine"),
            **sections,
            "training": {
                "epochs": 2,
                "batch_size": 4,
                "threads": 1,
                "device": "cpu",
                **sections.get("training", {}),
            },
        }
        return config_from_dict({k: v for k, v in given.items() if v is not None}, overrides)

    return make


@pytest.fixture
def console() -> Console:
    """Keeps what is printed, as a file would."""
    return Console(file=io.StringIO(), width=200)
