"""Predictions made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossfield.train.predictions import Compared, Predictions

SPLIT = {"train": 0, "validation": 1, "test": 2}


def predictions(*frames: dict[str, Any], heads: tuple[str, ...] = ("a",), **counts: int) -> Predictions:
    """Frames with `Z`, and perhaps `head`, `split`, `E0`, `group`, `own`, and pairs (label, prediction) of
    `energy`, `forces` and `stress`; `counts` are frames that were left out of a split of the first head."""
    nothing = np.nan
    Z = [np.array(f["Z"]) for f in frames]
    pairs = [f.get("energy", (nothing, nothing)) for f in frames]
    forces = [
        np.stack([np.array(x, dtype=float) for x in f["forces"]], axis=-1)
        if "forces" in f
        else np.full((len(f["Z"]), 3, 2), nothing)
        for f in frames
    ]
    stress = [
        np.stack([np.full((3, 3), x, dtype=float) for x in f.get("stress", (nothing, nothing))], axis=-1)
        for f in frames
    ]
    split = np.array([SPLIT[f.get("split", "test")] for f in frames], dtype=np.int64)
    head = np.array([heads.index(f.get("head", heads[0])) for f in frames], dtype=np.int64)
    of = {
        name: {h: int(((split == s) & (head == k)).sum()) for k, h in enumerate(heads)}
        for name, s in SPLIT.items()
    }
    for name, left_out in counts.items():
        of[name][heads[0]] += left_out
    return Predictions(
        heads=heads,
        split=split,
        head=head,
        group=tuple(f.get("group", f"g{i}") for i, f in enumerate(frames)),
        file=tuple("folder/file.xyz" for _ in frames),
        index=np.arange(len(frames)),
        own_answers=np.array([f.get("own", False) for f in frames], dtype=bool),
        atoms=np.array([len(z) for z in Z], dtype=np.int64),
        Z=np.concatenate([np.zeros(0, dtype=np.int64), *Z]).astype(np.int64),
        E0=np.array([f.get("E0", 0.0) for f in frames]),
        energy=Compared(*np.array(pairs, dtype=float).reshape(-1, 2).T),
        forces=Compared(*np.moveaxis(np.concatenate([np.zeros((0, 3, 2)), *forces]), -1, 0)),
        stress=Compared(*np.moveaxis(np.array(stress).reshape(-1, 3, 3, 2), -1, 0)),
        frames=of,
        seed=7,
    )
