"""Heads of two models in one."""

from __future__ import annotations

import pytest
import torch

from crossfield.errors import InputError
from crossfield.heads import (
    add_elements,
    add_head,
    head_masks,
    keep_heads,
    merge,
    only_elements,
    remove_heads,
    rename_head,
    with_default,
)
from crossfield.model import Model
from crossfield.theory import Head, Theory
from tests.heads.models import (
    CONFIGURATIONS,
    NEW,
    answer,
    assert_same_answers,
    assert_same_model,
    made,
)

configurations = pytest.mark.parametrize("changes", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())


def head(name: str, theory: str = "t") -> Head:
    return NEW.model_copy(update={"name": name, "theory": Theory(name=theory)})


@torch.no_grad()
def taught(model: Model, name: str, seed: int) -> Model:
    """With one more head, of random weights, as if it alone had been trained."""
    torch.manual_seed(seed)
    more = add_head(model, head(name), start="head0")
    masks = head_masks(more, [name])
    for key, parameter in more.named_parameters():
        if key in masks:
            parameter[masks[key]] = torch.randn(int(masks[key].sum()), dtype=parameter.dtype)
    return more


@configurations
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_two_trainings_of_one_base(changes, dtype):
    """What both kept of the base is there once, and every head answers as before, bit for bit."""
    base = with_default(made(dtype, **changes), "head0")
    a, b = taught(base, "a", 1), taught(base, "b", 2)
    both = merge(a, b)
    assert [h.name for h in both.heads] == ["head0", "head1", "a", "b"]
    assert both.default_head == "head0"
    assert_same_answers(both, a, {"head0": "head0", "head1": "head1", "a": "a"})
    assert_same_answers(both, b, {"head0": "head0", "b": "b"})
    assert not torch.equal(answer(both, "a").forces, answer(both, "b").forces)
    assert_same_model(remove_heads(both, ["b"]), a)
    assert_same_model(remove_heads(both, ["a"]), b)
    assert_same_model(remove_heads(both, ["a", "b"]), base)


def test_with_itself_is_the_same():
    model = made()
    assert_same_model(merge(model, model), model)


@configurations
def test_other_scales_are_converted(changes):
    """The second model is scaled for one head only."""
    base = made(**changes)
    two = add_head(base, head("a"), start="head1")
    state = dict(two.state_dict())
    for name, tensor in state.items():
        scaled = name.endswith(("weight_2", "weight_3"))
        state[name] = tensor * 2.0**0.5 if scaled else tensor
    other = Model(base.config.model_copy(update={"scaled_for_heads": 4}), two.heads).to(base.dtype)
    other.load_state_dict(state)
    other = keep_heads(other, ["a"])
    assert other.config.scaled_for_heads == 4
    both = merge(base, other)
    assert both.config.scaled_for_heads == 2
    assert_same_answers(both, base, {"head0": "head0", "head1": "head1"})
    for x, y, z in zip(answer(both, "a"), answer(other, "a"), answer(two, "a"), strict=True):
        torch.testing.assert_close(x.nan_to_num(), y.nan_to_num(), rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(x.nan_to_num(), z.nan_to_num(), rtol=1e-13, atol=1e-13)


def test_the_same_name_for_different_heads_is_refused():
    base = made(layers=1)
    a, b = (add_head(base, head("new", theory), start="head0") for theory in ("one", "another"))
    with pytest.raises(
        InputError, match=r"'new' would be there twice.*has: head0, head1, new; .*come: new\)"
    ):
        merge(a, b)
    with pytest.raises(InputError, match="'new' would be there twice"):  # same description, other weights
        merge(a, add_head(base, head("new", "one"), start="head1"))
    assert [h.name for h in merge(a, b, renames={"new": "other"}).heads] == ["head0", "head1", "new", "other"]
    with pytest.raises(InputError, match="'head0' would be there twice"):
        merge(a, b, renames={"new": "head0"})
    with pytest.raises(InputError, match="'x' would be there twice"):
        merge(base, base, renames={"head0": "x", "head1": "x"})
    with pytest.raises(InputError, match=r"unknown head 'nw'; did you mean 'new'\?"):
        merge(a, b, renames={"nw": "other"})


def test_backbones_that_differ_are_refused_by_name_and_size():
    a, b = made(), made()
    with torch.no_grad():
        b.products[1].linear.weights[0][0, 0] += 0.25
        b.readouts["0"].weight += 1.0  # this is of heads, and may
        b.readouts["1"].weight_1 += 1.0
    with pytest.raises(InputError, match=r"'products.1.linear.weights.0' by up to 0.25 \(1 of \d+ weights"):
        merge(a, rename_head(rename_head(b, "head0", "x"), "head1", "y"))


def test_models_of_another_kind_are_refused():
    model = made()
    with pytest.raises(InputError, match="not the same: channels is 8 and 6"):
        merge(model, made(channels=6))
    with pytest.raises(InputError, match="only the first: Ag; only the second: F"):
        merge(model, only_elements(add_elements(model, [9])[0], [*model.config.elements[:-1], 9]))
    with pytest.raises(InputError, match=r"precision: torch.float64 and torch.float32"):
        merge(model, made(torch.float32))
    fewer = only_elements(model, [1, 8])
    scaled = Model(fewer.config.model_copy(update={"scaled_for_elements": None}), fewer.heads)
    with pytest.raises(InputError, match="not the same: scaled_for_elements is 10 and 2"):
        merge(fewer, scaled.double())
