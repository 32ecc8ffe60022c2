"""Which entries of which weights belong to a head or to an element.

The readouts say it themselves (`of_heads`), as do the modules with weights of elements (`of_elements`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.model import Model
from crossfield.model.readout import OfHeads
from crossfield.theory import check_elements, head_index

State = dict[str, Tensor]  # weights by name, as in `Model.state_dict`


def weights_of_heads(model: Model) -> dict[str, OfHeads]:
    """The parameters that are divided among the heads, by name, and how."""
    return {
        f"{path}.{name}": division
        for path, module in model.named_modules()
        for name, division in getattr(module, "of_heads", {}).items()
    }


def weights_of_elements(model: Model) -> list[str]:
    """Names of the parameters whose first axis runs over the elements."""
    owners = {
        f"{path}.{name}"
        for path, module in model.named_modules()
        for name in getattr(module, "of_elements", ())
    }
    if model.config.product_per_element:
        owners |= {f"products.{i}.weights" for i in range(model.config.layers)}
    names = [name for name, _ in model.named_parameters()]
    return [name for name in names if name in owners or name.rpartition(".")[0] in owners]


def check_names(model: Model, names: Collection[str]) -> list[int]:
    """Positions of heads, of at least one.

    Raises:
        InputError: none, one that the model does not have, or one twice; the message lists those there are.
    """
    names = list(names)
    there = f"(this model has: {', '.join(head.name for head in model.heads)})"
    if not names:
        raise InputError(f"name at least one head {there}")
    positions = [head_index(model.heads, name) for name in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"head {twice[0]!r} is named twice {there}")
    return positions


def head_masks(model: Model, names: Collection[str]) -> dict[str, Tensor]:
    """Where the weights of some heads are.

    Args:
        model: the model.
        names: the heads; none: nothing is marked.

    Returns:
        For each parameter with entries of heads, by its name in `model.named_parameters()`: bool, of its
        shape and on its device, true where an entry belongs to these heads alone.

    Raises:
        InputError: unknown names, or one twice.
    """
    positions, count = check_names(model, names) if names else [], len(model.heads)
    parameters = dict(model.named_parameters())
    return {
        name: _mask(parameters[name], division, positions, count)
        for name, division in weights_of_heads(model).items()
    }


def element_masks(model: Model, numbers: Collection[int]) -> dict[str, Tensor]:
    """Where the weights of some elements are.

    Args:
        model: the model.
        numbers: atomic numbers; none: nothing is marked.

    Returns:
        As `head_masks`, for each parameter with entries of elements.

    Raises:
        InputError: an element that the model does not know.
    """
    known = model.config.elements
    check_elements(numbers, known, "the model")
    rows = [known.index(z) for z in numbers]
    parameters = dict(model.named_parameters())
    masks = {}
    for name in weights_of_elements(model):
        masks[name] = torch.zeros(parameters[name].shape, dtype=torch.bool, device=parameters[name].device)
        masks[name][rows] = True
    return masks


def _mask(tensor: Tensor, division: OfHeads, positions: Sequence[int], count: int) -> Tensor:
    mask = torch.ones(tensor.shape, dtype=torch.bool, device=tensor.device)
    for along in _along(tensor, division, positions, count):
        mask = mask & along
    return mask


def _along(tensor: Tensor, division: OfHeads, positions: Sequence[int], count: int) -> list[Tensor]:
    """For each axis over heads: where it is at one of these. Bool, of as many dimensions as the tensor."""
    found = []
    for axis in division.axes:
        at = torch.zeros(count, dtype=torch.bool, device=tensor.device)
        at[list(positions)] = True
        shape = [-1 if i == axis else 1 for i in range(tensor.dim())]
        found.append(at.repeat_interleave(tensor.shape[axis] // count).reshape(shape))
    return found


def take(
    state: Mapping[str, Tensor], divisions: Mapping[str, OfHeads], count: int, order: Sequence[int]
) -> State:
    """Weights for heads in another order, of which some may be missing and others occur twice.

    Args:
        state: all weights.
        divisions: how those of heads are divided.
        count: number of heads in `state`.
        order: for each head of the result, the position of the one whose weights it has.
    """
    result = dict(state)
    for name, division in divisions.items():
        for axis in division.axes:
            tensor = result[name]
            width = tensor.shape[axis] // count
            rows = [i * width + k for i in order for k in range(width)]
            result[name] = tensor.index_select(axis, torch.tensor(rows, device=tensor.device))
    return result


def separate(tensor: Tensor, division: OfHeads, position: int, count: int) -> Tensor:
    """The same weights with zeros from one head to all others and back, where nothing counts."""
    if len(division.axes) == 1:
        return tensor
    rows, columns = _along(tensor, division, [position], count)
    return torch.where(rows == columns, tensor, torch.zeros_like(tensor))


def silence(tensor: Tensor, division: OfHeads, position: int, count: int) -> Tensor:
    """The same weights, of which those of the last map of one head are zero: it reads out nothing."""
    if not division.last:
        return tensor
    return tensor.masked_fill(_mask(tensor, division, [position], count), 0.0)
