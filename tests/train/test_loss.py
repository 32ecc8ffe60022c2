from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from crossfield.data.batch import Batch, GraphDataset
from crossfield.data.frame import Frame, Weights
from crossfield.model.derivatives import Prediction, evaluate
from crossfield.model.model import Model
from crossfield.theory import Head, Theory
from crossfield.train.config import Config
from crossfield.train.loss import batch_loss
from crossfield.train.sections import LateWeights, LossConfig


def frame(atoms: int, *, seed: int = 0, periodic: bool = False, weights: Weights | None = None) -> Frame:
    random = np.random.default_rng(seed)
    positions = 1.5 * np.arange(3 * atoms).reshape(-1, 3) % 4.1 + 0.1 * random.normal(size=(atoms, 3))
    stress = random.normal(size=(3, 3)) * 0.1
    return Frame(
        Z=np.ones(atoms, dtype=np.int64),
        positions=positions,
        cell=5.0 * np.eye(3) if periodic else np.zeros((3, 3)),
        pbc=np.full(3, periodic),
        theory="t",
        charge=0,
        spin=1,
        energy=float(random.normal()),
        forces=random.normal(size=(atoms, 3)),
        stress=(stress + stress.T) / 2 if periodic else None,
        group="g",
        domain="",
        weights=weights or Weights(),
        file="a.xyz",
        index=seed,
    )


def without(frame_: Frame, *names: str) -> Frame:
    return Frame(**{**vars(frame_), **dict.fromkeys(names)})


def batch_of(frames: list[Frame], heads: list[int]) -> Batch:
    return GraphDataset(frames, heads, 4.0).batch(range(len(frames)))


def prediction_near(batch: Batch, offset: float = 0.0) -> Prediction:
    """Something to differentiate: labels plus an offset, and zero where there is no label."""
    labels = batch.labels
    values = [torch.nan_to_num(x) + offset for x in (labels.energy, labels.forces, labels.stress)]
    energy, forces, stress = (x.clone().requires_grad_() for x in values)
    return Prediction(energy, torch.zeros(len(forces), dtype=torch.float64), forces, stress)


def huber(d: Tensor | float, delta: float) -> float:
    d = torch.as_tensor(d, dtype=torch.float64).abs()
    return float(torch.where(d < delta, d**2 / 2, delta * (d - delta / 2)).sum())


ONE = torch.ones(2, 3, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["l1", "l2", "huber"])
def test_by_hand(kind: str) -> None:
    batch = batch_of([frame(2, seed=1, periodic=True), frame(3, seed=2)], [0, 0])
    found = batch_loss(prediction_near(batch, 0.3), batch, ONE, LossConfig(kind=kind, delta=0.2))
    rho = {"l1": abs, "l2": lambda d: d * d, "huber": lambda d: huber(d, 0.2)}[kind]
    energy = (rho(0.3 / 2) + rho(0.3 / 3)) / 2  # two structures
    expected = energy, 10 * rho(0.3), rho(0.3)  # all components are alike, so the mean is one of them
    assert [x.item() for x in found[1:4]] == pytest.approx(expected, rel=1e-12)
    assert found.total.item() == pytest.approx(sum(expected), rel=1e-12)


def test_universal_delta_shrinks_with_the_reference_force() -> None:
    size = [99.0, 100.0, 199.0, 200.0, 299.0, 300.0, 900.0]
    plain = frame(7)
    forces = np.zeros((7, 3))
    forces[:, 0] = np.array(size) * 0.6
    forces[:, 1] = np.array(size) * 0.8
    batch = batch_of([Frame(**{**vars(plain), "forces": forces})], [0])
    difference = torch.tensor([0.004, 0.02, 0.5], dtype=torch.float64).expand(7, 3)
    prediction = prediction_near(batch)._replace(forces=batch.labels.forces + difference)
    found = batch_loss(prediction, batch, ONE, LossConfig(forces=1.0))
    factors = [1.0, 0.7, 0.7, 0.4, 0.4, 0.1, 0.1]
    expected = sum(huber(difference[0], 0.01 * f) for f in factors) / 21
    assert found.forces.item() == pytest.approx(expected, rel=1e-9)


