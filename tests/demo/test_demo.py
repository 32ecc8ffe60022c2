"""The demo from end to end, with seconds instead of minutes for training."""

from __future__ import annotations

import io
import json
from pathlib import Path

import ase.io
import pytest
from rich.console import Console

import crossfield
from crossfield.demo.demo import run_demo
from crossfield.errors import InputError

HEADS = ["crystals", "surfaces", "molecules", "reactions"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("demo") / "out"
    console = Console(file=io.StringIO(), width=120)
    result = run_demo(out, 0.05, console)
    assert not result.interrupted
    return out, console.file.getvalue()


def test_everything_is_written(demo: tuple[Path, str]) -> None:
    out, text = demo
    for name in ("model/best.safetensors", "figures.json", "report.html", "relaxed.xyz", "md.xyz"):
        assert (out / name).stat().st_size > 0
        assert str(out / name) in text.replace("\n", "")
    assert "meV/atom" in (out / "report.html").read_text("utf-8")
    assert len(ase.io.read(out / "md.xyz", ":")) == 201


def test_figures_of_every_head(demo: tuple[Path, str]) -> None:
    out, text = demo
    figures = json.loads((out / "figures.json").read_text())
    assert [f["head"] for f in figures] == HEADS
    for f in figures:
        assert f["frames"] >= 10
        assert 0 < f["forces_fraction"] < 1.5
    for head in HEADS:
        assert head in text


def test_one_model_answers_for_every_theory(demo: tuple[Path, str]) -> None:
    out, _ = demo
    potential = crossfield.load(out / "model" / "best.safetensors")
    assert potential.heads == HEADS
    assert potential.model.config.inputs.keys() == {"charge", "spin"}


def test_no_system_is_in_training_and_test(demo: tuple[Path, str]) -> None:
    out, _ = demo
    from importlib import resources

    labelled = resources.files("crossfield.demo").joinpath("labelled")
    splits = json.loads((out / "model" / "splits.json").read_text())
    for head in HEADS:
        groups = {}
        for part, files in splits[head].items():
            groups[part] = set()
            for file, indices in files.items():
                with resources.as_file(labelled.joinpath(Path(file).name)) as path:
                    frames = ase.io.read(path, ":", format="extxyz")
                groups[part] |= {frames[i].info["system"] for i in indices}
        assert not groups["train"] & groups["test"]
        assert not groups["train"] & groups["validation"]
        assert not groups["validation"] & groups["test"]


def test_an_earlier_demo_is_kept(demo: tuple[Path, str]) -> None:
    out, _ = demo
    with pytest.raises(InputError, match="overwrite"):
        run_demo(out, 0.05, Console(file=io.StringIO()))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="needs a folder"):
        run_demo(tmp_path / "file", 0.05, Console(file=io.StringIO()))
