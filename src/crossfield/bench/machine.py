"""On what something was measured."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version
from pathlib import Path


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        if found:
            return " ".join(found[1].split())
    return platform.processor() or platform.machine()


def slug(name: str) -> str:
    """A name, fit for that of a file."""
    return re.sub(r"[^\w.]+", "-", name).strip("-")


def processor_slug() -> str:
    """Name of the processor, fit for that of a file."""
    return slug(processor())


def versions(*packages: str) -> dict[str, str]:
    """Versions of installed packages, and of Python."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
