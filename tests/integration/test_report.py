"""The report of a run, opened in a real browser without a screen, at the width of a laptop and of a phone."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

LAPTOP, PHONE = (1366, 768), (390, 844)
MEGABYTES = 10

pytestmark = pytest.mark.slow

CONTRAST = """
const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const parts = text => text.match(/[\\d.]+/g).map(Number);
const behind = e => {
  for (; e; e = e.parentElement) {
    const c = parts(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c;
  }
  return [255, 255, 255];
};
const faint = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!own || ["SCRIPT", "STYLE"].includes(e.tagName)) continue;
  const a = light(parts(getComputedStyle(e).color)), b = light(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) faint.push([e.tagName, e.className, e.textContent.slice(0, 30), ratio]);
}
return faint;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        why = "no browser here: apt-get install --no-install-recommends chromium chromium-driver"
        if os.environ.get("UNIMONTAGE_BROWSER") == "required":
            pytest.fail(why)
        pytest.skip(why)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(
    browser: webdriver.Chrome, tmp_path_factory: pytest.TempPathFactory, snakemake: Callable, small_run: Callable
) -> Path:
    """The report of a small run, which is made only where there is a browser to open it."""
    folder = tmp_path_factory.mktemp("report")
    config = small_run({"synthetic": True, "subjects": 2, "twin": {"trial_s": 2}})
    config["title"] = "A run <with> & without"
    arms = {name: {"kind": "classical", "pipeline": name} for name in ("de_svm", "band_power")}
    config |= {"recipes": {}, "arms": arms}
    config["within_subject"]["arms"] = list(arms)
    config["within_subject"]["targets"][0]["protocols"] = ["strict_trial", "paper"]
    done = snakemake(folder, config)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "results/small/report.html"


