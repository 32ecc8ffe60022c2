"""Reading the oracle's files, comparing with them, and a table of deviations at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import tests.gpu  # noqa: F401  # whether Triton interprets
from parity.weights import State

RESULTS = Path(__file__).parent / ".oracle"
RELATIVE = 1e-10

Agree = Callable[..., None]
Read = Callable[[str], tuple[State, dict[str, int]]]
DEVIATIONS = pytest.StashKey[dict[str, tuple[float, int]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[DEVIATIONS] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of several processes, each hands over what it found."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["deviations"] = session.config.stash[DEVIATIONS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """And they are put together."""
    together = node.config.stash[DEVIATIONS]
    for what, (worst, number) in getattr(node, "workeroutput", {}).get("deviations", {}).items():
        before, count = together.get(what, (0.0, 0))
        together[what] = (max(worst, before), number + count)


def read_file(name: str) -> tuple[State, dict[str, int]]:
    """Tensors and counts of one case."""
    path = RESULTS / f"{name}.safetensors"
    if not path.exists():
        pytest.fail(f"{path} is missing: run `make parity`, which runs the oracle first", pytrace=False)
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  it is not a dict
        return tensors, json.loads(file.metadata()["counts"])


@pytest.fixture(scope="session")
def read() -> Read:
    return read_file


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Agree:
    """`record(what, found, reference, floor=0)`: into the table; relative, or absolute below the floor."""
    deviations = request.config.stash[DEVIATIONS]

    def note(what: str, found: Tensor, reference: Tensor, floor: float = 0.0) -> None:
        size, gap = _size(reference), _size(found.detach().double() - reference.detach().double())
        worst, number = deviations.get(what, (0.0, 0))
        deviations[what] = (max(worst, gap / size if size > floor else gap), number + 1)

    return note


@pytest.fixture
def agree(record: Agree) -> Agree:
    """`agree(what, ours, reference, floor=0)`: equal to 1e-10 of the largest reference, or to the floor."""

    def check(
        what: str, ours: Tensor, reference: Tensor, floor: float = 0.0, relative: float = RELATIVE
    ) -> None:
        assert ours.shape == reference.shape, what
        if relative == RELATIVE:
            assert ours.dtype == reference.dtype == torch.float64, what
        record(what, ours, reference, floor)
        size, gap = _size(reference), _size(ours.detach().double() - reference.detach().double())
        assert gap <= max(relative * size, floor), f"{what}: deviation {gap:.2e} of {size:.2e}"

    return check


def _size(x: Tensor) -> float:
    """Largest entry; NaN stays NaN, which no bound lets pass."""
    return float(x.detach().abs().max()) if x.numel() else 0.0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    deviations = config.stash[DEVIATIONS]
    if deviations:
        terminalreporter.section("largest deviations from mace-torch, relative")
        for what, (worst, number) in sorted(deviations.items()):
            terminalreporter.line(f"{what:40s} {worst:8.1e}   {number} comparisons")
