"""Labels that are finished while others are not: what an interrupted run leaves for the next one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.data.frame import Frame
from crossfield.errors import InputError
from crossfield.messages import say
from crossfield.replay import artefact
from crossfield.replay.fingerprint import Fingerprint
from crossfield.zoo import container

KIND = container.Kind("crossfield_labels_part", "a part of a file of pseudo-labels", version=1)


class Label(NamedTuple):
    """What a head says about one structure of N atoms."""

    energy: float  # eV
    forces: NDArray[np.float64]  # (N, 3) eV/Å
    stress: NDArray[np.float64] | None  # (3, 3) eV/Å^3; None without three periodic axes


class Parts:
    """The folder `.parts` beside a file of labels.

    Args:
        path: the file of labels.
        fingerprint: what is being made; parts of anything else are deleted, which is said.
    """

    def __init__(self, path: Path, fingerprint: Fingerprint) -> None:
        self.folder = path.with_name(f"{path.name}.parts")
        self._made_from = fingerprint.model_dump(mode="json")
        if any(not self._is_ours(file) for file in self._files()):
            say(f"{self.folder} holds unfinished labels of something else, they are deleted")
            self.discard()

    def read(self, number: int, frames: Sequence[Frame]) -> list[Label] | None:
        """The finished labels of these frames; None: there are none, or they are damaged."""
        path = self._path(number)
        if not path.exists():
            return None
        try:
            document, tensors = container.read(path, KIND)
            if document.get("part") != number:
                raise InputError("it is another part", file=path)
            return _split(tensors, frames, path)
        except InputError as error:
            say(f"{error}: labelled anew")
            return None

    def write(self, number: int, labels: Sequence[Label]) -> None:
        """Keep the labels of some frames."""
        self.folder.mkdir(exist_ok=True)
        undefined = np.full((3, 3), np.nan)
        tensors = {
            "energy": torch.tensor([label.energy for label in labels], dtype=torch.float64),
            "forces": torch.from_numpy(np.concatenate([label.forces for label in labels])),
            "stress": torch.from_numpy(
                np.stack([undefined if label.stress is None else label.stress for label in labels])
            ),
        }
        artefact.write(self._path(number), KIND, tensors, {"fingerprint": self._made_from, "part": number})

    def discard(self) -> None:
        """Delete all parts, and the folder unless something else is in it."""
        for file in self._files():
            file.unlink()
        with suppress(OSError):
            self.folder.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"

    def _files(self) -> list[Path]:
        # the hidden ones were being written when a run was killed
        patterns = ("[0-9]" * 6 + ".safetensors", ".*.safetensors")
        return sorted(file for pattern in patterns for file in self.folder.glob(pattern))

    def _is_ours(self, file: Path) -> bool:
        if file.name.startswith("."):
            return True
        try:
            return bool(container.read_document(file, KIND).get("fingerprint") == self._made_from)
        except InputError:
            return False


def _split(tensors: dict[str, Tensor], frames: Sequence[Frame], path: Path) -> list[Label]:
    """Labels of single frames.

    Raises:
        InputError: they are not those of these frames.
    """
    atoms = [frame.num_atoms for frame in frames]
    shapes = {"energy": (len(frames),), "forces": (sum(atoms), 3), "stress": (len(frames), 3, 3)}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != shapes or any(tensor.dtype != torch.float64 for tensor in tensors.values()):
        raise InputError("the labels are not those of these structures", file=path)
    energies, stress = tensors["energy"].tolist(), tensors["stress"].numpy()
    forces = [part.numpy() for part in tensors["forces"].split(atoms)]
    return [
        Label(energies[k], forces[k], stress[k] if frame.pbc.all() else None)
        for k, frame in enumerate(frames)
    ]
