"""`crossfield init`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Command
from tests.data.malformed import Malformed, malformed_inputs

Refused = Callable[..., str]


@pytest.fixture
def my(data: Path, tmp_path: Path) -> Path:
    """Water under other names of labels, in a file of its own."""
    text = (data / "water.xyz").read_text()
    for old, new in {"energy=": "REF_energy=", "forces:R": "REF_forces:R", "theory=": "was="}.items():
        text = text.replace(old, new)
    path = tmp_path / "my.xyz"
    path.write_text(text)
    return path


def test_finetune_from_data_to_a_trained_model(
    crossfield: Command, my: Path, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    outcome = crossfield("init", "finetune", "--base", model, "--data", my, "-o", file, "--method", "PBE-D3")
    assert outcome.code == 0
    for part in ("energy (REF_energy)", "16, of 1 system", "no E0 for H O", "crossfield train"):
        assert part in outcome.out
    assert "warning: all frames are of one system" in outcome.err
    assert len([line for line in file.read_text().splitlines() if line.strip()]) <= 18
    assert crossfield("train", file, "training.epochs=1", "forgetting.fail=false").code == 0
    assert (tmp_path / "runs" / "my" / "best.safetensors").exists()


@pytest.mark.parametrize("command", ["finetune", "scratch"])
def test_help_has_examples_in_one_line_each(crossfield: Command, command: str) -> None:
    outcome = crossfield("init", command, "--help")
    assert outcome.code == 0
    assert outcome.out.count(f"   crossfield init {command} --") >= 2
    assert crossfield("init").code == 2


def test_scratch(crossfield: Command, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    atoms = data / "water.xyz"
    assert crossfield("init", "scratch", "--data", data / "copper.xyz", "-o", file).code == 0
    config = yaml.safe_load(file.read_text())
    assert "base" not in config
    assert config["model"]["channels"] == 64
    line = crossfield(
        "init", "scratch", "--data", atoms, "--isolated-atoms", atoms, "-o", tmp_path / "x.yaml"
    )
    assert line.code == 2
    assert "is not an isolated atom" in line.err
    assert not (tmp_path / "x.yaml").exists()


def test_nothing_is_overwritten_unasked(
    crossfield: Command, refused: Refused, data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("mine")
    run = ("init", "scratch", "--data", data / "copper.xyz", "-o")
    assert "c.yaml: exists already; --overwrite replaces it" in refused(*run, file)
    assert file.read_text() == "mine"
    assert crossfield(*run, file, "--overwrite").code == 0
    assert file.read_text().startswith("heads:")
    mine = tmp_path / "mine.xyz"
    mine.write_text((data / "copper.xyz").read_text())
    assert "this is one of the inputs" in refused(
        "init", "scratch", "--data", mine, "-o", mine, "--overwrite"
    )
    assert mine.read_text() == (data / "copper.xyz").read_text()


def test_mistakes(refused: Refused, data: Path, my: Path, model: Path, tmp_path: Path) -> None:
    copper, file = data / "copper.xyz", tmp_path / "c.yaml"
    start = ("init", "finetune", "--data", copper, "-o", file, "--base")
    assert "Missing option '--base'" in refused("init", "finetune", "--data", copper)
    assert "Missing option '--data'" in refused("init", "scratch")
    assert "did you mean 'mace-mh-1'?" in refused(*start, "mace-mh1")
    assert "none.safetensors: no such file" in refused(*start, tmp_path / "none.safetensors")
    assert "copper.xyz: " in refused(*start, copper)
    assert "--head 'a b'" in refused(*start, model, "--head", "a b")
    assert "only letters" in refused(*start, model, "--head", "")
    assert "the file is listed twice" in refused(*start, model, "--data", copper)
    other = ("init", "finetune", "--data", my, "--base", model, "--head", "crystals", "-o", file)
    assert "my.xyz, frame 0: head 'crystals' of the base does not cover H, O" in refused(*other)
    assert f"{tmp_path}: this is a folder" in refused(*start[:-2], tmp_path, "--base", model)
    assert not file.exists()


def test_malformed_data_is_refused_in_one_line(
    refused: Refused, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """Whatever the reader refuses, but labels under other names, which are found."""
    inputs = malformed_inputs(tmp_path_factory.mktemp("malformed"))
    found = ("another name", "in capitals", "of a code", "free energy alone", "virial for stress", "a volume")
    chosen = [m for m in inputs if not _renamed(m, found)][::7]
    assert len(chosen) > 30
    for m in chosen:
        line = refused("init", "scratch", "--data", m.path, "-o", tmp_path / "c.yaml")
        assert line.startswith(f"error: {m.path}"), m.name
    assert not (tmp_path / "c.yaml").exists()


def _renamed(m: Malformed, found: tuple[str, ...]) -> bool:
    return bool(m.keys.model_fields_set) or any(part in m.name for part in found)
