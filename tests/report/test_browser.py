"""The page in a real browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from crossfield.report.build import build_report, find_subject
from crossfield.report.page import render
from tests.report.browser import Watched, chromium
from tests.report.runs import FORGETTING, HOSTILE, epoch, make_run
from tests.report.serving import serving

POINT = ".plot .scatterlayer .trace:nth-child({trace}) .points path:nth-child({point})"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    run = make_run(folder / "run", ("pbe", "dft"), forgetting=FORGETTING)
    path = folder / "report.html"
    path.write_text(render(build_report(find_subject(str(run)))), "utf-8")
    return path


@pytest.fixture
def watched(browser: Browser, file: Path) -> Iterator[Watched]:
    context = browser.new_context(color_scheme="light", viewport={"width": 1280, "height": 900})
    watched = Watched(context.new_page())
    watched.page.goto(file.as_uri())
    yield watched
    assert watched.complaints == []
    assert {url.partition(":")[0] for url in watched.requests} <= {"file", "data", "blob"}
    context.close()


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def selected(page: Page) -> str:
    (only,) = page.locator('[role="tab"][aria-selected="true"]').all_inner_texts()
    return only


def until(page: Page, condition: str) -> None:
    """Waits; the page's policy keeps Playwright's own way of doing so from working."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def test_every_tab_opens_and_draws_without_a_complaint(watched: Watched) -> None:
    page = watched.page
    names = page.locator('[role="tab"]').all_inner_texts()
    assert names == ["Overview", "Training", "Errors", "Parity", "Forgetting", "E0", "Elements", "Model card"]
    for name in names:
        page.get_by_role("tab", name=name, exact=True).click()
        expect(page.locator('[role="tabpanel"]:visible')).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("tab", name="Training").click()
    expect(page.locator(".plot .main-svg").first).to_be_visible()


def test_figures_are_drawn_when_they_are_first_seen(page: Page) -> None:
    assert page.evaluate("drawn.size") == 0
    page.get_by_role("tab", name="Training").click()
    expect(page.locator("#panel-training .js-plotly-plot").first).to_be_visible()
    count = page.locator("#panel-training .figure").count()
    assert page.evaluate("drawn.size") < page.locator(".figure").count()
    page.locator("#panel-training .figure").last.scroll_into_view_if_needed()
    expect(page.locator("#panel-training .js-plotly-plot")).to_have_count(count)


