"""The front page in a real browser: readable, accessible, silent; set MECHEVAL_SCREENSHOTS to keep pictures."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
WIDTHS = (1280, 400)
CLAIM = {"honest": "a1h3-attention", "flawed": "wrong-circuit-faithful"}
SMALLEST_TEXT = 10.0
"""Pixels; also of text in a picture that was scaled down."""
SIZES = """() => [...document.querySelectorAll("svg text")].filter(t => t.getClientRects().length).map(text => {
  const svg = text.ownerSVGElement, box = svg.getBoundingClientRect();
  return parseFloat(getComputedStyle(text).fontSize) * box.width / svg.viewBox.baseVal.width })"""
OUTSIDE = """() => [...document.querySelectorAll("svg[role=img]")].flatMap(svg => { const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(t => { const r = t.getBoundingClientRect();
    return r.left < box.left - 12 || r.right > box.right + 12 }).map(t => t.textContent) })"""


def violations(page) -> list[str]:
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    found = axe.run(page, options={"resultTypes": ["violations"]})["violations"]
    return [f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found]


@pytest.mark.parametrize("name", ["honest", "flawed"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits(runs, watched, name: str, width: int, scheme: str) -> None:
    page = watched(f"file://{runs[name]}/summary.html", width=width, scheme=scheme).page
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []
    if width == 1280:
        assert min(page.evaluate(SIZES)) >= SMALLEST_TEXT
    if (folder := os.environ.get("MECHEVAL_SCREENSHOTS")) and scheme == "light":
        picture = Path(folder) / f"front-{name}-{width}.png"
        page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": width, "height": 1180})
        section = page.locator(f"#claim-{CLAIM[name]}")
        section.scroll_into_view_if_needed()
        section.screenshot(path=Path(folder) / f"claim-{name}-{width}.png")


def test_the_verdict_is_on_the_first_screen(runs, watched) -> None:
    page = watched(f"file://{runs['flawed']}/summary.html").page
    assert page.locator("h1").inner_text() == "8 of 19 tested findings are supported"
    for shown in ("h1", ".tally", ".radar svg", ".dimtable"):
        box = page.locator(shown).first.bounding_box()
        assert box["y"] + box["height"] <= 900, shown


def test_it_works_from_the_keyboard(runs, watched) -> None:
    page = watched(f"file://{runs['flawed']}/summary.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    order, outlines = [], []
    for _ in range(30):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
        outlines.append(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert order == sorted(order)
    assert set(outlines) <= {"solid", "auto"}
    assert (
        page.evaluate("document.querySelectorAll('[tabindex]:not([tabindex=\"0\"])').length") == 0
    )


def test_the_filter_hides_rows_and_says_how_many(runs, watched) -> None:
    page = watched(f"file://{runs['flawed']}/summary.html").page
    page.select_option("#pick", "vacuous")
    assert page.locator(".verdicts tbody tr:visible").count() == 1
    assert page.locator("#shown").inner_text() == "1 of 19"
    page.select_option("#pick", "")
    page.fill("#find", "a1h3")
    assert 1 < page.locator(".verdicts tbody tr:visible").count() < 19


def test_a_link_leads_to_its_claim(runs, watched) -> None:
    page = watched(f"file://{runs['flawed']}/summary.html").page
    page.locator(".fell a").first.click()
    assert page.evaluate("location.hash").startswith("#claim-")
    assert page.evaluate("document.querySelector(':target').getBoundingClientRect().top") < 100


def test_everything_is_there_without_scripts_and_on_paper(browser, runs) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{runs['flawed']}/summary.html")
    assert page.locator("article.claim").count() == 19
    assert not page.locator("#filter").is_visible()
    page.emulate_media(media="print")
    assert page.pdf(format="A4").startswith(b"%PDF")
    context.close()


def test_it_can_be_read_without_colour(runs, watched) -> None:
    page = watched(f"file://{runs['flawed']}/summary.html").page
    badges = page.locator(".verdicts .b").all_inner_texts()
    assert {text.strip() for text in badges} == {"SUPPORTED", "REFUTED", "VACUOUS"}
    symbols = page.locator(".verdicts .b use").evaluate_all(
        "all => all.map(u => u.getAttribute('href'))"
    )
    assert len(set(symbols)) == 3
