"""What `speed.py` times. Plain data: both environments import it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from crossfield.bench.structures import NAMES

COMMON: Mapping[str, Any] = {
    "elements": (1, 6, 7, 8, 13, 14),
    "max_L": 1,
    "l_max": 3,
    "correlation": 3,
    "layers": 2,
    "radial_basis": 10,
    "radial_network": (64, 64, 64),
    "density_width": 64,
    "readout_width": 16,
}
SIZES: Mapping[str, Mapping[str, Any]] = {  # fields of crossfield.model.ModelConfig
    "128 channels": {**COMMON, "cutoff": 5.0, "channels": 128, "edge_channels": None},
    # as published, but for the number of elements, on which nothing but tables of them depends
    "MH-1": {**COMMON, "cutoff": 6.0, "channels": 512, "edge_channels": 128},
}
DTYPES = ("float32", "float64")
INFERENCE, STEP, TRAINING = "inference", "MD step", "training"
QUANTITIES = (INFERENCE, STEP, TRAINING)
QUICK_STRUCTURES = ("Si 2", "Si 64")
TOLERANCE: Mapping[str, float] = {"float32": 1e-4, "float64": 1e-5}  # tables are exact to 1e-5 eV/Å


class Case(NamedTuple):
    """One line of the table."""

    size: str
    dtype: str
    quantity: str
    structure: str

    def __str__(self) -> str:
        return ", ".join(self)


def cases(
    *,
    sizes: Sequence[str] = (),
    structures: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    quantities: Sequence[str] = (),
    quick: bool = False,
) -> list[Case]:
    """The cases whose parts contain one of the given texts; models change as rarely as possible.

    Args:
        sizes, structures, dtypes, quantities: any of these texts; none: all.
        quick: only a handful.
    """
    there = (
        SIZES,
        DTYPES[:1] if quick else DTYPES,
        QUANTITIES,
        QUICK_STRUCTURES if quick else NAMES,
    )
    wanted = (sizes, dtypes, quantities, structures)
    kept = [
        [name for name in names if not texts or any(text.lower() in name.lower() for text in texts)]
        for names, texts in zip(there, wanted, strict=True)
    ]
    return [Case(*parts) for parts in product(*kept)]


def memory_of_mace(case: Case, atoms: int, edges: int) -> float:
    """What mace-torch will about take for a case, MiB.

    A guess, for not trying what cannot fit: a number of numbers per edge and channel, another per atom and
    channel, and twice both in training. It was fitted to water in both sizes, and to Si 512 and AlN in that
    of MH-1, which it meets within 15 %.
    """
    config = SIZES[case.size]
    channels = config["channels"]
    numbers = edges * 110 * (config["edge_channels"] or channels) + atoms * 2500 * channels
    size = 300 + numbers * (8 if case.dtype == "float64" else 4) / 2**20
    return size * (2 if case.quantity == TRAINING else 1)
