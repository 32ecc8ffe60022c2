"""What the compiler makes of a kernel, for a GPU that need not be there."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch

from crossfield.kernels.gpu.build import Source, kernel

POINTERS = {torch.float32: "*fp32", torch.float64: "*fp64"}
WHOLE = {"first", "sender", "order", "receiver", "group"}  # arguments that point to whole numbers, int64


class Resources(NamedTuple):
    """Of one program."""

    registers: int  # of a thread
    spilled: int  # bytes of a thread that did not fit into registers
    shared: int  # bytes
    instructions: Counter[str]  # in the text of the program, by name; loops count once

    @property
    def total(self) -> int:
        """Instructions that do something."""
        return sum(n for name, n in self.instructions.items() if name != "NOP")


def compiled(source: Source, *, capability: int = 90, warps: int = 4, **tiles: int) -> Resources:
    """Compile a kernel as for pointers that are aligned.

    Args:
        source: the kernel.
        capability: of the GPU, 90 for H100 and H200.
        warps, tiles: as for `launch`.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, attributes = {}, {}
    for place, name in enumerate(source.arguments):
        if name in tiles:
            signature[name] = "constexpr"
        elif name.startswith("n_"):
            signature[name] = "i32"
        else:
            signature[name] = "*i64" if name in WHOLE else POINTERS[source.dtype]
            attributes[(place,)] = [["tt.divisibility", 16]]
    found = triton.compile(
        ASTSource(fn=kernel(source), signature=signature, constexprs=tiles, attrs=attributes),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": warps, "enable_fp_fusion": True},
    )
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(found.asm["cubin"])
        file.flush()
        used = _run(tools / "cuobjdump", "--dump-resource-usage", file.name)
        text = _run(tools / "nvdisasm", "-c", file.name)
    numbers = re.search(r"REG:(\d+).*?STACK:(\d+).*?SHARED:(\d+)", used)
    assert numbers is not None, used
    names = re.findall(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+ )?([A-Z0-9_]+)", text, re.MULTILINE)
    registers, spilled, shared = map(int, numbers.groups())
    return Resources(registers, spilled, shared, Counter(names))


def _run(tool: Path, *arguments: str) -> str:
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout
