"""What the compiler makes of a kernel, for a GPU that need not be there."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.kernels.gpu.build import Launch

TYPES = {torch.float32: "*fp32", torch.float64: "*fp64", torch.int64: "*i64", torch.bool: "*i1"}


class Resources(NamedTuple):
    """Of one program."""

    registers: int  # of a thread
    spilled: int  # bytes of a thread that did not fit into registers
    shared: int  # bytes
    instructions: Counter[str]  # in the text of the program, by name; loops count once
    loaded: (
        int  # bytes that a warp loads, 16 for each of its threads at once; other loads are of single numbers
    )

    @property
    def total(self) -> int:
        """Instructions that do something."""
        return sum(n for name, n in self.instructions.items() if name != "NOP")


def compiled(seen: Launch, *, capability: int = 90) -> Resources:
    """Compile a kernel that was looked at, as for pointers that are aligned.

    Args:
        seen: the kernel, and what it would have been given.
        capability: of the GPU, 90 for H100 and H200.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, attributes = {}, {}
    given = iter(seen.arguments)
    for place, name in enumerate(seen.kernel.arg_names):
        if name in seen.tiles:
            signature[name] = "constexpr"
            continue
        value = next(given)
        if isinstance(value, Tensor):
            signature[name] = TYPES[value.dtype]
            attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "i32"
            if value % 16 == 0 and name not in (seen.kernel.do_not_specialize or ()):
                attributes[(place,)] = [["tt.divisibility", 16]]
    found = triton.compile(
        ASTSource(fn=seen.kernel, signature=signature, constexprs=seen.tiles, attrs=attributes),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": seen.warps, "enable_fp_fusion": True},
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
    wide = len(re.findall(r"\bLDG\S*\.128", text))
    return Resources(registers, spilled, shared, Counter(names), loaded=wide * 16 * 32)


def _run(tool: Path, *arguments: str) -> str:
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout
