"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from crossfield.model import InputConfig, Model, ModelConfig
from crossfield.theory import Head, get_theory
from crossfield.train import load_config
from crossfield.zoo import checkpoint

README = Path(__file__).parents[1] / "README.md"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)
    return found


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    theories = {"molecules": "wb97m_d3bj_def2svp", "reactions": "wb97x_631gs"}
    heads = [Head(name=n, theory=get_theory(t), E0={1: -13.5, 8: -2040.0}) for n, t in theories.items()]
    inputs = {"charge": InputConfig(classes=5, offset=2), "spin": InputConfig(classes=6)}
    config = ModelConfig(elements=(1, 8), channels=4, l_max=1, correlation=2, inputs=inputs)
    folder = tmp_path / "crossfield-demo" / "model"
    folder.mkdir(parents=True)
    checkpoint.save(folder / "best.safetensors", Model(config, heads), {})
    monkeypatch.chdir(tmp_path)
    code = block("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 11
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("-20")


def test_yaml_example_is_a_configuration(tmp_path: Path) -> None:
    text = block("yaml")
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
