"""Which entries of which weights belong to a head, or to an element."""

from __future__ import annotations

import pytest
import torch

from crossfield.errors import InputError
from crossfield.heads import add_head, element_masks, head_masks
from crossfield.model import evaluate
from tests.heads.models import CONFIGURATIONS, NEW, answer, made
from tests.structures import ELEMENTS, batch_of, structures

configurations = pytest.mark.parametrize("changes", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())


@configurations
def test_what_a_mask_leaves_out_another_head_does_not_feel(changes):
    """Entries of a head may become anything, and all other heads answer as before; its own answer changes."""
    model = add_head(made(**changes), NEW, start="head0")
    before = {head.name: answer(model, head.name) for head in model.heads}
    masks = head_masks(model, ["head1", "new"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masks:
                assert masks[name].dtype == torch.bool
                parameter[masks[name]] = 100.0
    assert torch.equal(answer(model, "head0").energies, before["head0"].energies)
    assert torch.equal(answer(model, "head0").forces, before["head0"].forces)
    for name in ("head1", "new"):
        assert not torch.equal(answer(model, name).forces, before[name].forces)


@configurations
def test_gradients_of_a_head_are_within_its_mask(changes):
    model = add_head(made(**changes), NEW, start="head0")
    masks = head_masks(model, ["head1"])
    prediction = evaluate(model, batch_of(*structures().values(), head=1), training=True)
    (prediction.energies.pow(2).sum() + prediction.forces.pow(2).sum()).backward()
    for name, parameter in model.named_parameters():
        if name in masks:
            assert parameter.grad[masks[name]].any(), name
            assert not parameter.grad[~masks[name]].any(), name
        elif "readout" in name:
            raise AssertionError(f"{name} has no mask")


def test_masks_of_all_heads_are_all_there_is_to_their_parameters():
    model = made(readout="bias")
    masks = head_masks(model, {"head0": 1, "head1": 2})
    assert all(bool(mask.all()) for mask in masks.values())
    assert {name.partition(".")[0] for name in masks} == {"readouts", "embedding_readout"}
    assert not any(bool(mask.any()) for mask in head_masks(model, []).values())
    one, other = head_masks(model, ["head0"]), head_masks(model, ["head1"])
    assert all(not (one[name] & other[name]).any() for name in masks)
    assert all(one[name].sum() == other[name].sum() for name in masks)


def test_names_are_checked():
    with pytest.raises(InputError, match="did you mean 'head0'"):
        head_masks(made(), ["hea0"])
    with pytest.raises(InputError, match="named twice"):
        head_masks(made(), ["head0", "head0"])
    with pytest.raises(InputError, match="does not cover F"):
        element_masks(made(), [1, 9])


@configurations
def test_entries_of_elements_that_are_not_there_do_not_count(changes):
    model = made(**changes)
    masks = element_masks(model, [13, 47])
    water = batch_of(structures()["ion"], structures()["molecule"])
    with torch.no_grad():
        before = model(water, water.vectors())
        parameters = dict(model.named_parameters())
        for name, mask in masks.items():
            assert mask.shape == parameters[name].shape
            assert mask.sum() * len(ELEMENTS) == 2 * mask.numel()
            parameters[name][mask] = 100.0
        after = model(water, water.vectors())
        silver = batch_of(structures()["one-atom cell"])
        found = model(silver, silver.vectors()).energies
    assert torch.equal(before.energies, after.energies)
    assert not torch.equal(found, made(**changes)(silver, silver.vectors()).energies)
    assert not any(bool(mask.any()) for mask in element_masks(model, []).values())


def test_every_weight_of_elements_has_a_mask():
    """All that have as many rows as there are elements, a number that no other size is."""
    sizes = {"channels": 8, "edge_channels": 4, "readout_width": 4, "radial_network": (12,)}
    for changes in CONFIGURATIONS.values():
        model = made(**{**changes, **sizes})
        expected = {name for name, p in model.named_parameters() if p.dim() and len(p) == len(ELEMENTS)}
        assert set(element_masks(model, [1])) == expected
