"""Models to operate on, and what must stay."""

from __future__ import annotations

import torch

from crossfield.model import Model, Prediction, evaluate
from crossfield.theory import Head, Theory
from tests.structures import ELEMENTS, batch_of, small_model, structures

OLDER = {"average_neighbours": 9.0, "product_per_element": True, "first_interaction": "plain"}
CONFIGURATIONS: dict[str, dict[str, object]] = {
    "nonlinear": {},
    "bias readout": {"readout": "bias", "readout_activation": "tanh"},
    "last readout only": {"last_readout_only": True, "inputs": {}, "embedding_readout": False},
    "one layer": {"layers": 1},
    "residual": OLDER | {"interaction": "residual"},
    "density": OLDER | {"interaction": "density_residual", "readout": "bias", "layers": 3},
    "weights of elements in the product": {"product_per_element": True},
}
NEW = Head(
    name="new",
    theory=Theory(name="another", dispersion="D3(BJ)"),
    E0={z: -2.0 * z for z in ELEMENTS[1:]},
    scale=0.7,
    shift=-0.3,
)


def made(dtype: torch.dtype = torch.float64, **changes: object) -> Model:
    """A model in which no weight is zero."""
    model = small_model(dtype=dtype, **{"channels": 8, **changes})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.normal_()
    return model


def copy_of(model: Model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same_model(model: Model, expected: Model) -> None:
    """Everything that a checkpoint holds."""
    assert model.config == expected.config
    assert model.heads == expected.heads
    assert model.default_head == expected.default_head
    assert model.dtype == expected.dtype
    state = model.state_dict()
    assert list(state) == list(expected.state_dict())
    for name, tensor in expected.state_dict().items():
        assert torch.equal(state[name], tensor), name


def answer(model: Model, head: str) -> Prediction:
    """What a head says about awkward structures, on the reference back end."""
    position = [h.name for h in model.heads].index(head)
    batch = batch_of(*structures().values(), head=position)
    return evaluate(model, batch, edge_forces=True, atomic_stress=True)


def features(model: Model) -> list[torch.Tensor]:
    batch = batch_of(*structures().values())
    with torch.no_grad():
        found = model(batch, batch.vectors()).features
    return [x for layer in found for x in layer]


def assert_same_answers(model: Model, expected: Model, heads: dict[str, str]) -> None:
    """Bit for bit: energies, derivatives and features; `heads` are names in `model` by name in `expected`."""
    for old, new in heads.items():
        for x, y in zip(answer(model, new), answer(expected, old), strict=True):
            assert torch.equal(x.nan_to_num(), y.nan_to_num())
    for x, y in zip(features(model), features(expected), strict=True):
        assert torch.equal(x, y)
