"""The command, run in this process, and a small model with two heads that it trained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from crossfield.cli.main import main
from tests.data.malformed import THEORY, thermal_water

E0 = {"H": -13.6, "O": -2041.8, "Na": -400.0, "Cl": -900.0, "Al": -500.0}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


def call(arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, capture: object) -> Outcome:
    monkeypatch.setattr(sys, "argv", ["crossfield", *map(str, arguments)])
    capture.readouterr()
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capture.readouterr()
    return Outcome(stop.value.code or 0, out, err)


@pytest.fixture
def crossfield(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command; gives its exit code and what it printed."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments: call(arguments, monkeypatch, capsys)


@pytest.fixture
def refused(crossfield: Command) -> Callable[..., str]:
    """Runs a command that must fail with exit code 2 and exactly one line; gives the line."""

    def run(*arguments: object) -> str:
        outcome = crossfield(*arguments)
        assert outcome.code == 2, outcome
        assert outcome.err.startswith("error: ")
        assert outcome.err.count("\n") == 1
        assert outcome.err.endswith("\n")
        return outcome.err.strip()

    return run


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`water.xyz`, `copper.xyz` and `config.yaml`, which trains on both for two short epochs."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "water.xyz").write_text("".join(d.text() for d in thermal_water(16)))
    crystals = []
    for i in range(8):
        atoms = bulk("Cu", a=3.6) * (2, 1, 1)
        atoms.rattle(0.05, seed=i)
        atoms.calc = EMT()
        atoms.get_forces(), atoms.get_stress()
        atoms.info["system"] = f"Cu{i // 2}"
        crystals.append(atoms)
    write(folder / "copper.xyz", crystals, format="extxyz")
    config = {
        "heads": {
            "molecules": {"theory": THEORY, "data": "water.xyz", "E0": E0, "split": {"by": "frame"}},
            "crystals": {"theory": "pbe_gpaw", "data": "copper.xyz"},
        },
        "model": {
            "cutoff": 3.5,
            "channels": 4,
            "l_max": 1,
            "correlation": 2,
            "radial_basis": 4,
            "radial_network": [8],
            "density_width": 8,
            "readout_width": 4,
        },
        "training": {"epochs": 2, "batch_size": 4, "threads": 1, "device": "cpu"},
        "output": "run",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


@pytest.fixture(scope="session")
def model(data: Path) -> Path:
    """The checkpoint of that run."""
    from crossfield.train import load_config, train

    return train(load_config(data / "config.yaml")).checkpoint
