"""The console in a real Chromium: what people do with it, and that nothing leaves the machine."""

import csv
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from stairways.core.values import StreamName
from stairways.store.contract import Encoded, Record
from stairways.store.sql import SqlStore
from tests.console.conftest import AUDITOR, LONGEST_WAIT, OPERATOR, Console, context

PAGES = (
    "/runs", "/runs/r1", "/runs/r1/cycles/1/1", "/runs/r2", "/events", "/events?type=GateDecided",
    "/events?actor=nobody", "/events/5", "/models", "/models/default", "/data", "/integrity",
    "/daemon",
)  # fmt: skip
DESK, PHONE = ViewportSize(width=1360, height=900), ViewportSize(width=390, height=844)


@dataclass(slots=True)
class Visit:
    """A visitor's context of the browser, and whatever went wrong in it."""

    context: BrowserContext
    console: Console
    wrongs: list[str] = field(default_factory=list)

    def page(self) -> Page:
        """Return a new page whose errors, violations and foreign requests are kept."""
        page = self.context.new_page()
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.wrongs.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("dialog", lambda dialog: self.wrongs.append(f"a dialog: {dialog.message}"))
        return page

    def enter(self, token: str = AUDITOR) -> Page:
        """Return a page that is logged in."""
        page = self.page()
        page.goto(f"{self.console.url}/login")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/runs")
        return page

    def go(self, page: Page, path: str) -> None:
        page.goto(self.console.url + path)

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.wrongs.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.console.url}/", "data:", "blob:")):
            self.wrongs.append(f"a foreign request: {url}")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, console: Console) -> Iterator[Callable[..., Visit]]:
    """Begin visits; at the end none of them may have seen anything wrong."""
    visits: list[Visit] = []

    def begin(**how: Any) -> Visit:  # noqa: ANN401 - options of a context
        opened = browser.new_context(**{"viewport": DESK, **how})
        opened.set_default_timeout(LONGEST_WAIT * 1000)
        visits.append(Visit(opened, console))
        return visits[-1]

    yield begin
    for one in visits:
        one.context.close()
    assert [wrong for one in visits for wrong in one.wrongs] == []


Begin = Callable[..., Visit]


def is_drawn(page: Page) -> None:
    page.wait_for_function("() => document.querySelector('[data-drawn]') !== null")


def looks(page: Page) -> Iterator[int]:
    """Show a page at both widths, light and dark; yield the width."""
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            yield size["width"]


def test_every_page_fits_and_breaks_no_rule(visit: Begin) -> None:
    here = visit()
    page = here.enter()
    for path in PAGES:
        here.go(page, path)
        if path == "/runs/r1":
            is_drawn(page)
        expect(page.locator("h1")).to_be_visible()
        for width in looks(page):
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # the pages are the same
def test_axe_finds_nothing_serious(browser: Browser, console: Console) -> None:
    spec = find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.origin is not None
    opened = browser.new_context(bypass_csp=True)
    opened.add_init_script(path=Path(spec.origin).parent / "axe.min.js")
    here = Visit(opened, console)
    page = here.page()
    here.go(page, "/login")
    found = serious(page)
    page = here.enter()
    for path in PAGES:
        here.go(page, path)
        page.set_viewport_size(DESK)
        page.emulate_media(color_scheme="light")
        found += serious(page)
        page.set_viewport_size(PHONE)
        page.emulate_media(color_scheme="dark")
        found += serious(page)
    opened.close()
    assert found == []


