"""A new model from parts of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from crossfield.model import Model, ModelConfig
from crossfield.theory import Head


def rebuilt(
    model: Model,
    state: Mapping[str, Tensor],
    *,
    heads: Sequence[Head] | None = None,
    elements: Sequence[int] | None = None,
    default_head: str | None,
) -> Model:
    """A model with other heads or elements, and with scales as they were.

    Args:
        model: where everything else comes from, precision and device included.
        state: the weights, which are copied.
        heads: the heads; None: those of `model`.
        elements: the elements; None: those of `model`.
        default_head: the head that answers where none is asked for; no default where it is no longer there.

    Raises:
        InputError: see `Model`.
    """
    heads = model.heads if heads is None else heads
    config = _config(model, len(heads), model.config.elements if elements is None else elements)
    default = default_head if any(head.name == default_head for head in heads) else None
    with torch.random.fork_rng(devices=[]):  # the weights it starts with are not used
        new = Model(config, heads, default)
    new.to(model.dtype).load_state_dict(state)
    return new.to(model.device)


def _config(model: Model, heads: int, elements: Sequence[int]) -> ModelConfig:
    """The configuration; it states what weights are scaled by where that is not what there is."""
    for_heads, for_elements = model.config.head_scale(len(model.heads)), model.config.element_scale
    return ModelConfig.model_validate(
        {
            **model.config.model_dump(),
            "elements": tuple(elements),
            "scaled_for_heads": None if for_heads == heads else for_heads,
            "scaled_for_elements": None if for_elements == len(elements) else for_elements,
        }
    )
