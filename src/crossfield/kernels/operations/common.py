"""What the operations have in common: checks, and derivatives by torch beyond the second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def alike(*tensors: Tensor) -> list[Tensor]:
    """As kernels read them: contiguous, float32 or float64, and all the same."""
    kinds = {x.dtype for x in tensors}
    if len(kinds) != 1 or not kinds <= {torch.float32, torch.float64}:
        raise TypeError(f"float32 or float64, and the same for all, not {', '.join(map(str, kinds))}")
    return [x.contiguous() for x in tensors]


def save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what the derivatives need: all inputs."""
    ctx.save_for_backward(*(x for x in inputs if isinstance(x, Tensor)))
    ctx.constants = tuple(x for x in inputs if not isinstance(x, Tensor))


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
