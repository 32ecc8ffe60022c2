"""The first tab: what this is, how good it is, and what deserves a look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape

from crossfield.report.domain_compare import domain_scores_table, tab_link
from crossfield.report.domain_radar import Named
from crossfield.report.errors import CONSTANT
from crossfield.report.facts import ModelFacts
from crossfield.report.logged import ByHead, Epoch, mae
from crossfield.report.pieces import cards, heading, notes, paragraph
from crossfield.report.run import JUST_NOW, Run
from crossfield.report.section import Section
from crossfield.report.table import Cell, number, table
from crossfield.train.progress import duration
from crossfield.train.watch import PATIENCE
from crossfield.zoo.card import surgery
from crossfield.zoo.card_parts import UNITS

Note = tuple[str, str]  # kind and text, as in `pieces.notes`
DRIFT = "*: drift from the base's own answers, no error."
NOT_A_RUN = (
    "Curves of training, forgetting and frames per split are in the folder of a run: "
    "crossfield report FOLDER shows them too."
)


def overview_section(
    model: ModelFacts | None, run: Run | None, results: Sequence[Named] = (), *, live: bool = False
) -> Section:
    """Key numbers, heads, errors, scores and notes.

    Args:
        model: the model, where there is one already.
        run: the run that made it, if that is known.
        results: of benchmarks, with names that tell them apart.
        live: whether the page follows the run.
    """
    parts = [_state(run, live) if run else ""]
    parts.append(cards([*(_of_run(run) if run else ()), *(_of_model(model) if model else ())]))
    parts.append(notes(run_notes(run) if run else [("plain", NOT_A_RUN)]))
    if model is not None:
        parts += [heading("Heads"), _head_table(model, run)]
    if run is not None:
        parts += _errors(run, _own_answers(model))
    if results:
        parts += [heading("Benchmarks"), domain_scores_table(results), tab_link(results)]
    return Section("overview", "Overview", "".join(parts))


def run_notes(run: Run) -> list[Note]:
    """What a reader of this run should know before anything else."""
    found: list[Note] = []
    rejected = {
        head: sum(map(len, files.values())) for head, files in run.rejected.items() if any(files.values())
    }
    for head, count in rejected.items():
        reasons = {reason for frames in run.rejected[head].values() for reason in frames.values()}
        example = min(reasons)
        found.append(
            ("warn", f"{count} frames of head {head} are not used, for instance: {example} (rejected.json)")
        )
    for head, state in run.watch.items():
        if len(state) == 4 and (state[3] or state[2] >= PATIENCE):
            found.append(
                (
                    "warn",
                    f"Head {head} has been over-fitted: its validation errors rose while those of its "
                    "training frames fell. The best weights of all heads together are kept.",
                )
            )
    if run.model is not None and surgery(run.model.provenance):
        found.append(
            (
                "warn",
                "crossfield heads has changed the model in this folder since: curves, errors, predictions "
                "and what was forgotten are of the weights that the run left.",
            )
        )
    for change in run.forgetting.changes if run.forgetting else ():
        if change.worse:
            found.append(
                ("bad", f"Head {change.head} has got worse in {change.quantity} than the tolerance allows.")
            )
    if run.errors is not None and not run.errors.test:
        found.append(
            ("warn", "No frames were kept for a test: errors below are those of validation frames, which")
            if run.errors.validation
            else ("warn", "Neither validation nor test frames: how good the model is cannot be told.")
        )
        if run.errors.validation:
            found[-1] = (found[-1][0], found[-1][1] + " also chose the weights.")
    if run.silent is not None:
        found.append(
            (
                "warn",
                f"Nothing has been written for {run.silent / 60:,.0f} minutes, much longer than any epoch "
                "took: the run was probably interrupted. crossfield train with --resume goes on with it.",
            )
        )
    found += [("warn", f"Not read: {trouble}") for trouble in run.troubles]
    return found


def _state(run: Run, live: bool) -> str:
    """Whether it is done, and how far it is."""
    when = datetime.fromtimestamp(run.written).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    if run.finished:
        return f'<p class="state"><b class="good">Finished.</b> Last written {escape(when)}.</p>'
    done = run.progress
    text = f"{100 * done:.0f} % done. " if done is not None else ""
    bar = (
        f'<progress aria-label="Training that is done" max="1" value="{done:.4f}">{text}</progress>'
        if done is not None
        else ""
    )
    running = live and run.read - run.written < JUST_NOW
    state = (
        '<b class="good">Running.</b>'
        if running
        else '<b class="warn">Not finished</b> (running, or interrupted).'
    )
    return f'<p class="state">{state} {text}Last written {escape(when)}.</p>{bar}'


def _of_run(run: Run) -> Iterator[tuple[str, str, str]]:
    best, last = run.best, run.epochs[-1] if run.epochs else None
    if last is None:
        yield "Step", f"{run.step:,}", "no epoch is complete yet"
        return
    yield "Epoch", f"{last.epoch:,}", _planned(run, last)
    yield "Step", f"{run.step:,}", f"best weights: {best.step:,}" if best else "no best weights yet"
    if best is not None and best.score is not None:
        yield "Score", f"{best.score:.4f}", "mean MAE / spread; 0 is perfect"
    yield "Time", duration(last.seconds), "of training"
    count = sum(splits.get("train", 0) for splits in run.frames.values())
    others = sum(sum(splits.values()) for splits in run.frames.values()) - count
    if run.frames:
        yield "Training frames", f"{count:,}", f"{others:,} kept for validation and test"


def _planned(run: Run, last: Epoch) -> str:
    """How long it may take, and what ended it: of the settings, the one whose bound has been reached."""
    training = run.config.get("training", {})
    epochs, minutes = training.get("epochs"), training.get("minutes")
    bounds = [f"{epochs:,} epochs"] if isinstance(epochs, int) else []
    bounds += [f"{minutes:g} minutes"] if isinstance(minutes, int | float) else []
    text = f"of at most {' or '.join(bounds)}" if bounds else ""
    if not run.finished:
        return text
    if isinstance(epochs, int) and last.epoch >= epochs:
        return f"all of {epochs:,}"
    if isinstance(minutes, int | float) and last.seconds >= 60 * minutes:
        return f"stopped by training.minutes ({minutes:g}); {text}"
    return f"stopped by training.early_stop; {text}" if training.get("early_stop") else text


def _own_answers(model: ModelFacts | None) -> frozenset[str]:
    """Heads whose labels are the base's own answers."""
    data: Mapping[str, Mapping[str, object]] = model.provenance.get("data") or {} if model else {}
    return frozenset(head for head, facts in data.items() if facts.get("own_answers"))


