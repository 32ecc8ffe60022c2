"""From the text of a Triton function to a kernel that can be launched."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch

from crossfield.errors import InputError
from crossfield.kernels.gpu.emit import Code

NAME = "kernel"
HEAD = "import triton\nimport triton.language as tl\n\n\n"


class Source(NamedTuple):
    """A kernel that is wanted; hashable, so that it is written once."""

    arguments: tuple[str, ...]
    dtype: torch.dtype
    write: Callable[[Code], None]

    def text(self) -> str:
        """Its module."""
        code = Code(self.arguments, self.dtype)
        self.write(code)
        return HEAD + code.text(NAME)


def installed() -> bool:
    """Whether there is Triton here."""
    try:
        return find_spec("triton") is not None
    except ValueError:  # it is kept from being imported
        return False


def interpreted() -> bool:
    """Whether Triton's interpreter runs kernels, on the CPU.

    Raises:
        InputError: Triton is not installed.
    """
    if not installed():
        raise InputError("back end 'triton' needs the package triton, which comes with torch for GPUs")
    import triton

    return bool(triton.knobs.runtime.interpret)


@cache
def function(source: Source) -> Any:
    """The plain function, under a file name of its own that Python finds its text by."""
    text = source.text()
    file = f"<crossfield {hashlib.sha256(text.encode()).hexdigest()[:24]}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": f"crossfield.kernels.gpu.{file[1:-1].replace(' ', '_')}"}
    exec(compile(text, file, "exec", dont_inherit=True), names)  # our own text
    return names[NAME]


@cache
def kernel(source: Source) -> Any:
    """It, for `launch`. Whole numbers are not compiled in: other sizes need no compilation."""
    import triton

    whole = [a for a in source.arguments if a.startswith("n_")]
    made = triton.jit(function(source), do_not_specialize=whole)
    write = getattr(source.write, "func", source.write)
    _names[id(made)] = f"{write.__module__.rpartition('.')[2]}.{write.__name__}"
    return made


class Launch(NamedTuple):
    """One that was looked at instead of being run."""

    kernel: Any  # Triton's function
    grid: tuple[int, ...]
    arguments: tuple[Any, ...]
    warps: int
    tiles: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the kernel: what writes it, or its own."""
        return _names.get(id(self.kernel), f"rows.{self.kernel.__name__}")


_names: dict[int, str] = {}
_seen: list[Launch] | None = None


def looking() -> bool:
    """Whether kernels are only looked at."""
    return _seen is not None


@contextmanager
def look() -> Iterator[list[Launch]]:
    """Collect the kernels that would be run on a GPU; nothing is."""
    global _seen
    _seen = []
    try:
        yield _seen
    finally:
        _seen = None


def launch(source: Source | Any, grid: Sequence[int], *arguments: Any, warps: int = 4, **tiles: Any) -> None:
    """Run a kernel.

    Args:
        source: which one; or a function of Triton's.
        grid: programs along each axis; nothing is run where one is 0.
        arguments: tensors and whole numbers, in its order.
        warps: of a program.
        tiles: sizes of tiles by name.
    """
    if not all(grid):
        return
    run = kernel(source) if isinstance(source, Source) else source
    if _seen is not None:
        _seen.append(Launch(run, tuple(grid), arguments, warps, tiles))
        return
    device = next(x.device for x in arguments if isinstance(x, torch.Tensor))
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        run[tuple(grid)](*arguments, **tiles, num_warps=warps, enable_fp_fusion=True)