@pytest.fixture(params=[LAPTOP, PHONE], ids=["laptop", "phone"])
def opened(request: pytest.FixtureRequest, browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The browser at the page."""
    width, height = request.param
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": request.param == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(page.as_uri())
    return browser


def test_the_page_is_quiet_light_and_asks_for_nothing(opened: webdriver.Chrome, page: Path) -> None:
    assert opened.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}
    assert page.stat().st_size < MEGABYTES * 1e6


def test_every_figure_is_drawn_and_has_a_caption_and_a_file(opened: webdriver.Chrome, page: Path) -> None:
    drawn = opened.execute_async_script(
        "const done = arguments[0], images = [...document.images]; images.forEach(i => { i.loading = 'eager'; });"
        "Promise.all(images.map(i => i.decode())).then(() => done(images.map(i => [i.naturalWidth, i.alt])))"
    )
    made = sorted(path.relative_to(page.parent).as_posix() for path in page.parent.rglob("*.png"))
    assert len(drawn) == len(made)
    assert all(width > 0 and alt for width, alt in drawn)
    captions = [figure.get_attribute("textContent") for figure in opened.find_elements(By.TAG_NAME, "figcaption")]
    assert all(len(caption) > 100 for caption in captions)
    links = [a.get_attribute("href") for a in opened.find_elements(By.CSS_SELECTOR, "figcaption a")]
    assert sorted(link.removeprefix(f"{page.parent.as_uri()}/") for link in links) == made


def test_every_table_of_the_run_is_there(opened: webdriver.Chrome, page: Path) -> None:
    linked = {a.get_attribute("href") for a in opened.find_elements(By.CSS_SELECTOR, "main a")}
    assert {path.as_uri() for path in (page.parent / "tables").rglob("*.csv")} <= linked


def test_nothing_but_a_table_is_wider_than_the_screen(opened: webdriver.Chrome) -> None:
    assert opened.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    boxes = opened.find_elements(By.CLASS_NAME, "scroll")
    wide = "return arguments[0].map(box => [box.scrollWidth > box.clientWidth, box.tabIndex === 0])"
    assert all(wider == reached for wider, reached in opened.execute_script(wide, boxes)), "by keys too"


def test_a_click_or_a_key_on_a_heading_sorts_its_column(opened: webdriver.Chrome) -> None:
    column = "return [...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]].dataset.key)"
    tables = opened.find_elements(By.TAG_NAME, "table")
    assert len(tables) >= 4
    for table in tables:
        for k, button in enumerate(table.find_elements(By.CSS_SELECTOR, "thead button")):
            opened.execute_script("arguments[0].focus()", button)
            button.send_keys(Keys.ENTER)
            up = opened.execute_script(column, table, k)
            opened.execute_script("arguments[0].click()", button)
            down = opened.execute_script(column, table, k)
            number = "number" in (
                table.find_element(By.CSS_SELECTOR, f"tbody tr > :nth-child({k + 1})").get_attribute("class")
            )
            for keys, reverse in ((up, False), (down, True)):
                known = [float(key) if number else key for key in keys if key]
                assert known == sorted(known, reverse=reverse), button.text
                assert all(keys[: len(known)]), "empty cells are last"
        assert len(table.find_elements(By.CSS_SELECTOR, "[aria-sort=descending]")) == 1


def test_a_filter_shows_only_what_has_its_words(opened: webdriver.Chrome) -> None:
    box = next(b for b in opened.find_elements(By.CSS_SELECTOR, ".filter input") if "figures" in b.accessible_name)
    section = box.find_element(
        By.XPATH, "ancestor::*[contains(concat(' ', @class, ' '), ' figures ')]"
    )  # others have their own
    box.send_keys("CONFUSION paper")
    shown = [f for f in section.find_elements(By.TAG_NAME, "figure") if f.is_displayed()]
    assert [figure.get_attribute("data-words") for figure in shown] == ["Confusion of classes deap, valence, paper"]
    assert "1 of" in section.find_element(By.CSS_SELECTOR, ".filter [role=status]").text
    box.clear()
    box.send_keys(" ")
    assert all(f.is_displayed() for f in section.find_elements(By.TAG_NAME, "figure"))


def test_the_summary_comes_first_and_says_what_was_run(opened: webdriver.Chrome) -> None:
    first = opened.find_element(By.CSS_SELECTOR, "main section")
    said = first.text
    assert said.startswith("Summary")
    for words in (
        "small",
        "SYNTHETIC stand-in",
        "2 subjects",
        "de_svm",
        "Seeds",
        "strict_trial",
        "have no interval",
    ):
        assert words in said
    assert "What leakage is worth" in said
    assert opened.find_element(By.TAG_NAME, "h1").text == "SYNTHETIC data: A run <with> & without"
    whole = opened.find_element(By.TAG_NAME, "main").get_attribute("textContent")
    assert "holdout_groups: 2" in whole, "the configuration"


def test_synthetic_is_said_wherever_one_looks(opened: webdriver.Chrome) -> None:
    assert "SYNTHETIC" in opened.title
    opened.execute_script("scrollTo(0, document.body.scrollHeight / 2)")
    strip = opened.find_element(By.CLASS_NAME, "warning")
    top = opened.execute_script("return arguments[0].getBoundingClientRect().top", strip)
    assert strip.is_displayed()
    assert top == 0, "the strip stays"
    for part in opened.find_elements(By.CSS_SELECTOR, "main > section > h2, figure"):
        assert part.find_elements(By.CLASS_NAME, "stamp"), part.text
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    printed = [strip.is_displayed(), opened.find_element(By.TAG_NAME, "nav").is_displayed()]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert printed == [True, False], "on paper the strip stays and the contents go"


def test_headings_anchors_and_names_are_in_order(opened: webdriver.Chrome) -> None:
    orders = opened.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert orders.count(1) == 1
    assert orders[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(orders))
    ids = opened.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(set(ids)) == len(ids)
    targets = opened.execute_script("return [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))")
    assert targets
    assert set(targets) <= set(ids)
    assert all(box.accessible_name for box in opened.find_elements(By.CSS_SELECTOR, "input, nav, [role=region], svg"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(opened: webdriver.Chrome, scheme: str) -> None:
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    assert opened.execute_script(CONTRAST) == []


def test_the_keyboard_gets_to_the_content_first(opened: webdriver.Chrome) -> None:
    ActionChains(opened).send_keys(Keys.TAB).perform()
    focused = opened.switch_to.active_element
    assert focused.text == "Skip to the content"
    assert focused.rect["x"] >= 0, "it shows itself"
    focused.send_keys(Keys.ENTER)
    assert opened.current_url.endswith("#main")
