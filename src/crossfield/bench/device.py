"""What measuring needs of the device that is measured: waiting for it, its memory, its name."""

from __future__ import annotations

import gc
import sys
from typing import NamedTuple

import torch

from crossfield.bench.machine import processor
from crossfield.bench.memory import MemoryMeter, Usage
from crossfield.errors import InputError
from crossfield.kernels.backend import choose, no_gpu


class Facts(NamedTuple):
    """On what something was measured."""

    name: str
    memory: float | None  # GiB of the device; None: it has that of the machine


def facts(device: torch.device) -> Facts:
    """Name and memory."""
    if device.type != "cuda":
        return Facts(processor(), None)
    return Facts(
        torch.cuda.get_device_name(device), torch.cuda.get_device_properties(device).total_memory / 2**30
    )


def check(device: str, backend: str) -> None:
    """End the program where there is no such device, or where the back end does not run on it."""
    try:
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError(f"device 'cuda': {no_gpu()}")
        choose(backend, torch.device(device))
    except InputError as error:
        print(error, file=sys.stderr)  # noqa: T201  scripts have no console
        sys.exit(2)


def wait(device: torch.device) -> None:
    """Until all is done that was asked of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def release(device: torch.device) -> None:
    """Give memory back that nothing is kept in."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def meter(device: torch.device) -> MemoryMeter | DeviceMemoryMeter:
    """Follows the memory of the device from now on."""
    return DeviceMemoryMeter(device) if device.type == "cuda" else MemoryMeter()


class DeviceMemoryMeter:
    """As `MemoryMeter`, for what PyTorch has given out on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        release(device)
        torch.cuda.reset_peak_memory_stats(device)
        self._before = torch.cuda.memory_allocated(device)

    def usage(self) -> Usage:
        """The peak so far."""
        peak = torch.cuda.max_memory_allocated(self._device)
        return Usage(peak / 2**20, (peak - self._before) / 2**20)
