"""Whole models by mace-torch, as files, with their results and what passes between their blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from e3nn import o3
from mace.modules import blocks, models
from torch import nn

from parity.cases import ModelCase
from parity.oracle.common import RESULTS, Tensors, count, irreps
from parity.oracle.structures import collate, randomise


def model(case: ModelCase) -> tuple[Tensors, dict[str, int]]:
    """A whole model, saved as its users do, what it gives, and what passes between its blocks."""
    potential = build_model(case)
    if case.random:
        randomise(potential)
    torch.save(potential, RESULTS / f"{case.name}.model")
    if case.state_dict:
        state = {"model": potential.state_dict(), "optimizer": {}, "lr_scheduler": {}}
        torch.save(state, RESULTS / f"{case.name}.pt")
    batch = collate(case)
    tensors = {f"input/{name}": value.clone() for name, value in batch.items()}

    passed: Tensors = {}
    hooks = [
        module.register_forward_hook(keep(passed, name), with_kwargs=True)
        for name, module in potential.named_modules()
        if name and name.count(".") <= 1 and name.split(".")[0] in RECORDED
    ]
    out = results(potential, batch)
    for hook in hooks:
        hook.remove()
    tensors |= {f"passed/{name}": value for name, value in passed.items()}
    tensors |= {f"output/{name}": value for name, value in out.items()}
    if case.hessian:
        for name in ("crystal", "molecule"):
            one = collate(case, (name,))
            H = potential(one, compute_hessian=True)["hessian"]
            tensors[f"output/hessian_{name}"] = H.reshape(H.shape[0], -1)

    single = {name: v.float() if v.is_floating_point() else v for name, v in collate(case).items()}
    torch.set_default_dtype(torch.float32)  # mace-torch makes tensors of the default type on its way
    potential.float()
    if case.name == "mh1":
        torch.save(potential, RESULTS / f"{case.name}_float32.model")
    tensors |= {f"single/{name}": value for name, value in results(potential, single).items()}
    torch.set_default_dtype(torch.float64)
    if case.name == "mh1":  # as it is after it was saved in float32: constants are rounded, too
        rounded = results(potential.double(), collate(case))
        tensors |= {f"rounded/{name}": value for name, value in rounded.items()}
    return tensors, {"parameters": count(potential)}


def results(potential: models.MACE, batch: Tensors) -> Tensors:
    """Energies, their derivatives, and features, of a batch that is left as it was."""
    atoms, head = torch.arange(len(batch["batch"])), batch["head"][batch["batch"]]
    kept: Tensors = {}
    hooks = [
        module.register_forward_hook(keep(kept, name), with_kwargs=True)
        for name, module in potential.named_children()
        if name == "embedding_readout"
    ]
    out = potential(dict(batch), compute_force=True, compute_stress=True)
    for hook in hooks:
        hook.remove()
    energies = out["node_energy"]
    if kept:  # mace-torch leaves this term out of its energies per atom
        energies = energies + kept["embedding_readout/0"][atoms, head]
    found = {name: out[name] for name in ("energy", "forces", "stress")}
    found |= {"energies": energies, "features": out["node_feats"]}
    out = potential(dict(batch), compute_edge_forces=True, compute_atomic_stresses=True)
    return found | {name: out[name] for name in ("edge_forces", "atomic_stresses")}


RECORDED = {"pair_repulsion_fn", "joint_embedding", "embedding_readout"}
RECORDED |= {"interactions", "products", "readouts"}


def keep(passed: Tensors, name: str) -> Any:
    """A hook that keeps the tensors a block puts out, as `name/0`, `name/1`, and the features it gets."""

    def hook(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        results = result if isinstance(result, tuple) else (result,)
        passed.update({f"{name}/{i}": value for i, value in enumerate(results) if value is not None})
        if "node_feats" in kwargs:
            passed[f"{name}/features"] = kwargs["node_feats"]

    return hook


BLOCKS = {
    "plain": blocks.RealAgnosticInteractionBlock,
    "residual": blocks.RealAgnosticResidualInteractionBlock,
    "density": blocks.RealAgnosticDensityInteractionBlock,
    "density_residual": blocks.RealAgnosticDensityResidualInteractionBlock,
    "nonlinear": blocks.RealAgnosticResidualNonLinearInteractionBlock,
}
READOUTS = {"nonlinear": blocks.NonLinearReadoutBlock, "bias": blocks.NonLinearBiasReadoutBlock}
ACTIVATIONS = {"silu": nn.functional.silu, "tanh": torch.tanh, "abs": torch.abs, "none": None}
NAMES = {"charge": "total_charge", "spin": "total_spin"}  # mace-torch's for our inputs


def build_model(case: ModelCase) -> models.MACE:
    """Translate our configuration to the arguments of mace-torch."""
    c, heads = dict(case.config), [f"head{i}" for i in range(case.heads)]
    edge = c["edge_channels"]
    correlation = c["correlation"]
    block = c.get("interaction", "nonlinear")
    inputs = {NAMES.get(name, name): embedding(spec) for name, spec in c.get("inputs", {}).items()}
    arguments = {
        "r_max": c["cutoff"],
        "num_bessel": c["radial_basis"],
        "num_polynomial_cutoff": c.get("cutoff_power", 5),
        "max_ell": c["l_max"],
        "interaction_cls": BLOCKS[block],
        "interaction_cls_first": BLOCKS[c.get("first_interaction") or block],
        "num_interactions": c["layers"],
        "num_elements": len(c["elements"]),
        "hidden_irreps": irreps(c["channels"], c["max_L"]),
        "MLP_irreps": o3.Irreps(f"{c['readout_width']}x0e"),
        "atomic_energies": np.random.default_rng(0).normal(size=(case.heads, len(c["elements"]))),
        "avg_num_neighbors": c.get("average_neighbours") or 1.0,
        "atomic_numbers": list(c["elements"]),
        "correlation": list(correlation) if isinstance(correlation, tuple) else correlation,
        "gate": ACTIVATIONS[c.get("readout_activation", "silu")],
        "pair_repulsion": c.get("pair", "zbl") == "zbl",
        "apply_cutoff": c.get("cutoff_on", "weights") == "basis",
        "use_reduced_cg": case.independent,
        "use_agnostic_product": not c.get("product_per_element", False),
        "use_last_readout_only": c.get("last_readout_only", False),
        "use_embedding_readout": c.get("embedding_readout", False),
        "distance_transform": c.get("transform", "agnesi").capitalize(),
        "edge_irreps": None if edge is None else irreps(edge, c["max_L"]),
        "use_edge_irreps_first": c.get("edge_channels_first", True),
        "radial_MLP": list(c["radial_network"]),
        "radial_type": c.get("radial_functions", "bessel"),
        "heads": heads,
        "embedding_specs": inputs or None,
        "readout_cls": READOUTS[c.get("readout", "nonlinear")],
    }
    if case.plain:
        potential = models.MACE(**arguments)
    else:
        potential = models.ScaleShiftMACE(
            atomic_inter_scale=(0.5 + torch.rand(case.heads)).tolist(),
            atomic_inter_shift=torch.randn(case.heads).tolist(),
            **arguments,
        )
    return potential


def embedding(spec: dict[str, Any]) -> dict[str, Any]:
    """One of our inputs as mace-torch describes it."""
    kind = {"class": "categorical", "real": "continuous"}[spec["kind"]]
    return {
        "type": kind,
        "per": "graph",
        "in_dim": 1,
        "emb_dim": spec["width"],
        "num_classes": spec.get("classes", 1),
        "offset": spec.get("offset", 0),
        "use_bias": spec.get("bias", True),
    }
