from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file

from crossfield.errors import InputError
from crossfield.train import Config, TrainingResult, evaluate_dataset, load_config, train, trainer
from crossfield.train.metrics import Error, HeadErrors, Metrics
from crossfield.train.restart import load_restart
from crossfield.train.setup import prepare
from crossfield.zoo.checkpoint import read_metadata

Configure = Callable[..., Config]


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for line in lines:
        assert line.pop("seconds") > 0
    return lines


def test_run_learns_and_leaves_a_complete_folder(configure: Configure, console: Console) -> None:
    """One ordinary run: errors fall, files agree with each other, the configuration starts it again."""
    config = configure("training.epochs=50", "training.learning_rate=0.01", "model.channels=8")
    result = train(config, console=console)
    log = log_of(result.folder)
    assert (result.stopped, result.interrupted, result.step) == ("epochs", False, 50 * log[0]["step"])
    assert [line["epoch"] for line in log] == list(range(1, 51))
    assert min(line["score"] for line in log) < 0.7 * log[0]["score"]
    learnt = result.metrics["test"].heads[0]
    assert learnt.forces is not None
    assert learnt.forces.mae < 0.6 * result.baseline["metals"].forces.mae  # type: ignore[union-attr]

    best = min(log, key=lambda line: line["score"])
    provenance = read_metadata(result.checkpoint)["provenance"]
    assert provenance["step"] == best["step"] == result.best_step
    assert provenance["score"] == best["score"] == result.score
    assert provenance["config"] == config.as_dict()
    assert len(provenance["data"]["metals"]["files"][str(config.heads["metals"].data.files[0])]) == 64

    # the errors of the result, of the log, of errors.json and of the model that is returned are the same
    errors = json.loads((result.folder / "errors.json").read_text())
    assert set(result.metrics) == {"train", "validation", "test"}
    assert errors["validation"] == result.metrics["validation"].as_dict()
    assert errors["validation"]["metals"]["forces"]["mae"] == pytest.approx(
        best["validation"]["metals"]["forces"]["mae"], rel=1e-12
    )
    setup = prepare(config)
    again = evaluate_dataset(result.model, setup.test, 3).as_dict()
    for head in ("metals", "clusters"):
        assert again[head]["energy"]["mae"] == pytest.approx(errors["test"][head]["energy"]["mae"], rel=1e-4)
    assert json.loads((result.folder / "splits.json").read_text()) == setup.splits()

    stored = yaml.safe_load((result.folder / "config.yaml").read_text())
    reloaded = load_config(result.folder / "config.yaml")
    assert reloaded.as_dict() == config.as_dict()
    assert reloaded.folder.resolve() == config.folder.resolve()
    assert "elements" not in stored["model"]

    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert sum(line.startswith("epoch ") for line in text.splitlines()) == 50
    assert "meV/atom" in text
    assert "GPa" in text


def test_same_seed_same_weights(configure: Configure, tmp_path: Path, console: Console) -> None:
    folders = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        where = f"output={tmp_path / name}"
        config = configure(where, f"training.seed={seed}", "training.threads=2", "sampling.kind=uniform")
        folders.append(train(config, console=console).folder)
    a, b, c = (load_file(folder / "last.safetensors") for folder in folders)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)
    assert log_of(folders[0]) == log_of(folders[1])


def test_settings_of_torch_are_given_back(configure: Configure, console: Console) -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    train(configure("training.threads=2", "training.epochs=1"), console=console)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_checkpoints_hold_the_running_average(configure: Configure, console: Console) -> None:
    result = train(configure("training.ema=0.9"), console=console)
    tensors = load_restart(result.folder / "restart.safetensors").tensors
    saved = load_file(result.folder / "last.safetensors")
    assert all(torch.equal(saved[name], tensors[f"average.{name}"]) for name in saved)
    assert not all(torch.equal(saved[name], tensors[f"weights.{name}"]) for name in saved)


def prescribe(monkeypatch: pytest.MonkeyPatch, errors: list[dict[str, float]]) -> None:
    """Let validations find these errors, in units of each head's spread, one after the other."""
    queue = iter(errors)

    def validate(self: trainer.Trainer) -> Metrics:
        spread, found = self.setup.score.spread, next(queue)
        heads = []
        for name, value in found.items():
            parts = {p: Error(value * s, value * s, 1) for p, s in spread[name].items()}
            heads.append(HeadErrors(name, 1, *(parts.get(p) for p in ("energy", "forces", "stress"))))
        return Metrics(tuple(heads))

    monkeypatch.setattr(trainer.Trainer, "_validate", validate)


