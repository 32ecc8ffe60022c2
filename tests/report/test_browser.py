"""The page in a real browser."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from crossfield.report.build import build_report, find_subject
from crossfield.report.page import Report, render
from crossfield.report.parity_section import parity_section
from tests.report.browser import Scheme, Window
from tests.report.predicted import predictions
from tests.report.runs import FORGETTING, HOSTILE, epoch, make_run
from tests.report.serving import serving

ALL_DRAWN = "!drawing && nextFigure() === null"


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = make_run(tmp_path_factory.mktemp("page") / "run", ("pbe", "dft"), forgetting=FORGETTING)
    return render(build_report(find_subject(str(run))))


@pytest.fixture
def page(window: Window, html: str) -> Page:
    return window.show(html)


@pytest.fixture
def seen(window: Window, html: str) -> Page:
    """As the test before has left it: for tests that begin with a choice of their own."""
    return window.return_to(html)


def selected(page: Page) -> str:
    (only,) = page.locator('[role="tab"][aria-selected="true"]').all_inner_texts()
    return only


def until(page: Page, condition: str) -> None:
    """Waits; the page's policy keeps Playwright's own way of doing so from working."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def test_every_tab_opens_and_draws_without_a_complaint(page: Page) -> None:
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
    for figure in page.locator("#panel-training .figure").all():
        figure.scroll_into_view_if_needed()
    expect(page.locator("#panel-training .js-plotly-plot")).to_have_count(count)
    buttons = page.locator("#panel-training .modebar-btn")
    assert buttons.count() >= count
    assert not {b.get_attribute("data-title") for b in buttons.all()} & {
        "Share chart...",
        "Edit in Chart Studio",
    }


def test_tabs_follow_the_keyboard_and_the_address(page: Page, window: Window) -> None:
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
    page.goto(f"{window.file.as_uri()}#elements")
    page.reload()
    assert selected(page) == "Elements"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.evaluate("location.hash = '#100%'")  # no name: the tab stays
    assert selected(page) == "Elements"
    page.reload()
    assert selected(page) == "Overview"
    expect(page.locator('[role="tabpanel"]:visible')).to_have_count(1)


def test_the_theme_follows_the_system_and_then_the_reader(window: Window, html: str) -> None:
    page = window.show(html, scheme="dark")
    page.get_by_role("tab", name="Training").click()
    theme = "document.documentElement.dataset.theme"
    text = "getComputedStyle(document.querySelector('.xtick text')).fill"
    expect(page.locator(".xtick text").first).to_be_visible()
    assert page.evaluate(theme) == "dark"
    before = page.evaluate(text)
    page.get_by_role("button", name="Light or dark colours").click()
    until(page, f"{text} !== '{before}'")
    assert page.evaluate(theme) == "light"
    window.visit(window.file.as_uri(), scheme="dark")
    assert page.evaluate(theme) == "light"


def test_hovering_a_point_tells_what_it_is(seen: Page) -> None:
    seen.get_by_role("tab", name="Training").click()
    figure = seen.locator(".figure", has_text="Energy: MAE")
    expect(figure.locator(".points path")).to_have_count(6)  # two heads, three validations
    box = figure.locator(".points path").nth(1).bounding_box()
    assert box is not None
    seen.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = figure.locator(".hoverlayer .hovertext")
    expect(label).to_contain_text("pbe, validation")
    expect(label).to_contain_text("500.0 meV/atom")
    expect(label).to_contain_text("step 20, epoch 2")


