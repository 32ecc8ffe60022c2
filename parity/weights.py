"""Copy mace-torch's weights into our modules.

Features of the oracle are flat, `mul_ir` (channels slow, components fast), in a basis of its own for each l;
ours are one tensor (N, 2l+1, C) per l. Weights only change their shape, but for the couplings of the product,
which are turned into our basis, symmetrised, and projected on ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
import torch
from torch import Tensor, nn

from crossfield.algebra import symmetric_basis
from crossfield.kernels import SphericalHarmonics
from crossfield.model.config import InputConfig
from crossfield.model.interaction import Interaction
from crossfield.model.linear import Linear
from crossfield.model.model import Model
from crossfield.model.product import ProductBasis
from crossfield.model.radial import RadialNetwork

State = dict[str, Tensor]
CONSTANTS = (
    *("atomic_numbers", "r_max", "num_interactions", "atomic_energies", "scale", "shift", "output_mask"),
    *(
        "covalent_radii",
        ".p",
        ".q",
        ".a",
        ".c",
        "a_exp",
        "a_prefactor",
        "prefactor",
        "bessel_weights",
        "_zeroed",
    ),
)


@dataclass(frozen=True)
class ChangeOfBasis:
    """The oracle's basis of each l in terms of ours: x_oracle = Q[l] @ x_ours."""

    Q: tuple[Tensor, ...]  # per l (2l+1, 2l+1)

    @classmethod
    def find(cls, tensors: State, l_max: int) -> ChangeOfBasis:
        """From the oracle's harmonics at some points."""
        harmonics = SphericalHarmonics(l_max).double()(tensors["input/points"])
        solutions = (
            torch.linalg.lstsq(Y, tensors[f"output/Y_{l}"]).solution for l, Y in enumerate(harmonics)
        )
        return cls(tuple(solution.T for solution in solutions))

    def features(self, flat: Tensor, channels: int) -> list[Tensor]:
        """The oracle's flat features (N, sum (2l+1) C) as ours, per l (N, 2l+1, C)."""
        out, first = [], 0
        while first < flat.shape[1]:
            l = len(out)
            size = channels * (2 * l + 1)
            x = flat[:, first : first + size].reshape(-1, channels, 2 * l + 1)
            out.append((x @ self.Q[l]).transpose(1, 2))
            first += size
        return out

    def joined(self, x: Tensor) -> list[Tensor]:
        """The oracle's (N, C, (l_max+1)^2) as ours, per l (N, 2l+1, C)."""
        sizes = [2 * l + 1 for l in range(round(x.shape[2] ** 0.5))]
        return [(part @ Q).transpose(1, 2) for part, Q in zip(x.split(sizes, dim=2), self.Q)]


def gap(a: Tensor, b: Tensor) -> float:
    """Largest difference."""
    return float((a - b).abs().max())


class Source:
    """The oracle's state, from which each entry is taken once."""

    def __init__(self, tensors: State) -> None:
        prefix = "state/"
        self.left = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    def take(self, name: str) -> Tensor:
        return self.left.pop(name)

    def drop_constants(self) -> None:
        """Forget entries that are empty or constants of the oracle."""
        self.left = {
            name: value
            for name, value in self.left.items()
            if value.numel() and "._w3j_" not in name and not name.endswith(CONSTANTS)
        }


@torch.no_grad()
def assign(parameter: nn.Parameter, value: Tensor) -> None:
    """Set a parameter; the number of entries must be right, the shape is that of the parameter."""
    parameter.copy_(value.reshape(parameter.shape))


def copy_model(tensors: State, model: Model, basis: ChangeOfBasis) -> None:
    """Copy all weights of a whole model; an entry of either side that is left over is an error."""
    source = Source(tensors)
    for parameter in model.parameters():
        assign(parameter, torch.full_like(parameter, float("nan")))

    assign(model.embedding.weight, source.take("node_embedding.linear.weight"))
    if model.inputs is not None:
        assign(model.inputs.project.weight, source.take("joint_embedding.project.0.weight"))
        for name, config in model.inputs.inputs.items():
            copy_input(source, f"joint_embedding.embedders.{name}.", model.inputs.embedders[name], config)
    if model.embedding_readout is not None:
        assign(model.embedding_readout.weight, source.take("embedding_readout.linear.weight"))
    for i, interaction in enumerate(model.interactions):
        copy_interaction(source, f"interactions.{i}.", interaction, basis)
    for i, product in enumerate(model.products):
        copy_product(source, f"products.{i}.", product, basis)
    for i, readout in enumerate(model.readouts.values()):
        if hasattr(readout, "weight"):
            assign(readout.weight, source.take(f"readouts.{i}.linear.weight"))
        else:
            assign(readout.weight_1, source.take(f"readouts.{i}.linear_1.weight"))
            assign(readout.weight_2, source.take(f"readouts.{i}.linear_2.weight"))

    source.drop_constants()
    missing = [name for name, p in model.named_parameters() if p.isnan().any()]
    if source.left or missing:
        raise AssertionError(f"not copied: {sorted(source.left)}; not set: {missing}")


