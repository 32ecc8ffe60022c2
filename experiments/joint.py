"""One model of four theories against four models of one each, all with equal updates, three seeds.

    python experiments/joint.py [--steps 600] [--seeds 3] [--workers 2]

With as many updates as a single model, the joint one shares them out over its heads. With as many as all
single ones together, each head is drawn about as often as in its own model, and what the joint one gains must
come from the other theories.
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
    every, total = list(THEORIES), options.steps * len(THEORIES)
    joint = {(n, seed): run("joint", every, n, seed) for n in (options.steps, total) for seed in seeds}
    single = {(name, seed): run(name, [name], options.steps, seed) for name in THEORIES for seed in seeds}
    train_all([*joint.values(), *single.values()], options.workers)
    rows = []
    own = {(name, seed): single[name, seed].errors([name])[name] for name, seed in single}
    shared = {key: joint[key].errors(every) for key in joint}
    for name in THEORIES:
        for quantity, unit in (("energy", "meV/atom"), ("forces", "meV/Å")):
            one = [1000 * own[name, seed][quantity] for seed in seeds]
            cells = [spread(one)]
            for n in (options.steps, total):
                all_ = [1000 * shared[n, seed][name][quantity] for seed in seeds]
                cells += [spread(all_), f"{statistics.mean(all_) / statistics.mean(one):.2f}"]
            rows.append([f"{name}, {quantity}, {unit}", *cells])
    report(
        "joint",
        "# One model for all theories, or one for each\n\n"
        f"Test errors (MAE, mean ± standard deviation over {options.seeds} seeds) on frames kept aside. "
        f"Updates are of 16 structures; sizes and settings are the same.\n\n"
        + table(
            [
                "head",
                f"a model of its own, {options.steps} updates",
                f"joint, {options.steps}",
                "joint/own",
                f"joint, {total}",
                "joint/own",
            ],
            rows,
        ),
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
