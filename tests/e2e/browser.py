"""A headless Chromium, and what it finds wrong with a page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

PATIENCE_S = 180
WIDE, NARROW = (1360, 860), (420, 860)
# axe reads no oklch(), and would call the contrast of every text incomplete, which is no violation.
COLOURS_AS_RGB = """
const root = document.documentElement;
root.removeAttribute("style");
const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
const declared = rules.flatMap((rule) => [...rule.style || []]);
const names = new Set(declared.filter((name) => name.startsWith("--")));
const colours = [...names].map((name) => [name, getComputedStyle(root).getPropertyValue(name)]);
for (const [name, colour] of colours) {
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  root.style.setProperty(name, `rgb(${pen.getImageData(0, 0, 1, 1).data.slice(0, 3).join(", ")})`);
}
"""


@dataclass(frozen=True)
class Page:
    """What the browser shows: the document of the frame that was entered, if one was."""

    driver: Any
    url: str

    def open(self, path: str) -> None:
        self.driver.switch_to.default_content()
        self.driver.get(self.url + path)

    def enter_frame(self) -> None:
        """Look into the frame that Airflow shows our pages in."""
        self.driver.switch_to.default_content()
        self.driver.switch_to.frame(self.find("iframe"))

    def find(self, selector: str, text: str = "") -> Any:
        """Wait for a visible element with a text."""
        from selenium.webdriver.common.by import By

        def fitting(driver: Any) -> Any:
            shown = [one for one in driver.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()]
            return next((one for one in shown if text in one.text), None)

        return self.until(fitting, f"{selector} {text!r}")

    def until(self, there: Any, what: str) -> Any:
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        waiting = WebDriverWait(self.driver, PATIENCE_S, ignored_exceptions=[StaleElementReferenceException])
        return waiting.until(there, f"not found: {what}")

    def unreachable(self) -> list[str]:
        """List what axe finds that would keep somebody from using the page."""
        from axe_core_python.selenium import Axe

        self.driver.execute_script(COLOURS_AS_RGB)
        found = Axe().run(self.driver)["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]

    def unreachable_by_theme(self) -> dict[str, list[str]]:
        """List the same in Airflow's light and dark mode; leave the page in its light one."""
        return {theme: self._in_theme(theme) for theme in ("dark", "light")}

    def _in_theme(self, theme: str) -> list[str]:
        # As Airflow's own switch does it, which our pages follow.
        self.driver.execute_script("window.parent.document.documentElement.dataset.theme = arguments[0]", theme)
        own = "return document.documentElement.dataset.theme"
        self.until(lambda driver: driver.execute_script(own) == theme, f"the theme {theme}")
        return self.unreachable()

    def picture(self, path: Any, size: tuple[int, int] = WIDE) -> None:
        self.driver.switch_to.default_content()
        self.driver.set_window_size(*size)
        self.driver.save_screenshot(str(path))


@contextmanager
def browser(url: str, token: str | None = None) -> Iterator[Page]:
    """Open a browser, of somebody or of nobody yet; skip the test where there is none."""
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        pytest.skip("no chromium with its chromedriver is installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = chromium
    width, height = WIDE
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},{height}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    try:
        driver.set_page_load_timeout(PATIENCE_S)
        if token is not None:
            driver.get(f"{url}/understudy/static/models.svg")
            driver.add_cookie({"name": "_token", "value": token, "path": "/"})
        yield Page(driver, url)
    finally:
        driver.quit()
