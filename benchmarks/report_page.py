"""Size of the page of a run with many predictions, and how long it takes to write, to open and to draw.

    python benchmarks/report_page.py [--components 1300000] [--heads 4] [--rounds 5] [--page FILE.html]

A run is made up: laplacian forces on frames of 10 to 40 atoms, energies, and stress of two frames in three.
`crossfield report` writes its page in a process of its own; then Chromium (through Playwright) opens it,
as it is and at #parity, each time in a fresh window of 1280 x 900. Times are those of the page's own clock,
which starts with the navigation: the first paint, the end of loading, the frame in which the first figure
stands, and the one in which the last figure in sight does. --page measures a page that is there already.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from crossfield.bench.machine import processor, versions
from crossfield.train.folder import RunFolder
from crossfield.train.head_data import SPLITS
from crossfield.train.predictions import Compared, Predictions
from crossfield.train.predictions_file import save_predictions

PLACES = ("", "#parity")
TIMES = ("first paint", "loaded", "first figure", "all in sight")
WATCH = """
window.figureTimes = [];
const seen = new WeakSet();
new MutationObserver(() => {
  for (const plot of document.querySelectorAll(".plot .main-svg:first-child"))
    if (!seen.has(plot)) {
      seen.add(plot);
      requestAnimationFrame(() => setTimeout(() => figureTimes.push(performance.now())));
    }
}).observe(document, { childList: true, subtree: true });
"""
IN_SIGHT = """() => [...document.querySelectorAll(".figure")].filter((figure) => {
  const box = figure.getBoundingClientRect();
  return box.height > 0 && box.bottom > 0 && box.top < innerHeight;
}).length"""
FOUND = """() => {
  const loaded = performance.getEntriesByType("navigation")[0].loadEventEnd;
  const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN;
  return [paint, loaded, ...figureTimes];
}"""


def made_up(components: int, heads: int) -> Predictions:
    """Predictions with at least this many components of forces."""
    random = np.random.default_rng(0)
    F = components // 75 + 1  # frames; of 25 atoms in the mean
    atoms = random.integers(10, 41, F)
    atoms[-1] += max(0, components // 3 + 1 - atoms.sum())
    N = int(atoms.sum())
    names = tuple(f"head{k}" for k in range(heads))
    split, head = np.divmod(np.sort(random.integers(0, len(SPLITS) * heads, F)), heads)
    forces, energy = random.laplace(0, 1.5, (N, 3)), random.normal(-4, 1, F) * atoms
    forces[random.integers(0, N, 50)] *= 30
    stress = random.normal(0, 0.02, (F, 3, 3))
    stress[::3] = np.nan
    counts = {
        name: {h: int(((split == s) & (head == k)).sum()) for k, h in enumerate(names)}
        for s, name in enumerate(SPLITS)
    }
    return Predictions(
        heads=names,
        split=split,
        head=head,
        group=tuple(f"system{i % 500}" for i in range(F)),
        file=("frames.xyz",) * F,
        index=np.arange(F),
        own_answers=np.zeros(F, dtype=bool),
        atoms=atoms,
        Z=random.integers(1, 40, N),
        E0=np.zeros(F),
        energy=Compared(energy, energy + random.normal(0, 0.02, F) * atoms),
        forces=Compared(forces, forces + random.laplace(0, 0.05, (N, 3)) * (1 + 0.1 * np.abs(forces))),
        stress=Compared(stress, stress + random.normal(0, 0.002, (F, 3, 3))),
        frames=counts,
        seed=0,
    )


def write_run(folder: Path, components: int, heads: int) -> int:
    """A finished run without weights; gives its components of forces."""
    run, predictions = RunFolder(folder), made_up(components, heads)
    folder.mkdir()
    epochs = ({"epoch": k, "step": 100 * k, "loss": 1 / k, "seconds": k} for k in range(1, 101))
    run.log.write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    run.errors.write_text(json.dumps({"validation": {}, "test": {}}))
    save_predictions(run.predictions, predictions)
    return predictions.forces.reference.size


def write_page(folder: Path) -> tuple[Path, float]:
    """The page of a run, and the seconds of the command."""
    page = folder / "report.html"
    command = [sys.executable, "-m", "crossfield.cli.main", "report", str(folder), "-o", str(page)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return page, time.perf_counter() - start


def open_page(browser: Browser, address: str) -> list[float]:
    """Seconds of `TIMES`; NaN for figures where there are none in sight."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(address)
    expected, end = page.evaluate(IN_SIGHT), time.monotonic() + 60
    while len(found := page.evaluate(FOUND)) < 2 + expected and time.monotonic() < end:
        page.wait_for_timeout(100)
    context.close()
    paint, loaded, *figures = found
    first, last = (figures[0], figures[expected - 1]) if expected else (float("nan"), float("nan"))
    return [ms / 1000 for ms in (paint, loaded, first, last)]


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description="How fast the page of a run opens.")
    parser.add_argument("--components", type=int, default=1_300_000, help="of forces")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5, help="openings of each address")
    parser.add_argument("--page", type=Path, metavar="FILE.html", help="a page that is there already")
    options = parser.parse_args()
    browser_path = next((p for name in ("chromium", "google-chrome") if (p := shutil.which(name))), None)
    if browser_path is None:
        sys.exit("there is no Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        page = options.page
        if page is None:
            run = Path(folder) / "run"
            count = write_run(run, options.components, options.heads)
            page, seconds = write_page(run)
            print(f"{count:,} components of forces, {options.heads} heads: written in {seconds:.1f} s")
        print(f"{page.stat().st_size / 2**20:.1f} MiB; {processor()}, load {os.getloadavg()[0]:.1f}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            print(f"Chromium {browser.version}, plotly {versions('plotly')['plotly']}; medians, s\n")
            print(f"| opened at | {' | '.join(TIMES)} |\n|{' --- |' * (1 + len(TIMES))}")
            for place in PLACES:
                rounds = [open_page(browser, page.resolve().as_uri() + place) for _ in range(options.rounds)]
                medians = [f"{statistics.median(column):.2f}" for column in zip(*rounds, strict=True)]
                print(f"| {place or 'the first tab'} | {' | '.join(medians)} |")
            browser.close()
        print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
