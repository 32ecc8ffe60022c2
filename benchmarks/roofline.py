"""What an evaluation must at least compute and move, and what this machine can.

Counted from the configuration, for interactions of the kind "nonlinear" (MACE-MH-1). A multiply-add is two
operations. Per layer, with features of C channels, K of them along edges, l up to l_max, paths (l1, l2, l3):

Linear maps, per atom and map: `sum over l of 2 (2l+1) C_in C_out`, for all maps of `model/interaction.py`
and `model/product.py` (up, res, skip, 1, 2, out). In reverse as much, but nothing for up, res and skip of the
first layer: what goes in there does not depend on the positions.

Convolution, per edge and channel K: two operations for each non-zero Clebsch-Gordan coefficient of each path,
and `min(2 l1 + 1, 2 l3 + 1)` products with the radial weight. In reverse 2.5 times as much: the gradients by
the sender's features, the harmonics and the weights. The first layer's features have none: 1.5 times.

Radial weights, per edge, path and channel K, and the density: four multiply-adds of a cubic spline; in
reverse four for its derivative and one for the sum. What a network costs in place of a spline is not counted.

Symmetric contraction, per atom and channel C: one product for each monomial of degree two and more, two
operations for each non-zero coefficient, two for each coupling, component and weight. In reverse the latter
two again, and four operations for each monomial.

Left out as small: harmonics, gates, readouts, pair energy, sums of forces and stress.

Bytes, at least: of every atom the features that go into a layer, those that travel, the message, A, and what
comes out are written and read once, once more in reverse, and their gradients written and read once; of every
edge its vector and two indices are read twice, and the gradient by the vector is written; the weights of the
model are read twice. Whatever is read again from a cache is free.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from crossfield.algebra import Irreps, clebsch_gordan, symmetric_basis
from crossfield.bench.device import wait
from crossfield.bench.timing import Job, times
from crossfield.model import Model, ModelConfig
from crossfield.model.layer import LayerShape
from crossfield.theory import Head, Theory

SPLINE = 4  # multiply-adds for the value of a cubic spline, or for its derivative
INDEX = 8  # bytes of an index of an atom
REVERSE, FIRST_REVERSE = 2.5, 1.5  # of the convolution, relative to forward
SIZES = {"float32": 4096, "float64": 2048}  # of the matrices for the peak
GPU_SIZES = {"float32": 8192, "tf32": 16384, "float64": 8192}
STREAM = 2**28  # bytes, far beyond every cache
SPLIT = 3  # products in TF32 that one in float32 is made of, on a GPU


class Work(NamedTuple):
    """What an evaluation takes at least."""

    flops: float
    bytes: float


class Peaks(NamedTuple):
    """What a machine can, with the threads that were allowed."""

    flops: dict[str, float]  # per second, by dtype and "tf32": the rate of large matrix products (torch.mm)
    bandwidth: float  # bytes per second, to and from memory: the better of a copy and a triad

    def best(self, dtype: str) -> float:
        """Operations per second of products as exact as this precision is."""
        if dtype == "float32" and "tf32" in self.flops:
            return max(self.flops["float32"], self.flops["tf32"] / SPLIT)
        return self.flops[dtype]


class Flops(NamedTuple):
    """Operations of one part, forward and in reverse."""

    forward: float
    reverse: float

    @property
    def total(self) -> float:
        return self.forward + self.reverse


def work(config: ModelConfig, atoms: int, edges: int, itemsize: int) -> Work:
    """Energy, forces and stress of one structure.

    Args:
        config: the model.
        atoms, edges: of the structure.
        itemsize: bytes of a number, 4 or 8.
    """
    per_atom = sum(linears(config, i).total + contraction(config, i).total for i in range(config.layers))
    per_edge = sum(convolution(config, i).total + radial(config, i).total for i in range(config.layers))
    numbers = 0
    for i in range(config.layers):
        shape = LayerShape.of(config, i)
        parts = (shape.hidden_in, shape.edge, shape.message, shape.product, shape.hidden_out)
        numbers += 5 * sum(irreps.dim for irreps in parts)
    edge_bytes = 3 * 3 * itemsize + 2 * 2 * INDEX
    parameters = Model.skeleton(config, [_head(config)]).num_parameters
    return Work(
        flops=atoms * per_atom + edges * per_edge,
        bytes=atoms * numbers * itemsize + edges * edge_bytes + 2 * parameters * itemsize,
    )


def linears(config: ModelConfig, layer: int) -> Flops:
    """Linear maps of a layer, per atom."""
    _check(config)
    shape = LayerShape.of(config, layer)
    gated = Irreps((config.channels * (1 + config.l_max), *shape.product.channels[1:]))
    incoming = (
        _linear(shape.hidden_in, shape.edge)
        + _linear(shape.edge, gated)
        + _linear(shape.hidden_in, shape.hidden_out)
    )
    others = (
        _linear(shape.message, gated)
        + _linear(shape.product, shape.product)
        + _linear(shape.hidden_out, shape.hidden_out)
    )
    return Flops(incoming + others, others if layer == 0 else incoming + others)


def convolution(config: ModelConfig, layer: int) -> Flops:
    """Convolution of a layer, per edge."""
    shape = LayerShape.of(config, layer)
    per_channel = sum(
        2 * int((clebsch_gordan(*path) != 0.0).sum()) + min(2 * path.l1 + 1, 2 * path.l3 + 1)
        for path in shape.paths
    )
    forward = per_channel * shape.edge.channels[0]
    return Flops(forward, forward * (FIRST_REVERSE if layer == 0 else REVERSE))


def radial(config: ModelConfig, layer: int) -> Flops:
    """Radial weights of a layer and its density, per edge."""
    numbers = LayerShape.of(config, layer).radial_weights + 1
    return Flops(2 * SPLINE * numbers, 2 * (SPLINE + 1) * numbers)


def contraction(config: ModelConfig, layer: int) -> Flops:
    """Symmetric contraction of a layer, per atom."""
    degrees = range(1, config.correlations[layer] + 1)
    bases = [
        symmetric_basis(config.l_max, L, degree)
        for L in range(config.hidden_L(layer) + 1)
        for degree in degrees
    ]
    monomials = {
        tuple(row[:length])  # each grows from a shorter one
        for basis in bases
        for row in basis.monomials.tolist()
        for length in range(2, len(row) + 1)
    }
    sums = sum(
        2 * int((b.coefficients != 0.0).sum()) + 2 * math.prod(b.coefficients.shape[:2]) for b in bases
    )
    C = config.channels
    return Flops(C * (len(monomials) + sums), C * (4 * len(monomials) + sums))


def measure_peaks(device: torch.device) -> Peaks:
    """What a device can, a processor with the threads that torch has; takes some seconds."""
    sizes = GPU_SIZES if device.type == "cuda" else SIZES
    flops = {name: _products(name, n, device) for name, n in sizes.items()}
    x, y, z = (torch.rand(STREAM // 4, device=device) for _ in range(3))
    triad = 3 * STREAM / _shortest(lambda: torch.add(x, y, alpha=2.0, out=z), device)
    return Peaks(flops, max(triad, 2 * STREAM / _shortest(lambda: z.copy_(x), device)))


def _products(name: str, n: int, device: torch.device) -> float:
    dtype = torch.float64 if name == "float64" else torch.float32
    a, b, out = (torch.rand(n, n, dtype=dtype, device=device) for _ in range(3))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    try:
        return 2.0 * n**3 / _shortest(lambda: torch.mm(a, b, out=out), device)
    finally:
        torch.set_float32_matmul_precision(before)


def _shortest(run: Callable[[], object], device: torch.device) -> float:
    def whole() -> None:
        run()
        wait(device)

    return min(times(Job(whole), 1.0 if device.type == "cpu" else 0.3, at_least=5))


def _linear(irreps_in: Irreps, irreps_out: Irreps) -> int:
    pairs = zip(irreps_in.channels, irreps_out.channels, strict=False)
    return sum(2 * (2 * l + 1) * n_in * n_out for l, (n_in, n_out) in enumerate(pairs))


def _check(config: ModelConfig) -> None:
    if set(config.blocks) != {"nonlinear"}:
        raise ValueError("operations are counted for interactions of the kind 'nonlinear' only")


def _head(config: ModelConfig) -> Head:
    return Head(name="head", theory=Theory(name="none"), E0=dict.fromkeys(config.elements, 0.0))
