"""Which weights a run changes: those it should, and not one bit of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

import crossfield
from crossfield.errors import InputError
from crossfield.heads import head_masks, only_elements, remove_heads
from crossfield.inference import Potential
from crossfield.model.derivatives import evaluate
from crossfield.model.model import Model
from crossfield.train import Config, train
from crossfield.train.adapt import Adaptation
from crossfield.train.sections import AdaptConfig
from crossfield.train.setup import prepare
from crossfield.zoo import checkpoint
from tests.heads.models import CONFIGURATIONS, assert_same_model, copy_of, made
from tests.structures import batch_of, structures

Finetune = Callable[..., Config]
State = dict[str, Tensor]

# everything that moves weights without a gradient, and far
ROUGH = ("training.learning_rate=0.02", "training.weight_decay=0.3", "training.ema=0.9")
# a step whose size is the learning rate, whatever the gradient
ONE_STEP = (
    "training.epochs=1",
    "training.steps_per_epoch=1",
    "training.learning_rate=1e-3",
    "training.ema=0",
    "training.precision=64-true",
    "schedule.kind=constant",
)
ALLOYS_ALONE = {"metals": {"own": True, "bundled": False}}  # what is replayed where little is needed


def changed(before: State, after: State) -> set[str]:
    """Names of the weights that are not the same bit for bit."""
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def adapted(model: Model, new_elements: tuple[int, ...] = (), **config: Any) -> Adaptation:
    names = [head.name for head in model.heads]
    return Adaptation(model, AdaptConfig.model_validate(config), names, new_elements)


def test_heads_alone_leave_the_base_bit_for_bit(finetune: Finetune, base: Path, console: Console) -> None:
    """In every file: without the new head, and the element that came with it, it is the base again."""
    config = finetune("adapt.kind=heads", *ROUGH, replay=None)
    result = train(config, console=console)
    before, start = checkpoint.load(base), prepare(config).model.state_dict()
    for name in ("best", "last"):
        model = checkpoint.load(result.folder / f"{name}.safetensors")
        moved = changed(start, model.state_dict())
        assert {"readouts.0.weight", "readouts.1.weight_1", "embedding.weight"} <= moved
        assert_same_model(only_elements(remove_heads(model, ["alloys"]), before.config.elements), before)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "head metals (emt): as in the base, bit for bit" in said
    assert "warning: head metals" not in said


def of_head(model: Model, name: str, state: State) -> State:
    """The entries of weights that belong to a head."""
    masks = head_masks(model, [name])
    assert len(masks) >= 3
    return {key: state[key][mask] for key, mask in masks.items()}


def test_readouts_without_data_or_frozen_stay(
    finetune: Finetune, data_folder: Path, console: Console
) -> None:
    """While the backbone moves under weight decay and averaging, and other readouts with it."""
    config = finetune(
        *ROUGH,
        heads={
            "metals": {"data": str(data_folder / "metals.xyz"), "freeze": True},
            "alloys": {"theory": "emt_scaled", "data": str(data_folder / "alloys.xyz")},
        },
        replay="off",
    )
    start = prepare(config).model
    before = copy_of(start)
    result = train(config, console=console)
    for name in ("best", "last"):
        after = load_file(result.folder / f"{name}.safetensors")
        assert {"interactions.0.linear_up.weights.0", "embedding.weight"} <= changed(before, after)
        for head in ("metals", "clusters"):
            assert not changed(of_head(start, head, before), of_head(start, head, after))
        assert changed(of_head(start, "alloys", before), of_head(start, "alloys", after))


def test_replayed_readouts_are_trained(finetune: Finetune, console: Console) -> None:
    config = finetune(*ROUGH, "training.epochs=1")
    start = prepare(config).model
    before = copy_of(start)
    after = train(config, console=console).model.state_dict()
    for head in ("metals", "clusters", "alloys"):
        assert changed(of_head(start, head, before), of_head(start, head, after))


def test_frozen_parts_stay(finetune: Finetune, console: Console) -> None:
    config = finetune("adapt.freeze=[interactions.0, products, embedding]", *ROUGH)
    before = copy_of(prepare(config).model)
    after = train(config, console=console).model.state_dict()
    moved = changed(before, after)
    assert not [n for n in moved if n.startswith(("interactions.0.", "products.", "embedding."))]
    assert {"interactions.1.linear_up.weights.0", "readouts.1.weight_1"} <= moved


@pytest.mark.parametrize("key", ["freeze=[interaction.0]", "learning_rates={interaction.0: 0.1}"])
def test_unknown_part_is_refused(finetune: Finetune, console: Console, key: str) -> None:
    words = r"adapt\.\w+: this model has no part 'interaction\.0'; did you mean 'interactions\.0'\?"
    with pytest.raises(InputError, match=words):
        train(finetune(f"adapt.{key}"), console=console)


def test_nothing_left_to_train_is_refused() -> None:
    parts = ["embedding", "inputs", "embedding_readout", "interactions", "products", "readouts"]
    with pytest.raises(InputError, match="adapt: no weight is left to train"):
        adapted(made(), freeze=parts)


def steps_of(finetune: Finetune, tmp_path: Path, name: str, *overrides: str) -> State:
    """How far one step moves every weight."""
    config = finetune(*ONE_STEP, *overrides, f"output={tmp_path / name}", replay=ALLOYS_ALONE)
    before = copy_of(prepare(config).model)
    after = train(config, console=Console(quiet=True)).model.state_dict()
    return {key: after[key] - before[key] for key in before}


def test_learning_rates_multiply_the_step(finetune: Finetune, tmp_path: Path) -> None:
    """By exactly their factor, the longest name counting; zero leaves the weights bit for bit."""
    plain = steps_of(finetune, tmp_path, "plain")
    rates = "interactions: 0.5, interactions.1: 0, interactions.1.radial: 4, readouts: 0.25"
    scaled = steps_of(finetune, tmp_path, "scaled", f"adapt.learning_rates={{{rates}}}")
    factors = {
        "embedding.weight": 1.0,
        "interactions.0.linear_up.weights.0": 0.5,
        "interactions.1.linear_up.weights.0": 0.0,
        "interactions.1.radial.linears.0.weight": 4.0,
        "readouts.1.weight_1": 0.25,
    }
    for name, factor in factors.items():
        assert plain[name].abs().max() > 5e-4
        torch.testing.assert_close(scaled[name], factor * plain[name], rtol=1e-9, atol=1e-15)
    still = {n for n, d in scaled.items() if not d.any()} - {n for n, d in plain.items() if not d.any()}
    assert still
    assert all(n.startswith("interactions.1.") and ".radial." not in n for n in still)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_low_rank_starts_exactly_at_the_base(name: str) -> None:
    """Energies, forces and stress are the same bit for bit, and so are the weights that are written."""
    model = made(**CONFIGURATIONS[name])
    batch = batch_of(*structures().values())
    before, weights = evaluate(model, batch), copy_of(model)
    adaptation = adapted(model, kind="lora", rank=3)
    after = evaluate(model, batch)
    for x, y in zip(before, after, strict=True):
        if x is not None:
            assert torch.equal(x.nan_to_num(), y.nan_to_num())
    merged = adaptation.merged()
    assert merged is not model
    assert {n: t.shape for n, t in merged.state_dict().items()} == {n: t.shape for n, t in weights.items()}
    assert not changed(weights, merged.state_dict())


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_merged_is_what_was_trained(name: str, dtype: torch.dtype) -> None:
    """W + alpha/rank up @ down, in plain weights with the same answers; elements may be new."""
    model = made(dtype, **CONFIGURATIONS[name])
    before = copy_of(model)
    adaptation = adapted(model, (29, 47), kind="lora", rank=3, alpha=2.0)
    trained = adaptation.parameters
    ups = [n for n in trained if n.endswith(".up")]
    assert len(ups) >= 4
    assert not [n for n in ups if "readout" in n or "embedding" in n]
    with torch.no_grad():
        for up in ups:
            trained[up].normal_()
    merged = adaptation.merged()
    after = merged.state_dict()
    for up in ups:
        module, _, rest = up.partition(".parametrizations.")
        W = f"{module}.{rest.partition('.')[0]}"
        product = trained[up] @ trained[up.removesuffix("up") + "down"]
        expected = before[W] + 2.0 / 3 * product
        torch.testing.assert_close(
            after[W], expected, rtol=1e-12 if dtype == torch.float64 else 1e-5, atol=1e-6
        )
        assert trained[up].shape[-1] <= 3
    plain = {f"{up.partition('.parametrizations.')[0]}" for up in ups}
    for key in changed(before, after):
        assert any(key.startswith(f"{module}.") for module in plain)

    batch = batch_of(*structures().values())
    found, wanted = evaluate(merged, batch), evaluate(model, batch)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for x, y in zip(found, wanted, strict=True):
        if x is not None and y is not None:
            scale = y.nan_to_num().abs().max().clamp(min=1.0)
            assert (x - y).nan_to_num().abs().max() <= tolerance * scale


def test_what_is_not_trained_does_not_count_for_the_limit_of_the_gradient() -> None:
    model = made()
    adaptation = Adaptation(model, AdaptConfig(), ["head1"])
    batch = batch_of(*structures().values(), head=0)
    evaluate(model, batch, forces=False, stress=False, training=True).energy.nansum().backward()
    mask = head_masks(model, ["head1"])["readouts.1.weight_1"]
    gradient = model.readouts["1"].weight_1.grad
    assert gradient[~mask].abs().max() > 0
    backbone = model.interactions[0].linear_up.weights[0].grad.clone()
    adaptation.clear()
    assert not gradient.any()  # of the other head, which is not trained
    assert torch.equal(model.interactions[0].linear_up.weights[0].grad, backbone)


def test_low_rank_counts_what_is_trained() -> None:
    model = made()
    adaptation = adapted(model, kind="lora", rank=2)
    count = sum(p.numel() for p in adaptation.parameters.values())
    assert all(p.requires_grad for p in adaptation.parameters.values())
    assert adaptation.describe() == f"low rank 2: {count:,} numbers are trained"
    assert count < 0.5 * model.num_parameters
    heads = sum(int(mask.sum()) for mask in head_masks(model, ["head0"]).values())
    alone = Adaptation(made(), AdaptConfig(kind="heads"), ["head0"])
    assert alone.describe() == f"readouts only: {heads:,} numbers are trained"


def test_low_rank_leaves_frozen_parts_alone() -> None:
    adaptation = adapted(made(), kind="lora", freeze=["interactions.0", "readouts"])
    assert not [n for n in adaptation.parameters if n.startswith(("interactions.0.", "readouts."))]
    assert any(n.startswith("interactions.1.") for n in adaptation.parameters)


def test_learning_rates_reach_low_rank_products() -> None:
    adaptation = adapted(made(), kind="lora", learning_rates={"interactions.1": 0.1})
    rates = {n: adaptation.rate(n) for n in adaptation.parameters if n.endswith(".up")}
    assert set(rates.values()) == {0.1, 1.0}
    assert all((rate == 0.1) == n.startswith("interactions.1.") for n, rate in rates.items())


def test_low_rank_run_is_saved_as_a_plain_model(
    finetune: Finetune, base: Path, data_folder: Path, console: Console
) -> None:
    """What changed in each matrix is of low rank, and any Crossfield reads and runs the file."""
    config = finetune(
        "adapt={kind: lora, rank: 2}", "training.learning_rate=0.01", "training.precision=64-true"
    )
    before = copy_of(prepare(config).model)
    result = train(config, console=console)
    after = load_file(result.checkpoint)
    moved = changed(before, after)
    matrices = [n for n in moved if n.startswith("interactions.") and ".linear_" in n]
    assert matrices
    for name in matrices:
        size = torch.linalg.svdvals(after[name] - before[name])
        assert size[0] > 1e-5
        assert size[2:].max() < 1e-12
    # rows of the new element are trained, those of others stay
    rows = (after["embedding.weight"] != before["embedding.weight"]).any(dim=1)
    assert rows.tolist() == [False, False, False, True]
    assert not [n for n in moved if "bias" in n or "norm" in n or n.endswith(("alpha", "beta"))]

    frames = ase.io.read(data_folder / "alloys.xyz", ":3")
    found = crossfield.load(result.checkpoint, head="alloys").predict(frames)
    exact = Potential(result.model, "alloys", backend="reference").predict(frames)
    assert [r.energy for r in found] == pytest.approx([r.energy for r in exact], abs=1e-5)
    assert found[0].forces == pytest.approx(exact[0].forces, abs=1e-4)
    assert "low rank 2" in console.file.getvalue()  # type: ignore[attr-defined]


def test_random_numbers_of_others_are_not_touched() -> None:
    adaptation = adapted(made(), kind="lora")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    adaptation.merged()
    assert torch.equal(before, torch.get_rng_state())
