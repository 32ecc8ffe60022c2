"""Products of rows with matrices on a GPU: all l of a map in one launch."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from crossfield.inference.layout import Map, Rows, padded
from crossfield.kernels.gpu import rows as kernels
from crossfield.kernels.gpu.build import launch
from crossfield.kernels.gpu.launch.tiles import blocks, on_gpu, power_of_two

# How numbers of single precision are multiplied: as they are, rounded to ten bits, or split into parts of
# which the leading products are added up.
Precision = Literal["ieee", "tf32", "tf32x3", "bf16x3", "bf16x6"]
# rows, columns and inner size of a program, and its warps: large ones where there are enough of them
LARGE, SMALL = (128, 128, 32, 8), (64, 64, 32, 4)
ENOUGH = 264  # programs: two for each of the multiprocessors of an H100
INTERPRETED = (256, 256, 4096)  # at most, where a line costs the same, whatever it works on
GROUP = 16  # rows of a group there


class Groups(NamedTuple):
    """Atoms in the order of their groups: as many in a row as a program has are of one, filled up with -1."""

    slots: Tensor  # atoms
    group: Tensor  # of each so many slots

    @classmethod
    def of(cls, element: Tensor, groups: int) -> Groups:
        """Of atoms with these groups; sizes do not depend on them."""
        size = SMALL[0] if on_gpu(element) else GROUP
        index = torch.arange(groups, device=element.device)
        counts = (element.unsqueeze(1) == index).sum(dim=0)
        ends = (counts + size - 1).div(size, rounding_mode="floor").mul(size).cumsum(0)
        sorted_, order = element.sort(stable=True)
        rank = torch.arange(len(element), device=element.device) - torch.searchsorted(sorted_, index)[sorted_]
        padded = (counts + size - 1).div(size, rounding_mode="floor") * size
        total = (blocks(len(element), size) + groups) * size
        slots = torch.full((total,), -1, device=element.device)
        slots[(ends - padded)[sorted_] + rank] = order
        tiles = torch.arange(total // size, device=element.device) * size
        return cls(slots, torch.searchsorted(ends, tiles, right=True).clamp_(max=groups - 1))


class Products:
    """A map of rows, forward and back.

    Args:
        map_: matrices, and where rows are.
        dtype: of the numbers.
        device: where they are.
        precision: of products in single precision.
    """

    def __init__(self, map_: Map, dtype: torch.dtype, device: torch.device, precision: Precision) -> None:
        self.groups = max((len(w) for w in map_.matrices), default=1)
        self.precision = precision if dtype == torch.float32 else "ieee"
        found = zip(map_.matrices, map_.inputs, map_.outputs, strict=False)
        matrices = [padded(w, a, b) for w, a, b in found]
        self._forward = _Direction(matrices, map_.x, map_.y, map_.add, dtype, device)
        transposed = [w.transpose(1, 2) for w in matrices]
        self._back = _Direction(transposed, map_.y, map_.x, map_.add_back, dtype, device)

    def __call__(self, x: Tensor, y: Tensor, groups: Groups | None, *, back: bool = False) -> None:
        """Multiply.

        Args:
            x, y: (N, numbers of an atom); with `back`, they change places.
            groups: of the atoms, where these have matrices of their own.
            back: whether to multiply by the transposed matrices.
        """
        direction = self._back if back else self._forward
        source, target = (y, x) if back else (x, y)
        direction(source, target, groups if self.groups > 1 else None, self.precision)


class _Direction:
    def __init__(
        self,
        matrices: list[Tensor],
        x: list[Rows],
        y: list[Rows],
        add: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        groups = max((len(w) for w in matrices), default=1)
        jobs, packed, first = [], [], 0
        self.most_components = max((r.components for r, _ in zip(x, matrices, strict=False)), default=0)
        self.all_components = sum(r.components for r, _ in zip(x, matrices, strict=False))
        self.most_columns = max((w.shape[2] for w in matrices), default=0)
        self.most_inner = max((w.shape[1] for w in matrices), default=0)
        for l, w in enumerate(matrices):
            inner, columns = w.shape[1:]
            jobs.append(
                (
                    x[l].components,
                    inner,
                    columns,
                    first,
                    x[l].first,
                    x[l].step,
                    y[l].first,
                    y[l].step,
                    l < add,
                )
            )
            packed.append(w.expand(groups, -1, -1).flatten())
            first += groups * inner * columns
        self.jobs = torch.tensor(jobs, dtype=torch.int64, device=device).reshape(-1, len(kernels.JOB))
        self.packed = torch.cat(packed).to(device, dtype) if packed else torch.zeros(0, dtype=dtype)

    def __call__(self, x: Tensor, y: Tensor, groups: Groups | None, precision: Precision) -> None:
        if not len(self.jobs) or not len(x):
            return
        slots = groups.slots if groups is not None else self.jobs
        atoms = len(slots) if groups is not None else len(x)
        rows, columns, inner, warps = self._tile(x, atoms, grouped=groups is not None)
        grid = (
            blocks(atoms * self.most_components, rows),
            blocks(self.most_columns, columns),
            len(self.jobs),
        )
        launch(
            kernels.products,
            grid,
            *(x, self.packed, y, self.jobs, slots, groups.group if groups is not None else self.jobs),
            *(atoms, x.stride(0), y.stride(0)),
            GROUPED=groups is not None,
            PRECISION=precision,
            ROWS=rows,
            COLUMNS=columns,
            INNER=inner,
            warps=warps,
        )

    def _tile(self, like: Tensor, atoms: int, *, grouped: bool) -> tuple[int, int, int, int]:
        """Rows, columns and inner size of a program, and its warps."""
        if on_gpu(like):
            rows, columns, *_ = LARGE
            programs = atoms * self.all_components // rows * (self.most_columns // columns)
            large = programs >= ENOUGH and not grouped and like.dtype == torch.float32  # or it fits no cache
            return LARGE if large else SMALL
        needed = (GROUP if grouped else atoms * self.most_components, self.most_columns, self.most_inner)
        rows, columns, inner = (
            max(16, min(power_of_two(n), most)) for n, most in zip(needed, INTERPRETED, strict=True)
        )
        return rows, columns, inner, 4
