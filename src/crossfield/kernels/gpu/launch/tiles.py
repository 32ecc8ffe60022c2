"""Sizes of tiles: what a program works on, and how many warps it has."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from crossfield.kernels.gpu import build

MOST = 256  # rows of a program under the interpreter
WIDEST = 128  # channels of a program: four for each thread of a warp


class Tiles(NamedTuple):
    """Of a kernel over atoms and channels."""

    grid: tuple[int, int]
    sizes: dict[str, int]  # for `launch`

    @classmethod
    def of(cls, atoms: int, channels: int, like: Tensor, *, each: int = 1, widest: int = WIDEST) -> Tiles:
        """For so many atoms and channels.

        Args:
            atoms, channels: how many there are.
            like: where they are. Under the interpreter, a line costs the same whatever it works on: programs
                are few and large.
            each: atoms of a program on a GPU, a warp for each.
            widest: channels of a program in single precision, at most.
        """
        B = min(power_of_two(channels), widest * 4 // like.itemsize)
        R = rows_of(atoms, each, like)
        sizes = {"ROWS": R, "CHANNELS": B, "warps": each}
        return cls((blocks(atoms, R), blocks(channels, B)), sizes)


def on_gpu(like: Tensor) -> bool:
    """Whether tiles are those of a GPU: where a tensor is on one, and where kernels are only looked at."""
    return like.is_cuda or build.looking()


def rows_of(rows: int, each: int, like: Tensor) -> int:
    """Rows of a program: `each` on a GPU; under the interpreter as many as there are, up to some."""
    return each if on_gpu(like) else min(power_of_two(max(rows, 1)), MOST)


def power_of_two(size: int) -> int:
    """The least one that is not less."""
    return 1 << max(size - 1, 0).bit_length()


def blocks(size: int, tile: int) -> int:
    """How many tiles cover a size."""
    return -(-size // tile)


def edges_at_once(like: Tensor) -> int:
    """Edges of a program that works number by number."""
    return 256 if on_gpu(like) else 4096
