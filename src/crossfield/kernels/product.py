"""Products of rows with a matrix, and those that tensor cores may round."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from crossfield.errors import InputError

Kind = Literal["linears", "radial"]
AMPERE = (8, 0)  # the first GPUs whose tensor cores multiply in TF32
DROPPED = 13  # of the 23 bits of a mantissa: TF32 has ten


class Multiplying(nn.Module):
    """A module that multiplies rows by its matrices: in float32 or float64, unless these are `rounded`."""

    kind: ClassVar[Kind]
    in_tf32: bool = False


@contextmanager
def rounded(model: nn.Module, kinds: Collection[Kind]) -> Iterator[None]:
    """Let modules of these kinds multiply in TF32 while values are found; their derivatives do, too, then.

    Args:
        model: in float32.
        kinds: of modules; none: nothing changes.
    """
    chosen = [m for m in model.modules() if isinstance(m, Multiplying) and m.kind in kinds]
    for module in chosen:
        module.in_tf32 = True
    try:
        yield
    finally:
        for module in chosen:
            module.in_tf32 = False


def check_tensor_cores(device: torch.device) -> None:
    """Refuse a device that cannot multiply in TF32.

    Raises:
        InputError: it is no GPU, or too old.
    """
    if device.type != "cuda":
        raise InputError(f"there are no tensor cores on {device}: leave out tensor_cores, or use a GPU")
    if torch.cuda.get_device_capability(device) < AMPERE:
        name = torch.cuda.get_device_name(device)
        raise InputError(f"the tensor cores of {name} do not multiply in TF32: leave out tensor_cores")


def product(x: Tensor, W: Tensor, bias: Tensor | None = None, *, in_tf32: bool = False) -> Tensor:
    """Multiply rows by a matrix.

    In TF32, factors are rounded to ten bits and their products summed in float32, and so are the derivatives,
    of any order: they are products again. On a GPU tensor cores do it; on a CPU it is done step by step.

    Args:
        x: (..., C_in); (n, C_in) with a bias.
        W: (C_in, C_out).
        bias: (C_out,), added in full precision.
        in_tf32: whether factors are rounded.

    Returns:
        (..., C_out).
    """
    if in_tf32:
        if x.dtype != torch.float32 or W.dtype != torch.float32:
            raise TypeError(f"TF32 rounds float32, not {x.dtype} and {W.dtype}")
        y = _apply(x.flatten(0, -2), W).view(*x.shape[:-1], W.shape[1])
        return y if bias is None else y + bias
    return x @ W if bias is None else torch.addmm(bias, x, W)


class _InTF32(torch.autograd.Function):
    """a (n, k) times b (k, m)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        if a.is_cuda:
            with _tensor_cores():
                return a @ b
        return ten_bits(a) @ ten_bits(b)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        by_a, by_b = ctx.needs_input_grad
        return _apply(g, b.T) if by_a else None, _apply(a.T, g) if by_b else None


def _apply(a: Tensor, b: Tensor) -> Tensor:
    found: Tensor = _InTF32.apply(a, b)  # type: ignore[no-untyped-call]  # torch's has no types
    return found


@contextmanager
def _tensor_cores() -> Iterator[None]:
    """What torch calls on the GPU meanwhile multiplies in TF32; torch has one switch for all of a process."""
    switch = torch.backends.cuda.matmul
    before = switch.fp32_precision
    switch.fp32_precision = "tf32"
    try:
        yield
    finally:
        switch.fp32_precision = before


def ten_bits(x: Tensor) -> Tensor:
    """Numbers of float32 rounded to the nearest that TF32 has."""
    whole = x.contiguous().view(torch.int32)
    nearest = ((whole + (1 << (DROPPED - 1))) >> DROPPED) << DROPPED
    return torch.where(x.isfinite(), nearest.view(torch.float32), x)
