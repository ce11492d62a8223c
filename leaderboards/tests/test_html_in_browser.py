"""The page of a board in headless Chromium: what people see, press and hear.

Needs Debian's ``chromium`` and ``chromium-driver``.
"""

from __future__ import annotations

import functools
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from harness.metrics import metrics
from harness.tests.browser import CONTRAST, a_browser
from harness.tests.stores import (
    SEEDS,
    Constant,
    Failed,
    NotApplicable,
    NotRun,
    Off,
    Row,
    make_corpus,
    make_store,
)
from leaderboards.document import one_line
from leaderboards.model import Board, analyse, gather
from leaderboards.numbers import number, p_value
from leaderboards.rendering import render_html
from leaderboards.sections import compose

pytestmark = pytest.mark.browser

HOSTILE = "\"'><img src=http://127.0.0.1:9/x onerror='hacked=1'></script><script>hacked=1</script>"
ROWS = (
    Row(label="TFN", cells={s: Off(1.2) for s in SEEDS}),
    Row(label="MulT", cells={1111: Off(0.9), 1112: Failed(HOSTILE), 1113: NotRun()}),
    Row(label="MAG", cells={s: Off(0.4) for s in SEEDS}, text="T-BERT", encoder="minilm-l6"),
    Row(label="Ridge", cells={0: Off(0.8)}, deterministic=True, epochs=0),
    Row(label="Once", cells={1111: Off(0.7)}),
    Row(label="Collapsed", cells={1111: Off(1.0), 1112: Constant(), 1113: Constant()}),
    Row(label="MISA", cells={s: NotApplicable(HOSTILE) for s in SEEDS}),
    Row(label=HOSTILE, cells={s: Off(0.6) for s in SEEDS}, text=HOSTILE, encoder=HOSTILE),
    Row(label="mean", cells={0: Constant()}, epochs=0, deterministic=True, reference=True),
)
CORPORA = ("mosi-twin@compact", "sims@unaligned-39")
WATCH = """
window.violations = []; window.shift = 0;
addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));
new PerformanceObserver((list) => { for (const e of list.getEntries()) shift += e.value })
  .observe({ type: "layout-shift", buffered: true });
"""
FORBID_STORAGE = """
Object.defineProperty(window, "localStorage", { get() { throw new DOMException("forbidden") } });
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    with a_browser() as browser:
        watching = {"source": WATCH}
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", watching)
        yield browser


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Board:
    root = tmp_path_factory.mktemp("store")
    corpora = [make_corpus(name) for name in CORPORA]
    return gather(make_store(root, ROWS, corpora, title=HOSTILE), "small")


@pytest.fixture(scope="module")
def path(board: Board, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("board") / "small.html"
    path.write_text(render_html(compose(board)), "utf-8")
    return path


@pytest.fixture
def page(chromium: webdriver.Chrome, path: Path) -> Iterator[webdriver.Chrome]:
    """The page, freshly opened from its file; afterwards nobody may have complained."""
    show(chromium, path)
    yield chromium
    assert chromium.get_log("browser") == []
    assert chromium.execute_script("return violations") == []


def show(browser: webdriver.Chrome, path: Path, *, width: int = 1280, theme: str = "light") -> None:
    wishes = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
    media = {"features": [{"name": name, "value": value} for name, value in wishes.items()]}
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(path.as_uri())
    browser.execute_script("try { localStorage.clear() } catch {}")
    browser.get(path.as_uri())


def section(page: webdriver.Chrome, place: int = 1) -> WebElement:
    return page.find_element(By.ID, f"corpus-{place}")


def labels(page: webdriver.Chrome, place: int = 1) -> list[str]:
    """Of the rows that show, in order."""
    found = section(page, place).find_elements(By.CSS_SELECTOR, ".results tbody tr .label")
    return [label.text for label in found if label.is_displayed()]


def heading(page: webdriver.Chrome, words: str) -> WebElement:
    buttons = section(page).find_elements(By.CSS_SELECTOR, ".results thead button")
    return next(b for b in buttons if b.text.removesuffix(" (exploratory)") == words)


def order(button: WebElement) -> str | None:
    return button.find_element(By.XPATH, "..").get_attribute("aria-sort")


def column(page: webdriver.Chrome, place: int) -> list[str]:
    """First words of the cells, without the mark of the tie group."""
    cells = section(page).find_elements(By.CSS_SELECTOR, f".results tbody tr > :nth-child({place})")
    tied = "●", "○", "not separated from the best"
    return [functools.reduce(lambda t, w: t.replace(w, ""), tied, c.text).split()[0] for c in cells]


def choose(page: webdriver.Chrome, metric: str) -> None:
    names = section(page).find_elements(By.CSS_SELECTOR, ".metrics label")
    next(name for name in names if name.text == metric).click()


def test_a_heading_sorts_best_first_then_worst_first_then_as_before(page) -> None:
    before = labels(page)
    button = heading(page, "Corr")
    assert order(button) is None
    button.click()
    assert order(button) == "descending", "the best first"
    shown = column(page, 6)
    numbers = [float(cell) for cell in shown if cell != "–" and cell != "·"]
    assert numbers == sorted(numbers, reverse=True) and len(numbers) == 6
    assert set(shown[len(numbers) :]) == {"–", "·"}, "undefined values are last"
    button.click()
    assert order(button) == "ascending"
    again = column(page, 6)
    assert [float(cell) for cell in again[: len(numbers)]] == sorted(numbers)
    assert set(again[len(numbers) :]) == {"–", "·"}, "and last the other way round too"
    button.click()
    assert order(button) is None
    assert labels(page) == before


def test_the_keyboard_sorts_and_only_one_heading_says_so(page) -> None:
    heading(page, "Corr").click()
    button = heading(page, "MAE")
    page.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    assert order(button) == "ascending"
    sorted_by = section(page).find_elements(By.CSS_SELECTOR, "th[aria-sort]")
    assert len(sorted_by) == 1
    numbers = [float(cell) for cell in column(page, 5) if cell != "·"]
    assert numbers == sorted(numbers)
    button.send_keys(Keys.SPACE)
    assert order(button) == "descending"
    outline = page.execute_script("return getComputedStyle(arguments[0]).outlineStyle", button)
    assert outline == "solid", "focus is visible"


def test_names_sort_as_text_and_one_table_alone_is_sorted(page) -> None:
    other = labels(page, 2)
    heading(page, "System").click()
    shown = labels(page)
    words = [label for label in shown if label != HOSTILE]
    assert words == sorted(words, key=str.casefold)
    assert labels(page, 2) == other


def test_ranks_are_sorted_in_the_metric_that_is_chosen(page) -> None:
    heading(page, "Rank, MAE").click()
    by_mae = labels(page)
    assert column(page, 3)[0].startswith("1")
    heading(page, "Rank, MAE").click()
    choose(page, "Acc-7")
    assert order(heading(page, "Rank, Acc-7")) == "descending"
    shown = [cell for cell in column(page, 3) if cell and cell[0].isdigit()]
    assert shown == sorted(shown, reverse=True)
    assert labels(page) != by_mae


def test_choosing_a_metric_switches_ranks_seeds_resolution_and_pairs(page) -> None:
    section(page).find_element(By.TAG_NAME, "summary").click()
    before = section(page).text
    assert "Rank, MAE" in before and "MAE, row minus column" in before
    assert "difference in MAE with" in before
    radio = section(page).find_element(By.CSS_SELECTOR, ".metrics input")
    page.execute_script("arguments[0].focus()", radio)
    radio.send_keys(Keys.ARROW_RIGHT)
    after = section(page).text
    assert "Rank, Corr" in after and "Corr, row minus column" in after
    assert "difference in Corr with" in after
    assert "Rank, MAE" not in after and "difference in MAE with" not in after
    assert "Rank, MAE" in section(page, 2).text, "each corpus has a choice of its own"


def open_pairs(page: webdriver.Chrome) -> list[list[WebElement]]:
    """Cells of the first square of pairs, once it is drawn."""
    section(page).find_element(By.TAG_NAME, "summary").click()
    page.execute_async_script("setTimeout(arguments[0], 50)")
    drawn = next(
        table
        for table in section(page).find_elements(By.CSS_SELECTOR, "table.pairs")
        if table.is_displayed()
    )
    rows = drawn.find_elements(By.CSS_SELECTOR, "tbody tr")
    return [row.find_elements(By.CSS_SELECTOR, "th, td") for row in rows]


def test_pairs_are_drawn_when_opened_and_say_what_the_tests_say(page, board) -> None:
    assert page.find_elements(By.CSS_SELECTOR, "table.pairs") == []
    cells = open_pairs(page)
    ranking, metric = analyse(board.grids[0]).rankings["mae"], metrics["mae"]
    assert [row[0].text for row in cells] == [one_line(name) for name in ranking.names]
    by_pair = {(pair.a, pair.b): pair for pair in ranking.pairs}
    for i, one in enumerate(ranking.names):
        assert cells[i][i + 1].text == "·"
        for j, other in enumerate(ranking.names):
            if (one, other) not in by_pair:
                continue
            pair, here, there = by_pair[one, other], cells[i][j + 1], cells[j][i + 1]
            for cell, name in ((here, one), (there, other)):
                effect, low, high, verdict = pair.seen_from(name)
                assert cell.get_attribute("class") == verdict
                shown = cell.text.split()[0]
                assert shown == number(effect, metric, signed=True).replace("-", "−")
                ends = " to ".join(number(end, metric) for end in (low, high)).replace("-", "−")
                said = p_value(pair.p_adjusted)
                title = f"{verdict}; 95 % interval {ends}; adjusted {said}"
                assert cell.get_attribute("title") == title
                assert said in cell.text


def test_squares_of_other_metrics_are_drawn_when_they_are_chosen(page) -> None:
    open_pairs(page)
    drawn = section(page).find_elements(By.CSS_SELECTOR, "table.pairs")
    assert len(drawn) == 1, "one metric, one square"
    choose(page, "Corr")
    again = section(page).find_elements(By.CSS_SELECTOR, "table.pairs")
    assert [table.is_displayed() for table in again] == [False, True]
    choose(page, "MAE")
    assert len(section(page).find_elements(By.CSS_SELECTOR, "table.pairs")) == 2, "drawn once"


def test_printing_draws_what_nobody_opened(page, board) -> None:
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    squares = page.find_elements(By.CSS_SELECTOR, "table.pairs")
    found = [analyse(grid) for grid in board.grids]
    assert len(squares) == sum(len(one.rankings) + len(one.checkpoints) for one in found)


def test_filters_count_what_they_leave_in_all_tables(page) -> None:
    count = page.find_element(By.ID, "count")
    assert count.aria_role == "status"
    everything = f"{2 * len(ROWS)} of {2 * len(ROWS)} rows shown"
    assert count.text == everything
    search = page.find_element(By.ID, "search")
    search.send_keys("t-bert mag")
    assert labels(page) == labels(page, 2) == ["MAG"]
    assert count.text == f"2 of {2 * len(ROWS)} rows shown"
    search.send_keys(" nobody")
    assert labels(page) == []
    assert "No row of this table matches" in section(page).text
    page.find_element(By.CSS_SELECTOR, "#filters [type=reset]").click()
    page.execute_async_script("setTimeout(arguments[0], 20)")
    assert count.text == everything
    assert "No row of this table matches" not in section(page).text


def test_encoders_side_information_badges_and_ranks_filter(page) -> None:
    def select(name: str) -> Select:
        return Select(page.find_element(By.ID, f"filter-{name}"))

    texts = [option.text for option in select("text").options]
    assert texts[0] == "any" and "T-BERT: minilm-l6" in texts
    select("text").select_by_visible_text("T-BERT: minilm-l6")
    assert labels(page) == ["MAG"]
    select("text").select_by_index(next(i for i, t in enumerate(texts) if "onerror" in t))
    assert labels(page) == [HOSTILE]
    select("text").select_by_index(0)
    assert [option.text for option in select("badge").options] == ["any", "replayed"]
    assert [option.text for option in select("side").options] == ["any", "none"]
    page.find_element(By.ID, "ranked").click()
    assert set(labels(page)) == {"TFN", "MAG", "Ridge", "Collapsed", HOSTILE}  # not "Once": one run


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_has_enough_contrast(page, path, theme: str) -> None:
    show(page, path, theme=theme)
    page.execute_script("document.querySelectorAll('details').forEach((d) => d.open = true)")
    found = page.execute_script(CONTRAST)
    assert len(found) > 500
    assert [item for item in found if item[0] < 4.5] == []


def test_the_theme_follows_the_system_until_somebody_chooses(page, path) -> None:
    def ground() -> str:
        return page.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")

    light = ground()
    show(page, path, theme="dark")
    dark, button = ground(), page.find_element(By.ID, "theme")
    assert light != dark
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert (ground(), button.get_attribute("aria-pressed")) == (light, "false")

    def stays(_: object) -> bool:
        """Chosen again where a busy browser left the page before it had stored the choice."""
        if ground() != light:
            page.find_element(By.ID, "theme").click()
        time.sleep(0.2)
        page.refresh()
        return ground() == light

    WebDriverWait(page, 30).until(stays)


def test_forbidden_storage_costs_nothing_but_memory(page, path) -> None:
    source = {"source": FORBID_STORAGE}
    added = page.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", source)
    try:
        show(page, path)
        page.find_element(By.ID, "theme").click()
        assert page.find_element(By.ID, "theme").get_attribute("aria-pressed") == "true"
        heading(page, "MAE").click()
    finally:
        page.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_the_page_requests_nothing(page, path) -> None:
    page.get_log("performance")
    page.get(path.as_uri())
    page.find_element(By.ID, "theme").click()
    heading(page, "MAE").click()
    messages = [json.loads(e["message"])["message"] for e in page.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"].endswith("WillBeSent")]
    assert set(sent) == {path.as_uri()}
    assert page.execute_script("return performance.getEntriesByType('resource')") == []


def test_hostile_names_are_shown_and_do_nothing(page) -> None:
    assert page.title == HOSTILE == page.find_element(By.TAG_NAME, "h1").text
    assert HOSTILE in labels(page)
    assert page.execute_script("return typeof hacked") == "undefined"
    assert page.find_elements(By.TAG_NAME, "img") == []
    assert len(page.find_elements(By.TAG_NAME, "script")) == 1


def test_markup_that_slipped_through_would_be_stopped_by_the_policy(chromium, path) -> None:
    slipped = "<script>hacked=1</script><img src='http://127.0.0.1:9/x' onerror='hacked=1'>"
    spoiled = path.with_name("spoiled.html")
    spoiled.write_text(path.read_text("utf-8").replace("</body>", f"{slipped}</body>"), "utf-8")
    show(chromium, spoiled)
    assert chromium.execute_script("return typeof hacked") == "undefined"
    blocked = chromium.execute_script("return violations")
    assert {"inline", "http://127.0.0.1:9/x"} <= set(blocked)
    chromium.get_log("browser")


def test_without_script_everything_can_be_read_and_the_metric_chosen(chromium, path) -> None:
    head, rest = path.read_text("utf-8").split("<script>", 1)
    bare = path.with_name("bare.html")
    bare.write_text(head + rest.split("</script>", 1)[1], "utf-8")
    show(chromium, bare)
    assert not chromium.find_element(By.ID, "filters").is_displayed()
    assert not chromium.find_element(By.ID, "theme").is_displayed()
    assert chromium.find_elements(By.CSS_SELECTOR, "thead button") == [], "no button that is dead"
    choose(chromium, "Corr")
    assert "Rank, Corr" in section(chromium).text and "Rank, MAE" not in section(chromium).text
    section(chromium).find_element(By.TAG_NAME, "summary").click()
    assert "the Markdown board has one of them" in section(chromium).text
    assert "p-values are adjusted" in section(chromium).text, (
        "what the pairs mean is said without them"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_the_page_fits_and_is_not_blank(page, path, width: int, theme: str) -> None:
    show(page, path, width=width, theme=theme)
    page.execute_script("document.querySelectorAll('details').forEach((d) => d.open = true)")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    image = matplotlib.image.imread(io.BytesIO(page.get_screenshot_as_png()))[..., :3]
    assert image.shape[1] == width
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50
    assert (image.mean() > 0.8) if theme == "light" else (image.mean() < 0.3)


def test_a_narrow_table_scrolls_under_its_names(page, path) -> None:
    show(page, path, width=360)
    scroller = section(page).find_element(By.CLASS_NAME, "scroll")
    name = scroller.find_element(By.CSS_SELECTOR, "tbody th")
    before = name.rect["x"]
    page.execute_script("arguments[0].scrollLeft = 300", scroller)
    assert page.execute_script("return arguments[0].scrollLeft", scroller) == 300
    assert name.rect["x"] == before, "the names stay"


@pytest.mark.parametrize("slowdown", [1, 10])
def test_nothing_moves_while_the_page_opens(page, path, slowdown: int) -> None:
    page.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    try:
        page.get(path.as_uri())
        page.execute_async_script("setTimeout(arguments[0], 200)")
        assert page.execute_script("return shift") < 0.001
    finally:
        page.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": 1})


def test_whoever_listens_hears_ranks_intervals_and_the_tie_group(page) -> None:
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    ]
    assert ("table", f"Test results on a SYNTHETIC TWIN of {'CMU-MOSI'}") in named
    spoken = " ".join(name for role, name in named if role == "StaticText")
    assert " 1 to 5" in spoken and "95 % interval" in spoken
    assert "not separated from the best" in spoken
    controls = ("button", "link", "textbox", "searchbox", "checkbox", "radio", "combobox")
    assert [name for role, name in named if role in controls and not name.strip()] == []
    assert len([role for role, _ in named if role in controls]) > 40
