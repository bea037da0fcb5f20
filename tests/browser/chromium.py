"""Chromium, and what a page looks like in it: violations of the policy, accessibility, overflow and screenshots."""

from __future__ import annotations

import base64
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from example_project.server_process import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
DRIVER = Path(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
AXE = ROOT / ".cache/npm/node_modules/axe-core/axe.min.js"
SCREENSHOTS = ROOT / ".cache/screenshots"
# It bounds how long a page or an element is waited for, and expects nothing of the machine's speed.
PATIENCE_SECONDS = 60
_MOST_PRESSES = 200
_HIGHEST_PICTURE = 4000
_BOX = """
window.scrollTo(0, 0);
const {x, y, width, height} = arguments[0].getBoundingClientRect();
return {x, y, width, height: Math.max(height, arguments[0].scrollHeight)};
"""
# The first frame starts the transitions.
_WHEN_SETTLED = """
const done = arguments[0];
const settle = () => Promise.allSettled(document.getAnimations().map(each => each.finished)).then(() => done());
requestAnimationFrame(() => requestAnimationFrame(settle));
"""
# Django's autocomplete fields have a coloured border in place of the outline.
_HIDDEN_FOCUS = """
const element = document.activeElement;
const style = getComputedStyle(element);
const isShown = style.outlineStyle != "none" || style.boxShadow != "none";
const isDjangos = element == document.body || element.closest(".select2-container--focus");
return isShown || isDjangos ? null : element.outerHTML.slice(0, 200);
"""


class Look(NamedTuple):
    """The width of the window in CSS pixels, and the colour scheme that the user prefers."""

    width: int
    scheme: str

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}"


WIDE, NARROW = 1280, 400
# Each width and each scheme once: a layout depends on the width, and colours on the scheme.
LOOKS = (Look(WIDE, "light"), Look(NARROW, "dark"))