def test_tabs_follow_the_keyboard_and_the_address(page: Page, file: Path) -> None:
    page.get_by_role("tab", name="Overview").focus()
    for key, name in (
        ("ArrowRight", "Training"),
        ("End", "Model card"),
        ("ArrowRight", "Overview"),
        ("ArrowLeft", "Model card"),
        ("Home", "Overview"),
        ("ArrowRight", "Training"),
    ):
        page.keyboard.press(key)
        assert selected(page) == name
        assert page.evaluate("document.activeElement.innerText") == name
    assert page.url.endswith("#training")
    page.go_back()
    assert selected(page) == "Overview"
    page.goto(f"{file.as_uri()}#elements")
    page.reload()
    assert selected(page) == "Elements"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_the_theme_follows_the_system_and_then_the_reader(browser: Browser, file: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(f"{file.as_uri()}#training")
    theme = "document.documentElement.dataset.theme"
    text = "getComputedStyle(document.querySelector('.xtick text')).fill"
    expect(page.locator(".xtick text").first).to_be_visible()
    assert page.evaluate(theme) == "dark"
    before = page.evaluate(text)
    page.get_by_role("button", name="Light or dark colours").click()
    until(page, f"{text} !== '{before}'")
    assert page.evaluate(theme) == "light"
    page.reload()
    assert page.evaluate(theme) == "light"
    context.close()


def test_hovering_a_point_tells_what_it_is(page: Page) -> None:
    page.get_by_role("tab", name="Training").click()
    figure = page.locator(".figure", has_text="Energy: MAE")
    expect(figure.locator(".points path")).to_have_count(6)  # two heads, three validations
    box = figure.locator(".points path").nth(1).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = figure.locator(".hoverlayer .hovertext")
    expect(label).to_contain_text("pbe, validation")
    expect(label).to_contain_text("500.0 meV/atom")
    expect(label).to_contain_text("step 20, epoch 2")


def test_heads_and_axes_are_switched(page: Page) -> None:
    page.get_by_role("tab", name="Training").click()
    figure = page.locator(".figure", has_text="Energy: MAE")
    expect(figure.locator(".scatterlayer .trace")).to_have_count(4)
    button = page.get_by_role("button", name="pbe")
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(figure.locator(".scatterlayer .trace")).to_have_count(2)
    kind = "document.querySelector('#panel-training .plot')._fullLayout.yaxis.type"
    assert page.evaluate(kind) == "log"
    figure.get_by_label("logarithmic").uncheck()
    until(page, f"{kind} === 'linear'")
    expect(figure.locator(".scatterlayer .trace")).to_have_count(2)


def test_tables_sort_by_value_with_what_is_missing_last(page: Page) -> None:
    page.get_by_role("tab", name="Forgetting").click()
    table = page.locator("#panel-forgetting table").first
    head = table.get_by_role("columnheader", name="allowed", exact=True)
    orders = []
    for order in ("ascending", "descending"):
        head.get_by_role("button", name="allowed", exact=True).press("Enter")
        expect(head).to_have_attribute("aria-sort", order)
        orders.append(table.locator("tbody tr td:nth-of-type(5)").all_inner_texts())
    assert orders == [["42", "105", "–"], ["105", "42", "–"]]  # as text, 105 would come before 42
    table.get_by_role("button", name="verdict").press("Enter")
    expect(table.locator("[aria-sort]")).to_have_text(["verdict"])
    assert table.locator("tbody tr td:last-of-type").all_inner_texts() == ["new", "within", "worse"]


def test_elements_are_reached_by_arrow_keys(page: Page) -> None:
    page.get_by_role("tab", name="Elements").click()
    page.locator('.elements button[tabindex="0"]').focus()
    told = page.locator(".element-details")
    expect(told).to_contain_text("Hydrogen")
    page.keyboard.press("ArrowRight")
    expect(told).to_contain_text("Helium")
    page.keyboard.press("ArrowDown")
    expect(told).to_contain_text("Neon")
    page.locator(".elements button", has_text="Og").hover()
    expect(told).to_contain_text("Oganesson")
    assert page.locator('.elements button[tabindex="0"]').count() == 1


def test_narrow_screens_scroll_tables_and_not_the_page(browser: Browser, file: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(file.as_uri())
    for tab in page.locator('[role="tab"]').all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_names_of_heads_run_no_code(browser: Browser, tmp_path: Path) -> None:
    forgetting = json.loads(json.dumps(FORGETTING).replace('"pbe"', json.dumps(HOSTILE)))
    run = make_run(tmp_path / "run", (HOSTILE, "dft"), forgetting=forgetting)
    (tmp_path / "a.html").write_text(render(build_report(find_subject(str(run)))), "utf-8")
    watched = Watched(browser.new_page())
    watched.page.goto((tmp_path / "a.html").as_uri())
    for name in ("Training", "Forgetting", "E0", "Elements"):
        watched.page.get_by_role("tab", name=name).click()
        watched.page.wait_for_timeout(100)
    expect(watched.page.locator(".ytick text", has_text="<img").first).to_be_attached()
    assert watched.page.title().endswith("/run")
    assert watched.page.locator("main img").count() == 0
    assert watched.complaints == []
    watched.page.close()


def test_text_stands_out_from_what_is_behind_it(browser: Browser, file: Path) -> None:
    """WCAG AA, 4.5 : 1, for every text that is in sight, light and dark."""
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(file.as_uri())
        for tab in page.locator('[role="tab"]').all():
            tab.click()
            assert page.evaluate(CONTRAST) == [], (scheme, tab.inner_text())
        context.close()


CONTRAST = """() => {
  const channel = (x) => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const parse = (text) => {
    const n = text.match(/[\\d.]+/g).map(Number);
    const rgb = n.slice(0, 3).map((x) => (text.startsWith("color(") ? 255 * x : x));
    return [...rgb, n[3] ?? 1];
  };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!own || !node.getClientRects().length || node.closest("svg, script, style, .skip")) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([node.textContent.trim().slice(0, 30), ratio]);
  }
  return poor;
}"""


def test_a_live_page_follows_the_log(browser: Browser, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ("pbe", "dft"), epochs=2, finished=False)
    with serving(run) as server:
        watched = Watched(browser.new_page())
        page = watched.page
        page.goto(f"{server.url}#training")
        figure = page.locator(".figure", has_text="Energy: MAE")
        expect(figure.locator(".points path")).to_have_count(4)
        page.evaluate(ZOOM)
        page.get_by_role("button", name="dft").click()
        expect(page.locator("#live")).to_have_text(re.compile("live"))

        with (run / "log.jsonl").open("a") as log:
            log.write(json.dumps(epoch(3, ("pbe", "dft"))) + "\n")
        until(page, "document.querySelector('#panel-training .plot').data[1].x.length === 3")
        assert selected(page) == "Training"
        assert page.evaluate("document.querySelector('#panel-training .plot').layout.xaxis.range") == [5, 40]
        expect(page.get_by_role("button", name="dft")).to_have_attribute("aria-pressed", "false")
        expect(figure.locator(".scatterlayer .trace")).to_have_count(2)
        page.get_by_role("tab", name="Overview").click()
        expect(page.locator(".cards")).to_contain_text("30")

        make_run(run, ("pbe", "dft"), epochs=3, finished=True)
        expect(page.locator(".state")).to_contain_text("Finished", timeout=15_000)
        expect(page.get_by_role("tab", name="Model card")).to_be_visible()
        assert watched.complaints == []
        assert all(url.startswith((server.url, "data:")) for url in watched.requests)
        page.close()


ZOOM = "Plotly.relayout(document.querySelector('#panel-training .plot'), {'xaxis.range': [5, 40]})"