def test_hovering_a_density_tells_how_many_labels_are_there(window: Window) -> None:
    labels = np.repeat([[0.0, 1.0, 2.0]], 1000, axis=0)
    predicted = labels.copy()
    predicted[:50] += 1.0  # the 150 components that are drawn as points; the others are on the diagonal
    section = parity_section(predictions({"Z": [6] * 1000, "forces": (labels, predicted)}))
    page = window.show(render(Report("a", "b", "", (section,))))
    figure = page.locator(".figure").first
    plot = figure.locator(".plotly .nsewdrag")
    expect(figure.locator(".heatmaplayer image")).to_have_count(1)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    bottom = box["y"] + box["height"] - 1  # the cells are 2 pixels high
    page.mouse.move(box["x"] + 2, bottom)
    expect(figure.locator(".hoverlayer")).to_contain_text("950 labels")
    page.mouse.move(box["x"] + box["width"] / 2, bottom)  # nothing is there
    expect(figure.locator(".hoverlayer .hovertext")).to_have_count(0)


def test_a_window_of_another_width_draws_figures_anew(page: Page) -> None:
    page.get_by_role("tab", name="Training").click()
    until(page, f"document.querySelector('#panel-training .main-svg') && {ALL_DRAWN}")
    width = "document.querySelector('#panel-training .main-svg').width.baseVal.value"
    before = page.evaluate(width)
    page.get_by_role("tab", name="Overview").click()
    page.set_viewport_size({"width": 700, "height": 600})
    page.get_by_role("tab", name="Training").click()
    until(page, f"{width} !== {before} && {ALL_DRAWN}")
    assert page.evaluate(f"{width} === document.querySelector('#panel-training .plot').clientWidth")


