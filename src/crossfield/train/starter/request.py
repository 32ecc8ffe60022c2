"""What a first configuration is asked for, and the paths in it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from crossfield.errors import InputError

NAME = re.compile(r"[\w\-]+")  # of heads in a configuration


@dataclass(frozen=True)
class Request:
    """What a user asks for. Paths are as on the command line.

    Attributes:
        data: files with the new frames.
        file: the configuration that will be written.
        base: file or published model to start from; None: none, training starts from random weights.
        theory: name of the level of theory; None: that which the frames state, or one named after the head.
        method: functional or wave-function method of a theory that is not known.
        head: name of the head; None: that of the first file.
        isolated_atoms: file with isolated atoms.
        output: folder of the run; None: runs/HEAD beside the configuration.
        skip_bad: leave frames out that cannot be used, instead of stopping at the first.
        accept_licence: the licence of a published base is accepted.
    """

    data: tuple[Path, ...]
    file: Path
    base: str | None = None
    theory: str | None = None
    method: str | None = None
    head: str | None = None
    isolated_atoms: Path | None = None
    output: Path | None = None
    skip_bad: bool = False
    accept_licence: bool = False

    def written(self, path: Path) -> str:
        """A path as the configuration has it: relative paths there start at its folder."""
        folder = os.path.realpath(self.file.parent)
        if path.is_absolute() or folder == os.path.realpath("."):
            return str(path)
        return os.path.relpath(os.path.realpath(path), folder)

    def written_base(self) -> str | None:
        """The base as the configuration has it: a path, or the name of a published model."""
        if self.base is None:
            return None
        is_path = os.sep in self.base or bool(Path(self.base).suffix)
        return self.written(Path(self.base)) if is_path and os.path.exists(self.base) else self.base

    def folder(self, head: str) -> Path:
        """The folder of the run."""
        return self.file.parent / "runs" / head if self.output is None else self.output

    def written_output(self, head: str) -> str:
        """That folder as the configuration has it."""
        return f"runs/{head}" if self.output is None else self.written(self.output)

    def head_name(self, taken: Collection[str]) -> str:
        """The name of the head.

        Args:
            taken: names that a head which is not named by the user must not have.

        Raises:
            InputError: a name that a configuration cannot have.
        """
        if self.head is not None:
            if not NAME.fullmatch(self.head):
                raise InputError(f"--head {self.head!r}: only letters, digits, _ and - can be used")
            return self.head
        stem = self.data[0].name.removesuffix(".gz").rsplit(".", 1)[0]
        name = re.sub(r"[^\w\-]+", "_", stem).strip("_") or "new"
        return free_name(name, taken)


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, with something after it where it is taken."""
    endings = ["", "_new", *(f"_new{k}" for k in range(2, len(taken) + 2))]
    return next(name + ending for ending in endings if name + ending not in taken)
