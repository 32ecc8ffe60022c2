"""What an atom starts with: its element, and numbers of the whole structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from crossfield.errors import InputError
from crossfield.model.config import InputConfig
from crossfield.model.initial import normal


class ElementEmbedding(nn.Module):
    """One row of channels per element: a Linear on the one-hot element, scaled by 1/sqrt(elements).

    Args:
        elements: number of elements.
        channels: length of a row.
        scaled_for: the number of elements in the scale.
    """

    of_elements: ClassVar[tuple[str, ...]] = ("weight",)  # parameters whose first axis runs over elements

    def __init__(self, elements: int, channels: int, scaled_for: int) -> None:
        super().__init__()
        self.scaled_for = scaled_for
        self.weight = nn.Parameter(normal(elements, channels))

    def table(self) -> Tensor:
        """(elements, channels)."""
        return self.weight * self.scaled_for**-0.5


class InputEmbedding(nn.Module):
    """Embed each input of the structure (charge, spin, ...), join them, Linear without bias, SiLU.

    Raises:
        InputError: an input whose name torch cannot give to a module.
    """

    def __init__(self, inputs: Mapping[str, InputConfig], channels: int) -> None:
        super().__init__()
        for name in inputs:
            if hasattr(nn.ModuleDict, name):
                raise InputError(f"an input cannot be called {name!r}")
        self.inputs = dict(inputs)
        self.embedders = nn.ModuleDict({name: _embedder(config) for name, config in inputs.items()})
        self.project = nn.Linear(sum(config.width for config in inputs.values()), channels, bias=False)

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Values (S,) by name, as `ModelConfig.check_inputs` allows them, to (S, channels)."""
        parts = []
        for name, config in self.inputs.items():
            value = values[name]
            if config.kind == "class":
                parts.append(self.embedders[name](value.round().long() + config.offset))
            else:
                parts.append(self.embedders[name](value.to(self.project.weight.dtype).unsqueeze(-1)))
        return nn.functional.silu(self.project(torch.cat(parts, dim=-1)))


def _embedder(config: InputConfig) -> nn.Module:
    if config.kind == "class":
        return nn.Embedding.from_pretrained(normal(config.classes, config.width), freeze=False)
    return nn.Sequential(
        nn.Linear(1, config.width, bias=config.bias),
        nn.SiLU(),
        nn.Linear(config.width, config.width, bias=config.bias),
    )
