"""What is compared. Plain data: both environments import it, and neither torch nor crossfield is needed.

Sizes are given in the words of `crossfield.model.config.ModelConfig`; the oracle translates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelCase:
    """A whole model on a batch of structures; its blocks are compared on the way."""

    name: str
    config: Mapping[str, Any]  # fields of ModelConfig
    heads: int = 3
    structures: tuple[str, ...] = ("crystal", "primitive", "slab", "wire", "molecule", "dimer", "atom")
    independent: bool = False  # whether the oracle too uses independent symmetric couplings
    random: bool = True  # all parameters random; False: as mace-torch initialises them
    parameters: int | None = None  # the oracle's number of parameters, where it is published
    ours: int | None = None  # our number of parameters, where it is published


@dataclass(frozen=True)
class ProductCase:
    """A product basis alone."""

    name: str
    l_max: int
    L: int  # highest l of the output
    correlation: int
    per_element: bool
    independent: bool
    channels: int = 3
    elements: int = 3
    atoms: int = 6


@dataclass(frozen=True)
class NetworkCase:
    """A radial network alone."""

    name: str
    basis: int
    embedding: int
    hidden: tuple[int, ...]
    out: int
    elements: int = 4
    edges: int = 20


@dataclass(frozen=True)
class RadialCase:
    """Functions of the distance: cutoff, transform, basis, pair energy, and their derivatives."""

    name: str
    cutoff: float
    power: int
    basis: int
    numbers: tuple[int, ...] = (1, 6, 8, 14, 26, 79, 92)


SMALL: Mapping[str, Any] = {
    "elements": (1, 6, 8, 26),
    "cutoff": 4.5,
    "channels": 6,
    "edge_channels": 4,
    "max_L": 1,
    "l_max": 3,
    "correlation": 3,
    "layers": 2,
    "radial_basis": 8,
    "radial_network": (16, 16),
    "density_width": 64,
    "readout_width": 5,
}
CHARGE = {"kind": "class", "classes": 5, "offset": 2, "width": 7}
SPIN = {"kind": "class", "classes": 5, "offset": -1, "width": 3}


def small(name: str, changes: Mapping[str, Any], **options: Any) -> ModelCase:
    """The small MH-1 with some fields changed."""
    return ModelCase(name, {**SMALL, **changes}, **options)


MODELS: tuple[ModelCase, ...] = (
    small("mh1", {}),
    small("mh1_independent", {}, independent=True),
    small("as_initialised", {}, random=False),
    small("one_head", {}, heads=1),
    small("edges_as_wide", {"edge_channels": None}),
    small("first_layer_wide", {"edge_channels_first": False}),
    small("scalars_only", {"max_L": 0, "l_max": 2}),
    small("three_layers", {"layers": 3, "max_L": 2, "l_max": 2, "correlation": (2, 3, 1)}),
    small("one_layer", {"layers": 1, "l_max": 2}),
    small("correlation_4", {"l_max": 1, "correlation": 4}, independent=True),
    small("product_per_element", {"product_per_element": True, "l_max": 2}),
    small("cutoff_on_basis", {"cutoff_on": "basis", "l_max": 2}),
    small("plain_distance", {"transform": "none", "pair": "none", "cutoff_power": 6, "l_max": 2}),
    small("last_readout_only", {"last_readout_only": True, "l_max": 2}),
    small(
        "charge_and_spin", {"inputs": {"charge": CHARGE, "spin": SPIN}, "embedding_readout": True, "l_max": 2}
    ),
    small(
        "real_inputs",
        {
            "inputs": {
                "spin": {"kind": "real", "width": 4, "bias": False},
                "charge": {"kind": "real", "width": 6},
            },
            "l_max": 2,
        },
    ),
    ModelCase(
        "published_size",
        {
            "elements": (*range(1, 84), *range(89, 95)),
            "cutoff": 6.0,
            "channels": 512,
            "edge_channels": 128,
            "max_L": 1,
            "l_max": 3,
            "correlation": 3,
            "layers": 2,
            "radial_basis": 10,
            "radial_network": (64, 64, 64),
            "density_width": 64,
            "readout_width": 16,
        },
        heads=6,
        structures=("water", "rocksalt"),
        parameters=6_439_878,
        ours=6_403_014,
    ),
)

PRODUCTS: tuple[ProductCase, ...] = tuple(
    ProductCase(
        f"l{l_max}_L{L}_nu{correlation}_{elements}_{couplings}",
        l_max,
        L,
        correlation,
        per_element=elements == "elements",
        independent=couplings == "independent",
    )
    for l_max, L, correlation in ((3, 0, 1), (3, 1, 2), (3, 0, 3), (3, 1, 3), (2, 2, 3), (1, 1, 4), (2, 0, 4))
    for elements in ("agnostic", "elements")
    for couplings in ("redundant", "independent")
)

NETWORKS: tuple[NetworkCase, ...] = (
    NetworkCase("radial", basis=8, embedding=6, hidden=(16, 12, 10), out=30),
    NetworkCase("shallow", basis=10, embedding=4, hidden=(64,), out=1),
)

RADIALS: tuple[RadialCase, ...] = (
    RadialCase("p5", cutoff=6.0, power=5, basis=10),
    RadialCase("p6", cutoff=4.5, power=6, basis=8),
)


@dataclass(frozen=True)
class Basis:
    """Harmonics and Wigner symbols of the oracle, from which the change of basis is found."""

    l_max: int = 4
    points: int = 40


BASIS = Basis()
