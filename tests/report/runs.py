"""Folders of runs, as `crossfield train` writes them but made in a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from crossfield.model import Model, ModelConfig
from crossfield.theory import Head, Theory
from crossfield.zoo import checkpoint

CONFIG = ModelConfig(
    elements=(1, 8), channels=2, edge_channels=2, l_max=1, max_L=0, radial_network=(4,), correlation=1
)
HOSTILE = '</script><img src=x onerror="document.title=1">'


def errors(energy: float, forces: float, labels: int = 10) -> dict[str, Any]:
    """Of one head, eV/atom and eV/Å."""
    return {
        "frames": labels,
        "energy": {"mae": energy, "rmse": 2 * energy, "labels": labels},
        "forces": {"mae": forces, "rmse": 2 * forces, "labels": 9 * labels},
    }


def epoch(number: int, heads: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    """A line of the log: ten steps, errors of i/number eV/atom and 2i/number eV/Å of head i."""
    line: dict[str, Any] = {
        "epoch": number,
        "step": 10 * number,
        "loss": 4.0 / number,
        "loss_by_head": {h: {"energy": 1.0 / number, "forces": 3.0 / number, "stress": 0.0} for h in heads},
        "learning_rate": 0.01,
        "score": 1.0 / number,
        "best": True,
        "validation": {h: errors(i / number, 2.0 * i / number) for i, h in enumerate(heads, start=1)},
        "train": {h: errors(0.5 * i / number, i / number) for i, h in enumerate(heads, start=1)},
        "seconds": 5.0 * number,
    }
    return {**line, **changes}


def make_run(
    path: Path,
    heads: tuple[str, ...] = ("pbe", "dft"),
    *,
    epochs: int = 3,
    finished: bool = True,
    weights: bool = True,
    **files: Any,
) -> Path:
    """A run.

    Args:
        path: its folder.
        heads: their names.
        epochs: lines of the log.
        finished: whether its errors are there.
        weights: whether best.safetensors is.
        files: contents of further JSON files, by name without suffix; they replace those that are made.
    """
    path.mkdir(parents=True, exist_ok=True)
    config = {"heads": {h: {"theory": "pbe"} for h in heads}, "training": {"epochs": 4, "minutes": None}}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "log.jsonl").write_text("".join(json.dumps(epoch(n + 1, heads)) + "\n" for n in range(epochs)))
    contents: dict[str, Any] = {
        "splits": {h: {"train": {"a.xyz": [0, 1, 2], "b.xyz": [7]}, "test": {"a.xyz": [5]}} for h in heads}
    }
    if finished:
        contents["errors"] = {
            "step": 10 * epochs,
            "score": 1.0 / epochs,
            "validation": {h: errors(0.02, 0.05) for h in heads},
            "test": {h: errors(0.03, 0.06) for h in heads},
            "baseline": {h: errors(0.3, 0.3) for h in heads},
        }
    for name, content in (contents | files).items():
        (path / f"{name}.json").write_text(json.dumps(content))
    if weights:
        save_model(path / "best.safetensors", heads, step=10 * epochs, score=1.0 / epochs)
    return path


def save_model(path: Path, heads: tuple[str, ...], **provenance: Any) -> None:
    """A small model with heads of these names; what it was taught is known of the first one."""
    theory = Theory(name="a", method="method", basis="basis")
    known = [Head(name=n, theory=theory, E0={1: -1.0 - i, 8: -9.5}) for i, n in enumerate(heads)]
    fit = {"elements": {"H": {"E0": -1.0, "uncertainty": 0.25, "origin": "least squares", "frames": 4}}}
    data = {heads[0]: {"theory": "a", "role": "taught", "rejected": 2, "reference": fit}}
    checkpoint.save(path, Model(CONFIG, known), {"data": data, **provenance})


FORGETTING: dict[str, Any] = {
    "tolerance": 0.05,
    "confidence": 0.95,
    "worse": ["pbe: forces"],
    "unchanged": [],
    "not_compared": [],
    "changes": [
        {
            "head": "pbe",
            "role": "replayed",
            "quantity": quantity,
            "frames": 12,
            "before": before,
            "after": after,
            "interval": [0.4 * (after - before), 1.6 * (after - before)],
            "allowed": 1.05 * before,
            "own_answers": False,
            "worse": after > 1.05 * before,
        }
        for quantity, before, after in (("energy", 0.100, 0.102), ("forces", 0.040, 0.060))
    ]
    + [
        {
            "head": "dft",
            "role": "taught",
            "quantity": "energy",
            "frames": 5,
            "before": 0.2,
            "after": 0.1,
            "interval": [-0.12, -0.08],
            "allowed": None,
            "own_answers": False,
            "worse": False,
        }
    ],
    "matrix": [
        {
            "frames_of": head,
            "own_answers": False,
            "quantity": "forces",
            "frames": 12,
            "before": {"pbe": 0.04, "dft": 0.4},
            "after": {"pbe": 0.06, "dft": 0.3},
        }
        for head in ("pbe", "dft")
    ],
}
