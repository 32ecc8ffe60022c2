"""Files that mace-torch has written, and ways to change them. `parity/oracle/samples.py` made them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from torch import Tensor

from crossfield.zoo import torchfile
from crossfield.zoo.mace.source import Source, source_of
from parity.structures import structure

FOLDER = Path(__file__).parent / "samples"
NONLINEAR, DENSITY, STATE_DICT = (
    FOLDER / name for name in ("nonlinear.model", "density.model", "density.pt")
)
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())
FACTS = {"cutoff_on": "basis", "readout_activation": "silu"}  # what the state dict does not say


def structures() -> list[Atoms]:
    """The structures that `EXPECTED` is about, with charge and spin as the oracle numbers them."""
    found = [structure("crystal"), structure("molecule")]
    for i, atoms in enumerate(found):
        atoms.info["spin"] = i + 1
    return found


def source(path: Path) -> Source:
    """A copy, whose tensors can be changed."""
    found = _read(path)
    return replace(found, tensors={name: tensor.clone() for name, tensor in found.tensors.items()})


@cache
def _read(path: Path) -> Source:
    return source_of(torchfile.read(path).root)


def with_tensors(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Write the state dict with some tensors changed."""
    tensors = source(STATE_DICT).tensors
    change(tensors)
    torch.save({"model": tensors}, path)


def with_pickle(path: Path, original: Path, change: Callable[[bytes], bytes]) -> None:
    """Write a module file whose pickle is changed, and whose checksums are right again."""
    out = io.BytesIO()
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, change(data) if info.filename.endswith("data.pkl") else data)
    path.write_bytes(out.getvalue())
