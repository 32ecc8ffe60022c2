"""The size of the model that the paper publishes."""

from __future__ import annotations

import subprocess
import sys

from crossfield.model import Model, ModelConfig
from crossfield.theory import Head, Theory


def test_published_size_has_6403014_parameters() -> None:
    config = ModelConfig(elements=tuple(range(1, 90)), channels=512, edge_channels=128)
    heads = [Head(name=f"head{i}", theory=Theory(name="any"), E0={}) for i in range(6)]
    assert Model(config, heads).num_parameters == 6_403_014


def test_a_skeleton_has_the_shapes_and_no_memory() -> None:
    """Nor does it load the modules that torch wants for arithmetic without memory, which take a second."""
    code = (
        "import sys\n"
        "from crossfield.model import Model, ModelConfig\n"
        "from crossfield.theory import Head, Theory\n"
        "heads = [Head(name='a', theory=Theory(name='a'), E0={})]\n"
        "for kind in ('nonlinear', 'density_residual'):\n"
        "    config = dict(elements=(1, 8), interaction=kind, readout='bias', inputs={'charge': {}})\n"
        "    skeleton = Model.skeleton(ModelConfig(**config, channels=100_000), heads)\n"
        "    assert skeleton.embedding.weight.shape == (2, 100_000)\n"
        "    assert all(p.is_meta for p in skeleton.parameters())\n"
        "sys.exit('torch._dynamo' in sys.modules or 'sympy' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
