"""What `speed.py` times. Plain data: both environments import it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    # to see whether all of it runs, where Triton's interpreter takes a second for a step
    "tiny": {**COMMON, "cutoff": 3.0, "channels": 4, "edge_channels": None},
}
DTYPES = ("float32", "float64")
INFERENCE, STEP, TRAINING, BATCH, LARGEST = "inference", "MD step", "training", "batch", "largest"
QUANTITIES = (INFERENCE, STEP, TRAINING, BATCH, LARGEST)
TOLERANCE: Mapping[str, float] = {"float32": 1e-4, "float64": 1e-5}  # tables are exact to 1e-5 eV/Å

Structures = Mapping[str, Sequence[str]]  # of each quantity
CPU: Structures = dict.fromkeys((INFERENCE, STEP, TRAINING), NAMES)
CPU_QUICK: Structures = dict.fromkeys(CPU, ("Si 2", "Si 64"))
GPU: Structures = {
    INFERENCE: (
        *("AlN 144", "AlN 864", "diamond 1000"),
        *("water 192", "water 1536", "water 12288", "water 98304", "water 192000"),
    ),
    STEP: ("AlN 144", "diamond 1000", "water 192", "water 1536"),
    TRAINING: ("Si 64", "water 192"),
    BATCH: ("1 × AlN 32", "64 × AlN 32", "1024 × AlN 32", "4096 × AlN 32"),
    LARGEST: ("diamond 1000",),  # and copies of it
}
GPU_QUICK: Structures = {
    **dict.fromkeys((INFERENCE, STEP, TRAINING), ("Si 2",)),
    BATCH: ("2 × Si 2",),
    LARGEST: ("Si 2",),
}
CPU_SIZES, GPU_SIZES = ("128 channels", "MH-1"), ("MH-1",)  # where no others are asked for


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
    gpu: bool = False,
) -> list[Case]:
    """The cases whose parts contain one of the given texts; models change as rarely as possible.

    Args:
        sizes, structures, dtypes, quantities: any of these texts; none: all, but on a GPU only the published
            size in float32.
        quick: only a handful.
        gpu: those of a GPU.
    """
    there = (GPU_QUICK if quick else GPU) if gpu else (CPU_QUICK if quick else CPU)
    usual = GPU_SIZES if gpu else CPU_SIZES
    single = quick or (gpu and not dtypes)
    return [
        Case(size, dtype, quantity, structure)
        for size in _with(sizes, tuple(SIZES) if sizes else usual)
        for dtype in _with(dtypes, DTYPES[:1] if single else DTYPES)
        for quantity in _with(quantities, tuple(there))
        for structure in _with(structures, there[quantity])
    ]


def _with(texts: Sequence[str], names: Sequence[str]) -> list[str]:
    """Names that contain one of the texts; without any, all."""
    return [name for name in names if not texts or any(text.lower() in name.lower() for text in texts)]


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
