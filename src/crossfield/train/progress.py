"""What a run shows while it runs: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn

from crossfield.theory.units import GPA_PER_EV_A3, MEV
from crossfield.train.metrics import HeadErrors, Metrics

REDRAW = 0.25  # s


class Reporter:
    """Shows progress on a console.

    Args:
        console: where to.
        begin: progress (0 to 1) that was reached before the run was resumed.
    """

    def __init__(self, console: Console, begin: float = 0.0) -> None:
        self._console = console
        self._begin, self._start, self._drawn = begin, time.monotonic(), 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  left {task.fields[left]}"),
            console=console,
            auto_refresh=False,  # a thread that redraws would take time from the training
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=1.0, left="?")

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, epoch: int, epochs: int, progress: float, loss: float) -> None:
        """After a step; epochs count from 1."""
        now = time.monotonic()
        if not self._console.is_terminal or now - self._drawn < REDRAW:
            return
        self._drawn = now
        gained = progress - self._begin
        left = (now - self._start) * (1.0 - progress) / gained if gained > 0 else None
        self._bar.update(
            self._task,
            completed=progress,
            description=f"epoch {epoch}/{epochs}  loss {loss:.4g}",
            left="?" if left is None else duration(left),
            refresh=True,
        )

    def epoch(
        self, epoch: int, epochs: int, loss: float, metrics: Metrics | None, score: float | None, best: bool
    ) -> None:
        """After an epoch: one line with the loss and the validation errors of every head."""
        line = f"epoch {epoch}/{epochs}  loss {loss:.4g}"
        if score is not None:
            line += f"  score {score:.4f}{' (best)' if best else ''}"
        if metrics is not None:
            line += "".join(f"  | {head_line(h)}" for h in metrics.heads)
        self.say(line)

    def say(self, text: str) -> None:
        """One line, never wrapped on a file or a pipe."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=not self._console.is_terminal)

    def show(self, what: RenderableType) -> None:
        """A table."""
        self._console.print(what)


def head_line(errors: HeadErrors) -> str:
    """Mean absolute errors of a head in a few words."""
    parts = [errors.head]
    if errors.energy:
        parts.append(f"E {errors.energy.mae * MEV:.1f} meV/atom")
    if errors.forces:
        parts.append(f"F {errors.forces.mae * MEV:.1f} meV/Å")
    if errors.stress:
        parts.append(f"S {errors.stress.mae * GPA_PER_EV_A3:.3f} GPa")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """As 1:02:03 or 2:03."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