def test_printing_draws_all_tabs_unfolded_and_in_light_colours(window: Window, html: str) -> None:
    page = window.show(html, scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(background) != dark
    page.emulate_media(media="screen", color_scheme="dark")
    folded = page.locator("details:not([open])").count()
    assert folded
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    until(page, "document.querySelectorAll('.figure .main-svg').length > 0")
    count = page.locator(".figure").count()
    expect(page.locator(".figure .js-plotly-plot")).to_have_count(count)
    widths = "[...document.querySelectorAll('.figure .plot')].map((p) => p._fullLayout.width - p.clientWidth)"
    assert page.evaluate(widths) == [0] * count
    inks = "[...document.querySelectorAll('.xtick text')].map((text) => text.style.fill)"
    assert set(page.evaluate(inks)) == {"rgb(86, 95, 105)"}  # --soft of the light palette
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == folded
    assert page.evaluate(background) == dark
    expect(page.locator('[role="tabpanel"]:visible')).to_have_count(1)


def test_heads_and_axes_are_switched(seen: Page) -> None:
    seen.get_by_role("tab", name="Training").click()
    figure = seen.locator(".figure", has_text="Energy: MAE")
    expect(figure.locator(".scatterlayer .trace")).to_have_count(4)
    button = seen.get_by_role("button", name="pbe")
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(figure.locator(".scatterlayer .trace")).to_have_count(2)
    kind = "document.querySelector('#panel-training .plot')._fullLayout.yaxis.type"
    assert seen.evaluate(kind) == "log"
    figure.get_by_label("logarithmic").uncheck()
    until(seen, f"{kind} === 'linear'")
    expect(figure.locator(".scatterlayer .trace")).to_have_count(2)
    figure.get_by_label("logarithmic").check()
    button.press("Enter")
    expect(figure.locator(".scatterlayer .trace")).to_have_count(4)


def test_tables_sort_by_value_with_what_is_missing_last(seen: Page) -> None:
    seen.get_by_role("tab", name="Forgetting").click()
    table = seen.locator("#panel-forgetting table").first
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


def test_elements_are_reached_by_arrow_keys(seen: Page) -> None:
    seen.get_by_role("tab", name="Elements").click()
    seen.locator('.elements button[tabindex="0"]').focus()
    told = seen.locator(".element-details")
    expect(told).to_contain_text("Hydrogen")
    seen.keyboard.press("ArrowRight")
    expect(told).to_contain_text("Helium")
    seen.keyboard.press("ArrowDown")
    expect(told).to_contain_text("Neon")
    seen.locator(".elements button", has_text="Og").hover()
    expect(told).to_contain_text("Oganesson")
    assert seen.locator('.elements button[tabindex="0"]').count() == 1


def test_narrow_screens_scroll_tables_and_not_the_page(window: Window, html: str) -> None:
    page = window.show(html, width=390)
    for tab in page.locator('[role="tab"]').all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_names_of_heads_run_no_code(window: Window, tmp_path: Path) -> None:
    forgetting = json.loads(json.dumps(FORGETTING).replace('"pbe"', json.dumps(HOSTILE)))
    run = make_run(tmp_path / "run", (HOSTILE, "dft"), forgetting=forgetting)
    page = window.show(render(build_report(find_subject(str(run)))))
    for name in ("Training", "Forgetting", "E0", "Elements"):
        page.get_by_role("tab", name=name).click()
        until(page, ALL_DRAWN)
    expect(page.locator(".ytick text", has_text="<img").first).to_be_attached()
    assert page.title().endswith("/run")
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(window: Window, html: str, scheme: Scheme) -> None:
    """WCAG AA, 4.5 : 1, for every text that is in sight."""
    page = window.show(html, scheme=scheme)
    for tab in page.locator('[role="tab"]').all():
        tab.click()
        assert page.evaluate(CONTRAST) == [], tab.inner_text()


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


def test_a_live_page_follows_the_log(window: Window, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ("pbe", "dft"), epochs=2, finished=False)
    with serving(run) as server:
        page = window.visit(f"{server.url}#training")
        figure = page.locator(".figure", has_text="Energy: MAE")
        expect(figure.locator(".points path")).to_have_count(4)
        page.evaluate(ZOOM)
        page.get_by_role("button", name="dft").click()
        expect(page.locator("#live")).to_have_text(re.compile("live"))

        # what the reader has sorted, and where the keyboard is
        mae = page.locator("#panel-overview table", has_text="step 20").get_by_role(
            "columnheader", name="MAE"
        )
        page.evaluate("location.hash = '#overview'")
        mae.get_by_role("button").press("Enter")
        mae.get_by_role("button").press("Enter")
        page.add_style_tag(content=".table { max-height: 90px }")
        scrolled = "document.querySelectorAll('#panel-overview .table')[1].scrollTop"
        page.evaluate(f"{scrolled} = 25")

        with (run / "log.jsonl").open("a") as log:
            log.write(json.dumps(epoch(3, ("pbe", "dft"))) + "\n")
        table = page.locator("#panel-overview table", has_text="step 30")
        expect(table.get_by_role("columnheader", name="MAE")).to_have_attribute("aria-sort", "descending")
        expect(table.get_by_role("columnheader", name="MAE").get_by_role("button")).to_be_focused()
        assert table.locator("tbody td:nth-of-type(1)").all_inner_texts() == ["1,333", "667", "667", "333"]
        assert page.evaluate(scrolled) == 25
        expect(page.locator("#live")).to_have_text("live")  # said once, and not with every change
        expect(page.locator("#changed")).to_contain_text("changed ")
        page.evaluate("location.hash = '#training'")
        until(page, "document.querySelector('#panel-training .plot').data[1].x.length === 3")
        assert selected(page) == "Training"
        assert page.evaluate("document.querySelector('#panel-training .plot').layout.xaxis.range") == [5, 40]
        expect(page.get_by_role("button", name="dft")).to_have_attribute("aria-pressed", "false")
        expect(figure.locator(".scatterlayer .trace")).to_have_count(2)
        page.get_by_role("tab", name="Overview").click()
        expect(page.locator("#panel-overview .cards")).to_contain_text("30")

        make_run(run, ("pbe", "dft"), epochs=3, finished=True)
        expect(page.locator(".state")).to_contain_text("Finished", timeout=15_000)
        expect(page.get_by_role("tab", name="Model card")).to_be_visible()
        page.goto("about:blank")  # asks no more


ZOOM = "Plotly.relayout(document.querySelector('#panel-training .plot'), {'xaxis.range': [5, 40]})"
