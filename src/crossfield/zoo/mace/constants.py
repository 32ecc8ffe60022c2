"""Constants that a file repeats: each is checked against what the model computes with, and then dropped.

A constant of another value would give other energies than ours, and so would one that is not looked at.
"""

from __future__ import annotations

import math
import re

import torch
from ase.data import covalent_radii
from torch import Tensor

from crossfield.algebra import clebsch_gordan
from crossfield.errors import InputError
from crossfield.model import ModelConfig
from crossfield.model.layer import LayerShape
from crossfield.model.pair import ZBLRepulsion
from crossfield.model.radial import AgnesiTransform, SoftTransform
from crossfield.zoo.mace.source import Source, irreps, same

WIGNER = re.compile(r".*\._w3j_(\d+)_(\d+)_(\d+)$")


def check_constants(source: Source, config: ModelConfig) -> None:
    """Take all constants out of a source.

    Raises:
        InputError: one is missing, or differs from ours; the message names it.
    """
    radii = torch.from_numpy(covalent_radii)
    known = list(config.elements)

    def expect(name: str, value: Tensor | float) -> None:
        found = source.take(name)
        expected = torch.as_tensor(value, dtype=torch.float64)
        if not same(found, expected):
            raise InputError(f"constant {name!r} is {_shown(found)}, where this model has {_shown(expected)}")

    def expect_radii(name: str) -> None:
        found = source.take(name)
        if found.dim() != 1 or len(found) <= max(known) or not same(found[known], radii[known]):
            raise InputError(f"constant {name!r} differs from the covalent radii of ASE")

    expect("atomic_numbers", torch.tensor(known))
    expect("r_max", config.cutoff)
    expect("num_interactions", config.layers)

    at = "radial_embedding."
    expect(f"{at}cutoff_fn.p", config.cutoff_power)
    expect(f"{at}cutoff_fn.r_max", config.cutoff)
    n = torch.arange(1, config.radial_basis + 1, dtype=torch.float64)
    if config.radial_functions == "bessel":
        expect(f"{at}bessel_fn.bessel_weights", math.pi / config.cutoff * n)
        expect(f"{at}bessel_fn.r_max", config.cutoff)
        expect(f"{at}bessel_fn.prefactor", math.sqrt(2.0 / config.cutoff))
    elif config.radial_functions == "gaussian":
        centres = torch.linspace(0.0, config.cutoff, config.radial_basis, dtype=torch.float64)
        expect(f"{at}bessel_fn.gaussian_weights", centres)
    else:
        expect(f"{at}bessel_fn.n", n[None])
    if config.transform == "agnesi":
        for name in ("q", "p", "a"):
            expect(f"{at}distance_transform.{name}", getattr(AgnesiTransform, name))
    if config.transform == "soft":
        expect(f"{at}distance_transform.alpha", SoftTransform.steepness)
    if config.transform != "none":
        expect_radii(f"{at}distance_transform.covalent_radii")
    if config.pair == "zbl":
        at = "pair_repulsion_fn."
        expect(f"{at}c", torch.tensor([c for c, _ in ZBLRepulsion.screening], dtype=torch.float64))
        expect(f"{at}p", config.cutoff_power)
        expect(f"{at}a_exp", ZBLRepulsion.exponent)
        expect(f"{at}a_prefactor", ZBLRepulsion.prefactor)
        expect_radii(f"{at}covalent_radii")
        if source.has(f"{at}cutoff"):  # mace-torch up to 0.3.8 kept these and computed without them
            expect(f"{at}cutoff.p", config.cutoff_power)
            for name in ("r_max", "cutoff.r_max"):
                source.take(f"{at}{name}")
    for name in list(source.tensors):
        if match := WIGNER.match(name):
            l1, l2, l3 = map(int, match.groups())
            expect(name, torch.from_numpy(clebsch_gordan(l1, l2, l3)) * (2 * l3 + 1) ** -0.5)


def drop_empty(source: Source) -> None:
    """Drop what e3nn's modules carry along: absent biases and weights, and masks of what they reach."""
    for name, tensor in list(source.tensors.items()):
        mask = name.endswith("output_mask") and bool(((tensor == 0) | (tensor == 1)).all())
        nothing = tensor.numel() == 0 and name.endswith((".bias", ".weight"))
        if mask or nothing:
            source.take(name)


def _shown(value: Tensor) -> str:
    return f"{float(value):g}" if value.numel() == 1 else f"of shape {tuple(value.shape)}"


def check_irreps(source: Source, config: ModelConfig) -> None:
    """Check that features have the irreps that their numbers of channels were taken for.

    Raises:
        InputError: other irreps, or in another order.
    """
    for i in range(config.layers if not source.is_state_dict else 0):
        shape = LayerShape.of(config, i)
        for path, name, expected in (
            (f"interactions.{i}", "node_feats_irreps", shape.hidden_in),
            (f"interactions.{i}", "edge_irreps", shape.edge),
            (f"interactions.{i}", "target_irreps", shape.product),
            (f"interactions.{i}", "hidden_irreps", shape.hidden_out),
            (f"products.{i}.linear", "irreps_out", shape.hidden_out),
        ):
            found = source.attribute(path, name)
            if found is not None and irreps(found) != str(expected):
                raise InputError(
                    f"{path}.{name} is {irreps(found)}, which is not known here (expected {expected})"
                )
