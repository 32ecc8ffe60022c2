"""From LLVM code to functions that can be called; compiled once per host, and kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import llvmlite
import llvmlite.binding as llvm
import torch

from crossfield.errors import InputError
from crossfield.files import cache_folder, replacing
from crossfield.kernels.native.emit import Code, Machine, Precision
from crossfield.messages import say

PRECISIONS: dict[torch.dtype, Precision] = {torch.float32: "float32", torch.float64: "float64"}
PASSES = (
    "O3, nothing unrolled or vectorised"  # what `compile` asks for: objects of other passes are not taken
)
NAME = "crossfield_kernel"
Function = Callable[..., None]  # of addresses and whole numbers; releases the interpreter's lock


class Source(NamedTuple):
    """A kernel that is wanted."""

    arguments: tuple[str, ...]
    precision: Precision
    write: Callable[[Code], None]

    def text(self) -> str:
        """LLVM code of a function that is called NAME."""
        code = Code(NAME, self.arguments, self.precision, host().machine)
        self.write(code)
        return code.text()


class Host:
    """The machine that kernels are compiled for: this one."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.cpu = llvm.get_host_cpu_name()
        self.features = llvm.get_host_cpu_features().flatten()
        self.triple = llvm.get_default_triple()
        has = llvm.get_host_cpu_features().get
        if has("avx512f"):
            self.machine = Machine(vector_bytes=64, registers=32)
        elif has("avx"):
            self.machine = Machine(vector_bytes=32, registers=16)
        else:  # two registers of ARM's are as one, so that latencies are hidden
            arm = self.triple.startswith(("aarch64", "arm64"))
            self.machine = Machine(vector_bytes=16, registers=32 if arm else 16)
        self._lock = threading.Lock()

    def target(self) -> llvm.TargetMachine:
        """LLVM's name for it."""
        return llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu, features=self.features, opt=3, jit=True
        )

    @cached_property
    def _engine(self) -> llvm.ExecutionEngine:
        return llvm.create_mcjit_compiler(llvm.parse_assembly(""), self.target())

    def compile(self, text: str) -> bytes:
        """Object code of LLVM code."""
        module = llvm.parse_assembly(text)
        module.verify()
        target = self.target()
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        # the code has its vectors already, and is as long as it should be
        options.slp_vectorization = options.loop_vectorization = options.loop_unrolling = False
        passes = llvm.create_pass_builder(target, options)
        passes.getModulePassManager().run(module, passes)
        return bytes(target.emit_object(module))

    def load(self, code: bytes, name: str, arguments: int) -> Function:
        """The function of this name in object code."""
        with self._lock:
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            self._engine.finalize_object()
            address = self._engine.get_function_address(name)
        return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)(address)

    def key(self, text: str) -> str:
        """What identifies the object code of LLVM code on this host."""
        parts = (text, PASSES, self.cpu, self.features, self.triple, llvmlite.__version__)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@cache
def host() -> Host:
    """This machine."""
    return Host()


class Progress(NamedTuple):
    """What compiling has taken so far in this process."""

    compiled: int
    loaded: int
    seconds: float


_functions: dict[str, Function] = {}
_progress = Progress(0, 0, 0.0)
_lock = threading.Lock()


def functions(sources: Sequence[Source], *, more: bool = False) -> list[Function]:
    """The functions of these kernels: from memory, from the cache on disk, or compiled, which is said.

    Args:
        sources: the kernels.
        more: whether others are going to follow, one after the other: then it is said once.
    """
    global _progress
    start = time.perf_counter()
    texts = [source.text() for source in sources]
    keys = [host().key(text) for text in texts]
    with _lock:
        wanted = {k: (t, s) for k, t, s in zip(keys, texts, sources, strict=True) if k not in _functions}
        found = {key: code for key in wanted if (code := _kept(key)) is not None}
        missing = [key for key in wanted if key not in found]
        if missing:
            which = "kernels as they are needed" if more else f"{len(missing)} kernels"
            _say(f"compiling {which} for this processor ({host().cpu})", once=more)
        for key in missing:
            text, _ = wanted[key]
            found[key] = host().compile(text.replace(f"@{NAME}(", f"@{NAME}_{key}("))
            kept = _keep(key, found[key])
        if missing and not more:
            seconds = time.perf_counter() - start
            where = f"kept in {_place('').parent}" if kept else "and not kept: the cache cannot be written"
            say(f"compiled in {seconds:.1f} s, {where}")
        for key, code in found.items():
            _, source = wanted[key]
            _functions[key] = host().load(code, f"{NAME}_{key}", len(source.arguments))
        spent = time.perf_counter() - start
        _progress = Progress(
            _progress.compiled + len(missing),
            _progress.loaded + len(found) - len(missing),
            _progress.seconds + spent,
        )
    return [_functions[key] for key in keys]


_said: set[str] = set()


def _say(text: str, *, once: bool) -> None:
    if not (once and text in _said):
        say(text)
        _said.add(text)


def progress() -> Progress:
    """What has been compiled and loaded so far."""
    return _progress


def _place(key: str) -> Path:
    return cache_folder() / "kernels" / f"{key}.o"


def _kept(key: str) -> bytes | None:
    """Object code from the cache, if it is there and whole."""
    try:
        data = _place(key).read_bytes()
    except (OSError, InputError):
        return None
    digest, code = data[:32], data[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _keep(key: str, code: bytes) -> bool:
    """Write to the cache; whether that was possible. If not, it only costs time next time."""
    try:
        place = _place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as temporary:
            temporary.write_bytes(hashlib.sha256(code).digest() + code)
    except (OSError, InputError):
        return False
    return True