def copy_input(source: Source, prefix: str, embedder: nn.Module, config: InputConfig) -> None:
    """The embedding of one number per structure."""
    if config.kind == "class":
        assign(embedder.weight, source.take(prefix + "weight"))
        return
    for k in (0, 2):
        assign(embedder[k].weight, source.take(f"{prefix}{k}.weight"))
        if config.bias:
            assign(embedder[k].bias, source.take(f"{prefix}{k}.bias"))


def copy_linear(weights: Tensor, linear: Linear) -> None:
    """An equivariant Linear: the oracle keeps one flat list, l after l, inputs slow."""
    for weight, part in zip(linear.weights, weights.split([w.numel() for w in linear.weights])):
        assign(weight, part)


def copy_interaction(source: Source, prefix: str, block: Interaction, basis: ChangeOfBasis) -> None:
    """One interaction block."""
    assign(block.sender_embedding, source.take(prefix + "source_embedding.weight"))
    assign(block.receiver_embedding, source.take(prefix + "target_embedding.weight"))
    copy_linear(source.take(prefix + "linear_up.weight"), block.linear_up)
    copy_linear(source.take(prefix + "linear_res.weight"), block.linear_res)
    copy_linear(source.take(prefix + "skip_tp.weight"), block.linear_skip)
    copy_linear(source.take(prefix + "linear_1.weight"), block.linear_1)
    copy_linear(source.take(prefix + "linear_2.weight"), block.linear_2)
    copy_network(source, prefix + "conv_tp_weights.", block.radial)
    copy_network(source, prefix + "density_fn.", block.density)
    assign(block.alpha, source.take(prefix + "alpha"))
    assign(block.beta, source.take(prefix + "beta"))


def copy_network(source: Source, prefix: str, network: RadialNetwork) -> None:
    """A radial network."""
    for k, linear in enumerate(network.linears):
        assign(linear.weight, source.take(f"{prefix}net.{3 * k}.weight"))
        assign(linear.bias, source.take(f"{prefix}net.{3 * k}.bias"))
    for k, norm in enumerate(network.norms):
        assign(norm.weight, source.take(f"{prefix}net.{3 * k + 1}.weight"))
        assign(norm.bias, source.take(f"{prefix}net.{3 * k + 1}.bias"))


def copy_product(source: Source, prefix: str, block: ProductBasis, basis: ChangeOfBasis) -> None:
    """One product basis; raises where the oracle's couplings are outside the span of ours."""
    copy_linear(source.take(prefix + "linear.weight"), block.linear)
    for L, weight in enumerate(block.weights):
        at = f"{prefix}symmetric_contractions.contractions.{L}."
        degrees = len(block.contraction.sizes[L])
        parts = []
        for degree in range(1, degrees + 1):
            name = "weights_max" if degree == degrees else f"weights.{degrees - 1 - degree}"
            U = source.take(f"{at}U_matrix_{degree}")
            projection = project_couplings(U if L else U.unsqueeze(0), degree, basis)  # (ours, theirs)
            parts.append(torch.einsum("kj,ejc->ekc", projection, source.take(at + name)))
        assign(weight, torch.cat(parts, dim=1))


def project_couplings(U: Tensor, degree: int, basis: ChangeOfBasis) -> Tensor:
    """Our couplings' coefficients in each of the oracle's.

    Args:
        U: (2L+1, D, ..., D, couplings), D = (l_max+1)^2, not symmetric in its inputs.
        degree: number of inputs.
        basis: the oracle's basis.

    Returns:
        (our couplings, their couplings).

    Raises:
        AssertionError: a symmetrised coupling is outside the span of ours by more than 1e-10.
    """
    L, l_max = (U.shape[0] - 1) // 2, round(U.shape[1] ** 0.5) - 1
    Q_in = torch.block_diag(*basis.Q[: l_max + 1])
    for axis in range(1, degree + 1):
        U = torch.tensordot(U, Q_in, dims=([axis], [0])).movedim(-1, axis)
    U = torch.tensordot(basis.Q[L].T, U, dims=1)
    orders = [(0, *order, degree + 1) for order in permutations(range(1, degree + 1))]
    symmetric = torch.stack([U.permute(order) for order in orders]).sum(0) / factorial(degree)

    ours = symmetric_basis(l_max, L, degree)
    dense = torch.zeros(ours.size, *symmetric.shape[:-1], dtype=torch.float64)  # our couplings as tensors
    for monomial, coefficient in zip(ours.monomials, np.moveaxis(ours.coefficients, 2, 0)):
        places = set(permutations(monomial.tolist()))
        for place in places:
            dense[(slice(None), slice(None), *place)] = torch.from_numpy(coefficient) / len(places)
    target = symmetric.flatten(0, -2)  # (entries, theirs)
    span = dense.flatten(1).T  # (entries, ours)
    projection = torch.linalg.lstsq(span, target).solution
    residual = gap(span @ projection, target)
    if residual > 1e-10 * max(float(target.abs().max()), 1.0):
        raise AssertionError(f"couplings (L={L}, degree {degree}) are outside our span by {residual:.1e}")
    return projection
