"""Digests change with what labels follow from, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfield.data.frame import Weights
from crossfield.replay.fingerprint import structure_digest, structures_digest, weights_digest
from tests.replay.frames import awkward_frames


@pytest.mark.parametrize(
    "changes",
    [
        {"Z": np.array([8, 1, 1])},
        {"positions": np.nextafter(np.ones((3, 3)), 2)},
        {"cell": np.eye(3)},
        {"pbc": np.array([True, False, False])},
        {"charge": 1},
        {"spin": 3},
        {"inputs": {"field": 0.0}},
        {"inputs": {"field": 1e-300}},
        {"inputs": {"field_x": 0.0}},
    ],
)
def test_a_structure_is_what_a_model_sees(changes: dict) -> None:
    frame = replace(
        awkward_frames()[0], Z=np.array([1, 1, 8]), positions=np.ones((3, 3)), cell=np.zeros((3, 3))
    )
    frame = replace(frame, pbc=np.zeros(3, dtype=bool), spin=1)
    assert structure_digest(replace(frame, **changes)) != structure_digest(frame)
    for other in ({"energy": 1.0}, {"file": "x"}, {"index": 9}, {"group": "x"}, {"theory": "x"}):
        assert structure_digest(replace(frame, **other)) == structure_digest(frame)
    as_float32 = replace(frame, Z=frame.Z.astype(np.int32), positions=np.asfortranarray(frame.positions))
    assert structure_digest(as_float32) == structure_digest(frame)


def test_order_groups_and_domains_of_structures_count() -> None:
    frames = awkward_frames()
    changed = [
        frames,
        frames[::-1],
        frames[:-1],
        [replace(frames[0], group="x"), *frames[1:]],
        [replace(frames[0], domain="x"), *frames[1:]],
    ]
    assert len({structures_digest(f) for f in changed}) == 5
    assert structures_digest([replace(f, file="moved.xyz") for f in frames]) == structures_digest(frames)


def test_weights_count() -> None:
    some = [
        [Weights()],
        [Weights(), Weights()],
        [Weights(structure=2)],
        [Weights(stress=2)],
        [Weights(stress=0)],
    ]
    assert len({weights_digest(w) for w in some}) == 5
