"""`crossfield train` from a base: exit codes, and what it says in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from crossfield.zoo import checkpoint
from tests.cli.conftest import Command

Refused = Callable[..., str]


@pytest.fixture
def config(data: Path, model: Path, tmp_path: Path) -> Path:
    """A new head on the crystals; nothing is replayed."""
    given = {
        "base": str(model),
        "heads": {"mine": {"theory": "refit", "data": str(data / "copper.xyz")}},
        "theories": {"refit": {"method": "PBE"}},
        "replay": "off",
        "training": {"epochs": 1, "batch_size": 4, "threads": 1, "device": "cpu"},
        "output": "run",
    }
    path = tmp_path / "fine.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return path


ROUGH = ("training.learning_rate=0.3", "training.clip=null", "schedule.kind=constant", "training.epochs=3")


def test_a_forgetful_run_ends_with_code_3(crossfield: Command, config: Path) -> None:
    """And with a model, an explanation, and a report."""
    outcome = crossfield("train", config, *ROUGH)
    assert outcome.code == 3, outcome.err
    assert "head molecules (wb97m_d3bj_def2svp) is neither trained nor replayed" in outcome.out
    told = [line for line in outcome.out.splitlines() if "has got worse in" in line]
    assert any(line.startswith("head molecules has got worse in ") for line in told)
    assert "forgetting.tolerance (5 %) allows" in " ".join(outcome.out.split())
    assert "error" not in outcome.err
    run = config.parent / "run"
    assert len(told) == len(json.loads((run / "forgetting.json").read_text())["worse"])
    assert [head.name for head in checkpoint.load(run / "best.safetensors").heads] == [
        "molecules",
        "crystals",
        "mine",
    ]
    assert crossfield("train", config, *ROUGH, "--resume").code == 3


def test_which_can_be_allowed(crossfield: Command, config: Path) -> None:
    outcome = crossfield("train", config, *ROUGH, "forgetting.fail=false")
    assert outcome.code == 0, outcome.err
    assert "has got worse in" in outcome.out


def test_a_run_that_forgets_nothing_ends_with_code_0(crossfield: Command, config: Path) -> None:
    outcome = crossfield("train", config, "training.learning_rate=1e-7")
    assert outcome.code == 0, outcome.err
    assert "Before and after" in outcome.out
    assert "has got worse" not in outcome.out


def test_wrong_settings_are_refused_in_one_line(
    refused: Refused, config: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"no model")
    cases = {
        "base=none.safetensors": "none.safetensors: no such file",
        "base=damaged.safetensors": "damaged.safetensors: ",
        "base=mace-mh-11": "did you mean 'mace-mh-1'?",
        "model={channels: 4}": "the base brings its own sizes",
        "replay={molecule: {}}": "did you mean 'molecules'?",
        "replay={molecules: {data: none.xyz}}": "none.xyz",
        "heads.mine.start=crystal": "did you mean 'crystals'?",
        "heads.mine.theory=null": "heads.mine.theory is missing, and the base has no head 'mine'",
        f"heads={{crystals: {{theory: refit, data: {data}/copper.xyz}}}}": "this head of the base is",
        "adapt={kind: lora, freeze: [interactoins]}": "did you mean 'interactions'?",
        "forgetting.tolerence=1": "did you mean 'tolerance'?",
        "elements=some": "elements: ",
    }
    for override, message in cases.items():
        line = refused("train", config, override)
        assert message in line, (override, line)
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_another_base_is_not_resumed(
    crossfield: Command, refused: Refused, config: Path, model: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base.safetensors"
    base.write_bytes(model.read_bytes())
    arguments = ("train", config, f"base={base}", "training.learning_rate=1e-7")
    assert crossfield(*arguments).code == 0
    changed = checkpoint.load(base)
    with torch.no_grad():
        changed.embedding.weight += 0.1
    checkpoint.save(base, changed, {})
    assert "the model (" in refused(*arguments, "--resume")
    assert crossfield(*arguments, "--overwrite").code == 0
