"""The tables of `speed.py`, for the terminal and as Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.table import Table as RichTable

from cases import BATCH, DTYPES, INFERENCE, LARGEST, QUANTITIES, SIZES, TOLERANCE
from crossfield.bench.structures import TIMES
from crossfield.model import ModelConfig
from roofline import Peaks, work
from targets import TARGETS, found, met
from turns import Line, Measured

ITEMSIZE = {"float32": 4, "float64": 8}
NONE = "–"
EXTRA = ("e3nn", "cuequivariance-torch", "openequivariance")  # whose versions are told
LIBRARIES = {
    "e3nn": "eager, no GPU library",
    "cueq": "converted to cuEquivariance",
    "oeq": "converted to OpenEquivariance",
}
NOTES = (
    "inference: energy, forces and, in crystals, stress, on neighbours found before. MD step: one of "
    "velocity Verlet in ASE with either calculator, neighbours included, from thermal velocities. training: "
    "a loss on the forces and its gradient by the parameters, which is of second order. batch: inference of "
    "many crystals as one graph. largest: inference of as many copies of a crystal as fit, doubled until "
    "they do not, and then three quarters of that; where the two did not get equally far, there is no ratio.",
    "ours and mace: medians, ms. ratio: above 1, Crossfield is faster. peak: largest resident memory of the "
    "process, libraries included, MiB; on a GPU, most memory that PyTorch had given out there. more: of "
    "that, what came on top of the memory just before the first call, MiB, which is what the atoms take: "
    "compiled code and tables for the elements were made before, on one atom of each element. "
    f"{NONE}: not tried, or not possible, within the memory allowed.",
)
GPU_NOTES = (
    "On a GPU each is measured by itself, one after the other. Crossfield's inference is a whole step from "
    "positions to forces and stress, recorded as a CUDA graph. Both stay in float32: Crossfield multiplies "
    "numbers split into parts on tensor cores (three products in TF32 for one); torch "
    "uses none for mace-torch.",
)
ROOFLINE_NOTES = (
    "Operations and bytes of an evaluation are counted from the configuration, with splines in place of "
    "radial networks (benchmarks/roofline.py says how); bytes are the least. The peak is that of torch.mm, "
    "which kernels with wider vectors may exceed, and the bandwidth that of a copy or a triad. bound: the "
    "time that neither lets go below, on a GPU with a third of the rate in TF32 where that is higher.",
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
                _atoms(line),
                f"{line.edges / line.atoms:.1f}" if line.atoms else NONE,
                *(_ms(ours), _ms(theirs)),
                NONE if line.ratio is None else f"{line.ratio:.2f}",
                _digits(1e6 * ours.seconds / ours.atoms) if ours else NONE,
                *(_number(m and m.peak) for m in (ours, theirs)),
                *(_number(m and m.increase) for m in (ours, theirs)),
            ]
        )
    return Table(columns, 4, rows)


def roofline_table(lines: Sequence[Line], peaks: Peaks) -> Table:
    """What Crossfield's inference computes and moves, and how far that is from what the machine can."""
    tf32 = "tf32" in peaks.flops
    columns = (
        *("model", "structure", "dtype", "MFLOP, /atom", "GFLOP", "ours, ms", "GFLOP/s", "of peak"),
        *(("of TF32",) if tf32 else ()),
        *("GB/s, at least", "of bandwidth", "bound, ms"),
    )
    rows = []
    for line in lines:
        case, ours = line.case, line.ours
        if case.quantity not in (INFERENCE, BATCH, LARGEST) or ours is None:
            continue
        config = ModelConfig.model_validate(SIZES[case.size])
        least = work(config, line.atoms, line.edges, ITEMSIZE[case.dtype])
        bound = max(least.flops / peaks.best(case.dtype), least.bytes / peaks.bandwidth)
        rate, traffic = least.flops / ours.seconds, least.bytes / ours.seconds
        rows.append(
            [
                *(case.size, case.structure, case.dtype),
                f"{least.flops / line.atoms / 1e6:.1f}",
                f"{least.flops / 1e9:.3g}",
                _ms(ours),
                f"{rate / 1e9:,.1f}",
                f"{rate / peaks.flops[case.dtype]:.1%}",
                *([f"{rate / peaks.flops['tf32']:.1%}"] if tf32 else []),
                f"{traffic / 1e9:,.2f}",
                f"{traffic / peaks.bandwidth:.1%}",
                f"{1e3 * bound:.2f}",
            ]
        )
    return Table(columns, 3, rows)


