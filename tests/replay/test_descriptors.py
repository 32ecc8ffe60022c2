"""Descriptors of structures are moments of the descriptors of their atoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfield.data import batch
from crossfield.data.write import to_atoms
from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from crossfield.replay import describe
from tests.replay.frames import awkward_frames
from tests.structures import small_model


@pytest.mark.parametrize("at_once", [1, 9, 2000])
def test_mean_and_deviation_over_the_atoms(potential: Potential, monkeypatch, at_once: int) -> None:
    """Whatever is evaluated together."""
    monkeypatch.setattr(batch, "ATOMS_AT_ONCE", at_once)
    frames = awkward_frames(2)
    found = describe(potential, frames)
    assert found.dtype == np.float32
    for row, frame in zip(found, frames, strict=True):
        atoms = potential.descriptors(to_atoms(frame))
        expected = np.concatenate([atoms.mean(axis=0), atoms.std(axis=0)])
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)


def test_few_edges_at_once(monkeypatch) -> None:
    potential = Potential(small_model(), "head0", backend="reference")
    frames = awkward_frames()
    expected = describe(potential, frames)
    monkeypatch.setattr(Potential, "edges_at_once", 3)
    np.testing.assert_allclose(describe(potential, frames), expected, rtol=1e-5, atol=1e-6)


def test_they_tell_structures_apart(potential: Potential) -> None:
    found = describe(potential, awkward_frames())
    distance = np.linalg.norm(found[:, None] - found[None], axis=2) + 9 * np.eye(len(found))
    assert distance.min() > 1e-3


def test_progress_adds_up(potential: Potential) -> None:
    steps: list[int] = []
    describe(potential, awkward_frames(2), advance=steps.append)
    assert sum(steps) == 22


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Z": np.array([8, 79])}, "the model does not cover Au"),
        ({"charge": 7}, "charge"),
        ({"positions": np.zeros((2, 3))}, "same place"),
    ],
)
def test_a_structure_that_the_model_cannot_read_is_named(potential, changes, message) -> None:
    frames = awkward_frames()
    k = next(k for k, f in enumerate(frames) if f.num_atoms == 2)
    frames[k] = replace(frames[k], **changes)
    with pytest.raises(InputError, match=rf"awkward\.xyz, frame {k}: .*{message}"):
        describe(potential, frames)