def test_weights_of_frames_and_properties_multiply() -> None:
    plain = [frame(2, seed=1, periodic=True), frame(2, seed=2, periodic=True)]
    heavy = Weights(structure=3.0, energy=2.0, forces=0.5, stress=5.0)
    weighted = [plain[0], frame(2, seed=2, periodic=True, weights=heavy)]
    config = LossConfig(kind="l2", energy=7.0, forces=11.0, stress=13.0)
    base = batch_of(plain, [0, 0])
    batch = batch_of(weighted, [0, 0])
    prediction = prediction_near(base, 0.2)
    before, after = (batch_loss(prediction, b, ONE, config) for b in (base, batch))
    d = 0.2**2
    assert [x.item() for x in before[1:4]] == pytest.approx([7 * d / 4, 11 * d, 13 * d])
    assert [x.item() for x in after[1:4]] == pytest.approx(
        [7 * d / 4 * (1 + 6) / 2, 11 * d * (1 + 1.5) / 2, 13 * d * (1 + 15) / 2]
    )


@pytest.mark.parametrize("kind", ["universal", "huber", "l1", "l2"])
def test_missing_labels_count_for_nothing(kind: str) -> None:
    """A batch with gaps has the loss of its labels alone, and no gradient where there is no label."""
    full = frame(2, seed=1, periodic=True)
    forces_only = without(frame(3, seed=2), "energy")
    energy_only = without(frame(2, seed=3, periodic=True), "forces", "stress")
    batch = batch_of([full, forces_only, energy_only], [0, 1, 0])
    prediction = prediction_near(batch, 0.3)
    found = batch_loss(prediction, batch, ONE, LossConfig(kind=kind))
    found.total.backward()
    for tensor in prediction.energy, prediction.forces, prediction.stress:
        assert bool(torch.isfinite(tensor.grad).all())
    assert prediction.energy.grad[1] == 0
    assert not prediction.forces.grad[5:].any()
    assert not prediction.stress.grad[1:].any()
    assert prediction.energy.grad[[0, 2]].all()
    assert prediction.forces.grad[:5].all()
    assert prediction.stress.grad[0].all()

    alone = batch_of([full], [0])
    only = batch_loss(prediction_near(alone, 0.3), alone, ONE, LossConfig(kind=kind))
    assert found.stress.item() == pytest.approx(only.stress.item(), rel=1e-12)


def test_nan_of_a_structure_without_stress_stays_out() -> None:
    batch = batch_of([frame(2, seed=1, periodic=True), frame(3, seed=2)], [0, 0])
    prediction = prediction_near(batch, 0.1)
    stress = torch.where(batch.graph.periodic.reshape(-1, 1, 1), prediction.stress, math.nan)
    loss = batch_loss(prediction._replace(stress=stress), batch, ONE, LossConfig())
    loss.total.backward()
    assert math.isfinite(loss.total.item())
    assert bool(torch.isfinite(prediction.stress.grad).all())


def test_no_label_at_all_is_zero() -> None:
    batch = batch_of([without(frame(2), "forces", "energy")], [0])
    prediction = prediction_near(batch, 0.5)
    loss = batch_loss(prediction, batch, ONE, LossConfig()).total
    loss.backward()
    assert loss.item() == 0
    assert not prediction.energy.grad.any()


@pytest.fixture
def model() -> Model:
    config = Config.model_fields["model"].default.model_copy(
        update={
            "elements": (1,),
            "cutoff": 4.0,
            "channels": 4,
            "l_max": 1,
            "radial_network": (8,),
            "density_width": 8,
            "radial_basis": 4,
        }
    )
    torch.manual_seed(0)
    theory = Theory(name="t")
    return Model(config, [Head(name=n, theory=theory, E0={1: 0.5}) for n in "ab"]).double()


