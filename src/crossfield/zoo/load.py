"""`crossfield.load`: from a file to something that predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from crossfield.errors import InputError
from crossfield.model.potential import Potential
from crossfield.zoo import checkpoint

Backend = Literal["auto", "reference"]
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def load(
    path: str | Path,
    *,
    head: str | None = None,
    device: str = "auto",
    dtype: str | torch.dtype | None = None,
    backend: Backend = "auto",
) -> Potential:
    """Load a model for prediction.

    Args:
        path: a checkpoint written by Crossfield.
        head: the head to answer by default; needed at the latest in `predict` if there are several.
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.
        dtype: "float32", "float64" or None: as stored.
        backend: "reference" (plain torch), or "auto": the fastest one available.

    Raises:
        InputError: no such file, not a checkpoint, unknown head, device, dtype or back end.
    """
    if backend not in ("auto", "reference"):
        raise InputError(f"unknown back end {backend!r} (there are: auto, reference)")
    model = checkpoint.load(Path(path), device=_device(device), dtype=_dtype(dtype))
    return Potential(model, head=head)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"unknown device {name!r} (for instance: cpu, cuda, cuda:0)") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r}: this installation of torch sees no GPU")
    if device.type not in ("cpu", "cuda"):
        raise InputError(
            f"device {name!r} cannot hold float64, which reference energies need; use cpu or cuda"
        )
    return device


def _dtype(name: str | torch.dtype | None) -> torch.dtype | None:
    if name is None or (isinstance(name, torch.dtype) and name in _DTYPES.values()):
        return name
    if str(name) not in _DTYPES:
        raise InputError(f"unknown dtype {name!r} (there are: {', '.join(_DTYPES)})")
    return _DTYPES[str(name)]
