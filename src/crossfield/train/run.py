"""Train: from a configuration to a folder with the best weights and their errors."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console
from torch.utils import deterministic

from crossfield.data.batch import GraphDataset
from crossfield.errors import InputError
from crossfield.kernels.backend import choose, no_gpu, use
from crossfield.kernels.product import check_tensor_cores
from crossfield.model.fingerprint import fingerprint
from crossfield.model.model import Model
from crossfield.train.card import card_of
from crossfield.train.config import Config
from crossfield.train.folder import RunFolder, to_json, write_text
from crossfield.train.forgetting import Forgetting, change_table, forgetting, matrix_table
from crossfield.train.head_data import SPLITS
from crossfield.train.interrupt import StopSignal
from crossfield.train.introduce import introduce
from crossfield.train.metrics import HeadErrors, Metrics, baseline_metrics, evaluate_dataset
from crossfield.train.predictions import Recorder
from crossfield.train.predictions_file import save_predictions
from crossfield.train.progress import Reporter, duration
from crossfield.train.restart import check_same_run, load_restart
from crossfield.train.resumed import as_begun
from crossfield.train.sections import TrainingConfig
from crossfield.train.setup import prepare
from crossfield.train.table import error_table
from crossfield.train.trainer import Stopped, Trainer
from crossfield.zoo import checkpoint
from crossfield.zoo.card_markdown import markdown


@dataclass(frozen=True)
class TrainingResult:
    """What a run found."""

    model: Model  # with the best averaged weights; the last ones if it was interrupted before a validation
    folder: Path
    checkpoint: Path  # the file with these weights
    metrics: dict[str, Metrics]  # by split; empty if interrupted
    test_set: GraphDataset  # what the test errors refer to
    baseline: dict[str, HeadErrors]  # by head, on the test frames (validation if there are none)
    spread: Mapping[str, Mapping[str, float]]  # of the training labels, by head and property
    score: float | None  # of the best weights, on the validation frames of all heads
    step: int  # steps done
    best_step: int | None
    seconds: float  # of training, that before a resume included
    stopped: Stopped  # why
    forgetting: Forgetting | None  # what heads of the base could do before; None without one, or interrupted

    @property
    def forgot(self) -> bool:
        """Whether a head of the base got worse than its tolerance."""
        return self.forgetting is not None and bool(self.forgetting.worse)

    @property
    def interrupted(self) -> bool:
        """Stopped by Ctrl-C or SIGTERM; `resume` goes on."""
        return self.stopped == "interrupted"


def train(
    config: Config, *, resume: bool = False, overwrite: bool = False, console: Console | None = None
) -> TrainingResult:
    """Train a model.

    On the processor, the same configuration, seed and number of threads give the same weights bit for bit,
    and a run that was killed and resumed gives those of one that was not (except with `training.minutes`).

    Args:
        config: of the run.
        resume: go on with the run in the output folder.
        overwrite: replace the run in the output folder.
        console: where progress is shown.

    Raises:
        InputError: anything wrong with the configuration or the data, an output folder that holds a run, a
            run that cannot be resumed, or a loss that is not finite.
    """
    console = console or Console()
    folder = RunFolder(config.folder)
    folder.check(resume=resume, overwrite=overwrite, reads=config.reads)
    fabric = _fabric(config.training)
    with _settings(config.training, fabric.device):
        setup = prepare(config, relabel=overwrite)
        restart = load_restart(folder.restart) if resume else None
        if restart is not None:
            check_same_run(restart, config.as_dict(), setup.base, setup.summary())
            setup = as_begun(setup, restart, config)
        before = copy.deepcopy(setup.model) if config.base is not None else None
        trainer = Trainer(config, setup, folder, fabric)
        if restart is not None:
            trainer.resume(restart)
            folder.forget_results()  # those of a shorter run
            folder.write_config(config)
        else:
            written = [h for h in setup.heads if h.role != "taught" and (h.frames.train or h.frames.test)]
            folder.clear([h.head.name for h in written], config.named_labels)
            folder.write_config(config)
            write_text(folder.splits, to_json(setup.splits(), indent=1))
            if any(h.rejected for h in setup.heads):
                write_text(folder.rejected, to_json(setup.rejected(), indent=1))
            trainer.begin()
        with StopSignal() as stop, Reporter(console, trainer.progress) as reporter:
            introduce(trainer, reporter)
            stopped = trainer.run(stop, reporter)
            reporter.say(_farewell(trainer, stopped))
        return _finish(trainer, before, stopped, console)


def _fabric(config: TrainingConfig) -> Fabric:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError(f"training.device is cuda: {no_gpu()}")
    # "auto" would take Apple's GPUs too, which have no float64
    device = "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"
    fabric = Fabric(accelerator=device, devices=1, precision=config.precision)
    fabric.launch()
    if config.tensor_cores:
        check_tensor_cores(fabric.device)
    return fabric


@contextmanager
def _settings(config: TrainingConfig, device: torch.device) -> Iterator[None]:
    """Threads and determinism for the run; both are as before after it."""
    threads = torch.get_num_threads()
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    # torch makes this attribute when it runs, type checkers do not see it
    fill = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    # on the processor this costs nothing, and sums over edges have no fixed order without it
    torch.use_deterministic_algorithms(device.type == "cpu" or before, warn_only=True)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def _farewell(trainer: Trainer, stopped: Stopped) -> str:
    state, folder = trainer.state, trainer.folder
    if stopped == "interrupted":
        return f"interrupted after step {state.step}; weights in {folder.last}, resume to go on"
    took = f"{state.step} steps and {duration(state.seconds)}"
    return f"stopped by {stopped} after {took}; best weights of step {state.best_step}"


def _finish(trainer: Trainer, before: Model | None, stopped: Stopped, console: Console) -> TrainingResult:
    """Load the best weights and, unless interrupted, find their errors, and what was forgotten.

    `errors.json` says that the run has ended, so all else that a page shows is there before it, but for the
    card, which has the errors.
    """
    state, setup, folder = trainer.state, trainer.setup, trainer.folder
    path = folder.best if folder.best.exists() else folder.last
    model = checkpoint.load(path, device=str(trainer.fabric.device))
    digest = fingerprint(model)
    use(model, choose(trainer.config.training.backend, trainer.fabric.device))
    metrics: dict[str, Metrics] = {}
    baseline: dict[str, HeadErrors] = {}
    report: Forgetting | None = None
    if stopped != "interrupted":
        recorder = Recorder(model.heads, trainer.config.training.seed)
        for name in SPLITS:
            dataset = getattr(setup, name)
            if len(dataset):
                size, seen = 2 * trainer.config.training.batch_size, recorder.watch(name, dataset)
                metrics[name] = evaluate_dataset(model, dataset, size, seen)
        save_predictions(folder.predictions, recorder.predictions())
        for h in (h for h in setup.heads if h.frames.train):
            compared = h.frames.test or h.frames.validation
            taught = (*h.frames.train, *h.isolated)
            baseline[h.head.name] = baseline_metrics(h.head.name, taught, compared, h.head.E0)
        console.print(error_table(metrics, baseline))
        if before is not None:
            report = _compare(before, model, trainer, console)
        write_text(folder.errors, _errors_json(digest, metrics, baseline, trainer))
    write_text(folder.card, markdown(card_of(path)))
    if stopped != "interrupted":
        console.print(f"best weights: {path}", highlight=False, markup=False, soft_wrap=True)
    return TrainingResult(
        model=model,
        folder=folder.path,
        checkpoint=path,
        metrics=metrics,
        test_set=setup.test,
        baseline=baseline,
        spread=setup.score.spread,
        score=state.best_score,
        step=state.step,
        best_step=state.best_step,
        seconds=state.seconds,
        stopped=stopped,
        forgetting=report,
    )


def _compare(before: Model, after: Model, trainer: Trainer, console: Console) -> Forgetting:
    """What every head could do before, and what it can now; written, and shown."""
    config, setup = trainer.config, trainer.setup
    use(before.to(after.device), choose(config.training.backend, after.device))
    report = forgetting(
        before,
        after,
        setup.heads,
        config.forgetting,
        batch_size=2 * config.training.batch_size,
        seed=config.training.seed,
    )
    write_text(trainer.folder.forgetting, to_json(report.as_dict(), indent=1) + "\n")
    console.print(change_table(report))
    if len(report.answers) > 1:
        console.print(matrix_table(report))
    for change in report.worse:
        console.print(
            f"head {change.head} has got worse in {change.quantity} than forgetting.tolerance "
            f"({100 * report.tolerance:g} %) allows"
            + (" (drift from its own answers)" if change.own_answers else ""),
            style="red",
            soft_wrap=True,
        )
    return report


def _errors_json(
    digest: str, metrics: dict[str, Metrics], baseline: dict[str, HeadErrors], trainer: Trainer
) -> str:
    values = {
        "units": {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å^3"},
        "fingerprint": digest,
        "step": trainer.state.best_step,
        "score": trainer.state.best_score,
        **{name: m.as_dict() for name, m in metrics.items()},
        "baseline": Metrics(tuple(baseline.values())).as_dict(),
    }
    return to_json(values, indent=1) + "\n"
