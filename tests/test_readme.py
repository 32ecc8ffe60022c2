"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from crossfield.model import InputConfig, Model, ModelConfig
from crossfield.theory import Head, get_theory
from crossfield.train import load_config
from crossfield.zoo import checkpoint
from crossfield.zoo.convert import convert
from crossfield.zoo.fetch import _conversion_path
from crossfield.zoo.published import get_published
from parity.structures import structure
from tests.zoo.samples import NONLINEAR

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    theories = {"molecules": "wb97m_d3bj_def2svp", "reactions": "wb97x_631gs"}
    heads = [Head(name=n, theory=get_theory(t), E0={1: -13.5, 8: -2040.0}) for n, t in theories.items()]
    inputs = {"charge": InputConfig(classes=5, offset=2), "spin": InputConfig(classes=6)}
    config = ModelConfig(elements=(1, 8), channels=4, l_max=1, correlation=2, inputs=inputs)
    folder = tmp_path / "crossfield-demo" / "model"
    folder.mkdir(parents=True)
    checkpoint.save(folder / "best.safetensors", Model(config, heads), {})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CROSSFIELD_ACCEPT_LICENCE", "ASL")
    (tmp_path / "path" / "to").mkdir(parents=True)
    shutil.copy(NONLINEAR, tmp_path / "path" / "to" / "mace.model")
    published = get_published("mace-mh-1")  # as if it had been downloaded and converted
    assert published.sha256 is not None
    ready = _conversion_path(published.sha256, published)
    ready.parent.mkdir(parents=True)
    convert(NONLINEAR, ready, published=published)

    first, *others = blocks("python")
    assert len([line for line in first.splitlines() if line.strip()]) <= 11
    names = {"crystal": structure("crystal")}
    exec(compile(first, "README.md", "exec"), names)
    assert capsys.readouterr().out.startswith("-20")
    assert len(others) == 2
    for code in others:
        exec(compile(code, "README.md", "exec"), names)
    assert names["potential"].head == "omat_pbe"
    assert names["result"].atomic_stress.shape == (4, 3, 3)


def test_yaml_example_is_a_configuration(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    assert len([line for line in text.splitlines() if line.strip()]) <= 16
    (tmp_path / "config.yaml").write_text(text)
    config = load_config(tmp_path / "config.yaml", [])
    assert set(config.heads) == {"crystals", "molecules"}
    assert set(yaml.safe_load(text)) <= set(type(config).model_fields)


def test_commands_exist() -> None:
    from typer.testing import CliRunner

    from crossfield.cli.main import app

    for verb in set(re.findall(r"^crossfield (\w+)", README.read_text("utf-8"), flags=re.MULTILINE)):
        assert CliRunner().invoke(app, [verb, "--help"]).exit_code == 0
