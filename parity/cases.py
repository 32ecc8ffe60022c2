"""What is compared. Plain data: both environments import it, and neither torch nor crossfield is needed.

Sizes are given in the words of `crossfield.model.config.ModelConfig`; the oracle translates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
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
    plain: bool = False  # energies without scale and shift
    hessian: bool = False  # compare second derivatives of the molecule and the crystal too
    state_dict: bool = False  # import the state dict too
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
# what MACE-MP-0 and its successors have in common
OLDER: Mapping[str, Any] = {
    "interaction": "residual",
    "average_neighbours": 11.7,
    "edge_channels": None,
    "product_per_element": True,
    "cutoff_on": "basis",
    "transform": "none",
    "pair": "none",
    "l_max": 2,
}
CHARGE = {"kind": "class", "classes": 5, "offset": 2, "width": 7}
SPIN = {"kind": "class", "classes": 5, "offset": -1, "width": 3}
TEMPERATURE = {"kind": "real", "width": 4}


def small(name: str, changes: Mapping[str, Any], **options: Any) -> ModelCase:
    """The small MH-1 with some fields changed."""
    return ModelCase(name, {**SMALL, **changes}, **options)


def older(name: str, changes: Mapping[str, Any], **options: Any) -> ModelCase:
    """A small model of the older kind with some fields changed."""
    return ModelCase(name, {**SMALL, **OLDER, **changes}, **options)


def drawn(seed: int) -> ModelCase:
    """A model with every option drawn at random."""
    draw = Random(seed)
    layers, max_L = draw.choice((1, 2, 2, 3)), draw.choice((0, 1, 2))
    l_max = draw.choice([l for l in (1, 2, 2, 3) if l >= max_L])
    highest = 3 if l_max < 3 else 2
    block = draw.choice(("nonlinear", "residual", "density_residual", "plain", "density"))
    heads, inputs = draw.choice((1, 2, 4)), draw.random() < 0.3
    config = {
        **SMALL,
        "channels": draw.choice((3, 6)),
        "edge_channels": draw.choice((None, 4, 5)),
        "edge_channels_first": draw.random() < 0.5,
        "layers": layers,
        "max_L": max_L if layers > 1 else 0,
        "l_max": l_max,
        "correlation": tuple(draw.randint(1, highest) for _ in range(layers)),
        "interaction": block,
        "first_interaction": draw.choice((None, "plain", "density", "residual", block)),
        "average_neighbours": draw.uniform(5.0, 20.0),
        "radial_functions": draw.choice(("bessel", "bessel", "gaussian", "chebyshev")),
        "radial_basis": draw.randint(4, 9),
        "radial_network": draw.choice(((12,), (16, 16), (9, 8, 7))),
        "cutoff_power": draw.choice((5, 6)),
        "cutoff_on": draw.choice(("basis", "weights")),
        "transform": draw.choice(("agnesi", "soft", "none")),
        "pair": draw.choice(("zbl", "none")),
        "product_per_element": draw.random() < 0.5,
        "readout": draw.choice(("nonlinear", "bias")),
        "readout_activation": draw.choice(("silu", "silu", "tanh", "abs", "none")),
        "last_readout_only": layers > 1 and draw.random() < 0.3,
        "inputs": {"charge": CHARGE, "temperature": TEMPERATURE} if inputs else {},
        "embedding_readout": inputs and draw.random() < 0.5,
    }
    plain = draw.random() < 0.25 and not config["embedding_readout"]
    independent = draw.random() < 0.5
    return ModelCase(f"drawn_{seed}", config, heads=heads, independent=independent, plain=plain)


PUBLISHED: Mapping[str, Any] = {
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
}
SIX = ("water", "rocksalt", "crystal", "slab", "dimer", "atom")  # one for each head

MODELS: tuple[ModelCase, ...] = (
    small("mh1", {}, hessian=True, state_dict=True),
    small("mh1_independent", {}, independent=True),
    small("as_initialised", {}, random=False),
    small("one_head", {}, heads=1),
    small("edges_as_wide", {"edge_channels": None}),
    small("first_layer_wide", {"edge_channels_first": False}),
    small("scalars_only", {"max_L": 0, "l_max": 2}),
    small("three_layers", {"layers": 3, "max_L": 2, "l_max": 2, "correlation": (2, 3, 1)}),
    small("one_layer", {"layers": 1, "max_L": 0, "l_max": 2}),
    small("correlation_4", {"l_max": 1, "correlation": 4}, independent=True),
    small("correlation_4_redundant", {"max_L": 0, "l_max": 1, "correlation": 4}),
    small("l_max_4", {"max_L": 1, "l_max": 4, "correlation": 2}),
    small("l_max_4_independent", {"max_L": 2, "l_max": 4, "correlation": 3}, independent=True),
    small("product_per_element", {"product_per_element": True, "l_max": 2}),
    small("cutoff_on_basis", {"cutoff_on": "basis", "l_max": 2}),
    small("plain_distance", {"transform": "none", "pair": "none", "cutoff_power": 6, "l_max": 2}),
    small("soft_transform", {"transform": "soft", "l_max": 2}),
    small("gaussians", {"radial_functions": "gaussian", "l_max": 2}),
    small("chebyshev", {"radial_functions": "chebyshev", "l_max": 2}),
    small("last_readout_only", {"last_readout_only": True, "l_max": 2}),
    small("bias_readout", {"readout": "bias", "l_max": 2}),
    small("tanh_readout", {"readout_activation": "tanh", "l_max": 2}, heads=1),
    small(
        "charge_and_spin",
        {"inputs": {"charge": CHARGE, "spin": SPIN}, "embedding_readout": True, "l_max": 2},
        state_dict=True,
    ),
    small(
        "real_inputs",
        {"inputs": {"spin": {"kind": "real", "width": 4, "bias": False}, "charge": TEMPERATURE}, "l_max": 2},
    ),
    small("another_input", {"inputs": {"temperature": TEMPERATURE, "charge": CHARGE}, "l_max": 2}),
    small(
        "like_omol",
        {
            "layers": 3,
            "max_L": 2,
            "l_max": 3,
            "correlation": 2,
            "edge_channels_first": False,
            "transform": "none",
            "pair": "none",
            "readout": "bias",
            "last_readout_only": True,
            "inputs": {"spin": SPIN, "charge": CHARGE},
            "embedding_readout": True,
        },
        heads=1,
        independent=True,
    ),
    older("like_mp_0", {"l_max": 3}, heads=1, hessian=True, state_dict=True),
    older("like_mp_0b", {"first_interaction": "plain", "transform": "agnesi", "pair": "zbl"}, heads=1),
    older(
        "like_mpa_0",
        {
            "interaction": "density_residual",
            "first_interaction": "density",
            "average_neighbours": None,
            "transform": "agnesi",
            "pair": "zbl",
        },
        heads=1,
        state_dict=True,
    ),
    older(
        "like_mh_0",
        {
            "interaction": "density_residual",
            "first_interaction": "density",
            "average_neighbours": None,
            "transform": "agnesi",
            "pair": "zbl",
            "l_max": 3,
        },
        independent=True,
    ),
    older("like_off", {"first_interaction": "plain", "max_L": 2, "elements": (1, 6, 8, 26)}, heads=1),
    older("density_residual_twice", {"interaction": "density_residual", "average_neighbours": None}),
    older("plain_twice", {"interaction": "plain", "cutoff_on": "weights"}, plain=True, state_dict=True),
    older("density_twice", {"interaction": "density", "average_neighbours": None, "layers": 3}),
    older("narrow_edges", {"edge_channels": 4, "product_per_element": False}, independent=True),
    older("nonlinear_after_residual", {"first_interaction": "residual", "interaction": "nonlinear"}),
    older("without_scale_and_shift", {}, plain=True),
    older("one_element", {"elements": (26,)}, structures=("primitive", "atom"), heads=1),
    *(drawn(seed) for seed in range(12)),
    ModelCase("published_size", PUBLISHED, heads=6, structures=SIX, parameters=6_439_878, ours=6_403_014),
    ModelCase(
        "published_size_independent",
        PUBLISHED,
        heads=6,
        structures=SIX,
        independent=True,
        parameters=6_403_014,
        ours=6_403_014,
    ),
)

OLDER_VERSIONS = ("0.3.3", "0.3.8", "0.3.14")  # of mace-torch, whose files are read too; see the Makefile
OLDER_STRUCTURES = ("crystal", "slab", "molecule", "dimer", "atom")

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
