"""The page of clips in headless Chromium: sorted, searched, filtered, with hostile transcripts."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from harness.tests.browser import CONTRAST, a_browser
from harness.tests.stores import SEEDS, Constant, Off, Row, make_corpus, make_store
from leaderboards.rendering import render_html
from leaderboards.studies.clips import ClipFacts, CorpusClips, study_clips
from leaderboards.studies.clips_page import document

pytestmark = pytest.mark.browser

HOSTILE = "</td></script><script>hacked=1</script><img src=x onerror='hacked=1'>"
ROWS = (
    Row(label="near", cells={s: Off(0.02) for s in SEEDS}),
    Row(label=HOSTILE, cells={s: Constant() for s in SEEDS}),
    Row(label="still", cells={0: Off(0.8)}, deterministic=True, epochs=0),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> CorpusClips:
    corpus = make_corpus()
    texts = {clip: f"{HOSTILE} words of {clip}" for clip in corpus.split("test").ids}
    store = make_store(tmp_path_factory.mktemp("store"), ROWS, [corpus])
    known = {corpus.name: ClipFacts(texts=texts)}
    (found,) = study_clips(store, "small", between=("near", HOSTILE), known=known)
    return found


@pytest.fixture(scope="module")
def path(study: CorpusClips, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "clips.html"
    path.write_text(render_html(document([study], "small", texts=True)), "utf-8")
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    with a_browser() as browser:
        browser.set_window_size(1600, 1200)
        yield browser


@pytest.fixture
def page(chromium: webdriver.Chrome, path: Path) -> Iterator[webdriver.Chrome]:
    """Freshly opened; afterwards nobody may have complained, and nothing foreign has run."""
    chromium.get(path.as_uri())
    yield chromium
    assert chromium.get_log("browser") == []
    assert chromium.execute_script("return typeof hacked") == "undefined"


def ids(page: webdriver.Chrome) -> list[str]:
    """The clips that show, in order."""
    rows = "document.querySelectorAll('.explorer tbody tr:not([hidden]) > th')"
    return page.execute_script(f"return [...{rows}].map((head) => head.dataset.sort)")


def choose(page: webdriver.Chrome, title: str, answer: str) -> None:
    label = page.find_element(By.XPATH, f"//form[@class='filters']//label[span='{title}']")
    Select(label.find_element(By.TAG_NAME, "select")).select_by_visible_text(answer)


def press(page: webdriver.Chrome, title: str) -> None:
    """A heading by keyboard: the table scrolls it into view by itself."""
    button = page.find_element(By.XPATH, f"//th/button[.='{title}']")
    page.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)


def test_the_hardest_come_first_and_every_heading_sorts(page, study) -> None:
    assert ids(page) == [c.id for c in sorted(study.clips, key=lambda c: (-c.error, c.id))]
    for title, value in (
        ("Label", lambda clip: clip.label),
        ("Discrimination", lambda clip: clip.discrimination),
    ):
        press(page, title)
        values = {clip.id: float(f"{value(clip):.9g}") for clip in study.clips}
        shown = [values[clip] for clip in ids(page)]
        assert shown == sorted(shown, reverse=True)
    press(page, "Clip")
    assert ids(page)[:3] == ["v7_0", "v7_1", "v8_0"], "numbers inside names count as numbers"


def test_search_and_filters_leave_what_fits_both(page, study) -> None:
    output = page.find_element(By.CSS_SELECTOR, ".filters output")
    everything = f"{len(study.clips)} of {len(study.clips)} shown"
    assert output.text == everything
    choose(page, "Label", "negative")
    negative = {clip.id for clip in study.clips if clip.label < 0}
    assert set(ids(page)) == negative
    assert output.text == f"{len(negative)} of {len(study.clips)} shown"
    choose(page, "A and B", "A is closer")
    nearer = {c.id for c in study.clips if c.pair and c.pair.certain and c.pair.difference < 0}
    assert nearer
    assert set(ids(page)) == negative & nearer
    page.find_element(By.CSS_SELECTOR, ".filters [type=search]").send_keys("no such words")
    assert ids(page) == []
    assert page.find_element(By.CSS_SELECTOR, ".explore .none").is_displayed()
    page.find_element(By.CSS_SELECTOR, ".filters [type=reset]").click()
    page.execute_async_script("setTimeout(arguments[0], 50)")
    assert output.text == everything
    first = study.clips[0].id
    page.find_element(By.CSS_SELECTOR, ".filters [type=search]").send_keys(f"words {first}")
    assert ids(page) == [first]


def test_of_many_clips_the_first_that_fit_show_until_all_are_asked_for(chromium, study) -> None:
    many = [
        dataclasses.replace(clip, id=f"copy{i:02}_{clip.id}", error=clip.error + i)
        for i in range(20)
        for clip in study.clips
    ]
    text = render_html(document([dataclasses.replace(study, clips=tuple(many))], "small"))
    chromium.get("data:text/html;base64," + base64.b64encode(text.encode()).decode())
    output = chromium.find_element(By.CSS_SELECTOR, ".filters output")
    by_error = [clip.id for clip in sorted(many, key=lambda clip: (-clip.error, clip.id))]
    assert (output.text, ids(chromium)) == ("300 of 480 shown", by_error[:300])
    press(chromium, "Error")  # largest first, as they stand
    press(chromium, "Error")
    assert ids(chromium)[0].startswith("copy00")
    assert len(ids(chromium)) == 300
    more = chromium.find_element(By.CSS_SELECTOR, ".more button")
    assert more.text == "Show all 480"
    chromium.execute_script("arguments[0].click()", more)
    assert (output.text, len(ids(chromium))) == ("480 of 480 shown", 480)
    assert not more.is_displayed()


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_never_scrolls_sideways(page, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wide = page.execute_script("return document.documentElement.scrollWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_has_enough_contrast(page, path, theme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    page.get(path.as_uri())
    page.execute_script("document.querySelectorAll('details').forEach((d) => d.open = true)")
    found = page.execute_script(CONTRAST)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(found) > 200
    assert [item for item in found if item[0] < 4.5] == []


def test_it_reads_without_script(chromium, path, study) -> None:
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.get(path.as_uri())
        shown = chromium.find_element(By.CSS_SELECTOR, ".explorer").text
        assert all(clip.id in shown for clip in study.clips)
        assert not chromium.find_element(By.CSS_SELECTOR, ".filters").is_displayed()
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
