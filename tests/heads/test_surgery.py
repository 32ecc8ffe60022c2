"""Operations on heads change what they say they change, and nothing else."""

from __future__ import annotations

import pytest
import torch

from crossfield.errors import InputError
from crossfield.heads import (
    add_elements,
    add_head,
    keep_heads,
    only_elements,
    remove_heads,
    rename_head,
    replace_head,
    with_default,
)
from crossfield.inference import Potential
from crossfield.model import Model, evaluate
from crossfield.zoo import checkpoint
from tests.heads.models import (
    CONFIGURATIONS,
    NEW,
    answer,
    assert_same_answers,
    assert_same_model,
    made,
)
from tests.structures import ELEMENTS, batch_of, structures

configurations = pytest.mark.parametrize("changes", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
EVERYWHERE = NEW.model_copy(update={"E0": {z: -float(z) for z in ELEMENTS}})
BOTH = {"head0": "head0", "head1": "head1"}


def network_energies(model: Model, head: str) -> torch.Tensor:
    """Energies of atoms without what the head adds to those of the network: E0, offset, scale and shift."""
    position = [h.name for h in model.heads].index(head)
    batch = batch_of(*structures().values(), head=position)
    z = model.element_of[batch.Z]
    rest = answer(model, head).energies - model.E0[position, z] - model.shift[position]
    if model.embedding_readout is not None:
        with torch.no_grad():
            h = model.embedding.table()[z] + model.inputs(model.inputs_of(batch))[batch.structure]
            rest = rest - model.embedding_readout(h, torch.full_like(z, position))
    return rest / model.scale[position]


@configurations
@precisions
@pytest.mark.parametrize("start", [None, "head1"])
def test_the_heads_that_were_there_stay_bit_for_bit(changes, dtype, start):
    model = made(dtype, **changes)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    more = add_head(add_head(model, NEW, start=start), NEW.model_copy(update={"name": "b"}), start="new")
    assert [head.name for head in more.heads] == ["head0", "head1", "new", "b"]
    assert more.dtype == dtype
    assert_same_answers(more, model, BOTH)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


@configurations
@precisions
def test_adding_and_removing_is_the_identity(changes, dtype):
    model = with_default(made(dtype, **changes), "head1")
    more = add_head(add_head(model, NEW, start="head0"), NEW.model_copy(update={"name": "b"}), start=None)
    assert more.config.scaled_for_heads == 2
    more, origin = add_elements(more, [79, 9, 46, 58])
    assert more.config.scaled_for_elements == len(model.config.elements)
    fewer = remove_heads(more, ["b", "new"])
    assert_same_model(only_elements(fewer, model.config.elements), model)
    fewer = only_elements(more, model.config.elements)
    assert_same_model(remove_heads(fewer, ["new", "b"]), model)
    assert origin == {9: 17, 46: 47, 58: 47, 79: 47}


@configurations
def test_removing_and_adding_elsewhere_comes_back_to_the_same_scale(changes):
    """The scale is that of the model it comes from, also if that is larger."""
    model = made(**changes)
    one = keep_heads(model, ["head1"])
    assert one.config.scaled_for_heads == 2
    assert_same_answers(one, model, {"head1": "head1"})
    again = add_head(one, model.heads[0], start=None)
    assert again.config == model.config
    assert_same_answers(again, one, {"head1": "head1"})


@configurations
def test_a_copied_head_answers_as_its_origin(changes):
    model = made(**changes)
    more = add_head(model, EVERYWHERE, start="head1")
    torch.testing.assert_close(
        network_energies(more, "new"), network_energies(model, "head1"), rtol=0, atol=1e-11
    )
    twin = add_head(model, model.heads[1].model_copy(update={"name": "twin"}), start="head1")
    assert_same_answers(twin, model, {"head1": "twin"})


@configurations
def test_a_head_from_nothing_is_reference_energy_and_repulsion(changes):
    model = made(**changes)
    more = add_head(model, EVERYWHERE, start=None)
    batch = batch_of(*structures().values(), head=2)
    d = torch.linalg.vector_norm(batch.vectors(), dim=1)
    pair = model.pair(d, batch.Z, batch.sender, batch.receiver)
    expected = -batch.Z.double() + NEW.shift + NEW.scale * pair
    torch.testing.assert_close(answer(more, "new").energies, expected, rtol=0, atol=1e-12)


@configurations
def test_a_head_from_nothing_can_learn(changes):
    """With zeros in two layers, one behind the other, no gradient would ever lead away."""
    more = add_head(made(**changes), EVERYWHERE, start=None)
    batch = batch_of(*structures().values(), head=2)
    prediction = evaluate(more, batch, training=True)
    prediction.forces.pow(2).sum().backward()
    last = more.readouts[str(more.config.layers - 1)]
    assert all(
        bool(getattr(last, name).grad.abs().sum() > 0)
        for name, division in last.of_heads.items()
        if division.last and name != "bias_3"  # forces do not depend on a constant
    )


@configurations
def test_the_compiled_back_end_agrees(changes):
    model = made(**changes)
    more, _ = add_elements(add_head(model, EVERYWHERE, start="head0"), [9, 46])
    one = keep_heads(more, ["head1"])
    ours, fewer = (Potential(m, "head1", backend="numba", table_accuracy=None) for m in (more, one))
    theirs = Potential(model, "head1", backend="numba", table_accuracy=None)
    for name in ("skewed crystal", "slab", "radical"):
        expected = theirs.predict(structures()[name])[0]
        for potential in (ours, fewer):
            found = potential.predict(structures()[name])[0]
            assert found.energy == pytest.approx(expected.energy, rel=1e-12)
            torch.testing.assert_close(
                torch.from_numpy(found.forces), torch.from_numpy(expected.forces), rtol=0, atol=1e-12
            )
    exact = Potential(more, "new", backend="reference").predict(structures()["slab"])[0]
    found = Potential(more, "new", backend="numba", table_accuracy=None).predict(structures()["slab"])[0]
    assert found.energy == pytest.approx(exact.energy, rel=1e-12)
    torch.testing.assert_close(
        torch.from_numpy(found.forces), torch.from_numpy(exact.forces), rtol=0, atol=1e-11
    )


@configurations
def test_order_and_names_do_not_matter(changes):
    model = with_default(add_head(made(**changes), NEW, start="head0"), "head1")
    other = keep_heads(model, ["new", "head1", "head0"])
    assert [head.name for head in other.heads] == ["new", "head1", "head0"]
    assert other.default_head == "head1"
    assert_same_answers(other, model, BOTH | {"new": "new"})
    assert_same_model(keep_heads(other, [head.name for head in model.heads]), model)
    other = rename_head(other, "head1", "my head")
    assert other.default_head == "my head"
    assert_same_answers(other, model, {"head1": "my head", "head0": "head0"})
    assert_same_model(rename_head(keep_heads(other, ["head0", "my head", "new"]), "my head", "head1"), model)


def test_blocks_from_one_head_to_another_are_zero_for_a_new_one():
    """They never count, but a regularised loss or a norm would see them."""
    for changes in ({}, {"readout": "bias"}):
        last = add_head(made(**changes), NEW, start="head1").readouts["1"]
        blocks = last.weight_2.detach().unflatten(0, (3, -1)).unflatten(-1, (3, -1))
        for i, j in ((2, 0), (2, 1), (0, 2), (1, 2)):
            assert not blocks[i, :, j].any()
        assert torch.equal(blocks[2, :, 2], blocks[1, :, 1])
        assert blocks[0, :, 1].any()  # and those there were stay, for the way back


def test_a_default_head_that_goes_is_the_default_no_more():
    model = with_default(made(), "head1")
    assert remove_heads(model, ["head0"]).default_head == "head1"
    assert remove_heads(model, ["head1"]).default_head is None
    assert with_default(model, None).default_head is None
    assert add_head(model, NEW, start=None).default_head == "head1"


def test_replacing_keeps_the_weights():
    model = made()
    other = replace_head(model, "head1", NEW)
    assert [head.name for head in other.heads] == ["head0", "new"]
    assert_same_answers(other, model, {"head0": "head0"})
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), model.parameters(), strict=True))
    torch.testing.assert_close(
        answer(other, "new").forces / NEW.scale, answer(model, "head1").forces / model.heads[1].scale
    )


