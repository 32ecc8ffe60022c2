"""What the operations have in common: how kernels are found, and derivatives by torch beyond the second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.kernels.native import build
from crossfield.kernels.native.build import PRECISIONS, Function, Source
from crossfield.kernels.native.emit import Code

PAST = 64  # numbers that kernels read past the last edge, and do not use
Three = tuple[Tensor, Tensor, Tensor]
Four = tuple[Tensor, Tensor, Tensor, Tensor]


@cache
def compiled(arguments: tuple[str, ...], dtype: torch.dtype, write: Callable[[Code], None]) -> Function:
    """One kernel; `write` is a partial of hashable arguments, or a function."""
    (function,) = build.functions([Source(arguments, PRECISIONS[dtype], write)], more=True)
    return function


class Write(partial[None]):
    """A partial that equals another one of the same function and arguments."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Write) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self.func, self.args, tuple(sorted(self.keywords.items())))


def contiguous(*tensors: Tensor) -> list[Tensor]:
    """As kernels read them."""
    return [x.contiguous() for x in tensors]


def checked(*tensors: Tensor) -> torch.dtype:
    """The precision that all have in common."""
    kinds = {x.dtype for x in tensors}
    if len(kinds) != 1 or not kinds <= set(PRECISIONS):
        raise TypeError(f"float32 or float64, and the same for all, not {', '.join(map(str, kinds))}")
    return kinds.pop()


def beyond(Y: Tensor) -> Tensor:
    """Rows of edges with room behind them."""
    out = Y.new_zeros(Y.shape[0], Y.shape[1] + PAST)
    out[:, : Y.shape[1]] = Y
    return out


def save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what the derivatives need: all inputs."""
    ctx.save_for_backward(*(x for x in inputs if isinstance(x, Tensor)))
    ctx.constants = tuple(x for x in inputs if not isinstance(x, Tensor))


def ones(x: Tensor) -> NDArray[np.int64]:
    """Rows that cost the same."""
    return np.ones(len(x), dtype=np.int64)


def tangents(
    value: Callable[..., Tensor], inputs: Sequence[Tensor], moving: Sequence[Tensor], g: Tensor
) -> tuple[Tensor, ...]:
    """Change of value(*inputs) and of the gradients of its product with g, by torch's own derivatives."""
    gradients = torch.autograd.grad((value(*inputs) * g).sum(), inputs, create_graph=True)
    change = torch.stack([(x * v).sum() for x, v in zip(gradients, moving, strict=True)]).sum()
    return torch.autograd.grad(change, (g, *inputs), create_graph=True, materialize_grads=True)


def by_torch(
    tensors: Sequence[Tensor], function: Callable[..., tuple[Tensor, ...]], cotangents: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Gradients by tensors of a function of them, differentiable again where that is asked for."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        given = [x if again and x.requires_grad else x.detach().requires_grad_() for x in tensors]
        return torch.autograd.grad(
            function(*given), given, cotangents, create_graph=again, materialize_grads=True
        )
