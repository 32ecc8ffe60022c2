"""Digests change with what labels follow from, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfield.data.frame import Weights
from crossfield.model import Model
from crossfield.replay import fingerprint
from crossfield.replay.fingerprint import structure_digest, structures_digest, weights_digest
from crossfield.zoo import checkpoint
from tests.replay.frames import awkward_frames
from tests.structures import heads, small_model


def test_it_survives_copies_and_files(tmp_path: Path) -> None:
    model = small_model()
    checkpoint.save(tmp_path / "m.safetensors", model, {"any": "thing"})
    expected = fingerprint(model)
    assert len(expected) == 64
    assert fingerprint(small_model()) == expected
    assert fingerprint(checkpoint.load(tmp_path / "m.safetensors")) == expected
    assert fingerprint(model.eval().requires_grad_(False)) == expected


def test_every_weight_counts() -> None:
    model = small_model()
    found = {fingerprint(model)}
    for parameter in model.parameters():
        with torch.no_grad():
            parameter.view(-1)[-1] += 1e-9
        found.add(fingerprint(model))
    assert len(found) == 1 + len(list(model.parameters()))


def test_precision_configuration_and_heads_count() -> None:
    model = small_model()
    state = model.state_dict()

    def like(config_changes: dict, head_changes: dict) -> Model:
        config = model.config.model_copy(update=config_changes)
        first, second = heads()
        made = Model(config, [first.model_copy(update=head_changes), second]).double()
        made.load_state_dict(state)
        return made

    assert fingerprint(like({}, {})) == fingerprint(model)
    others = [
        small_model().float(),
        like({"cutoff": 4.4}, {}),
        like({}, {"scale": 1.5000001}),
        like({}, {"shift": 1e-9}),
        like({}, {"name": "other"}),
        like({}, {"E0": heads()[0].E0 | {8: -24.000000001}}),
        like({}, {"theory": heads()[0].theory.model_copy(update={"dispersion": "D3"})}),
    ]
    assert len({fingerprint(model), *map(fingerprint, others)}) == 8


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
