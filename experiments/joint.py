"""One model of four theories against four models of one each, all with equal updates, three seeds.

    python experiments/joint.py [--steps 600] [--seeds 3] [--workers 2]

The joint model shares out its updates over the heads; each single one spends as many on its own data. What
the joint model gains must come from the other theories.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from common import MODEL, THEORIES, Run, head, report, table, train_all


def main() -> None:
    """Train what is not yet trained, and write the table."""
    parser = argparse.ArgumentParser(description="Joint training against one model per head.")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    options = parser.parse_args()
    seeds = range(options.seeds)
    joint = {seed: run("joint", list(THEORIES), options.steps, seed) for seed in seeds}
    single = {(name, seed): run(name, [name], options.steps, seed) for name in THEORIES for seed in seeds}
    train_all([*joint.values(), *single.values()], options.workers)
    rows = []
    own = {(name, seed): single[name, seed].errors([name])[name] for name, seed in single}
    shared = {seed: joint[seed].errors(list(THEORIES)) for seed in seeds}
    for name in THEORIES:
        for quantity, unit in (("energy", "meV/atom"), ("forces", "meV/Å")):
            one = [1000 * own[name, seed][quantity] for seed in seeds]
            all_ = [1000 * shared[seed][name][quantity] for seed in seeds]
            ratio = statistics.mean(all_) / statistics.mean(one)
            rows.append([f"{name}, {quantity}, {unit}", spread(one), spread(all_), f"{ratio:.2f}"])
    report(
        "joint",
        "# One model for all theories, or one for each\n\n"
        f"Test errors (MAE, mean ± standard deviation over {options.seeds} seeds) on frames kept aside. "
        f"Every run: {options.steps} updates of 16 structures, the same sizes and settings.\n\n"
        + table(["head", "a model of its own", "joint model", "joint/own"], rows),
    )


def run(name: str, heads: list[str], steps: int, seed: int) -> Run:
    """A run on some of the heads."""
    config: dict[str, Any] = {
        "heads": {h: head(h) for h in heads},
        "model": dict(MODEL),
        "training": {
            "epochs": 12,
            "steps_per_epoch": -(-steps // 12),
            "batch_size": 16,
            "optimiser": "adamw",
            "learning_rate": 0.01,
            "weight_decay": 0.01,
            "threads": 1,
            "seed": seed,
        },
        "sampling": {"kind": "temperature", "temperature": 5.0},
        "loss": {"late": {"start": 0.5, "energy": 10, "stress": 20}},
    }
    return Run(f"joint/{name}-{steps}-{seed}", config)


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.0f} ± {deviation:.0f}"


if __name__ == "__main__":
    main()
