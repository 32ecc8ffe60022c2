"""What the experiments share: the bundled data, split once, and runs that are kept and not repeated."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from ase.io import read, write

from crossfield.data.batch import GraphDataset
from crossfield.data.read import read_source
from crossfield.data.source import Source
from crossfield.data.split import split_frames
from crossfield.kernels.backend import choose, use
from crossfield.theory import get_theory, head_index
from crossfield.train.metrics import evaluate_dataset
from crossfield.zoo import checkpoint
from crossfield.zoo.fetch import local_model

Errors = dict[str, dict[str, float]]

HERE = Path(__file__).parent
WORK = HERE / ".work"  # runs; those that are there are not repeated

THEORIES: Mapping[str, tuple[str, str, str]] = {  # head: theory, file, isolated atoms
    "crystals": ("pbe_gpaw", "crystals_pbe.xyz.gz", "atoms_gpaw.xyz.gz"),
    "surfaces": ("rpbe_gpaw", "surfaces_rpbe.xyz.gz", "atoms_gpaw.xyz.gz"),
    "molecules": ("wb97m_d3bj_def2svp", "molecules_wb97m.xyz.gz", "atoms_pyscf.xyz.gz"),
    "reactions": ("wb97x_631gs", "reactions_wb97x.xyz.gz", "atoms_pyscf.xyz.gz"),
}
NO_STRESS_FOR = ["N", "O", "F"]  # at 350 eV it does not follow from the energies of crystals with these
MODEL: Mapping[str, Any] = {
    "cutoff": 4.5,
    "channels": 32,
    "max_L": 0,
    "l_max": 2,
    "radial_basis": 8,
    "radial_network": [32, 32],
    "density_width": 32,
    "inputs": {"charge": {"classes": 5, "offset": 2, "width": 8}, "spin": {"classes": 6, "width": 8}},
}


def data(head: str) -> dict[str, Path]:
    """Files of the training, validation and test frames of a head, made once.

    Frames of one system are on all sides. With whole systems kept aside there would be one or two of them in
    a test set this small, and what they are would say more than how a model was trained.
    """
    theory, name, _ = THEORIES[head]
    folder = WORK / "data"
    parts = {part: folder / f"{head}_{part}.xyz" for part in ("train", "validation", "test")}
    if all(path.exists() for path in parts.values()):
        return parts
    folder.mkdir(parents=True, exist_ok=True)
    file = _bundled(name)
    with gzip.open(file, "rt") as text:
        atoms = dict(enumerate(read(text, ":", format="extxyz")))
    frames = read_source(Source(files=(file,)), get_theory(theory)).frames
    split = split_frames(frames, validation=0.06, test=0.12, seed=1, by="frame")
    for part, path in parts.items():
        chosen = [atoms[frame.index] for frame in getattr(split, part)]
        write(path.with_suffix(".part"), chosen, format="extxyz")
        path.with_suffix(".part").replace(path)
    return parts


def head(name: str, **settings: Any) -> dict[str, Any]:
    """The section of a head in a configuration."""
    theory, _, atoms = THEORIES[name]
    files = data(name)
    return {
        "theory": theory,
        "data": source(name, files["train"]),
        "validation_data": source(name, files["validation"]),
        "test_data": source(name, files["test"]),
        "isolated_atoms": str(_bundled(atoms)),
        **settings,
    }


def source(name: str, file: Path) -> dict[str, Any]:
    """A file of one of the heads, with what its labels need."""
    own = {"stress_not_for": NO_STRESS_FOR} if name == "crystals" else {}
    # the whole sets pass the check for mixed units; a few frames of one composition can look odd
    return {"files": [str(file)], "check_units": False, **own}


def _bundled(name: str) -> Path:
    return Path(str(resources.files("crossfield.demo").joinpath("labelled", name)))


class Run:
    """One training run in a folder of its own.

    Args:
        name: of the folder.
        config: the configuration, without `output`.
    """

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self.name, self.folder = name, WORK / name
        self._config = dict(config)

    @property
    def model(self) -> Path:
        """The averaged weights after the last update: all runs of a comparison have had equally many."""
        return self.folder / "last.safetensors"

    def train(self) -> None:
        """Train, unless that is done; a run that was killed goes on."""
        done = self.folder / "done"
        if done.exists():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        file = self.folder.with_suffix(".yaml")
        file.write_text(yaml.safe_dump({**self._config, "output": str(self.folder)}, sort_keys=False))
        begun = (self.folder / "restart.safetensors").exists()
        start = time.monotonic()
        with self.folder.with_suffix(".log").open("a") as log:
            code = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "crossfield.cli.main",
                    "train",
                    str(file),
                    *(["--resume"] if begun else []),
                ],
                stdout=log,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                check=False,
            ).returncode
        if code not in (0, 3):  # 3: a head got worse, which is what some runs are for
            raise SystemExit(f"{self.name} failed, see {log.name}")
        done.write_text(f"{time.monotonic() - start:.0f}\n")

    @property
    def seconds(self) -> float:
        """How long the whole command took; of the last part, if it was resumed."""
        return float((self.folder / "done").read_text())

    def errors(self, heads: Sequence[str]) -> dict[str, dict[str, float]]:
        """MAE on the test frames by head and property, eV/atom and eV/Å; kept beside the weights."""
        return errors_of(self.model, heads)


def errors_of(
    file: Path, heads: Sequence[str], names: Mapping[str, str] | None = None, *, neutral: bool = False
) -> Errors:
    """MAE on test frames, eV/atom and eV/Å.

    Args:
        file: a model, of Crossfield or mace-torch.
        heads: whose frames.
        names: what these heads are called in the model; None: the same.
        neutral: leave out ions and open shells.
    """
    model = checkpoint.load(local_model(file))
    use(model, choose("auto", model.device))
    found: Errors = {}
    for name in heads:
        theory = get_theory(THEORIES[name][0])
        frames = read_source(Source.model_validate(source(name, data(name)["test"])), theory).frames
        if neutral:
            frames = tuple(frame for frame in frames if (frame.charge, frame.spin) == (0, 1))
        answers = head_index(model.heads, (names or {}).get(name, name))
        dataset = GraphDataset(frames, [answers] * len(frames), model.config.cutoff)
        (errors,) = evaluate_dataset(model, dataset).heads
        found[name] = {quantity: error.mae for quantity, error in errors.items()}
    return found


def train_all(runs: Sequence[Run], workers: int) -> None:
    """Train all, so many at a time."""
    start = time.monotonic()

    def one(run: Run) -> None:
        run.train()
        print(f"{time.monotonic() - start:6.0f} s  {run.name}", flush=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, runs))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    rule = ["---"] + ["--:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


def report(name: str, text: str) -> None:
    """Keep a result, and show it."""
    path = HERE / "results" / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.rstrip() + "\n")
    print(f"\n{text}\n\nwritten to {path}")
