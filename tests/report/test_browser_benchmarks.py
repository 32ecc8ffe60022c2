"""The tabs about benchmarks in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from crossfield.bench.domain.results import Entry, Problem, Structure
from crossfield.report.benchmarks import benchmark_sections
from crossfield.report.domain_radar import Named
from crossfield.report.page import Report, render
from crossfield.report.section import Section
from tests.report.browser import Window
from tests.report.made_results import HOSTILE, large_sections, metric, result, results, small

SCENE = ".plot3d .gl-container canvas"
CAMERA = """() => {
  const { eye } = document.querySelector('.plot3d').layout.scene.camera;
  return [eye.x, eye.y, eye.z];
}"""


def rendered(sections: Sequence[Section]) -> str:
    return render(Report("model", "benchmarks", "", tuple(sections)))


@pytest.fixture(scope="module")
def html() -> str:
    return rendered(benchmark_sections([Named("", small())]))


@pytest.fixture
def page(window: Window, html: str) -> Page:
    return window.show(html)


@pytest.fixture
def seen(window: Window, html: str) -> Page:
    """As the test before has left it: for tests that begin with a choice of their own."""
    return window.return_to(html)


def opened(page: Page, title: str) -> Any:
    """The panel of a benchmark."""
    button = page.get_by_role("button", name=title, exact=True)
    if button.get_attribute("aria-expanded") == "false":
        button.click()
    return page.locator(f"#{button.get_attribute('aria-controls')}")


def test_a_benchmark_opens_and_closes_by_keyboard(page: Page) -> None:
    button = page.get_by_role("button", name="S30L", exact=True)
    button.press("Enter")
    panel = page.locator("#benchmarks-s30l")
    expect(panel).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(panel.locator("h5")).to_be_focused()
    panel.get_by_role("button", name="Close").press("Enter")
    expect(panel).to_be_hidden()
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")


def test_hovering_a_point_tells_the_structure(seen: Page) -> None:
    panel = opened(seen, "S30L")
    point = panel.locator(".parity .points path").nth(2)
    point.hover(force=True)
    expect(panel.locator(".parity")).to_have_attribute(
        "aria-label", re.compile("^Predicted against reference: ")
    )
    label = panel.locator(".parity .hoverlayer")
    expect(label).to_contain_text("complex 3")
    expect(label).to_contain_text("error 1 kcal/mol")


def test_a_point_and_a_row_lead_to_the_structures(seen: Page) -> None:
    panel = opened(seen, "S30L")
    panel.locator(".parity .points path").nth(4).click(force=True)
    expect(panel.locator("tr.chosen")).to_contain_text("complex 5")
    expect(panel.locator(SCENE).first).to_be_visible()
    expect(panel.locator(".about")).to_have_text("complex 5, complex: C8H12, 20 atoms.")
    panel.get_by_role("button", name="complex 7", exact=True).press("Enter")
    expect(panel.locator(".about")).to_contain_text("complex 7, complex")
    panel.get_by_label("Structure", exact=True).select_option("host")
    expect(panel.locator(".about")).to_have_text("complex 7, host: C2H6, 8 atoms.")
    expect(panel.locator(".atom-key")).to_have_text("CH")
    seen.set_viewport_size({"width": 390, "height": 700})
    panel.get_by_role("button", name="complex 11", exact=True).click()
    expect(panel.locator(".plot3d")).to_be_in_viewport(ratio=0.9)


def test_a_structure_turns_by_mouse_keys_and_buttons(seen: Page) -> None:
    panel = opened(seen, "S30L")
    panel.get_by_role("button", name="complex 3", exact=True).click()
    expect(panel.locator(SCENE).first).to_be_visible()
    seen.wait_for_function("() => document.querySelector('.plot3d').layout.scene.camera")
    start = seen.evaluate(CAMERA)
    size = sum(x * x for x in start)

    scene = panel.locator(".plot3d")
    scene.press("ArrowLeft")
    turned = seen.evaluate(CAMERA)
    assert turned != pytest.approx(start, abs=0.05)
    assert sum(x * x for x in turned) == pytest.approx(size)  # turned, and no nearer
    seen.locator("#theme").click()  # other colours leave the view alone
    seen.wait_for_timeout(300)
    assert seen.evaluate(CAMERA) == pytest.approx(turned)
    scene.press("ArrowRight")
    assert seen.evaluate(CAMERA) == pytest.approx(start, abs=1e-9)
    panel.get_by_role("button", name="Turn up").click()
    assert seen.evaluate(CAMERA) != pytest.approx(start, abs=0.05)
    panel.get_by_role("button", name="First view").click()
    assert seen.evaluate(CAMERA) == pytest.approx(start)
    panel.get_by_role("button", name="Nearer").click()
    assert sum(x * x for x in seen.evaluate(CAMERA)) == pytest.approx(size / 1.2**2)
    scene.press("Home")

    box = scene.bounding_box()
    assert box is not None
    seen.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    seen.mouse.down()
    seen.mouse.move(box["x"] + box["width"] / 2 + 90, box["y"] + box["height"] / 2 + 30, steps=4)
    seen.mouse.up()
    seen.wait_for_function(
        f"(start) => Math.abs(({CAMERA})()[0] - start[0]) + Math.abs(({CAMERA})()[1] - start[1]) > 0.05",
        arg=start,
    )


def test_one_scene_serves_all_panels(page: Page) -> None:
    first, second = opened(page, "S30L"), None
    first.get_by_role("button", name="complex 3", exact=True).click()
    expect(first.locator(SCENE).first).to_be_visible()
    second = opened(page, "Equations of state")
    second.get_by_role("button", name="Cu", exact=True).first.click()
    expect(second.locator(".about")).to_contain_text("Cu, cell: Cu4, 4 atoms, cell 4.00 × 4.00 × 4.00 Å")
    expect(first.locator(".look")).to_contain_text("Choose an entry")
    assert page.locator(".plot3d").count() == 1


def test_entries_are_sorted_found_and_told_when_missing(page: Page) -> None:
    panel = opened(page, "S30L")
    rows = panel.locator(".bench-entries tbody tr")
    expect(rows).to_have_count(12)
    expect(rows.first).to_contain_text("not converged: 0.3 eV/Å after 500 steps")
    panel.locator(".bench-entries .sort", has_text="Reference").click()
    expect(rows.first).to_contain_text("complex 11")
    expect(panel.locator("th[aria-sort]")).to_have_text("Reference")
    panel.locator(".bench-entries .sort", has_text="Error").click()
    expect(rows.last).to_contain_text("complex 0")  # without an error: last
    panel.get_by_label("Find").fill("complex 4")
    expect(rows).to_have_count(1)
    panel.get_by_label("Find").fill("")
    panel.get_by_label("only what was not calculated").check()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("complex 0")
    panel.get_by_label("only what was not calculated").uncheck()
    expect(rows).to_have_count(12)


def test_numbers_of_a_quantity_have_the_same_decimals(page: Page) -> None:
    panel = opened(page, "S30L")
    numbers = panel.locator(".bench-entries tbody td.number")
    expect(numbers).to_have_count(36)
    texts = numbers.all_inner_texts()
    assert texts[:6] == ["-20.0", "–", "–", "-21.0", "-20.0", "1.0"]
    assert {text.partition(".")[2] for text in texts} == {"0", ""}


def test_every_quantity_has_a_figure_in_its_unit(seen: Page) -> None:
    panel = opened(seen, "Equations of state")
    title = panel.locator(".parity .xtitle")
    expect(title).to_have_text("reference, Å³/atom")
    panel.get_by_label("In the figure", exact=True).select_option("bulk modulus, GPa")
    expect(title).to_have_text("reference, GPa")
    panel.get_by_label("errors instead of values in the figure").check()
    expect(panel.locator(".parity .ytitle")).to_have_text("predicted − reference, GPa")


def test_what_is_compared_with_one_value_stands_side_by_side(window: Window) -> None:
    entries = tuple(
        Entry(name=n, unit="meV", reference=0.0, predicted=p) for n, p in (("a", 1.0), ("b", 3.0))
    )
    found = results((result("nve", "physicality", entries=entries),))
    page = window.show(rendered(benchmark_sections([Named("", found)])))
    panel = opened(page, "NVE")
    expect(panel.locator(".parity .xtitle")).to_have_text("entries, side by side")
    boxes = [point.bounding_box() for point in panel.locator(".parity .points path").all()]
    assert boxes[0]["x"] < boxes[1]["x"]  # type: ignore[index]
    assert boxes[0]["y"] > boxes[1]["y"]  # type: ignore[index]
    expect(panel.locator(".look")).to_have_text("No structures are kept for this benchmark.")


def test_problems_are_listed_with_their_reasons(seen: Page) -> None:
    panel = opened(seen, "S24")
    panel.locator("summary").click()
    expect(panel.locator(".bench-problem-list")).to_contain_text(f"truncated {HOSTILE}")
    assert seen.locator("img").count() == 0


def test_pairs_of_elements_are_chosen_from_lists_and_from_the_map(seen: Page) -> None:
    seen.get_by_role("tab", name="Curves").click()
    expect(seen.locator(".parity .gtitle").last).to_have_text("Al")
    seen.get_by_label("Benchmark", exact=True).select_option("diatomics")
    expect(seen.locator(".parity .gtitle").last).to_have_text("H-H")
    seen.get_by_label("and", exact=True).select_option("Li")
    expect(seen.locator(".parity .gtitle").last).to_have_text("H-Li")
    seen.get_by_role("button", name="Next").click()
    expect(seen.locator(".parity .gtitle").last).to_have_text("H-Be")
    expect(seen.get_by_label("and", exact=True)).to_have_value("Be")
    expect(seen.locator(".pairs .heatmaplayer image")).to_have_count(1)
    seen.locator(".pairs").scroll_into_view_if_needed()
    box = seen.locator(".pairs .bglayer rect, .pairs .plot").first.bounding_box()
    assert box is not None
    seen.mouse.click(box["x"] + box["width"] * 5.5 / 6, box["y"] + box["height"] * 5.5 / 6)
    expect(seen.locator(".parity .gtitle").last).to_have_text("C-C")


def test_hostile_names_run_no_code(window: Window) -> None:
    entry = Entry(name=HOSTILE, group=HOSTILE, unit=HOSTILE, reference=0, predicted=1, items=(HOSTILE,))
    bad = result(
        "s24",
        "surfaces",
        title="S24",
        metrics=(metric(HOSTILE, 1.0, 0, 1, HOSTILE),),
        entries=(entry, Entry(name="b", group="<b>c</b>", reference=0.5, predicted=1)),
        problems=(Problem(name=HOSTILE, kind="failed", reason=HOSTILE),),
        structures={HOSTILE: {HOSTILE: Structure(Z=(1, 999), positions=((0, 0, 0), (0, 0, 1)))}},
    )
    page = window.show(rendered(benchmark_sections([Named("", results((bad,)))])))
    panel = opened(page, "S24")
    panel.locator(".bench-entries tbody tr").first.locator("button").click()
    expect(panel.locator(".about")).to_have_text(f"{HOSTILE}, {HOSTILE}: HX, 2 atoms.")
    panel.locator(".parity .points path").first.hover(force=True)
    expect(panel.locator(".parity .hoverlayer")).to_contain_text("<img")
    assert page.locator("img").count() == 0


def test_a_page_with_everything_opens_at_once(window: Window) -> None:
    page = window.show(rendered(large_sections()))
    start = page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart")
    assert 0 < start < 10_000  # ms; the bound is wide for machines that are busy
    began = time.perf_counter()
    panel = opened(page, "GMTKN55")
    expect(panel.locator(".bench-entries tbody tr")).to_have_count(100)
    panel.get_by_role("button", name="Show more (2,400 left)").click()
    expect(panel.locator(".bench-entries tbody tr")).to_have_count(1100)
    panel.get_by_label("Subset", exact=True).select_option("SET07")
    expect(panel.locator(".bench-entries tbody tr")).to_have_count(46)
    page.get_by_role("button", name="LNCI16", exact=True).click()
    page.get_by_role("button", name="copper", exact=True).click()
    expect(page.locator(".about")).to_contain_text("Cu1008, 1008 atoms")
    assert time.perf_counter() - began < 60
