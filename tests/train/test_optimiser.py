from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from crossfield.train.optimiser import Average, Schedule, build_optimiser
from crossfield.train.restart import RunState
from crossfield.train.sections import ScheduleConfig, TrainingConfig


def alike(name: str) -> float:
    return 1.0


def schedule(**config: object) -> Schedule:
    return Schedule(ScheduleConfig.model_validate(config), RunState())


def test_constant() -> None:
    assert {schedule(kind="constant").factor(x) for x in (0.0, 0.5, 1.0)} == {1.0}


def test_cosine_falls_to_its_final_fraction() -> None:
    s = schedule(kind="cosine", final=0.1)
    assert [s.factor(x) for x in (0.0, 0.5, 1.0, 1.5)] == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_warmup_rises_then_falls() -> None:
    s = schedule(kind="warmup_cosine", warmup=0.2, final=0.0)
    assert [s.factor(x) for x in (0.05, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.25, 0.5, 1.0, 0.5, 0.0])


def test_plateau_waits_and_then_falls() -> None:
    s = schedule(kind="plateau", factor=0.5, patience=2)
    factors = []
    for score in (1.0, 0.9, 0.95, 0.95, 0.95, 0.8, 0.8, 0.8, math.nan):
        s.validated(score)
        factors.append(s.factor(0.3))
    assert factors == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_average_warms_up_and_is_exact() -> None:
    model = nn.Linear(1, 1, bias=False).double()
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        model.weight.fill_(1.0)
    average = Average(parameters, 0.5)
    expected = 1.0
    for step, value in enumerate([2.0, 3.0, -1.0, 5.0, 0.5, 4.0, 4.0, 1.0, 2.0, 9.0]):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.weights["weight"].item() == pytest.approx(expected, rel=1e-12)
    assert decay == 0.5
    with average.applied():
        assert model.weight.item() == pytest.approx(expected, rel=1e-12)
    assert model.weight.item() == 9.0


def test_no_average_is_the_weights_themselves() -> None:
    model = nn.Linear(3, 2)
    average = Average(dict(model.named_parameters()), 0.0)
    with torch.no_grad():
        model.weight.normal_()
    average.update(100)
    assert torch.equal(average.weights["weight"], model.weight)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_only_matrices_decay(kind: str) -> None:
    """With no gradient but a large decay, matrices move and biases and norms stay."""
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    before = {name: p.detach().clone() for name, p in dict(model.named_parameters()).items()}
    config = TrainingConfig(optimiser=kind, weight_decay=0.5, learning_rate=0.1)
    optimiser = build_optimiser(dict(model.named_parameters()), config, alike)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    moved = {name for name, p in dict(model.named_parameters()).items() if not torch.equal(p, before[name])}
    assert moved == {"0.weight"}


def test_amsgrad_and_kind_are_used() -> None:
    parameters = dict(nn.Linear(2, 2).named_parameters())
    assert isinstance(
        build_optimiser(parameters, TrainingConfig(optimiser="adamw"), alike), torch.optim.AdamW
    )
    for amsgrad in (True, False):
        optimiser = build_optimiser(parameters, TrainingConfig(amsgrad=amsgrad), alike)
        assert all(group["amsgrad"] is amsgrad for group in optimiser.param_groups)
