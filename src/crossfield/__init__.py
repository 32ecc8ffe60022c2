"""Crossfield: one interatomic potential across levels of theory."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossfield.inference.potential import Potential
    from crossfield.simulate.calculator import Calculator
    from crossfield.zoo.load import load

# Before torch starts its threads: those that wait go to sleep, and do not take the processor from others. Not
# at once, though: they spin for microseconds, as long as the next piece of work usually takes to come, which
# makes training a quarter faster. Settings of the user's stand.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__all__ = ["Calculator", "Potential", "load"]
__version__ = version("crossfield")

_HOMES = {
    "Calculator": "crossfield.simulate.calculator",
    "Potential": "crossfield.inference.potential",
    "load": "crossfield.zoo.load",
}


if not TYPE_CHECKING:  # a type checker that saw this would take any misspelt name for known

    def __getattr__(name: str) -> Any:
        # torch takes a second to import; `crossfield --help` does not need it
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'crossfield' has no attribute {name!r}")