def batch_table(lines: Sequence[Line]) -> Table:
    """Structures per second."""
    columns = ("model", "structures", "dtype", "ours, /s", "mace, /s", "ratio")
    rows = []
    for line in lines:
        if line.case.quantity == BATCH:
            case, count = line.case, int(line.case.structure.split(TIMES)[0])
            rates = [_digits(count / m.seconds) if m else NONE for m in (line.ours, line.theirs)]
            ratio = NONE if line.ratio is None else f"{line.ratio:.2f}"
            rows.append([case.size, case.structure, case.dtype, *rates, ratio])
    return Table(columns, 3, rows)


def targets_table(lines: Sequence[Line]) -> Table:
    """What is to be reached on a GPU, as far as it was measured."""
    rows = []
    for target in TARGETS:
        value = found(target, lines)
        if value is not None:
            goal = f"{'at most' if target.below else 'at least'} {target.text.format(target.bound)}"
            reached = "yes" if met(target, value) else "no"
            rows.append([target.what, goal, target.text.format(value), reached, target.known])
    return Table(("target, MH-1 in float32", "goal", "found", "reached", "compare"), 5, rows)


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


def stops(lines: Iterable[Line]) -> str:
    """Why the largest were not larger."""
    parts = []
    for line in lines:
        for name, m in (("Crossfield", line.ours), ("mace-torch", line.theirs)):
            if line.case.quantity == LARGEST and m is not None:
                parts.append(f"{name} {m.atoms:,} atoms in {_ms(m)} ms (stopped by {m.stopped})")
    return f"Largest: {', '.join(parts)}." if parts else ""


def headline(about: dict[str, Any], peaks: Peaks, backends: Iterable[str]) -> str:
    """Machine and versions."""
    ours, theirs = about["crossfield"], about["mace-torch"]
    threads = f"{about['threads']} thread{'s' if about['threads'] > 1 else ''}"
    backend = ", ".join(sorted(backends)) or NONE
    rates = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {dtype}" for dtype, rate in peaks.flops.items())
    device = about["device"]
    gpu = f"{device['name']}, {device['memory']:.0f} GiB, on " if device["memory"] else ""
    other = "mace-torch was not measured."
    if theirs:
        more = ", ".join(f"{name} {number}" for name, number in theirs.items() if name in EXTRA)
        other = (
            f"mace-torch {theirs['mace-torch']} ({LIBRARIES[about['library']]}, independent couplings, "
            f"{more}, "
            f"torch {theirs['torch']}, Python {theirs['python']}). Both with the same random weights."
        )
    return (
        f"{gpu}{about['processor']}, {about['cores']} cores, {threads}: {rates}, "
        f"{peaks.bandwidth / 1e9:,.0f} GB/s. "
        f"crossfield {ours['crossfield']} (source {about['source']}, back end {backend}, "
        f"torch {ours['torch']}, Python {ours['python']}); {other}"
    )


def _atoms(line: Line) -> str:
    """Both numbers, where the two are not of the same."""
    numbers = dict.fromkeys(m.atoms for m in (line.ours, line.theirs) if m)
    return " and ".join(f"{n:,}" for n in numbers) if len(numbers) > 1 else f"{line.atoms:,}"


def _digits(value: float) -> str:
    """Three of them, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.{2 - (value >= 10)}f}"


def _ms(measured: Measured | None) -> str:
    if measured is None:
        return NONE
    value = 1e3 * measured.seconds
    return f"{value:,.0f}" if value >= 1000 else f"{value:.{max(0, 2 - int(math.log10(max(value, 1.0))))}f}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"
