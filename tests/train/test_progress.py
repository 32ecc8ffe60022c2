from __future__ import annotations

import io

import pytest
from rich.console import Console

from crossfield.train.metrics import Error, HeadErrors, Metrics
from crossfield.train.progress import Reporter, duration, head_line


def report(console: Console) -> str:
    head = HeadErrors("a", 3, Error(0.0123, 0.02, 3), Error(0.0456, 0.05, 9), Error(0.001, 0.002, 27))
    with Reporter(console, begin=0.25) as reporter:
        reporter.step(2, 4, 0.5, 0.123)
        reporter.epoch(
            2, 4, 0.456, Metrics((head, HeadErrors("long-name" * 9, 3, None, None, None))), 0.7, True
        )
        reporter.epoch(3, 4, 0.456, None, None, False)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_file_gets_one_plain_line_per_epoch() -> None:
    lines = report(Console(file=io.StringIO(), width=40)).splitlines()
    errors = "a  E 12.3 meV/atom  F 45.6 meV/Å  S 0.160 GPa"
    assert lines[0].startswith(f"epoch 2/4  loss 0.456  score 0.7000 (best)  | {errors}  | long-name")
    assert lines[1:] == ["epoch 3/4  loss 0.456"]


def test_terminal_gets_a_bar_with_the_time_left() -> None:
    text = report(Console(file=io.StringIO(), width=120, force_terminal=True))
    assert "epoch 2/4  loss 0.123" in text
    assert "50%" in text
    assert "left 0:00" in text  # half of the way is left, a third of which took no time at all


def test_head_without_labels() -> None:
    assert head_line(HeadErrors("a", 3, None, Error(0.1, 0.2, 9), None)) == "a  F 100.0 meV/Å"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (75, "1:15"), (3725.6, "1:02:06")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
