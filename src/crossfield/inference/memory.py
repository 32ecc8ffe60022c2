"""Memory that plans work in."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Scratch:
    """Memory of one thread, for one block of atoms."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._kept: dict[str, Tensor] = {}

    def get(self, name: str, rows: int, size: int) -> Tensor:
        """An array (rows, size); what is in it is left over from before."""
        have = self._kept.get(name)
        if have is None or have.numel() < rows * size:
            have = None
            self._kept.pop(name, None)  # before there is another
            have = self._kept[name] = torch.empty(rows * size, dtype=self.dtype)
        return have[: rows * size].view(rows, size)


class Memory:
    """Memory that is used again from one evaluation to the next, and by one plan after the other."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._arrays: dict[tuple[str, int], Tensor] = {}
        self._scratch: list[Scratch] = []

    def array(
        self, name: str, layer: int, shape: tuple[int, ...], dtype: torch.dtype | None = None
    ) -> Tensor:
        """An array for all atoms or edges; what is in it is left over from before."""
        size = math.prod(shape)
        have = self._arrays.get((name, layer))
        if have is None or have.numel() < size:
            have = None
            self._arrays.pop((name, layer), None)  # before there is another
            have = self._arrays[name, layer] = torch.empty(
                size, dtype=dtype or self.dtype, device=self.device
            )
        return have[:size].view(shape)

    def scratch(self, part: int) -> Scratch:
        """Of one thread."""
        while len(self._scratch) <= part:
            self._scratch.append(Scratch(self.dtype))
        return self._scratch[part]
