"""The size of the model that the paper publishes."""

from __future__ import annotations

from crossfield.model import Model, ModelConfig
from crossfield.theory import Head, Theory


def test_published_size_has_6403014_parameters() -> None:
    config = ModelConfig(elements=tuple(range(1, 90)), channels=512, edge_channels=128)
    heads = [Head(name=f"head{i}", theory=Theory(name="any"), E0={}) for i in range(6)]
    assert Model(config, heads).num_parameters == 6_403_014
