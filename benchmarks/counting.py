"""What a step of training calls, multiplies and moves, found without a GPU: counted per atom.

    python benchmarks/gpu_kernels.py --training
    .venv-oracle/bin/python benchmarks/counting.py

The second line counts mace-torch, in the environment of the oracle. Every call of torch is seen; its inputs
are read from memory and its results written, each once, whatever caches do. Views and what is only
allocated cost nothing. Products of matrices have two operations for each multiply-add; operations of all else
are free.

A step is counted for a cell and for two of them: the difference is what an atom costs, and what does not grow
with the atoms (scaling weights, adding up their gradients) is left out of times. A call takes as long as its
bytes or its operations, whichever is longer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from ase import Atoms
from ase.build import bulk
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MEMORY = 4.0e12  # bytes per second that copies reach on an H200
SINGLE = 60e12  # operations per second in float32
TENSOR = 0.6 * 495e12  # in TF32, of which 60 % are reached
HOST = 6e-6  # seconds that a call of torch keeps the host, with autograd
PRODUCTS = {"mm", "bmm", "addmm", "baddbmm"}
ALLOCATE = ("empty", "new_empty")


class Rates(NamedTuple):
    """How fast products of matrices are."""

    name: str
    products: float


IN_FLOAT32, IN_TF32 = RATES = Rates("float32", SINGLE), Rates("TF32", TENSOR)


@dataclass
class Call:
    """One of torch, which is one launch at least."""

    name: str
    part: str
    flops: float
    bytes: float
    inner: list[Any] = field(default_factory=list)  # kernels that it launches, where these are looked at

    def less(self, other: Call) -> Call:
        """What it has more."""
        assert self.name == other.name, (self.name, other.name)
        return Call(self.name, self.part, self.flops - other.flops, self.bytes - other.bytes, self.inner)

    def seconds(self, rates: Rates) -> float:
        """On an H200, at least."""
        return max(self.bytes / MEMORY, self.flops / rates.products)


class Counting(TorchDispatchMode):
    """Lists the calls of torch.

    Args:
        seen: kernels that are looked at instead of being run are added to this list meanwhile.
    """

    def __init__(self, seen: list[Any] | None = None) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._seen: list[Any] = [] if seen is None else seen

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = len(self._seen)
        found = func(*args, **(kwargs or {}))
        space, name = func.namespace, func._schema.name.split("::")[1]
        inputs, outputs = _tensors((args, kwargs)), _tensors(found)
        places = set(map(_place, inputs))
        changes = func._schema.is_mutable
        new = [x for x in outputs if changes or _place(x) not in places]
        if not new or name.startswith(ALLOCATE):
            return found
        part = "kernels" if space == "crossfield" else "products" if name in PRODUCTS else "rest"
        moved = sum(map(_bytes, inputs)) + sum(map(_bytes, outputs))
        flops = 0.0
        if part == "products":
            a, b = inputs[-2:]
            flops = 2.0 * a.numel() * b.shape[-1]
        self.calls.append(Call(name, part, flops, moved, self._seen[before:]))
        return found


def _tensors(tree: Any) -> list[Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def _bytes(x: Tensor) -> int:
    """Of a tensor; what is repeated without being written is read once."""
    return min(x.numel() * x.itemsize, x.untyped_storage().nbytes())


def _place(x: Tensor) -> int:
    """Its memory; tensors of torch.func do not show theirs, which is taken to be their own."""
    try:
        return x.untyped_storage().data_ptr()
    except RuntimeError:
        return id(x)


def per_atom(step: Callable[[Sequence[Atoms]], list[Call]], cell: Atoms) -> list[Call]:
    """What an atom adds to every call of a step."""
    one, two = step([cell] * 2), step([cell] * 4)
    more = [b.less(a) for a, b in zip(one, two, strict=True)]
    atoms = 2 * len(cell)
    return [Call(c.name, c.part, c.flops / atoms, c.bytes / atoms, c.inner) for c in more]


def table(title: str, calls: Sequence[Call], slowest: Callable[[Call], float] = lambda call: 0.0) -> Table:
    """Calls by part, and those of our kernels by name.

    Args:
        title: of the table.
        calls: per atom.
        slowest: seconds that a call takes whatever it moves: what its kernels execute.
    """
    found = Table(title=title)
    for name in ("per atom", "launches", "Mflop", "KiB", *(f"ns, products in {r.name}" for r in RATES)):
        found.add_column(name, justify="left" if name == "per atom" else "right")
    rows: dict[str, list[Call]] = {}
    for call in calls:
        rows.setdefault(call.name if call.part == "kernels" else call.part, []).append(call)
    for name, of in [*sorted(rows.items()), ("sum", list(calls))]:
        times = [sum(max(c.seconds(rates), slowest(c)) for c in of) for rates in RATES]
        launches = sum(max(1, len(c.inner)) for c in of)
        numbers = (sum(c.flops for c in of) / 1e6, sum(c.bytes for c in of) / 1024, *(1e9 * t for t in times))
        found.add_row(name, str(launches), *(f"{x:,.1f}" for x in numbers))
    return found


def host(calls: Sequence[Call], slowest: Callable[[Call], float] = lambda call: 0.0) -> str:
    """When the host decides; arguments as of `table`."""
    seconds, device = HOST * len(calls), sum(max(c.seconds(IN_FLOAT32), slowest(c)) for c in calls)
    return (
        f"{len(calls)} calls of {1e6 * HOST:g} µs keep the host {1e3 * seconds:.1f} ms, "
        f"as long as the device has with {seconds / device:,.0f} atoms"
    )


def cells() -> dict[str, Atoms]:
    """Structures by name."""
    return {"diamond": bulk("C", "diamond", a=3.567), "AlN": bulk("AlN", "wurtzite", a=3.11, c=4.98)}


def main() -> None:
    """Count mace-torch."""
    import worker_mace  # also sets what mace-torch needs before it is imported
    from cases import SIZES
    from parity.cases import ModelCase
    from parity.oracle.models import build_model

    parser = argparse.ArgumentParser(
        description="Calls, operations and bytes of a training step of mace-torch."
    )
    parser.add_argument("--size", default="MH-1", choices=SIZES)
    parser.add_argument("--structure", default="AlN", choices=cells())
    options = parser.parse_args()
    torch.set_default_dtype(torch.float32)
    model = build_model(ModelCase("count", dict(SIZES[options.size]), heads=1, independent=True)).float()

    def step(atoms: Sequence[Atoms]) -> list[Call]:
        job = worker_mace.training(model, atoms, None)
        for _ in range(3):  # TorchScript looks at the first runs, and then changes them
            job.run()
        with Counting() as counting:
            job.run()
        return counting.calls

    calls = per_atom(step, cells()[options.structure])
    console = Console(width=150, highlight=False)
    console.print(table(f"mace-torch, {options.size}, {options.structure}, float32", calls))
    console.print(host(calls))


if __name__ == "__main__":
    main()