def _of_model(model: ModelFacts) -> Iterator[tuple[str, str, str]]:
    yield "Heads", f"{len(model.heads)}", f"default: {model.default_head}" if model.default_head else ""
    elements = {Z for head in model.heads for Z in head.elements}
    yield "Elements", f"{len(elements)}", "in any of the heads"
    if model.parameters is not None:
        yield "Parameters", f"{model.parameters:,}", ""
    if model.config is not None:
        c = model.config
        yield "Cutoff", f"{c.cutoff:g} Å", f"{c.layers} layers, {c.channels} channels, l ≤ {c.l_max}"


def _head_table(model: ModelFacts, run: Run | None) -> str:
    frames: Mapping[str, Mapping[str, int]] = run.frames if run else {}
    taught = model.provenance.get("data") or {}
    rows = []
    for head in model.heads:
        counts = frames.get(head.name) or (taught.get(head.name) or {}).get("frames") or {}
        rows.append(
            [
                Cell(head.name),
                Cell(head.theory),
                Cell(head.method or "–"),
                Cell(head.dispersion or "–"),
                Cell(head.role or "–", hint=f"started from {head.start}" if head.start else ""),
                *(number(counts.get(split), "{:,.0f}") for split in ("train", "validation", "test")),
                number(head.rejected, "{:,.0f}", css="warn" if head.rejected else "muted"),
                number(len(head.elements), "{:,.0f}"),
            ]
        )
    names = ("head", "theory", "method", "dispersion", "role", "train", "validation", "test", "rejected")
    return table([*names, "elements"], rows, caption="Heads, their level of theory, and their frames")


def _errors(run: Run, own_answers: frozenset[str]) -> list[str]:
    """Of the best weights: on test frames, or the best that is known."""
    if run.errors is not None:
        kept = run.errors.test or run.errors.validation
        if not kept:
            return []
        which = "test" if run.errors.test else "validation"
        return [
            heading(f"Errors on {which} frames"),
            error_table(kept, run.errors.baseline, which, own_answers),
        ]
    if run.best is None or not run.best.validation:
        return []
    at = f"validation, step {run.best.step:,}"
    return [
        heading("Errors on validation frames so far"),
        error_table(run.best.validation, {}, at, own_answers),
    ]


def error_table(
    errors: ByHead, baseline: ByHead, frames: str, own_answers: frozenset[str] = frozenset()
) -> str:
    """MAE and RMSE of every head and property, and MAE as a fraction of that of a constant guess.

    Args:
        errors: eV/atom, eV/Å, eV/Å^3.
        baseline: of E0 plus the mean energy, no forces, no stress; empty where it is not known yet.
        frames: which frames these are.
        own_answers: heads whose labels are the base's own answers.
    """
    rows = []
    for head, found in errors.items():
        for quantity, (unit, factor) in UNITS.items():
            error = getattr(found, quantity)
            if error is None:
                continue
            guess = mae(baseline[head], quantity) if head in baseline else None
            share = error.mae / guess if guess and error.mae is not None else None
            compared = [
                number(None if guess is None else factor * guess),
                number(
                    None if share is None else 100 * share,
                    "{:.1f} %",
                    css="bad" if share is not None and share >= 1 else "",
                ),
            ]
            rows.append(
                [
                    Cell(head + (" *" if head in own_answers else "")),
                    Cell(f"{quantity}, {unit}"),
                    number(None if error.mae is None else factor * error.mae),
                    number(None if error.rmse is None else factor * error.rmse),
                    *(compared if baseline else ()),
                    number(error.labels, "{:,.0f}"),
                ]
            )
    against = ("MAE of the constant", "MAE / that") if baseline else ()
    columns = ("head", "property", "MAE", "RMSE", *against, "labels")
    caption = f"Errors of the best weights ({frames})" + (f", against the {CONSTANT}" if baseline else "")
    html = table(columns, rows, caption=caption, heads=2)
    return html + (paragraph(DRIFT) if own_answers & errors.keys() else "")
