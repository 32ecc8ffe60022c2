"""`crossfield bench`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crossfield.bench import speed, structures
from crossfield.model import ModelConfig
from tests.cli.conftest import Command
from tests.data.malformed import draft

QUICK = ("--seconds", "0")
Refused = Callable[..., str]


def test_speed_on_built_in_structures_of_the_head(crossfield: Command, model: Path) -> None:
    outcome = crossfield("bench", "speed", model, "--head", "molecules", *QUICK)
    assert outcome.code == 0, outcome.err
    assert f"{model}, head molecules" in outcome.out
    assert "water 192" in outcome.out
    assert "not measured: Si 2: head 'molecules' does not cover Si" in outcome.out
    assert "AlN 864" not in outcome.out
    assert all(len(line) <= 80 for line in outcome.out.splitlines() if "water" in line)


def test_speed_of_a_structure_in_a_file_as_json(crossfield: Command, model: Path, data: Path) -> None:
    outcome = crossfield(
        *("bench", "speed", model, "--head", "crystals", "--structure", data / "copper.xyz"),
        *("--dtype", "float64", "--backend", "reference", "--device", "cpu", "--json", *QUICK),
    )
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert (found["head"], found["dtype"], found["backend"]) == ("crystals", "float64", "reference")
    (line,) = found["structures"]
    assert (line["structure"], line["atoms"]) == ("copper.xyz", 2)
    assert line["steps_per_second"] == pytest.approx(1 / line["step_s"])
    assert line["evaluation_s"] > 0
    assert {"crossfield", "torch"} <= set(found["versions"])


def test_only_the_first_frame_is_timed(crossfield: Command, refused: Refused, model: Path, tmp_path) -> None:
    drafts = [draft("molecule", k) for k in range(3)]
    drafts[1].rows[0][1] = "nan"
    path = tmp_path / "bad.xyz"
    path.write_text("".join(d.text() for d in drafts))
    run = ("bench", "speed", model, "--head", "molecules", "--structure", path, *QUICK)
    assert crossfield(*run).code == 0
    path.write_text("".join(d.text() for d in drafts[1:]))
    assert f"{path}, frame 0: " in refused(*run)


def test_random_weights_say_so(crossfield: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"elements": (14,), "channels": 4, "edge_channels": 2, "l_max": 1, "correlation": 2}
    monkeypatch.setattr(speed, "PUBLISHED", ModelConfig.model_validate(small))
    monkeypatch.setattr(structures, "NAMES", ("Si 2", "Si 64"))
    monkeypatch.setattr(structures, "LARGE", ("Si 64",))
    outcome = crossfield("bench", "speed", "--large", "--threads", "1", *QUICK)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("random weights")
    assert "1 thread\n" in outcome.out
    assert "Si 64" in outcome.out
    assert "Si 64" not in crossfield("bench", "speed", *QUICK).out
    facts = json.loads(crossfield("bench", "speed", "--json", *QUICK).out)
    assert facts["model"] is facts["head"] is None


def test_without_a_command_there_is_help(crossfield: Command) -> None:
    outcome = crossfield("bench")
    assert outcome.code == 2
    assert "speed" in outcome.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "several heads, choose one of: molecules, crystals"),
        (("--head", "molecule"), "did you mean 'molecules'?"),
        (("--head", "crystals"), "--structure"),
        (("--head", "molecules", "--backend", "slow"), "unknown back end 'slow'"),
        (("--head", "molecules", "--dtype", "float16"), "unknown dtype 'float16'"),
        (("--head", "molecules", "--structure", "none.xyz"), "none.xyz"),
        (("--large", "--structure", "none.xyz"), "--large is about built-in structures"),
        (("--head", "molecules", "--threads", "0"), "--threads"),
        (("--head", "molecules", "--seconds", "-1"), "--seconds"),
    ],
)
def test_wrong_options(refused: Refused, model: Path, options: tuple[str, ...], message: str) -> None:
    assert message in refused("bench", "speed", model, *options)


def test_elements_that_a_head_does_not_cover(refused: Refused, model: Path, data: Path) -> None:
    run = ("bench", "speed", model, "--head", "molecules", "--structure", data / "copper.xyz")
    assert f"{data / 'copper.xyz'}, frame 0: " in refused(*run)


def test_other_mistakes(refused: Refused, tmp_path: Path) -> None:
    assert "No such command 'spede'" in refused("bench", "spede")
    assert "no such file" in refused("bench", "speed", tmp_path / "none.safetensors")
    assert "--head goes with MODEL" in refused("bench", "speed", "--head", "a")
