"""Small files by an older mace-torch, first on the path: `python -m parity.oracle.older VERSION`.

Published checkpoints were written by many versions, which differ in modules, buffers and attributes. Beside
each file goes what that version makes of it.
"""

from __future__ import annotations

import inspect
import logging
import sys
from pathlib import Path
from typing import Any

import mace
import numpy as np
import torch
from e3nn import o3
from mace.modules import blocks, models
from safetensors.torch import save_file
from torch import nn

from parity.cases import OLDER_STRUCTURES, ModelCase
from parity.oracle.common import RESULTS, irreps
from parity.oracle.structures import collate, randomise

COMMON: dict[str, Any] = {
    "r_max": 4.5,
    "num_bessel": 6,
    "num_polynomial_cutoff": 5,
    "max_ell": 2,
    "num_interactions": 2,
    "num_elements": 4,
    "hidden_irreps": irreps(4, 1),
    "MLP_irreps": o3.Irreps("3x0e"),
    "avg_num_neighbors": 9.5,
    "atomic_numbers": [1, 6, 8, 26],
    "correlation": 3,
    "gate": nn.functional.silu,
    "radial_MLP": [8, 8],
}
SHORT_RANGE = {"pair_repulsion": True, "distance_transform": "Agnesi"}
MH = {
    **SHORT_RANGE,
    "apply_cutoff": False,
    "use_agnostic_product": True,
    "edge_irreps": irreps(2, 1),
    "embedding_specs": {
        name: {
            "type": "categorical",
            "per": "graph",
            "in_dim": 1,
            "emb_dim": 4,
            "num_classes": 9,
            "offset": offset,
        }
        for name, offset in (("total_spin", 0), ("total_charge", 4))
    },
    "use_embedding_readout": True,
}
# interactions of the first layer and of the others, other arguments, and whether there is scale and shift
KINDS: dict[str, tuple[str, str, dict[str, Any], bool]] = {
    "residual": ("Residual", "Residual", {}, True),
    "mace": ("", "Residual", {}, False),
    "short_range": ("", "Residual", SHORT_RANGE, True),
    "density": ("Density", "DensityResidual", SHORT_RANGE, True),
    "nonlinear": ("ResidualNonLinear", "ResidualNonLinear", MH, True),
}


def main(version: str) -> None:
    """Write a file of every kind that the version knows."""
    if f"{version}/" not in mace.__file__:
        sys.exit(f"this is {mace.__file__}, not version {version}")
    logging.disable()
    torch.set_default_dtype(torch.float64)
    known = inspect.signature(models.MACE.__init__).parameters
    for name, (first, second, extra, scaled) in KINDS.items():
        classes = [getattr(blocks, f"RealAgnostic{kind}InteractionBlock", None) for kind in (first, second)]
        if None in classes or not set(extra) <= set(known):
            continue
        torch.manual_seed(3)
        arguments = COMMON | extra | {"interaction_cls_first": classes[0], "interaction_cls": classes[1]}
        energies = np.random.default_rng(0).normal(size=4)
        arguments["atomic_energies"] = energies[None] if "heads" in known else energies
        if scaled:
            model = models.ScaleShiftMACE(atomic_inter_scale=1.3, atomic_inter_shift=0.2, **arguments)
        else:
            model = models.MACE(**arguments)
        randomise(model)
        torch.save(model, RESULTS / f"older_{version}_{name}.model")
        elements = {"elements": COMMON["atomic_numbers"], "cutoff": COMMON["r_max"]}
        out = model(collate(ModelCase(name, elements, heads=1, structures=OLDER_STRUCTURES)))
        found = {key: out[key].detach() for key in ("energy", "forces")}
        save_file(found, Path(RESULTS / f"older_{version}_{name}.safetensors"))
        print(f"mace-torch {version}: {name}")


if __name__ == "__main__":
    main(sys.argv[1])
