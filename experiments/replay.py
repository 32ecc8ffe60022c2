"""A new theory learnt from 50, 200 and 732 frames: with replay, without, and from scratch.

    python experiments/replay.py [--steps 1200] [--base-steps 4000] [--workers 2]

The base knows crystals (PBE) and molecules (ωB97M-D3(BJ)); the new head is reactions (ωB97X). Replay is once
of the frames the base was trained on, with their labels, and once of the same structures with the base's own
answers, as one does who has no training data of the base. Test frames were never trained on, nor replayed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ase.io import read, write

from common import MODEL, WORK, Run, data, head, report, source, table, train_all

BASE, NEW = ("crystals", "molecules"), "reactions"
COUNTS = (50, 200, 732)  # all that the bundled set leaves to train on
WAYS = {
    "labels": "replay, labels of the base's data",
    "answers": "replay, the base's own answers",
    "naive": "no replay",
    "scratch": "from scratch",
}


def main() -> None:
    """Train what is not yet trained, and write the table."""
    parser = argparse.ArgumentParser(
        description="Replay against naive fine-tuning and training from scratch."
    )
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--base-steps", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    options = parser.parse_args()
    base = Run(f"replay/base-{options.base_steps}", base_config(options.base_steps))
    base.train()
    runs = {(w, n): run(base, w, n, options.steps) for n in COUNTS for w in WAYS}
    train_all(list(runs.values()), options.workers)

    before = base.errors(BASE)
    rows = [["the base", "", *old(before, before), ""]]
    for n in COUNTS:
        for way, name in WAYS.items():
            errors = runs[way, n].errors([NEW] if way == "scratch" else [*BASE, NEW])
            new = f"{1000 * errors[NEW]['energy']:.0f} / {1000 * errors[NEW]['forces']:.0f}"
            rows.append([name, str(n), *(old(errors, before) if way != "scratch" else ["", ""]), new])
    report(
        "replay",
        "# A new theory, and what is left of the old ones\n\n"
        "Test errors, MAE of energy (meV/atom) / forces (meV/Å), and the change of the forces. The base has "
        f"{options.base_steps} updates of 16 structures, all others {options.steps}, from the base or from "
        "random weights.\n\n"
        + table(["", "new frames", *(f"{name} (base)" for name in BASE), f"{NEW} (new)"], rows),
    )


def old(errors: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """What is left of the heads of the base."""
    cells = []
    for name in BASE:
        energy, forces = (1000 * errors[name][q] for q in ("energy", "forces"))
        change = errors[name]["forces"] / before[name]["forces"] - 1
        said = "" if errors is before else f" ({100 * change:+.1f} %)"
        cells.append(f"{energy:.0f} / {forces:.0f}{said}")
    return cells


def training(steps: int, learning_rate: float = 0.01) -> dict[str, Any]:
    """Settings of all runs; what starts from a base takes half the learning rate."""
    return {
        "training": {
            "epochs": 12,
            "steps_per_epoch": -(-steps // 12),
            "batch_size": 16,
            "optimiser": "adamw",
            "learning_rate": learning_rate,
            "weight_decay": 0.01,
            "threads": 1,
        },
        "loss": {"late": {"start": 0.5, "energy": 10, "stress": 20}},
    }


def base_config(steps: int) -> dict[str, Any]:
    """The base."""
    return {"heads": {name: head(name) for name in BASE}, "model": dict(MODEL), **training(steps)}


def run(base: Run, way: str, count: int, steps: int) -> Run:
    """One run on so many new frames."""
    new = head(NEW, data=source(NEW, few(count)))
    if way == "scratch":
        config = {"heads": {NEW: new}, "model": dict(MODEL), **training(steps)}
    else:
        config = {
            "base": str(base.model),
            "heads": {NEW: new},
            "replay": replay(way),
            "split": {"validation": 0.0, "test": 0.0},  # of what is replayed; others have files of their own
            **training(steps, learning_rate=0.005),
        }
    return Run(f"replay/{way}-{count}-{steps}", config)


def replay(way: str) -> Any:
    """What is replayed of the heads of the base."""
    if way == "naive":
        return "off"
    key = {"labels": "data", "answers": "structures"}[way]
    return {
        name: {
            key: source(name, data(name)["train"]),
            "validation_data": source(name, data(name)["validation"]),
            "select": {"method": "all"},
            "own": way == "answers",
        }
        for name in BASE
    }


def few(count: int) -> Path:
    """So many training frames of the new theory, the first of a fixed order."""
    path = WORK / "data" / f"{NEW}_{count}.xyz"
    if not path.exists():
        import numpy as np

        frames = read(data(NEW)["train"], ":")
        if len(frames) < count:
            raise SystemExit(f"there are only {len(frames)} training frames of {NEW}")
        order = np.random.default_rng(0).permutation(len(frames))[:count]
        write(path, [frames[k] for k in order], format="extxyz")
    return path


if __name__ == "__main__":
    main()
