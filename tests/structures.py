"""Awkward structures and small models that many tests share."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from crossfield.graph import Graph, build_graph, collate
from crossfield.model import InputConfig, Model, ModelConfig
from crossfield.model.interaction import NonlinearInteraction
from crossfield.theory import Head, Theory

ELEMENTS = (1, 6, 7, 8, 13, 14, 17, 22, 29, 47)
CUTOFF = 4.5


def structures() -> dict[str, Atoms]:
    """One of each kind, all rattled: nothing sits on a symmetry element."""
    rng = np.random.default_rng(7)
    skewed = bulk("Cu", cubic=True)
    skewed.set_cell(skewed.cell.array @ (np.eye(3) + 0.25 * rng.normal(size=(3, 3))), scale_atoms=True)
    skewed.numbers = [29, 13, 8, 14]
    rocksalt = bulk("TiN", "rocksalt", a=4.24)
    slab = fcc111("Cu", (2, 1, 3), vacuum=6.0)
    slab.append("O")
    slab.positions[-1] = slab.positions[:-1].max(axis=0) + np.array([0.3, 0.2, 1.2])
    slab.pbc = (True, True, False)
    radical = molecule("CH3")
    radical.info.update(charge=0, spin=2)
    ion = molecule("OH")
    ion.info.update(charge=-1, spin=1)
    found = {
        "skewed crystal": skewed,
        "one-atom cell": bulk("Ag", a=4.1),
        "rocksalt": rocksalt,
        "slab": slab,
        "molecule": molecule("CH3CONH2"),
        "radical": radical,
        "ion": ion,
        "dimer": Atoms("NH", positions=[[0, 0, 0], [0.1, 0.2, 0.55]]),
        "wire": Atoms(
            "SiH", positions=[[0, 0, 0], [1.1, 0.8, 0.3]], cell=[2.9, 0, 0], pbc=(True, False, False)
        ),
        "far apart": Atoms("CO", positions=[[0, 0, 0], [20.0, 0, 0]]),
        "isolated atom": Atoms("Cl"),
    }
    for atoms in found.values():
        atoms.positions += 0.06 * rng.normal(size=atoms.positions.shape)
    return found


def graph_of(atoms: Atoms, *, head: int = 0, cutoff: float = CUTOFF) -> Graph:
    return build_graph(
        atoms.numbers,
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        cutoff=cutoff,
        head=head,
        charge=atoms.info.get("charge", 0),
        spin=atoms.info.get("spin", 1),
    )


def batch_of(*structures: Atoms, head: int = 0) -> Graph:
    return collate([graph_of(atoms, head=head) for atoms in structures])


def heads(count: int = 2) -> list[Head]:
    return [
        Head(
            name=f"head{i}",
            theory=Theory(name=f"theory{i}", method="test", charge="total charge", spin="2S+1"),
            E0={z: -3.0 * z - i for z in ELEMENTS},
            scale=1.5 + i,
            shift=0.1 * i,
        )
        for i in range(count)
    ]


def small_model(seed: int = 0, dtype: torch.dtype = torch.float64, **changes: object) -> Model:
    """A model with random weights in which every part contributes."""
    settings: dict[str, object] = {
        "elements": ELEMENTS,
        "cutoff": CUTOFF,
        "channels": 6,
        "edge_channels": 4,
        "l_max": 2,
        "correlation": 3,
        "radial_basis": 5,
        "radial_network": (12, 12),
        "density_width": 8,
        "readout_width": 4,
        "inputs": {
            "charge": InputConfig(classes=5, offset=2, width=4),
            "spin": InputConfig(kind="real", width=4),
        },
        "embedding_readout": True,
    }
    torch.manual_seed(seed)
    model = Model(ModelConfig.model_validate(settings | changes), heads())
    with torch.no_grad():
        for interaction in model.interactions:
            if not isinstance(interaction, NonlinearInteraction):
                continue
            interaction.alpha.fill_(2.0)  # neighbours count: at the initial 20 they hardly would
            interaction.beta.fill_(0.7)
            interaction.sender_embedding.normal_()
            interaction.receiver_embedding.normal_()
    return model.to(dtype)