def test_random_numbers_of_others_are_left_alone():
    model = made()
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    add_head(model, NEW, start=None)
    assert torch.equal(torch.rand(3), expected)


@precisions
def test_through_a_file(tmp_path, dtype):
    more, _ = add_elements(add_head(made(dtype, readout="bias"), NEW, start="head0"), [9])
    checkpoint.save(tmp_path / "m.safetensors", more, {})
    read = checkpoint.load(tmp_path / "m.safetensors")
    assert_same_model(read, more)
    assert (read.config.scaled_for_heads, read.config.scaled_for_elements) == (2, 10)
    assert_same_answers(read, more, BOTH)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda m: add_head(m, NEW, start="hed0"), "did you mean 'head0'.*has: head0, head1"),
        (
            lambda m: add_head(m, m.heads[0], start=None),
            "a head 'head0' already .this model has: head0, head1",
        ),
        (
            lambda m: add_head(m, NEW.model_copy(update={"E0": {92: 1.0}}), start=None),
            "92.*outside the model",
        ),
        (lambda m: keep_heads(m, []), "at least one head .this model has: head0, head1"),
        (lambda m: keep_heads(m, ["head1", "head1"]), "'head1' is named twice .this model has: head0, head1"),
        (lambda m: keep_heads(m, ["x"]), "unknown head 'x' .this model has: head0, head1"),
        (lambda m: remove_heads(m, ["head1", "head0"]), "all it has: head1, head0"),
        (lambda m: remove_heads(m, ["head0", "head0"]), "'head0' is named twice"),
        (lambda m: remove_heads(m, ["x"]), "unknown head 'x' .this model has: head0, head1"),
        (lambda m: rename_head(m, "x", "y"), "unknown head 'x' .this model has: head0, head1"),
        (lambda m: rename_head(m, "head0", "head1"), "a head 'head1' already"),
        (lambda m: rename_head(m, "head0", ""), "cannot be the name of a head: is empty"),
        (lambda m: rename_head(m, "head0", "a\x1b[31m"), "cannot be printed"),
        (lambda m: replace_head(m, "head0", m.heads[1]), "a head 'head1' already"),
        (lambda m: with_default(m, "x"), "unknown head 'x' .this model has: head0, head1"),
    ],
)
def test_refusals(operation, message):
    with pytest.raises(InputError, match=message):
        operation(MODEL)


MODEL = made(layers=1)
