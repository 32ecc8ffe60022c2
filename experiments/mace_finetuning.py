"""Multi-head fine-tuning in mace-torch 0.3.16 and in Crossfield: same base, data, batches, number of updates.

    python experiments/mace_finetuning.py [--oracle PYTHON] [--new 200] [--epochs 20] [--threads 2]

mace-torch trains a base on neutral molecules (ωB97M-D3(BJ)) and fine-tunes it on reactions (ωB97X), with all
of the base's data as replay; Crossfield fine-tunes the same file. Both are run with the settings that they
use themselves for this, and mace-torch once more with Crossfield's learning rate and average. Crossfield
measures all models, on frames that none has trained on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase.io import read, write

from common import HERE, THEORIES, WORK, Run, data, errors_of, head, report, source, table
from crossfield.data.read import read_source
from crossfield.data.source import Source
from crossfield.theory import get_theory
from crossfield.zoo.convert import convert
from replay import few

OLD, NEW = "molecules", "reactions"
FOLDER = WORK / "mace"
SIZE = ("--model=MACE", "--num_channels=32", "--max_L=0", "--max_ell=2", "--correlation=2", "--r_max=4.5",
        "--num_radial_basis=8", "--radial_MLP=[32, 32]", "--MLP_irreps=16x0e")  # fmt: skip
BATCH = 16


def main() -> None:
    """Run what has not run yet, and write the table."""
    parser = argparse.ArgumentParser(description="Crossfield and mace-torch fine-tune the same model.")
    parser.add_argument("--oracle", default=str(HERE.parent / ".venv-oracle/bin/python"), metavar="PYTHON")
    parser.add_argument("--new", type=int, default=200, help="frames of the new theory")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--base-epochs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = {
        "old": converted(data(OLD)["train"], "old_train"),
        "old_valid": converted(data(OLD)["validation"], "old_valid"),
        "new": converted(few(options.new), f"new_{options.new}"),
        "new_valid": converted(data(NEW)["validation"], "new_valid"),
    }
    count = {name: len(read(path, ":")) for name, path in files.items()}
    mace = Mace(options.oracle, options.threads)
    base = mace.train(
        "base",
        [
            "--train_file",
            files["old"],
            "--valid_file",
            files["old_valid"],
            "--E0s",
            str(E0(OLD, files["old"])),
        ],
        ["--lr=0.01", "--ema", "--ema_decay=0.99", f"--max_num_epochs={options.base_epochs}"],
    )
    steps = options.epochs * ((count["old"] + count["new"]) // BATCH)  # mace-torch drops what fills no batch
    fine = [
        "--foundation_model", base, "--multiheads_finetuning=True", "--pt_train_file", files["old"],
        "--num_samples_pt", str(count["old"]), "--subselect_pt=random", "--train_file", files["new"],
        "--valid_file", files["new_valid"], "--E0s", str(E0(NEW, files["new"])),
        f"--max_num_epochs={options.epochs}", "--weight_pt_head=1.0",
    ]  # fmt: skip
    name = f"{options.new}-{options.epochs}"
    theirs = {
        "mace-torch": mace.train(f"fine-{name}", fine, []),
        "mace-torch, Crossfield's rate and average": mace.train(
            f"fine-same-{name}", fine, ["--force_mh_ft_lr=True", "--lr=0.001", "--ema", "--ema_decay=0.99"]
        ),
    }
    ours_base = FOLDER / "base.safetensors"
    convert(base, ours_base, theories={"Default": THEORIES[OLD][0]})
    plain = finetuning(ours_base, files, options.new, steps, options.threads)
    constant = {**plain, "schedule": {"kind": "constant"}}
    constant["training"] = {**plain["training"], "clip": 10.0}
    ours = {
        "Crossfield": Run(f"mace/crossfield-{name}", plain),
        "Crossfield, mace-torch's schedule and clipping": Run(f"mace/crossfield-constant-{name}", constant),
    }
    for run in ours.values():
        run.train()

    before = errors_of(base, [OLD], {OLD: "Default"}, neutral=True)
    rows = [["the base", *cells(before[OLD]), "", "", ""]]
    for label, model in theirs.items():
        found = errors_of(model, [OLD, NEW], {OLD: "pt_head", NEW: "Default"}, neutral=True)
        rows.append([label, *cells(found[OLD]), *cells(found[NEW]), f"{mace.seconds(model):.0f}"])
    for label, run in ours.items():
        found = errors_of(run.model, [OLD, NEW], {OLD: "Default"}, neutral=True)
        rows.append([label, *cells(found[OLD]), *cells(found[NEW]), f"{run.seconds:.0f}"])
    report(
        "mace_finetuning",
        "# Fine-tuning the same model\n\n"
        f"{options.new} new frames, {count['old']} replayed, {steps} updates of {BATCH} structures, "
        f"{options.threads} threads, float32. Test errors, MAE. Seconds are of the whole command.\n\n"
        + table(["", f"{OLD}, meV/atom", "meV/Å", f"{NEW}, meV/atom", "meV/Å", "s"], rows),
    )


class Mace:
    """`mace_run_train`, run once for each name.

    Args:
        python: of the environment with mace-torch.
        threads: of the processor.
    """

    def __init__(self, python: str, threads: int) -> None:
        self._command = Path(python).parent / "mace_run_train"
        self._threads = threads

    def train(self, name: str, what: Sequence[Any], how: Sequence[str]) -> Path:
        """Train, unless that is done; returns the model."""
        folder = FOLDER / name
        model, done = folder / f"{name}.model", folder / "seconds"
        if done.exists():
            return model
        folder.mkdir(exist_ok=True)
        command = [
            str(self._command), f"--name={name}", *map(str, what), *how, *SIZE, f"--batch_size={BATCH}",
            "--valid_batch_size=32", "--energy_key=REF_energy", "--forces_key=REF_forces", "--device=cpu",
            "--default_dtype=float32", "--seed=0", "--energy_weight=10", "--forces_weight=10",
            "--loss=universal", "--scaling=rms_forces_scaling", "--save_cpu", "--eval_interval=1",
            f"--work_dir={folder}", f"--model_dir={folder}",
        ]  # fmt: skip
        start = time.monotonic()
        with (folder / "log.txt").open("w") as log:
            environment = os.environ | {"OMP_NUM_THREADS": str(self._threads)}
            subprocess.run(command, stdout=log, stderr=log, env=environment, check=True, cwd=folder)
        done.write_text(f"{time.monotonic() - start:.1f}\n")
        return model

    def seconds(self, model: Path) -> float:
        """How long that took."""
        return float((model.parent / "seconds").read_text())


def finetuning(base: Path, files: Mapping[str, Path], new: int, steps: int, threads: int) -> dict[str, Any]:
    """The same in Crossfield: its own settings but for batches, updates and the loss's weights."""
    epochs = 10

    def replayed(name: str) -> dict[str, Any]:
        keys = {"energy": "REF_energy", "forces": "REF_forces"}
        return {"files": [str(files[name])], "keys": keys, "check_units": False}

    return {
        "base": str(base),
        "heads": {NEW: head(NEW, data=source(NEW, few(new)))},
        "replay": {
            "Default": {
                "data": replayed("old"),
                "validation_data": replayed("old_valid"),
                "select": {"method": "all"},
                "own": False,
            }
        },
        "sampling": {"kind": "proportional"},  # as mace-torch draws
        "training": {
            "epochs": epochs,
            "steps_per_epoch": -(-steps // epochs),
            "batch_size": BATCH,
            "threads": threads,
        },
    }


def converted(path: Path, name: str) -> Path:
    """Neutral closed shells of a file, with the names that mace-torch expects."""
    target = FOLDER / f"{name}.xyz"
    if not target.exists():
        frames = read(path, ":")
        kept = []
        for atoms in frames:
            if atoms.info.get("charge", 0) == 0 and atoms.info.get("spin", 1) == 1:
                atoms.info["REF_energy"] = atoms.get_potential_energy()
                atoms.arrays["REF_forces"] = atoms.get_forces()
                atoms.calc = None
                kept.append(atoms)
        write(target, kept, format="extxyz")
    return target


def E0(name: str, frames: Path) -> dict[int, float]:
    """Energies of isolated atoms of the elements in a file, eV."""
    present = {int(z) for atoms in read(frames, ":") for z in atoms.numbers}
    theory = get_theory(THEORIES[name][0])
    file = Path(head(name)["isolated_atoms"])
    atoms = read_source(Source(files=(file,)), theory).isolated
    return {int(f.Z[0]): f.energy for f in atoms if f.energy and int(f.Z[0]) in present}


def cells(errors: Mapping[str, float]) -> tuple[str, str]:
    """Energy and forces, meV."""
    return f"{1000 * errors['energy']:.1f}", f"{1000 * errors['forces']:.1f}"


if __name__ == "__main__":
    main()