class Chromium:
    """One window. Elements are waited for, and what does not come fails with its name."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self._complaints: list[str] = []

    def open(self, address: str) -> None:
        self.driver.get(address)

    def look(self, look: Look) -> None:
        metrics = {"width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": look.scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        # Otherwise the colours that are measured are those of a transition from the former scheme.
        self.driver.execute_cdp_cmd("Animation.setPlaybackRate", {"playbackRate": 1_000_000})
        self.driver.execute_async_script(_WHEN_SETTLED)

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until the condition returns something true, and return it.

        Raises:
            AssertionError: it did not; the message has the page's address and text.
        """
        wait = WebDriverWait(self.driver, PATIENCE_SECONDS, 0.05, [StaleElementReferenceException])
        try:
            return wait.until(lambda _driver: condition())
        except TimeoutException:
            raise AssertionError(f"not {what} on {self.driver.current_url}:\n{self.text}") from None

    def find(self, selector: str) -> WebElement:
        """Return the first element of a CSS selector."""
        return self.wait_until(lambda: self._all(selector), f"found: {selector}")[0]

    def _all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self._click(self.find(selector))

    def follow(self, text: str) -> None:
        """Click the link with this text, and wait until another page is there."""
        self._leave(f"//a[normalize-space(.)='{text}']", text)

    def press(self, text: str) -> None:
        """Click the button with this text, and wait until another page is there."""
        self._leave(f"//*[(self::button and normalize-space(.)='{text}') or (self::input and @value='{text}')]", text)

    def _leave(self, path: str, text: str) -> None:
        found = self.wait_until(lambda: self.driver.find_elements(By.XPATH, path), f"found: {text}")
        with self.another_page():
            self._click(found[0])

    def _click(self, element: WebElement) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    @contextmanager
    def another_page(self) -> Iterator[None]:
        """Wait until what the block does has replaced the page, and the new one is loaded."""
        self.driver.execute_script("window.isFormerPage = true")
        yield
        loaded = "return !window.isFormerPage && document.readyState == 'complete'"
        self.wait_until(lambda: self._script(loaded), "left")

    def _script(self, script: str) -> Any:
        try:
            return self.driver.execute_script(script)
        except WebDriverException:  # The page is being replaced.
            return None

    def fill(self, **values: str) -> None:
        """Enter values in fields by their names. A select field takes the value of an option."""
        for name, value in values.items():
            field = self.find(f'[name="{name}"]')
            if field.tag_name == "select":
                field.find_element(By.CSS_SELECTOR, f'option[value="{value}"]').click()
            else:
                field.clear()
                field.send_keys(value)

    def choose(self, name: str, text: str) -> None:
        """Choose the first result of a search in an autocomplete field."""
        self.click(f'[name="{name}"] + .select2 .select2-selection')
        self.search(text)

    def search(self, text: str) -> None:
        """Type in the search box that has the focus, and choose the first result, by keyboard alone."""
        self.type(text)
        # The results of the empty search that opened the list can hold the text too, until others replace them.
        self.wait_until(lambda: not self._all(".select2-results .loading-results"), f"searched: {text}")
        self.wait_until(lambda: text in self.find(".select2-results__option--highlighted").text, f"found: {text}")
        self.type(Keys.ENTER)
        rendered = ".select2-selection__rendered"
        self.wait_until(lambda: any(text in each.text for each in self._all(rendered)), f"chosen: {text}")

    def type(self, keys: str) -> None:
        """Send keys to the element that has the focus."""
        self.driver.switch_to.active_element.send_keys(keys)

    def tab_to(self, name: str) -> None:
        """Press the tab key until the element with this name, label or text has the focus.

        Raises:
            AssertionError: it cannot be reached, or an element on the way does not show that it has the focus.
        """
        for _ in range(_MOST_PRESSES):
            element = self.driver.switch_to.active_element
            if name in {element.get_attribute("name"), element.get_attribute("value"), element.text}:
                return
            if name == element.accessible_name:
                return
            element.send_keys(Keys.TAB)
            hidden = self.driver.execute_script(_HIDDEN_FOCUS)
            assert hidden is None, f"no visible focus: {hidden}"
        raise AssertionError(f"{name} cannot be reached by keyboard on {self.driver.current_url}")

    @property
    def text(self) -> str:
        return self.find("body").text

    def wait_for_text(self, text: str) -> None:
        self.wait_until(lambda: text in self.text, f"found: {text}")

    @property
    def path(self) -> str:
        return urlsplit(self.driver.current_url).path

    def complaints(self) -> list[str]:
        """Return what the policy refused, and the errors of scripts, on all pages since the last call."""
        self._collect()
        complaints, self._complaints = self._complaints, []
        return complaints

    def _collect(self) -> None:
        # A form with errors is an error of the network to the console.
        entries = (entry for entry in self.driver.get_log("browser") if entry["source"] != "network")
        self._complaints += [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def accessibility(self) -> dict[str, list[str]]:
        """Return the elements that break each rule of axe-core."""
        self._collect()
        if not self.driver.execute_script("return 'axe' in window"):
            self.driver.execute_script(AXE.read_text())
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run(document, {resultTypes: ['violations']})"
            ".then(found => done(found.violations), error => done(String(error)));"
        )
        assert isinstance(found, list), found
        self.driver.get_log("browser")  # The policy refuses styles that axe-core adds.
        return {rule["id"]: [" ".join(map(str, node["target"])) for node in rule["nodes"]] for rule in found}

    def overflowing(self) -> list[str]:
        """Return the elements that make the page wider than the window."""
        return self.driver.execute_script(
            "const width = document.documentElement.clientWidth;"
            "if (document.documentElement.scrollWidth <= width) return [];"
            "return [...document.querySelectorAll('body *')]"
            ".filter(element => element.getBoundingClientRect().right > width + 1)"
            ".map(element => element.outerHTML.slice(0, 120)).slice(0, 8);"
        )

    def screenshot(self, name: str) -> None:
        """Store a picture of the whole page."""
        self._capture(name, "html")

    def picture(self, name: str, selector: str = "#content") -> None:
        """Store a picture for the documentation: of the page's content, without navigation, or of a part of it."""
        self._capture(f"docs/{name}", selector)

    def _capture(self, name: str, selector: str) -> None:
        path = SCREENSHOTS / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        box = self.driver.execute_script(_BOX, self.find(selector))
        clip = {**box, "height": min(box["height"], _HIGHEST_PICTURE), "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Run Chromium with one window until the block ends."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en-US", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        driver.set_script_timeout(PATIENCE_SECONDS)
        driver.set_page_load_timeout(PATIENCE_SECONDS)
        driver.execute_cdp_cmd("Animation.enable", {})
        yield Chromium(driver)
    finally:
        driver.quit()