@pytest.mark.parametrize("good", ["metals", "clusters"])
def test_best_weights_are_best_over_all_heads(
    configure: Configure, console: Console, monkeypatch: pytest.MonkeyPatch, good: str
) -> None:
    """Later, one head (the first or the last) is at its best while the others have got worse."""
    other = "clusters" if good == "metals" else "metals"
    prescribe(
        monkeypatch,
        [{"metals": 0.5, "clusters": 0.5}, {good: 0.1, other: 2.0}, {"metals": 0.5, "clusters": 0.6}],
    )
    result = train(configure("training.epochs=3"), console=console)
    assert result.best_step == log_of(result.folder)[0]["step"]
    assert result.score == pytest.approx(0.5)
    assert read_metadata(result.folder / "best.safetensors")["provenance"]["step"] == result.best_step
    assert read_metadata(result.folder / "last.safetensors")["provenance"]["step"] == result.step


@pytest.mark.parametrize("head", ["metals", "clusters", "alloys"])
def test_scores_count_replayed_heads_like_new_ones(
    finetune: Configure, console: Console, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    """While one of them, whichever, gets worse and the others better, there are no better weights."""
    others = [name for name in ("metals", "clusters", "alloys") if name != head]
    errors = [dict.fromkeys((head, *others), 0.5)]
    errors += [dict.fromkeys(others, 0.4) | {head: 0.9 + 0.1 * k} for k in range(3)]
    prescribe(monkeypatch, errors)
    result = train(finetune("training.epochs=20", "training.early_stop=3"), console=console)
    assert result.stopped == "early stop"
    assert len(log_of(result.folder)) == 4
    assert result.best_step == log_of(result.folder)[0]["step"]
    assert result.score == pytest.approx(0.5)


def test_loss_of_every_head_is_logged(finetune: Configure, console: Console) -> None:
    """It adds up to the loss, and heads without frames have none."""
    result = train(finetune("heads.alloys.weight=3"), console=console)
    for line in log_of(result.folder):
        assert set(line["loss_by_head"]) == {"metals", "clusters", "alloys"}
        parts = [x for head in line["loss_by_head"].values() for x in head.values()]
        assert sum(parts) == pytest.approx(line["loss"], rel=1e-5)
        assert line["train"]["alloys"]["frames"] == 8


def test_early_stop_counts_validations(
    configure: Configure, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [0.9, 0.8, 0.85, float("nan"), 0.81, 0.1]
    prescribe(monkeypatch, [{"metals": x, "clusters": x} for x in values])
    result = train(configure("training.epochs=20", "training.early_stop=3"), console=console)
    assert result.stopped == "early stop"
    assert len(log_of(result.folder)) == 5
    assert result.score == pytest.approx(0.8)
    assert log_of(result.folder)[3]["score"] is None


def test_validate_every(configure: Configure, console: Console) -> None:
    result = train(configure("training.epochs=5", "training.validate_every=2"), console=console)
    assert [line["score"] is not None for line in log_of(result.folder)] == [False, True, False, True, True]


def test_without_validation_the_latest_weights_are_best(configure: Configure, console: Console) -> None:
    """Which is said, once, and what it means."""
    result = train(configure("split.validation=0"), console=console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count("no head has validation frames: the latest weights count as the best") == 1
    assert "no validation frames, and so" not in said
    assert result.best_step == result.step
    assert result.score is None
    assert set(result.metrics) == {"train", "test"}


def test_head_without_validation_is_said(configure: Configure, console: Console) -> None:
    config = configure("heads.metals.split={validation: 0}", "training.epochs=1")
    result = train(config, console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "warning: head metals: no validation frames" in text
    assert "head clusters has no validation frames" not in text
    assert [h.head for h in result.metrics["validation"].heads] == ["clusters"]
    assert result.score is not None


def test_time_limit(configure: Configure, console: Console) -> None:
    config = configure("training.epochs=100000", "training.minutes=0.03", "training.learning_rate=0.01")
    result = train(config, console=console)
    assert result.stopped == "minutes"
    assert 1.8 <= result.seconds < 10
    # the schedule follows the clock, epochs alone would have left it at its start
    assert log_of(result.folder)[-1]["learning_rate"] < 0.001
    assert result.best_step is not None


def test_loss_weights_of_zero_leave_properties_out(
    configure: Configure, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    evaluate = trainer.evaluate

    def spy(*args: Any, **options: Any) -> Any:
        asked.append((options["forces"], options["stress"]))
        return evaluate(*args, **options)

    monkeypatch.setattr(trainer, "evaluate", spy)
    train(configure("loss.forces=0", "loss.stress=0", "training.epochs=1"), console=console)
    assert set(asked) == {(False, False)}


def test_loss_that_is_not_finite_names_the_frames(configure: Configure, console: Console) -> None:
    config = configure("training.learning_rate=1e30", "schedule.kind=constant")
    with pytest.raises(InputError, match=r"is not finite at step \d+; lower") as caught:
        train(config, console=console)
    listed = str(caught.value).split("frames: ")[1]
    numbers = [part for files in listed.split("; ") for part in files.split(".xyz ")[1].split(", ")]
    assert len(numbers) == 4
    assert all(number.isdigit() for number in numbers)


def test_run_is_not_overwritten_unasked(configure: Configure, console: Console) -> None:
    config = configure("training.epochs=1")
    train(config, console=console)
    kept = (config.folder / "best.safetensors").read_bytes()
    with pytest.raises(InputError, match="already holds a run: --resume goes on with it, --overwrite"):
        train(config, console=console)
    with pytest.raises(InputError, match="unknown theory"):
        train(configure("heads.metals.theory=none"), overwrite=True, console=console)
    assert (config.folder / "best.safetensors").read_bytes() == kept
    (config.folder / "mine.txt").write_text("x")
    result: TrainingResult = train(configure("training.seed=1"), overwrite=True, console=console)
    assert len(log_of(result.folder)) == 2
    assert (config.folder / "mine.txt").exists()
    assert (config.folder / "best.safetensors").read_bytes() != kept


@pytest.mark.parametrize("name", ["best.safetensors", "replay/clusters.safetensors", "link.safetensors"])
def test_what_a_run_reads_is_not_replaced_by_it(
    finetune: Configure, base: Path, console: Console, tmp_path: Path, name: str
) -> None:
    """A base in the output folder, whatever it is called there or elsewhere, is lost otherwise."""
    folder = tmp_path / "fine"
    (folder / "replay").mkdir(parents=True)
    file = folder / name
    if name.startswith("link"):
        (folder / "last.safetensors").write_bytes(base.read_bytes())
        file.symlink_to("last.safetensors")
    else:
        file.write_bytes(base.read_bytes())
    before = file.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is read by this run, and would be replaced by it: choose ano"):
            train(finetune(base=str(file)), overwrite=overwrite, console=console)
    assert file.read_bytes() == before


def test_nothing_of_an_older_run_stays_in_the_folder(finetune: Configure, console: Console) -> None:
    """Labels and structures of heads that are replayed no more go with it, and nothing else."""
    first = train(finetune("training.epochs=1"), console=console)
    replay = first.folder / "replay"
    for name in ("clusters.safetensors", "old%2ehead.xyz.gz", "old%2ehead.xyz.gz.json", "notes.txt"):
        (replay / name).touch()
    (replay / "old.safetensors.parts").mkdir()
    (replay / "old.safetensors.parts" / "0").touch()
    metals = {"bundled": False, "labels": str(replay / "mine.safetensors")}
    config = finetune("training.epochs=1", replay={"metals": metals}, adapt={"kind": "heads"})
    for _ in range(2):
        train(config, overwrite=True, console=console)
        assert sorted(path.name for path in replay.iterdir()) == ["mine.safetensors", "notes.txt"]


def test_no_device(configure: Configure, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"training\.device is cuda"):
        train(configure("training.device=cuda"), console=console)


def test_frames_without_use_and_systems_on_both_sides_are_reported(
    configure: Configure, data_folder: Path, tmp_path: Path, console: Console
) -> None:
    text = (data_folder / "metals.xyz").read_text()
    mixed = tmp_path / "mixed.xyz"
    mixed.write_text(f'{text.rstrip()}\n1\nenergy=nan pbc="F F F"\nCu 0 0 0\n')
    metals = {
        "theory": "emt",
        "data": {"files": [str(mixed)], "bad_frames": "list"},
        "test_data": str(data_folder / "metals.xyz"),
    }
    config = configure("training.epochs=1", heads={"metals": metals})
    train(config, console=console)
    listed = json.loads((config.folder / "rejected.json").read_text())
    assert listed == {"metals": {str(mixed): {"14": "energy is not finite: 'nan'"}}}
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1 not used (first: energy is not finite: 'nan'), listed in rejected.json" in said
    assert "test frames are of systems trained on" in said
