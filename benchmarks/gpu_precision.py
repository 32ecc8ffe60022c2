"""What each way to multiply matrices on a GPU costs in accuracy, found without one.

    TRITON_INTERPRET=1 python benchmarks/gpu_precision.py MODEL [--head HEAD] STRUCTURES.xyz
    python benchmarks/gpu_precision.py --training MODEL [--head HEAD] STRUCTURES.xyz

The plan for GPUs runs under Triton's interpreter, with products in which numbers are rounded as tensor cores
round them: to ten bits (tf32) or seven (bf16), or split into parts of so many bits, of which the leading
products are added up. Largest errors of forces and energies against float64.

With --training, it is the gradient of the loss by the weights, of steps in float32 whose products are rounded
as `training.tensor_cores` says. Labels are what the model itself says in float64, and some noise: that of a
model that has learnt what there is to learn, whose gradients are small and hardest to get right.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import ase.io
import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from crossfield import load
from crossfield.data.batch import Batch, Labels
from crossfield.graph import Graph, collate
from crossfield.inference.gpu import products
from crossfield.inference.potential import Potential
from crossfield.kernels.backend import use
from crossfield.kernels.product import Kind, rounded
from crossfield.model import Model, evaluate
from crossfield.train.loss import batch_loss
from crossfield.train.sections import LossConfig

WAYS = ("ieee", "tf32", "tf32x3", "bf16x3", "bf16x6")
KINDS: tuple[tuple[Kind, ...], ...] = ((), ("linears",), ("radial",), ("linears", "radial"))
NOISE = (0.005, 0.05, 0.002)  # of labels: eV/atom, eV/Å, eV/Å^3


def main() -> None:
    """Evaluate, and print a line for each way."""
    parser = argparse.ArgumentParser(description="Accuracy of products of matrices on a GPU.")
    parser.add_argument("model")
    parser.add_argument("structures")
    parser.add_argument("--head")
    parser.add_argument("--count", type=int, default=4, help="structures, from the start of the file")
    parser.add_argument("--training", action="store_true", help="gradients of training instead")
    options = parser.parse_args()
    frames = ase.io.read(options.structures, index=f":{options.count}")
    (gradients if options.training else inference)(options, frames)


def inference(options: argparse.Namespace, frames: list[Atoms]) -> None:
    """Energies and forces, a line for each way."""
    exact = load(options.model, head=options.head, dtype="float64", backend="reference").predict(frames)
    model = load(options.model, head=options.head, dtype="float32", backend="reference").model
    size = np.abs(np.concatenate([r.forces for r in exact])).max()
    print(f"{len(frames)} structures, largest force {size:.2f} eV/Å")
    print("| products | force, eV/Å | energy, eV/atom |\n| --- | --- | --- |")
    plain = products._Direction.__call__
    for way in WAYS:
        products._Direction.__call__ = emulated(way)
        try:
            potential = Potential(model, options.head, backend="triton", table_accuracy=None)
            found = potential.predict(frames)
        finally:
            products._Direction.__call__ = plain
        pairs = list(zip(found, exact, strict=True))
        force = max(float(np.abs(a.forces - b.forces).max()) for a, b in pairs)
        energy = max(abs(a.energy - b.energy) / len(b.forces) for a, b in pairs)
        print(f"| {way} | {force:.1e} | {energy:.1e} |", flush=True)


def gradients(options: argparse.Namespace, frames: list[Atoms]) -> None:
    """Gradients of training, a line for each choice of products; of every structure by itself."""
    exact = load(options.model, head=options.head, dtype="float64", backend="reference")
    graphs = [exact.graph(atoms) for atoms in frames]
    batches = [
        Batch(collate([g]), labels_for(exact.model, collate([g]), seed)) for seed, g in enumerate(graphs)
    ]
    references = [gradient(exact.model, batch) for batch in batches]
    model = load(options.model, head=options.head, dtype="float32", backend="reference").model
    print(f"{len(frames)} structures; relative error of the gradient by the weights, and of forces")
    print("| in TF32 | gradient, median | largest | 1 - cosine, largest | forces, median |")
    print("| --- | --- | --- | --- | --- |")
    for kinds in KINDS:
        errors, angles, forces = [], [], []
        for batch, (g, f) in zip(batches, references, strict=True):
            found, force = gradient(model, batch, kinds)
            errors.append(float((found - g).norm() / g.norm()))
            angles.append(1 - float(found @ g / (found.norm() * g.norm())))
            forces.append(float((force - f).norm() / f.norm()))
        numbers = (np.median(errors), max(errors), max(angles), np.median(forces))
        print(f"| {', '.join(kinds) or '–'} | {' | '.join(f'{x:.1e}' for x in numbers)} |", flush=True)


def labels_for(model: Model, graph: Graph, seed: int) -> Labels:
    """What a model says, and noise."""
    found, one = evaluate(model, graph), torch.ones(graph.num_structures, dtype=torch.float64)
    assert found.forces is not None
    assert found.stress is not None
    atoms = torch.bincount(graph.structure, minlength=graph.num_structures)
    generator = torch.Generator().manual_seed(seed)
    energy, forces, stress = (
        x + size * torch.randn(x.shape, dtype=x.dtype, generator=generator)
        for x, size in zip((found.energy / atoms, found.forces, found.stress), NOISE, strict=True)
    )
    return Labels(energy * atoms, forces, stress, one, one, one * ~stress.isnan().any(dim=(1, 2)))


def gradient(model: Model, batch: Batch, kinds: tuple[Kind, ...] = ()) -> tuple[Tensor, Tensor]:
    """Of the loss by all weights, one after the other; and forces, in float64."""
    use(model, "numba")
    model.requires_grad_(True)
    with rounded(model, kinds):
        found = evaluate(model, batch.graph, training=True)
    assert found.forces is not None
    loss = batch_loss(found, batch, torch.ones(len(model.heads), 3, dtype=torch.float64), LossConfig())
    by = torch.autograd.grad(loss.total, list(model.parameters()), materialize_grads=True, allow_unused=True)
    return torch.cat([g.flatten().double() for g in by]), found.forces.detach()


def emulated(way: str) -> Callable[..., None]:
    """In place of the kernel: the same products, rounded."""

    def run(self: products._Direction, x: Tensor, y: Tensor, groups: object, precision: str) -> None:
        for components, inner, columns, first, x0, x_step, y0, y_step, add in self.jobs.tolist():
            w = self.packed[first : first + inner * columns].view(inner, columns)
            if groups is not None:
                raise SystemExit("matrices of each element are not emulated")
            for m in range(components):
                a = x[:, x0 + m * x_step :][:, :inner]
                target = y[:, y0 + m * y_step :][:, :columns]
                product = multiply(a, w, way)
                target.copy_(target + product if add else product)

    return run


def multiply(a: Tensor, b: Tensor, way: str) -> Tensor:
    """Products of parts are exact in float32, and so summed."""
    if way == "ieee":
        return a @ b
    bits, _, parts = way.partition("x")
    n = {"": 1, "3": 2, "6": 3}[parts]
    # parts[i] parts[j] count as long as i + j < n
    A, B = split(a, n, int(bits == "tf32")), split(b, n, int(bits == "tf32"))
    terms = [A[i] @ B[k - i] for k in reversed(range(n)) for i in range(k + 1)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def split(x: Tensor, parts: int, tf32: int) -> list[Tensor]:
    """Into numbers of ten bits, or of seven, that add up to it as nearly as can be."""
    found, drop = [], 13 if tf32 else 16
    for _ in range(parts):
        whole = x.view(torch.int32)
        rounded = ((whole + (1 << (drop - 1))) >> drop) << drop
        found.append(rounded.view(torch.float32))
        x = x - found[-1]
    return found


if __name__ == "__main__":
    main()
