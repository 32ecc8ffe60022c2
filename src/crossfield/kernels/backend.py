"""What computes the heavy operations, and how one is chosen."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn

from crossfield.errors import InputError

Backend = Literal["reference", "numba", "triton"]
Choice = Literal["auto", "reference", "numba", "triton"]
DESCRIPTIONS: dict[str, str] = {
    "reference": "plain torch",
    "numba": "kernels compiled for this processor by llvmlite, the compiler of Numba",
    "triton": "kernels compiled for this GPU by Triton",
}


class Kernel(nn.Module):
    """A module with a heavy operation: of plain torch, unless another back end is chosen."""

    backend: Backend = "reference"


def use(model: nn.Module, backend: Backend) -> None:
    """Let all kernels of a model be computed by a back end."""
    for module in model.modules():
        if isinstance(module, Kernel):
            module.backend = backend


def choose(choice: str, device: torch.device) -> Backend:
    """The back end that is meant.

    Args:
        choice: the name of one, or "auto": the fastest that has been run on such a device.
        device: where the model is.

    Raises:
        InputError: there is no such back end, or it does not run on this device.
    """
    if choice not in get_args(Choice):
        raise InputError(f"unknown back end {choice!r} (there are: {', '.join(get_args(Choice))})")
    if choice == "auto":
        # not yet "triton" on a GPU, on which it has not run: it is asked for by its name
        return "numba" if device.type == "cpu" else "reference"
    if choice == "numba" and device.type != "cpu":
        raise InputError(f"back end 'numba' computes on the CPU, not on {device}: use 'auto' or 'reference'")
    from crossfield.kernels.gpu import build

    if choice == "triton" and not build.interpreted() and device.type != "cuda":
        raise InputError(
            f"back end 'triton' computes on a GPU, not on {device}: use 'auto' or 'reference' (for tests, "
            "Triton's interpreter runs it on the CPU with TRITON_INTERPRET=1)"
        )
    return next(name for name in get_args(Backend) if name == choice)
