"""Small files for the unit tests, which run without mace-torch: `python -m parity.oracle.samples FOLDER`.

Each `.model` comes with what mace-torch makes of it, in `expected.json`. They need to be written again only
when mace-torch writes something new.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import torch

from parity.cases import OLDER, SMALL, SPIN, ModelCase
from parity.oracle.models import build_model, collate, randomise, results

TINY = {
    "elements": (1, 6, 8, 26),
    "channels": 2,
    "l_max": 1,
    "correlation": 2,
    "radial_basis": 3,
    "radial_network": (4,),
    "readout_width": 2,
}
STRUCTURES = ("crystal", "molecule")
SAMPLES = (
    ModelCase(
        "nonlinear",
        {**SMALL, **TINY, "edge_channels": 1, "inputs": {"spin": SPIN}},
        heads=2,
        structures=STRUCTURES,
        independent=True,
    ),
    ModelCase(
        "density",
        {
            **SMALL,
            **OLDER,
            **TINY,
            "interaction": "density_residual",
            "first_interaction": "density",
            "average_neighbours": None,
            "pair": "zbl",
            "transform": "agnesi",
        },
        heads=1,
        structures=STRUCTURES,
    ),
)


def main(folder: Path) -> None:
    """Write all samples and what is expected of them."""
    logging.disable()
    torch.set_default_dtype(torch.float64)
    expected = {}
    for seed, case in enumerate(SAMPLES):
        torch.manual_seed(seed)
        potential = build_model(case)
        randomise(potential)
        if case.heads == 2:
            potential.heads = ["omat_pbe", "house"]  # a known theory, and one that is not
        torch.save(potential, folder / f"{case.name}.model")
        if case.name == "density":
            torch.save({"model": potential.state_dict(), "optimizer": {}}, folder / f"{case.name}.pt")
        out = results(potential, collate(case))
        expected[case.name] = {name: out[name].tolist() for name in ("energy", "forces")}
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
