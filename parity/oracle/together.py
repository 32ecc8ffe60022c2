"""Crossfield and mace-torch installed in one environment, in one process: `python -m parity.oracle.together`.

Both import, both run, and one reads the files of the other.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from mace.calculators import MACECalculator

import crossfield
from parity.structures import structure

SAMPLE = Path(__file__).parents[2] / "tests" / "zoo" / "samples" / "density.model"


def main() -> None:
    """Energy and forces of one structure by both; exit status 1 if they differ."""
    # else mace-torch's ZBL term, which raises whole numbers to a power, is partly evaluated in float32
    torch.set_default_dtype(torch.float64)
    before, after = structure("crystal"), structure("crystal")
    before.calc = MACECalculator(model_paths=str(SAMPLE), device="cpu", default_dtype="float64")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CROSSFIELD_CACHE"] = cache
        after.calc = crossfield.Calculator(SAMPLE, table_accuracy=None)
        gap = abs(before.get_potential_energy() - after.get_potential_energy())
        forces = abs(before.get_forces() - after.get_forces()).max()
    names = ("crossfield", "mace-torch", "e3nn", "torch")
    print("together:", ", ".join(f"{name} {version(name)}" for name in names))
    print(f"energy differs by {gap:.1e} eV, forces by {forces:.1e} eV/Å")
    sys.exit(int(gap > 1e-10 or forces > 1e-10))


if __name__ == "__main__":
    main()
