"""What a download shows on standard error: a bar on a terminal, one line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from crossfield.messages import say

REDRAW = 0.1  # s

Report = Callable[[int, int | None], None]  # bytes so far, and in all if that is known


@contextmanager
def transfer(name: str, url: str) -> Iterator[Report]:
    """Show how far a download is; gives the function that tells it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        say(f"downloading {name} from {url}")
        yield lambda done, total: None
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,  # a thread that redraws would compete with the work
        transient=True,
    )
    task = bar.add_task(f"downloading {name}", total=None)
    drawn = 0.0

    def report(done: int, total: int | None) -> None:
        nonlocal drawn
        now = time.monotonic()
        refresh = now - drawn >= REDRAW
        if refresh:
            drawn = now
        bar.update(task, completed=done, total=total, refresh=refresh)

    with bar:
        yield report
