"""A fingerprint changes with whatever an answer depends on, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import torch

from crossfield.model import Model, fingerprint
from crossfield.zoo import checkpoint
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
