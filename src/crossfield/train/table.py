"""The final table of errors."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.table import Table

from crossfield.theory.units import GPA_PER_EV_A3, MEV
from crossfield.train.metrics import Error, HeadErrors, Metrics

ROWS = (  # property, unit, factor from eV and Å
    ("energy", "meV/atom", MEV),
    ("forces", "meV/Å", MEV),
    ("stress", "GPa", GPA_PER_EV_A3),
    ("stress", "meV/Å^3", MEV),
)


def error_table(
    metrics: Mapping[str, Metrics],
    baseline: Mapping[str, HeadErrors] | None = None,
    *,
    title: str = "Errors",
) -> Table:
    """Table of MAE and RMSE by head and property.

    Args:
        metrics: errors by name of the split ("train", "validation", "test").
        baseline: errors of `baseline_metrics` by head; adds a column with their MAE, that of a constant.
        title: of the table.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("head", overflow="fold")
    table.add_column("property", no_wrap=True)
    if baseline is not None:
        table.add_column("constant\nMAE", justify="right", no_wrap=True)
        table.caption = "constant (mean of the training set)"
        table.caption_justify = "left"
    for split in metrics:
        table.add_column(f"{split}\nMAE", justify="right", no_wrap=True)
        table.add_column("\nRMSE", justify="right", no_wrap=True, min_width=6)
    by_head = {split: {h.head: h for h in m.heads} for split, m in metrics.items()}
    for head in dict.fromkeys(name for heads in by_head.values() for name in heads):
        shown = head
        for name, unit, factor in ROWS:
            errors = [_get(heads.get(head), name) for heads in by_head.values()]
            if all(error is None for error in errors):
                continue
            cells = [shown, f"{name} {unit}"]
            if baseline is not None:
                cells.append(_numbers(_get(baseline.get(head), name), factor)[0])
            for error in errors:
                cells.extend(_numbers(error, factor))
            table.add_row(*cells)
            shown = ""  # the name of a head stands on its first line only
        table.add_section()
    return table


def _get(errors: HeadErrors | None, name: str) -> Error | None:
    return None if errors is None else getattr(errors, name)


def _numbers(error: Error | None, factor: float) -> tuple[str, str]:
    """MAE and RMSE."""
    if error is None:
        return "-", "-"
    return _digits(error.mae * factor), _digits(error.rmse * factor)


def _digits(value: float) -> str:
    """At least three digits that count, as far as they stand before the third decimal."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
