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


def no_gpu() -> str:
    """Why there is none here, and what to do."""
    if not torch.backends.cuda.is_built():
        return f"torch {torch.__version__} is built without CUDA: install one with it, or use 'auto' or 'cpu'"
    return "torch finds no GPU or no driver for one: use 'auto' or 'cpu'"


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
            f"back end 'triton' computes on a GPU, not on {device}: ask for the device 'cuda' with it, or "
            "use 'auto' (to test kernels without a GPU, see TRITON_INTERPRET in CONTRIBUTING.md)"
        )
    return next(name for name in get_args(Backend) if name == choice)
