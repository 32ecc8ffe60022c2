"""A thousand damaged files: each is refused, or gives the very same numbers as the sound one."""

from __future__ import annotations

import pickletools
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from crossfield.model import Model, evaluate
from crossfield.zoo import checkpoint, container, mace
from tests.zoo.conftest import PROVENANCE
from tests.zoo.samples import DENSITY, FACTS, NONLINEAR, STATE_DICT, structures, with_pickle, with_tensors

ORIGINALS = {"own": Path("own"), "nonlinear": NONLINEAR, "density": DENSITY, "state dict": STATE_DICT}


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """One of the models in our own format."""
    path = tmp_path_factory.mktemp("own") / "own.safetensors"
    checkpoint.save(path, mace.read(DENSITY).model, PROVENANCE)
    return path


def load(kind: str, path: Path) -> Model:
    if kind == "own":
        return checkpoint.load(path)
    return mace.read(path, FACTS if kind == "state dict" else None).model


def numbers(model: Model) -> list[Tensor]:
    """Energies and forces of structures that feel all of the model, by every head."""
    potential = Potential(model)
    heads = potential.heads
    graphs = [potential.graph(atoms, heads[i % len(heads)]) for i, atoms in enumerate(structures())]
    return [part for graph in graphs for part in evaluate(model, graph, stress=False)[:3] if part is not None]


def check(kind: str, original: Path, path: Path, changes: Iterator[Callable[[], None]], least: int) -> None:
    """Each change writes a damaged file to `path`; at least so many of them must be noticed."""
    expected, refused = numbers(load(kind, original)), 0
    for change in changes:
        change()
        modules = set(sys.modules)
        try:
            model = load(kind, path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 (a file that reads as before is fine too)
            refused += 1
            model = None
        assert set(sys.modules) - modules <= {"encodings.cp437"}  # in which zip files write their names
        if model is not None:
            found = numbers(model)
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert refused >= least


@pytest.mark.parametrize("kind", ORIGINALS)
def test_flipped_bits_and_truncations(kind, own, tmp_path):
    """150 of each kind of file."""
    original = own if kind == "own" else ORIGINALS[kind]
    data, path, rng = original.read_bytes(), tmp_path / original.name, random.Random(kind)

    def flip() -> None:
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)

    def truncate() -> None:
        path.write_bytes(data[: rng.randrange(len(data))])

    check(kind, original, path, iter([flip] * 100 + [truncate] * 50), least=120)


def renamed(data: bytes, position: int, rng: random.Random) -> bytes:
    """One letter of a name exchanged for another."""
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz".replace(chr(data[position]), ""))
    return data[:position] + letter.encode() + data[position + 1 :]


def letters(data: bytes) -> list[int]:
    """Positions of the lower-case letters in short texts of a pickle: attributes, tensors, classes."""
    found = []
    for opcode, text, start in pickletools.genops(data):
        if opcode.name in ("BINUNICODE", "GLOBAL") and isinstance(text, str) and len(text) < 100:
            first = start + (5 if opcode.name == "BINUNICODE" else 1)
            found += [first + k for k, letter in enumerate(text) if letter.isascii() and letter.islower()]
    return found


@pytest.mark.parametrize("kind", ["nonlinear", "density"])
def test_renamed_tensors_attributes_and_classes(kind, tmp_path):
    """100 of each, with checksums that are right again."""
    original, path, rng = ORIGINALS[kind], tmp_path / "renamed.model", random.Random(kind)

    def rename() -> None:
        with_pickle(path, original, lambda data: renamed(data, rng.choice(letters(data)), rng))

    check(kind, original, path, iter([rename] * 100), least=40)


def exchange(tensors: dict[str, Tensor], rng: random.Random) -> None:
    """Two tensors of different shapes under each other's name, or one in another shape."""
    names = [name for name, tensor in tensors.items() if tensor.numel() > 1]
    a = rng.choice(names)
    others = [name for name in names if tensors[name].numel() != tensors[a].numel()]
    if rng.random() < 0.5:
        b = rng.choice(others)
        tensors[a], tensors[b] = tensors[b], tensors[a]
    else:
        tensors[a] = torch.cat([tensors[a], tensors[a]])


def rename_one(tensors: dict[str, Tensor], rng: random.Random) -> None:
    name = rng.choice(list(tensors))
    tensors[renamed(name.encode(), rng.randrange(len(name)), rng).decode()] = tensors.pop(name)


@pytest.mark.parametrize("kind", ["own", "state dict"])
@pytest.mark.parametrize("damage", [exchange, rename_one])
def test_exchanged_and_renamed_tensors(kind, damage, own, tmp_path):
    """50 of each, with checksums that are right again."""
    original, rng = own if kind == "own" else ORIGINALS[kind], random.Random(kind)
    path = tmp_path / "damaged"

    def write() -> None:
        if kind == "state dict":
            with_tensors(path, lambda tensors: damage(tensors, rng))
        else:
            document, tensors = container.read(own, checkpoint.KIND)
            damage(tensors, rng)
            container.write(path, checkpoint.KIND, tensors, document)

    check(kind, original, path, iter([write] * 50), least=40)