def serious(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical."""
    found = page.evaluate("() => axe.run(document).then((result) => result.violations)")
    return [
        f"{page.url}: {one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_a_wrong_token_is_told_and_a_right_one_lets_in(visit: Begin) -> None:
    here = visit()
    page = here.page()
    here.go(page, "/events?type=GateDecided")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("No such token.")
    here.wrongs.clear()  # Chromium calls the 401 an error
    page.get_by_label("Token").fill(AUDITOR)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: url.endswith("/events?type=GateDecided"))
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    here.go(page, "/runs")
    expect(page.get_by_label("Token")).to_be_visible()


def test_an_operator_finds_no_way_to_records(visit: Begin) -> None:
    here = visit()
    page = here.enter(OPERATOR)
    expect(page.get_by_role("link", name="Models", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Events", exact=True)).to_have_count(0)
    here.go(page, "/runs/r1/cycles/1/1")
    expect(page.locator('a[href^="/events"]')).to_have_count(0)


def test_a_run_leads_to_its_cycle_its_gate_and_its_evidence(visit: Begin) -> None:
    here = visit()
    page = here.enter()
    page.get_by_role("link", name="r1", exact=True).click()
    is_drawn(page)
    for chart in ("hold", "lanes", "divergence", "equity", "validation"):
        expect(page.locator(f"#{chart} canvas")).to_be_visible()
    page.locator(".cycles a.row").first.click()
    expect(page.get_by_role("heading", name="Gates")).to_be_visible()
    page.locator(".gates a.pos").first.click()
    expect(page.get_by_text("Proved", exact=True)).to_be_visible()
    expect(page.locator("h1")).to_contain_text("EvaluationStepTaken")


def test_filters_and_pages_change_the_list_and_the_address(visit: Begin) -> None:
    here = visit()
    page = here.enter()
    here.go(page, "/events")
    page.get_by_label("Type").select_option("StepTaken")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**type=StepTaken*")
    expect(page.locator("td.type").first).to_have_text("StepTaken")
    first = page.locator("a.row").first.inner_text()
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**before=*")
    assert page.locator("a.row").first.inner_text() != first
    expect(page.locator("td.type").first).to_have_text("StepTaken")
    page.get_by_role("link", name="Newer").click()
    page.wait_for_url("**after=*")
    expect(page.locator("a.row").first).to_have_text(first)
    page.go_back()
    page.wait_for_url("**before=*")
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/events")


def test_back_shows_the_curves_again(visit: Begin) -> None:
    here = visit()
    page = here.enter()
    here.go(page, "/runs/r1")
    is_drawn(page)
    page.locator(".cycles a.row").first.click()
    page.wait_for_url("**/cycles/**")
    page.go_back()
    is_drawn(page)
    expect(page.locator("#hold canvas")).to_be_visible()


def test_a_download_has_the_rows_of_the_page(visit: Begin, tmp_path: Path) -> None:
    here = visit()
    page = here.enter()
    here.go(page, "/events?type=GateDecided")
    shown = [one.replace(",", "") for one in page.locator("th a.row").all_inner_texts()]
    for form in ("CSV", "JSON"):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=form, exact=True).click()
        file = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(file)
        assert waiting.value.suggested_filename == f"events.{form.lower()}"
        content = file.read_text(encoding="utf-8")
        rows = json.loads(content) if form == "JSON" else list(csv.DictReader(StringIO(content)))
        assert [str(row["position"]) for row in rows] == shown


def test_the_page_of_a_run_follows_it_while_it_trains(
    visit: Begin, store: SqlStore, records: list[Record]
) -> None:
    own = [record for record in records if record.stream == "run-r1"]
    name = f"live{time.time_ns()}"
    write(store, name, own[: len(own) // 3])
    here = visit()
    page = here.enter()
    here.go(page, f"/runs/{name}")
    is_drawn(page)
    expect(page.locator("#live .pill").first).to_have_text("running")
    before = page.locator("#steps").get_attribute("value")

    write(store, name, own[len(own) // 3 :])

    expect(page.locator("#live .pill").first).to_have_text("finished")
    assert page.locator("#steps").get_attribute("value") != before
    expect(page.locator("#live")).not_to_have_attribute("hx-get", "*")


def write(store: SqlStore, name: str, records: list[Record]) -> None:
    """Write records of a run under another name, append by append."""
    for append, some in groupby(records, key=lambda record: record.append_id):
        events = [Encoded(one.type, one.schema, one.payload) for one in some]
        stream = StreamName(f"run-{name}")
        store.append(stream, None, events, context(append_id=f"{name}-{append}-{len(events)}"))


def test_keys_lead_through_the_console(visit: Begin) -> None:
    here = visit()
    page = here.enter()
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url("**/events")
    page.keyboard.press("/")
    assert page.evaluate("() => document.activeElement.name") == "run"
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator("a.row").nth(1).get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{second}")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    colour = "() => getComputedStyle(document.body).color"
    before = page.evaluate(colour)
    page.keyboard.press("t")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    assert page.evaluate(colour) != before
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_the_first_tab_skips_to_the_content(visit: Begin) -> None:
    here = visit()
    page = here.enter()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"
