"""Runs that are stopped, in every way, and go on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file

from crossfield.errors import InputError
from crossfield.train import Config, config_from_dict, load_config, train
from crossfield.train.progress import Reporter
from crossfield.train.restart import KIND, Restart, RunState, check_same_run, load_restart
from crossfield.train.resumed import as_begun
from crossfield.train.setup import prepare
from crossfield.zoo import checkpoint, container

Configure = Callable[..., Config]
Settings = Callable[..., dict[str, Any]]

TRAIN = """
import sys
from pathlib import Path
from crossfield.train import load_config, train
train(load_config(Path(sys.argv[1])))
"""


def assert_same_end(folder: Path, other: Path) -> None:
    """Weights, averages, moments, log, errors and what is remembered of two runs are the same bit for bit."""
    a, b = (load_restart(f / "restart.safetensors") for f in (folder, other))
    assert a.tensors.keys() == b.tensors.keys()
    assert all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors)
    assert any(name.startswith("optimiser.max_exp_avg_sq.") for name in a.tensors)
    for name in ("best.safetensors", "last.safetensors"):
        one, two = load_file(folder / name), load_file(other / name)
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert log_of(folder) == log_of(other)
    assert (a.state.watch, a.state.loss_by_head) == (b.state.watch, b.state.loss_by_head)
    assert (folder / "errors.json").read_text() == (other / "errors.json").read_text()


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_killed_run_resumes_bit_for_bit(settings: Settings, tmp_path: Path, console: Console) -> None:
    """Killed with -9 in the middle of an epoch, after a validation, with all that has memory switched on."""
    sections: dict[str, Any] = {
        "training": {"epochs": 6, "steps_per_epoch": 13, "batch_size": 2, "checkpoint_steps": 1},
        "sampling": {"kind": "temperature"},
        "schedule": {"kind": "plateau", "patience": 1},
    }
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(settings(**sections, output=str(killed)), sort_keys=False))
    restart = killed / "restart.safetensors"
    epoch = 13
    with subprocess.Popen([sys.executable, "-c", TRAIN, str(file)], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if restart.exists() and load_restart(restart).state.step in range(epoch + 3, 2 * epoch - 3):
                break
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert log_of(killed)[0]["step"] == epoch
    step = load_restart(restart).state.step
    assert epoch < step < 6 * epoch
    assert step % epoch != 0

    config = config_from_dict(settings(**sections, output=str(killed)))
    train(config, resume=True, console=console)
    assert f"resumed at step {step}" in console.file.getvalue()  # type: ignore[attr-defined]
    train(config_from_dict(settings(**sections, output=str(whole))), console=console)
    assert_same_end(killed, whole)


@pytest.fixture
def interrupt_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, signal.Signals], None]:
    """Send this process a signal after a step."""
    step = Reporter.step

    def prepare(number: int, what: signal.Signals) -> None:
        seen = []

        def report(self: Reporter, *args: Any) -> None:
            step(self, *args)
            seen.append(args)
            if len(seen) == number:
                os.kill(os.getpid(), what)

        monkeypatch.setattr(Reporter, "step", report)

    return prepare


@pytest.mark.parametrize(
    ("what", "step"), [(signal.SIGINT, 3), (signal.SIGTERM, 12)], ids=["first epoch", "end of an epoch"]
)
def test_interrupted_run_is_usable_and_resumes(
    configure: Configure,
    tmp_path: Path,
    console: Console,
    interrupt_at: Callable[[int, signal.Signals], None],
    what: signal.Signals,
    step: int,
) -> None:
    part, whole = (configure(f"output={tmp_path / name}", "training.steps_per_epoch=6") for name in "ab")
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    interrupt_at(step, what)
    result = train(part, console=console)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert result.interrupted
    assert result.step == step
    assert result.metrics == {}
    assert not (result.folder / "errors.json").exists()
    assert str(result.folder / "last.safetensors") in console.file.getvalue()  # type: ignore[attr-defined]
    last = checkpoint.load(result.folder / "last.safetensors")
    averaged = load_restart(result.folder / "restart.safetensors").tensors
    assert all(torch.equal(p, averaged[f"average.{name}"]) for name, p in last.named_parameters())
    assert result.checkpoint.name == ("last.safetensors" if step < 6 else "best.safetensors")

    train(part, resume=True, console=console)
    train(whole, console=console)
    assert_same_end(part.folder, whole.folder)


def test_longer_run_is_the_same_as_resuming_a_shorter_one(
    configure: Configure, tmp_path: Path, console: Console
) -> None:
    names = (f"output={tmp_path / name}" for name in "ab")
    short, long = (configure(name, "schedule.kind=constant", "training.epochs=1") for name in names)
    train(short, console=console)
    more = short.model_copy(update={"training": short.training.model_copy(update={"epochs": 3})})
    assert train(more, resume=True, console=console).stopped == "epochs"
    assert load_config(short.folder / "config.yaml").training.epochs == 3
    long = long.model_copy(update={"training": more.training})
    train(long, console=console)
    assert_same_end(short.folder, long.folder)


@pytest.mark.parametrize("adapt", ["{kind: full}", "{kind: heads}", "{kind: lora, rank: 2}"])
def test_interrupted_run_from_a_base_resumes_bit_for_bit(
    finetune: Configure,
    tmp_path: Path,
    console: Console,
    interrupt_at: Callable[[int, signal.Signals], None],
    adapt: str,
) -> None:
    """In the middle of an epoch, with all that has memory switched on, and the same report at the end."""
    overrides = ("training.steps_per_epoch=6", "training.batch_size=3", f"adapt={adapt}")
    rough = ("training.weight_decay=0.1", "training.learning_rate=0.01")
    part, whole = (finetune(f"output={tmp_path / name}", *overrides, *rough) for name in "ab")
    interrupt_at(8, signal.SIGINT)
    result = train(part, console=console)
    assert result.interrupted
    assert result.forgetting is None
    assert load_restart(part.folder / "restart.safetensors").state.loss_by_head != [[0.0] * 3] * 3
    plain = checkpoint.load(part.folder / "last.safetensors")
    assert [head.name for head in plain.heads] == ["metals", "clusters", "alloys"]

    train(part, resume=True, console=console)
    train(whole, console=console)
    assert_same_end(part.folder, whole.folder)
    one, other = ((config.folder / "forgetting.json").read_text() for config in (part, whole))
    assert one == other
    labels = "replay/clusters.safetensors"
    assert (part.folder / labels).read_bytes() == (whole.folder / labels).read_bytes()


def test_another_base_is_not_resumed(
    finetune: Configure, base: Path, data_folder: Path, tmp_path: Path, console: Console
) -> None:
    """Also where no labels of it are used: what is not trained comes from it."""
    path = tmp_path / "base.safetensors"
    path.write_bytes(base.read_bytes())
    replay = {"metals": {"data": str(data_folder / "metals.xyz"), "own": False}}
    config = finetune("training.epochs=1", "adapt.kind=heads", base=str(path), replay=replay)
    train(config, console=console)
    model = checkpoint.load(base)
    with torch.no_grad():
        model.interactions[0].alpha += 0.5  # type: ignore[operator]
    checkpoint.save(path, model, {})
    with pytest.raises(InputError, match=r"cannot resume: the base .*base\.safetensors is not the model"):
        train(config, resume=True, console=console)
    with pytest.raises(InputError, match=r"cannot resume: adapt\.kind was 'heads' .* is 'full'"):
        train(finetune("training.epochs=1", base=str(path), replay=replay), resume=True, console=console)


def test_finished_run_resumes_to_its_result(configure: Configure, console: Console) -> None:
    config = configure("training.epochs=1")
    first = train(config, console=console)
    again = train(config, resume=True, console=console)
    assert again.step == first.step
    assert again.metrics == first.metrics


def test_resuming_something_else_is_refused(
    configure: Configure, settings: Settings, data_folder: Path, tmp_path: Path, console: Console
) -> None:
    copy = tmp_path / "clusters.xyz"
    text = (data_folder / "clusters.xyz").read_text()
    copy.write_text(text)
    data = f"heads.clusters.data={copy}"
    with pytest.raises(InputError, match="holds no run to resume"):
        train(configure(data), resume=True, console=console)
    train(configure(data, "training.epochs=1"), console=console)
    with pytest.raises(InputError, match=r"training\.batch_size was 4 when the run began and is 5"):
        train(configure(data, "training.batch_size=5"), resume=True, console=console)
    with pytest.raises(InputError, match=r"heads\.metals\.weight was 1\.0 .* is 2\.0"):
        train(configure(data, "heads.metals.weight=2"), resume=True, console=console)
    heads = settings()["heads"]
    swapped = configure(data, heads={name: heads[name] for name in ("clusters", "metals")})
    with pytest.raises(InputError, match="the order of heads was metals, clusters and is clusters, metals"):
        train(swapped, resume=True, console=console)
    copy.write_text(text + text)
    with pytest.raises(InputError, match="the data of head 'clusters' have changed"):
        train(configure(data), resume=True, console=console)


def moved_by(config: Config, amount: float) -> dict[int, float]:
    """E0 of `alloys` as if found with another number of threads, written into the restart file."""
    file = config.folder / "restart.safetensors"
    document, tensors = container.read(file, KIND)
    E0 = {Z: E + amount for Z, E in document["heads"]["alloys"]["E0"].items()}
    document["heads"]["alloys"]["E0"] = document["data"]["alloys"]["E0"] = E0
    container.write(file, KIND, tensors, document)
    return {int(Z): E for Z, E in E0.items()}


def test_reference_energies_stay_those_that_a_run_began_with(finetune: Configure, console: Console) -> None:
    """A fit that comes out otherwise in the last digits does not change them, in no file and no number."""
    config = finetune("training.epochs=1", "schedule.kind=constant", replay="off")
    train(config, console=console)
    before = moved_by(config, 1e-7)
    more = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 2})})
    result = train(more, resume=True, console=console)
    assert before == result.model.heads[2].E0
    again = load_restart(config.folder / "restart.safetensors")
    stored = {int(Z): E for Z, E in again.heads["alloys"]["E0"].items()}
    assert stored == before
    provenance = checkpoint.read_metadata(result.checkpoint)["provenance"]
    assert {int(Z): E for Z, E in provenance["data"]["alloys"]["E0"].items()} == before

    moved_by(config, 1e-3)
    with pytest.raises(InputError, match=r"the data of head 'alloys' have changed since then \(E0\.13\)"):
        train(more, resume=True, console=console)


def test_as_begun_moves_energies_and_score_alike(finetune: Configure, console: Console) -> None:
    config = finetune("training.epochs=1", replay="off")
    train(config, console=console)
    restart = load_restart(config.folder / "restart.safetensors")
    setup = prepare(config)
    assert as_begun(setup, restart, config) is setup
    numbers = restart.heads["alloys"]
    other = {**numbers, "scale": 2 * numbers["scale"], "E0": {**numbers["E0"], "79": -50.0}}
    found = as_begun(setup, replace(restart, heads={**restart.heads, "alloys": other}), config)
    assert found.model.heads == tuple(h.head for h in found.heads)
    assert (found.model.heads[2].scale, found.model.heads[2].E0[79]) == (2 * numbers["scale"], -50.0)
    assert found.model.heads[:2] == setup.model.heads[:2]
    weights = setup.model.state_dict()
    assert all(torch.equal(weights[name], p) for name, p in found.model.state_dict().items())
    assert found.score.spread["alloys"]["energy"] > 2 * setup.score.spread["alloys"]["energy"]
    assert found.score.spread["alloys"]["forces"] == setup.score.spread["alloys"]["forces"]


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        ({"reference": {"residual": 1.0}}, {"reference": {"residual": None}}, "reference.residual"),
        ({"E0": {"1": 1.0}}, {"E0": {"1": 1.0 + 1e-9}}, None),
        ({"reference": {"elements": {"H": 2e3}}}, {"reference": {"elements": {"H": 2e3 + 1e-5}}}, None),
        ({"E0": {"1": 1.0}}, {"E0": {"1": 1.0 + 1e-5}}, "E0.1"),
        ({"E0": {"1": 1.0}}, {"E0": {"1": None}}, "E0.1"),
        ({"share": 0.5}, {"share": 0.5 + 1e-12}, "share"),
        ({"selections": {"seed": 1}}, {"selections": {}}, "selections"),
    ],
)  # fmt: skip
def test_only_what_was_fitted_may_differ_by_round_off(
    before: dict[str, Any], now: dict[str, Any], word: str | None
) -> None:
    """Also in heads of a base that have dots in their names."""
    config: dict[str, Any] = {"heads": {}}
    restart = Restart(RunState(), config, None, {"a": {}, "mace.1": before}, {}, {})
    if word is None:
        check_same_run(restart, config, None, {"a": {}, "mace.1": now})
        return
    with pytest.raises(InputError, match=rf"the data of head 'mace\.1' have changed .*\({re.escape(word)}"):
        check_same_run(restart, config, None, {"a": {}, "mace.1": now})


@pytest.mark.parametrize("damage", ["cut", "foreign", "bit", "version"])
def test_damaged_restart_file(configure: Configure, console: Console, damage: str) -> None:
    config = configure("training.epochs=1")
    train(config, console=console)
    restart = config.folder / "restart.safetensors"
    if damage == "cut":
        restart.write_bytes(restart.read_bytes()[:100])
    elif damage == "foreign":
        restart.write_bytes((config.folder / "best.safetensors").read_bytes())
    elif damage == "bit":
        content = bytearray(restart.read_bytes())
        content[-5] ^= 4
        restart.write_bytes(content)
    else:
        document, tensors = container.read(restart, KIND)
        container.write(restart, KIND._replace(version=9), tensors, {**document, "format_version": 9})
    with pytest.raises(InputError, match=r"restart\.safetensors: .*(restart file|checksum)"):
        train(config, resume=True, console=console)


def test_log_shorter_than_the_restart_file(configure: Configure, console: Console) -> None:
    config = configure("training.epochs=1")
    train(config, console=console)
    (config.folder / "log.jsonl").write_text("")
    with pytest.raises(InputError, match=r"log\.jsonl: is shorter"):
        train(config, resume=True, console=console)
