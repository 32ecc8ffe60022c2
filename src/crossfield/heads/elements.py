"""Add elements to a model, or take some away.

As with heads, nothing else changes: weights of all other elements are the same bit for bit, and the number of
elements in their scale is kept in `ModelConfig.scaled_for_elements`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from crossfield.errors import InputError
from crossfield.heads.entries import State, weights_of_elements
from crossfield.heads.likeness import most_alike
from crossfield.heads.rebuild import rebuilt
from crossfield.model import Model
from crossfield.model.config import MAX_ELEMENT
from crossfield.theory import check_elements, symbols


def add_elements(model: Model, numbers: Sequence[int]) -> tuple[Model, dict[int, int]]:
    """A model that has weights for more elements; no head has reference energies for them yet.

    A new element starts with the weights of the known one that is most like it, see `most_alike`.

    Args:
        model: the model; it is not changed.
        numbers: atomic numbers of the new elements.

    Returns:
        The model, and by new element the known one whose weights it starts with.

    Raises:
        InputError: an element that is there already, or named twice, or is none.
    """
    known = model.config.elements
    _check(numbers)
    if again := sorted(set(numbers) & set(known)):
        raise InputError(
            f"the model knows {' '.join(symbols(again))} already (it knows: {' '.join(symbols(known))})"
        )
    origin = {z: most_alike(z, known) for z in sorted(numbers)}
    elements = sorted({*known, *origin})
    state = _taken(model, [known.index(origin.get(z, z)) for z in elements])
    return rebuilt(model, state, elements=elements, default_head=model.default_head), origin


def only_elements(model: Model, numbers: Sequence[int]) -> Model:
    """A model with these elements only; reference energies of others leave the heads, too.

    Args:
        model: the model; it is not changed.
        numbers: atomic numbers of the elements to keep.

    Raises:
        InputError: no elements, one that the model does not know, or one twice.
    """
    known = model.config.elements
    if not numbers:
        raise InputError(f"name at least one element to keep (the model knows: {' '.join(symbols(known))})")
    _check(numbers)
    check_elements(numbers, known, "the model")
    elements = sorted(numbers)
    heads = [
        head.model_copy(update={"E0": {z: energy for z, energy in head.E0.items() if z in elements}})
        for head in model.heads
    ]
    state = _taken(model, [known.index(z) for z in elements])
    return rebuilt(model, state, heads=heads, elements=elements, default_head=model.default_head)


def _taken(model: Model, rows: Sequence[int]) -> State:
    """Weights for elements of which each has those of the one at this position now."""
    state = dict(model.state_dict())
    for name in weights_of_elements(model):
        tensor = state[name]
        state[name] = tensor.index_select(0, torch.tensor(rows, device=tensor.device))
    return state


def _check(numbers: Sequence[int]) -> None:
    for z in numbers:
        if not 1 <= z <= MAX_ELEMENT:
            raise InputError(f"there is no element {z}")
    if twice := sorted({z for z in numbers if numbers.count(z) > 1}):
        raise InputError(f"{' '.join(symbols(twice))} is named twice")
