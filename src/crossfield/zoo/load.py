"""`crossfield.load`: from a file to something that predicts."""

from __future__ import annotations

from os import PathLike

import torch

from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from crossfield.inference.prepared import ACCURACY
from crossfield.kernels.backend import choose, no_gpu
from crossfield.zoo import checkpoint
from crossfield.zoo.fetch import local_model

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def load(
    model: str | PathLike[str],
    *,
    head: str | None = None,
    device: str = "auto",
    dtype: str | torch.dtype | None = None,
    backend: str = "auto",
    table_accuracy: float | None = ACCURACY,
    accept_licence: bool = False,
) -> Potential:
    """Load a model for prediction.

    Args:
        model: a checkpoint written by Crossfield, a `.model` file of mace-torch, or the name of a published
            model (`crossfield models` lists them). What is neither here nor in Crossfield's own format is
            downloaded and converted once, and kept in the cache.
        head: the head to answer by default; needed at the latest in `predict` if there are several and the
            model has no default of its own.
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.
        dtype: "float32", "float64" or None: as stored.
        backend: "reference" (plain torch), "numba" (kernels compiled for the CPU), "triton" (kernels for a
            GPU), or "auto": the fastest one that has been run on such a device.
        table_accuracy: of the tables that compiled kernels use, eV/atom; None: none. See `Potential`.
        accept_licence: you accept the licence of a published model, where that is not MIT.

    Raises:
        InputError: no such file or published model, not a model, a licence that is not accepted, a download
            that failed, or an unknown head, device, dtype or back end.
    """
    where, precision = _device(device), _dtype(dtype)  # a mistake here is found before a download
    choose(backend, where)
    path = local_model(model, accept_licence=accept_licence)
    loaded = checkpoint.load(path, device=where, dtype=precision)
    return Potential(loaded, head, backend=backend, table_accuracy=table_accuracy)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"unknown device {name!r} (for instance: cpu, cuda, cuda:0)") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {str(name)!r}: {no_gpu()}")
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
