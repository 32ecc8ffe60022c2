"""Every trained model has its card beside it, and `crossfield info --card` says the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from crossfield.errors import InputError
from crossfield.heads import rename_head
from crossfield.model import fingerprint
from crossfield.report.errors import error_rows
from crossfield.report.parity_pairs import all_pairs
from crossfield.theory.units import GPA_PER_EV_A3
from crossfield.train import Config, train
from crossfield.train import run as module
from crossfield.train.card import card_of
from crossfield.train.folder import RunFolder, write_text
from crossfield.train.predictions_file import load_predictions
from crossfield.train.restart import check_same_run, load_restart
from crossfield.zoo import checkpoint
from crossfield.zoo.card_markdown import markdown
from crossfield.zoo.origin import origins_of
from crossfield.zoo.published import published
from tests.structures import small_model

Configure = Callable[..., Config]


def test_it_is_written_beside_the_weights(configure: Configure, console: Console) -> None:
    folder = RunFolder(train(configure(), console=console).folder)
    text = folder.card.read_text()
    assert text == markdown(card_of(folder.best))
    assert text.startswith(f"# Model card: {folder.path.name}\n")
    mae = json.loads(folder.errors.read_text())["test"]["metals"]["forces"]["mae"]
    row = next(line for line in text.splitlines() if line.startswith("| metals | test | forces, meV/Å |"))
    assert float(row.split("|")[4].replace(",", "")) == pytest.approx(1000 * mae, rel=0.01)
    assert "| training.batch_size | 4 |" in text
    assert "threads" not in text

    # the constant that errors stand against is the same on the card and on the page
    p = load_predictions(folder.predictions)
    baseline = json.loads(folder.errors.read_text())["baseline"]
    for found in error_rows(p, all_pairs(p), seed=0):
        if found.split == "test":
            given = baseline[found.head][found.quantity]["mae"] * (
                GPA_PER_EV_A3 if found.quantity == "stress" else 1
            )
            assert found.baseline == pytest.approx(given, rel=1e-6)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A folder with weights and their errors."""
    made = RunFolder(tmp_path / "mine")
    made.path.mkdir()
    made.config.write_text("")
    checkpoint.save(made.best, small_model(), {"step": 9, "score": 0.5})
    made.errors.write_text(json.dumps({"step": 9, "score": 0.5, "test": {"head0": {"frames": 1}}}))
    return made


def test_errors_are_on_it_if_they_are_of_these_weights(folder: RunFolder, tmp_path: Path) -> None:
    found = card_of(folder.best)
    assert found.name == "mine"
    assert found.results is not None
    assert found.results.test["head0"].frames == 1
    for other in ({"step": 8}, {"score": 0.6}, {"score": None}):
        folder.errors.write_text(json.dumps({"step": 9, "score": 0.5, **other}))
        assert card_of(folder.best).results is None
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(folder.best.read_bytes())
    assert card_of(moved).results is None
    assert card_of(moved).name == "moved"
    assert card_of(moved, name="given").name == "given"


def test_heads_that_were_changed_have_no_errors_on_it(folder: RunFolder) -> None:
    """Whether errors.json is of this version or of an older one; the card says what was done."""
    record = {"operation": "rename", "head": "head0", "to": "other", "file": "best.safetensors"}
    provenance = {"step": 9, "score": 0.5, "surgery": [record]}
    whole = fingerprint(checkpoint.load(folder.best))
    for model, known in ((small_model(), True), (rename_head(small_model(), "head0", "other"), False)):
        checkpoint.save(folder.best, model, provenance)
        for stated, has_errors in (({}, False), ({"fingerprint": whole}, known)):
            folder.errors.write_text(json.dumps({"step": 9, "score": 0.5, **stated}))
            assert (card_of(folder.best).results is not None) == has_errors
    text = markdown(card_of(folder.best))
    assert (
        "changed afterwards by crossfield heads**: rename: head head0; to other; of best.safetensors" in text
    )


def test_weights_that_no_step_is_known_of_have_no_errors_on_it(folder: RunFolder) -> None:
    checkpoint.save(folder.best, small_model(), {})
    folder.errors.write_text("{}")
    assert card_of(folder.best).results is None
    folder.errors.write_text(json.dumps({"fingerprint": fingerprint(small_model())}))
    assert card_of(folder.best).results is not None


@pytest.mark.parametrize("name", ["errors.json", "forgetting.json"])
def test_files_beside_a_model_may_be_of_any_program(folder: RunFolder, name: str) -> None:
    (folder.path / name).write_text("{")
    other = folder.path / "other.safetensors"
    other.write_bytes(folder.best.read_bytes())
    assert card_of(other).results is None
    folder.config.unlink()  # no run
    assert card_of(folder.best).results is None


@pytest.mark.parametrize("content", ["{", "[]", '{"test": {"metals": 1}}', '{"step": "x"}', ""])
@pytest.mark.parametrize("name", ["errors", "forgetting"])
def test_damaged_results_are_named(folder: RunFolder, name: str, content: str) -> None:
    file = getattr(folder, name)
    file.write_text(content)
    with pytest.raises(InputError, match="is damaged") as caught:
        card_of(folder.best)
    assert caught.value.file == file
    assert "delete" not in str(caught.value)


def test_that_of_an_interrupted_run_says_that_no_errors_are_known(
    configure: Configure, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressed(module.StopSignal):
        def __init__(self) -> None:
            super().__init__()
            self.received = True

    monkeypatch.setattr(module, "StopSignal", Pressed)
    folder = RunFolder(train(configure(), console=console).folder)
    assert folder.card.read_text() == markdown(card_of(folder.last))
    assert "No errors are known of these weights." in folder.card.read_text()
    assert not folder.predictions.exists()
    monkeypatch.undo()
    train(configure(), resume=True, console=console)
    assert "No errors are known" not in folder.card.read_text()


def test_fine_tuned_weights_keep_the_licence_of_their_base(
    finetune: Configure, base: Path, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def written(path: Path, content: str) -> None:
        order.append(path.name)
        write_text(path, content)

    monkeypatch.setattr(module, "write_text", written)
    licensed = tmp_path / "licensed.safetensors"
    entry = published()["mace-mh-1"].model_dump(mode="json")
    checkpoint.save(licensed, checkpoint.load(base), {"published": entry})
    config = finetune("training.epochs=1", base=str(licensed))
    folder = RunFolder(train(config, console=console).folder)
    # errors.json says that a run has ended: what else a page shows is there before it
    assert order[-3:] == ["forgetting.json", "errors.json", "model-card.md"]
    assert [origin.name for origin in origins_of(folder.best)] == ["mace-mh-1"]
    text = folder.card.read_text()
    assert "Academic Software License" in text
    assert "## Forgetting" in text
    assert "the base's own answers" in text

    # a run that began before origins were written down can still be resumed
    restart = load_restart(folder.restart)
    assert restart.base is not None
    older = {key: value for key, value in restart.base.items() if key != "origins"}
    check_same_run(restart, restart.config, older, restart.data)
    with pytest.raises(InputError, match="the base"):
        check_same_run(restart, restart.config, {**older, "fingerprint": "0"}, restart.data)
