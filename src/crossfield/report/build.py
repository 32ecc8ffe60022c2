"""What a run, a model and files of results have to show, put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from crossfield import __version__
from crossfield.bench.domain.results import read_results
from crossfield.bench.domain.store import kept_results
from crossfield.errors import InputError
from crossfield.files import cache_folder
from crossfield.report.benchmarks import benchmark_sections
from crossfield.report.card import card_section
from crossfield.report.domain_names import named, short_name
from crossfield.report.domain_radar import Named
from crossfield.report.elements import elements_section, training_atoms
from crossfield.report.energies import energies_section
from crossfield.report.errors import errors_section
from crossfield.report.facts import ModelFacts, read_model
from crossfield.report.forgotten import forgetting_section
from crossfield.report.overview import overview_section
from crossfield.report.page import Report
from crossfield.report.parity_section import parity_section
from crossfield.report.run import Run, minutes_of_silence, read_run
from crossfield.report.section import Section
from crossfield.report.training import training_section
from crossfield.train.card import card_of
from crossfield.train.folder import RunFolder
from crossfield.train.predictions_file import load_predictions
from crossfield.zoo.fetch import local_model


@dataclass(frozen=True)
class Subject:
    """What is reported on; one of `folder`, `weights` and a file of results is there."""

    name: str
    folder: Path | None  # of a run
    weights: Path | None  # of a model
    given: tuple[Path, ...]  # files of results of benchmarks

    @property
    def results(self) -> tuple[Path, ...]:
        """Files of results of benchmarks: those kept of these weights, as of now, and those given."""
        weights = RunFolder(self.folder).best if self.folder else self.weights
        return (*(_kept(weights) if weights and weights.is_file() else ()), *self.given)

    @property
    def stamp(self) -> object:
        """Changes when the report would: names, sizes and times of files, and how long a run is silent."""
        inside = sorted(self.folder.iterdir()) if self.folder else []
        if self.weights is not None:
            beside = RunFolder(self.weights.parent)
            inside += [self.weights, beside.errors, beside.forgetting]
        silence = minutes_of_silence(RunFolder(self.folder)) if self.folder else None
        return _stamps((*inside, *self.results)), silence


def find_subject(text: str, results: Sequence[Path] = ()) -> Subject:
    """What the user means.

    Args:
        text: folder of a run, model file, name of a published model, or file of `crossfield bench domain`.
        results: further files of benchmark results.

    Raises:
        InputError: there is no such thing.
    """
    path = Path(text)
    if path.is_dir():
        return Subject(_name(path), path, None, tuple(results))
    if path.suffix == ".json":
        if not path.is_file():
            raise InputError("there is no such file", file=path)
        return Subject(path.stem, None, None, (path, *results))
    return Subject(text, None, local_model(text), tuple(results))


def _kept(weights: Path) -> tuple[Path, ...]:
    """Results of earlier benchmarks of these weights; looked up anew when one or the other has changed."""
    known = sorted(cache_folder().glob("benchmarks/*/*.json"))
    return _looked_up(weights, _stamps((weights, *known)))


@lru_cache(maxsize=4)
def _looked_up(weights: Path, _stamp: object) -> tuple[Path, ...]:
    return tuple(kept_results(weights))


def _stamps(files: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of each file that is there."""
    found = []
    for file in files:
        with suppress(OSError):  # files come and go while a run writes
            status = file.stat()
            found.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(found)


def build_report(subject: Subject, *, live: bool = False) -> Report:
    """The report, as it is now.

    Args:
        subject: what it is about.
        live: it will be built again and again, so the time of building is not told.

    Raises:
        InputError: a file is damaged, or is not what it should be.
    """
    run = read_run(subject.folder) if subject.folder else None
    model = run.model if run else read_model(subject.weights) if subject.weights else None
    results = [read_results(path) for path in subject.results]
    made = "" if live else f", {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    return Report(
        title=subject.name
        if run or model
        else " and ".join(dict.fromkeys(short_name(r.subject) for r in results)),
        subtitle=_subtitle(run, model),
        footer=f"Crossfield {__version__}{made}",
        sections=tuple(_sections(subject, run, model, named(results), live)),
    )


def _sections(
    subject: Subject, run: Run | None, model: ModelFacts | None, results: Sequence[Named], live: bool
) -> Iterator[Section]:
    if run is not None or model is not None:
        yield overview_section(model, run, results, live=live)
    predictions = None
    if run is not None:
        yield training_section(run)
        file = RunFolder(run.path).predictions
        predictions = load_predictions(file) if run.finished and file.exists() else None
        yield errors_section(predictions)
        yield parity_section(predictions)
        if run.forgetting is not None or run.config.get("base"):
            yield forgetting_section(run.forgetting, with_base=True, finished=run.finished)
    if results:
        yield from benchmark_sections(results)
    if model is not None:
        yield energies_section(model)
        yield elements_section(model, training_atoms(predictions))
    weights = subject.weights or (_weights(run) if run else None)
    if weights is not None:
        yield card_section(card_of(weights, name=subject.name))


def _weights(run: Run) -> Path | None:
    """Those of a run that has ended; before, the card would be another one after every epoch."""
    folder = RunFolder(run.path)
    return next((path for path in (folder.best, folder.last) if run.finished and path.exists()), None)


def _name(path: Path) -> str:
    """Of a folder; `model` alone says little."""
    full = path.resolve()
    return f"{full.parent.name}/{full.name}" if full.name in ("model", "run", "output") else full.name


def _subtitle(run: Run | None, model: ModelFacts | None) -> str:
    if run is None and model is None:
        return "results of benchmarks"
    heads = len(run.heads) if run else len(model.heads) if model else 0
    base = run.config.get("base") if run else None
    levels = f"{heads} level{'s' if heads != 1 else ''} of theory"
    return f"{'training run' if run else 'model'}, {levels}" + (f", from {base}" if base else "")