def gradient(model: Model, batch: Batch, weights: list[float] | list[list[float]]) -> Tensor:
    """By all weights of the model; the factors are of heads, or of heads and properties."""
    model.zero_grad()
    prediction = evaluate(model, batch.graph, training=True)
    head_weights = torch.tensor(weights, dtype=torch.float64)
    if head_weights.ndim == 1:
        head_weights = head_weights.unsqueeze(1).expand(-1, 3)
    batch_loss(prediction, batch, head_weights, LossConfig()).total.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_head_weight_multiplies_the_gradient(model: Model) -> None:
    """Of a batch of one head by exactly itself; of a mixed batch, that head's part and nothing else."""
    frames = [frame(2, seed=1, periodic=True), frame(3, seed=2), frame(4, seed=3)]
    single = batch_of(frames, [1, 1, 1])
    one = gradient(model, single, [1.0, 1.0])
    assert one.abs().max() > 1e-3
    torch.testing.assert_close(gradient(model, single, [7.0, 2.5]), 2.5 * one, rtol=1e-10, atol=1e-12)

    mixed = batch_of(frames, [0, 1, 0])
    a, b = gradient(model, mixed, [1.0, 0.0]), gradient(model, mixed, [0.0, 1.0])
    assert a.abs().max() > 1e-3
    assert b.abs().max() > 1e-3
    torch.testing.assert_close(gradient(model, mixed, [3.0, 0.25]), 3 * a + 0.25 * b, rtol=1e-10, atol=1e-12)


def test_gradient_is_linear_in_the_weight_of_every_head_and_property(model: Model) -> None:
    """Each of the six has a gradient of its own, and any weights give their sum with these factors."""
    frames = [frame(2, seed=1, periodic=True), frame(3, seed=2), frame(2, seed=4, periodic=True)]
    batch = batch_of(frames, [0, 1, 1])
    with torch.no_grad():
        for interaction in model.interactions:
            interaction.alpha.fill_(1.0)  # type: ignore[union-attr]  # else neighbours hardly count
    alone = {}
    for head in range(2):
        for k in range(3):
            weights = torch.zeros(2, 3, dtype=torch.float64)
            weights[head, k] = 1.0
            alone[head, k] = gradient(model, batch, weights.tolist())
            assert alone[head, k].abs().max() > 1e-9
    factors = [[3.0, 0.25, 7.0], [0.5, 11.0, 0.0]]
    expected = sum(factors[head][k] * part for (head, k), part in alone.items())
    torch.testing.assert_close(gradient(model, batch, factors), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", ["universal", "l1", "l2"])
def test_parts_by_head_add_up_to_the_loss(kind: str) -> None:
    """And each is what the head contributes alone: that of a batch in which the others weigh nothing."""
    frames = [frame(2, seed=1, periodic=True), without(frame(3, seed=2), "energy"), frame(4, seed=3)]
    batch = batch_of(frames, [0, 2, 2])
    weights = torch.tensor([[1.0, 2.0, 3.0], [9.0, 9.0, 9.0], [0.5, 0.25, 4.0]], dtype=torch.float64)
    prediction = prediction_near(batch, 0.3)
    found = batch_loss(prediction, batch, weights, LossConfig(kind=kind))
    assert found.by_head.shape == (3, 3)
    assert not found.by_head.requires_grad
    assert found.by_head.sum().item() == pytest.approx(found.total.item(), rel=1e-12)
    sums = found.by_head.sum(dim=0).tolist()
    assert sums == pytest.approx([found.energy.item(), found.forces.item(), found.stress.item()], rel=1e-12)
    assert not found.by_head[1].any()  # a head without frames
    assert found.by_head[2, 2] == 0  # its frames are not periodic
    for head in (0, 2):
        only = torch.zeros_like(weights)
        only[head] = weights[head]
        alone = batch_loss(prediction, batch, only, LossConfig(kind=kind))
        assert found.by_head[head].sum().item() == pytest.approx(alone.total.item(), rel=1e-12)


def test_gradient_is_finite_with_gaps_through_the_model(model: Model) -> None:
    """Second derivatives pass through a stress that is not defined; nothing of it may leak."""
    frames = [without(frame(2, seed=1, periodic=True), "forces"), without(frame(3, seed=2), "energy")]
    assert bool(torch.isfinite(gradient(model, batch_of(frames, [0, 1]), [1.0, 1.0])).all())


def test_late_weights_replace_those_they_name() -> None:
    config = LossConfig(energy=1.0, forces=10.0, late=LateWeights(start=0.6, energy=40.0))
    assert config.at(0.0) is config
    assert config.at(0.59) is config
    assert (config.at(0.6).energy, config.at(0.6).forces) == (40.0, 10.0)
    assert LossConfig().at(1.0) == LossConfig()
