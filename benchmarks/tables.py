"""The tables of `speed.py`, for the terminal and as Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.table import Table as RichTable

from cases import DTYPES, INFERENCE, QUANTITIES, SIZES, TOLERANCE
from crossfield.model import ModelConfig
from roofline import Peaks, work
from turns import Line, Measured

ITEMSIZE = {"float32": 4, "float64": 8}
NONE = "–"
NOTES = (
    "inference: energy, forces and, in crystals, stress, on neighbours found before. MD step: one of "
    "velocity Verlet in ASE with either calculator, neighbours included, from thermal velocities. training: "
    "a loss on the forces and its gradient by the parameters, which is of second order.",
    "ours and mace: medians, ms. ratio: above 1, Crossfield is faster. peak: largest resident memory of the "
    "process, libraries included, MiB. more: of that, what came on top of the resident memory just before "
    "the first call, MiB, which is what the atoms take: compiled code and tables for the elements were made "
    "before, on one atom of each element. "
    f"{NONE}: not tried, or not possible, within the memory allowed.",
)
ROOFLINE_NOTES = (
    "Operations and bytes of an evaluation are counted from the configuration, with splines in place of "
    "radial networks (benchmarks/roofline.py says how); bytes are the least. The peak is that of torch.mm, "
    "which kernels with wider vectors may exceed, and the bandwidth that of a triad. bound: the time that "
    "neither lets go below.",
)


class Table(NamedTuple):
    """Columns, how many of the first are text, and rows."""

    columns: tuple[str, ...]
    text: int
    rows: list[list[str]]

    def rich(self) -> RichTable:
        """For the terminal."""
        table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for number, column in enumerate(self.columns):
            justify = "left" if number < self.text else "right"
            table.add_column(column.replace(", ", "\n"), justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For the archive."""
        rule = ["---" if number < self.text else "--:" for number in range(len(self.columns))]
        columns = [column.replace(", /", "/") for column in self.columns]
        return "\n".join(f"| {' | '.join(row)} |" for row in (columns, rule, *self.rows))


def times_table(lines: Sequence[Line]) -> Table:
    """Times and memory of all cases."""
    columns = (
        *("model", "structure", "dtype", "task", "atoms", "edges, /atom"),
        *("ours, ms", "mace, ms", "ratio", "ours, µs/atom"),
        *("ours, peak", "mace, peak", "ours, more", "mace, more"),
    )
    rows = []
    for line in lines:
        case, ours, theirs = line.case, line.ours, line.theirs
        rows.append(
            [
                *(case.size, case.structure, case.dtype, case.quantity),
                str(line.atoms),
                f"{line.edges / line.atoms:.1f}",
                *(_ms(ours), _ms(theirs)),
                NONE if line.ratio is None else f"{line.ratio:.2f}",
                f"{1e6 * ours.seconds / line.atoms:,.0f}" if ours else NONE,
                *(_number(m and m.peak) for m in (ours, theirs)),
                *(_number(m and m.increase) for m in (ours, theirs)),
            ]
        )
    return Table(columns, 4, rows)


def roofline_table(lines: Sequence[Line], peaks: Peaks) -> Table:
    """What Crossfield's inference computes and moves, and how far that is from what the machine can."""
    columns = (
        *("model", "structure", "dtype", "MFLOP, /atom", "GFLOP", "ours, ms", "GFLOP/s", "of peak"),
        *("GB/s, at least", "bound, ms"),
    )
    rows = []
    for line in lines:
        case, ours = line.case, line.ours
        if case.quantity != INFERENCE or ours is None:
            continue
        config = ModelConfig.model_validate(SIZES[case.size])
        least = work(config, line.atoms, line.edges, ITEMSIZE[case.dtype])
        peak = peaks.flops[case.dtype]
        bound = max(least.flops / peak, least.bytes / peaks.bandwidth)
        rows.append(
            [
                *(case.size, case.structure, case.dtype),
                f"{least.flops / line.atoms / 1e6:.1f}",
                f"{least.flops / 1e9:.3g}",
                _ms(ours),
                f"{least.flops / ours.seconds / 1e9:.1f}",
                f"{least.flops / ours.seconds / peak:.1%}",
                f"{least.bytes / ours.seconds / 1e9:.2f}",
                f"{1e3 * bound:.2f}",
            ]
        )
    return Table(columns, 3, rows)


def means(lines: Iterable[Line]) -> str:
    """One number for each quantity."""
    parts = []
    for quantity in QUANTITIES:
        ratios = [line.ratio for line in lines if line.case.quantity == quantity and line.ratio is not None]
        if ratios:
            count = f"{len(ratios)} case{'s' if len(ratios) > 1 else ''}"
            parts.append(f"{quantity} {statistics.geometric_mean(ratios):.2f} ({count})")
    return f"Geometric mean of the ratios mace/ours: {', '.join(parts) or NONE}."


def differences(lines: Iterable[Line]) -> str:
    """The largest differences of the results, compared before anything was timed."""
    parts = []
    for dtype in DTYPES:
        found = [line.differences for line in lines if line.case.dtype == dtype and line.differences]
        if found:
            largest = {name: max(d.get(name, 0.0) for d in found) for name in ("energy", "forces", "stress")}
            numbers = ", ".join(f"{name} {value:.0e}" for name, value in largest.items())
            parts.append(f"{dtype} {numbers} (allowed {TOLERANCE[dtype]:.0e})")
    return f"Largest relative differences of the results: {'; '.join(parts) or NONE}."


def headline(about: dict[str, Any], peaks: Peaks, backends: Iterable[str]) -> str:
    """Machine and versions."""
    ours, theirs = about["crossfield"], about["mace-torch"]
    threads = f"{about['threads']} thread{'s' if about['threads'] > 1 else ''}"
    backend = ", ".join(sorted(backends)) or NONE
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {dtype}" for dtype, rate in peaks.flops.items())
    return (
        f"{about['processor']}, {about['cores']} cores, {threads}: {rates}, "
        f"{peaks.bandwidth / 1e9:.0f} GB/s. "
        f"crossfield {ours['crossfield']} (source {about['source']}, back end {backend}, "
        f"torch {ours['torch']}, Python {ours['python']}); mace-torch {theirs['mace-torch']} (eager, "
        f"independent couplings, no GPU library, e3nn {theirs['e3nn']}, torch {theirs['torch']}, "
        f"Python {theirs['python']}). Both with the same random weights."
    )


def _ms(measured: Measured | None) -> str:
    if measured is None:
        return NONE
    value = 1e3 * measured.seconds
    return f"{value:,.0f}" if value >= 1000 else f"{value:.{max(0, 2 - int(math.log10(max(value, 1.0))))}f}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"
