"""Who sits before the browser, and what they press."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.airflow_site import Site
from tests.e2e.browser import Page, browser
from understudy.embedded.passwords import ADMIN

ONCALL, VISITOR = "olga", "vera"
PASSWORDS = {ADMIN: "the-admins", ONCALL: "the-oncalls", VISITOR: "the-visitors"}
USERS = f"{ADMIN}:admin,{ONCALL}:user,{VISITOR}:viewer"


@contextmanager
def somebody(site: Site, user: str) -> Iterator[Page]:
    """Open a browser in which somebody is logged in."""
    with browser(site.api.url, site.token(user, PASSWORDS[user])) as page:
        yield page


def log_in(page: Page, user: str, password: str) -> None:
    """Log in by Airflow's form, as a stranger to whom the address was sent is asked to."""
    page.open("/plugin/models")
    page.find("input[name=username]").send_keys(user)
    page.find("input[name=password]").send_keys(f"{password}\n")
    # Airflow's address, which goes on to name the page within as soon as that is there.
    page.until(lambda driver: urlsplit(driver.current_url).path.startswith("/plugin/models"), "the page asked for")


def open_page(page: Page, path: str = "") -> None:
    """Open a page of ours in Airflow: the fleet, or what is below it."""
    page.open(f"/plugin/models/{path}")
    page.enter_frame()
    page.find("h1")


def open_model(page: Page, model: str) -> None:
    open_page(page, f"understudy/models/{model}")
    page.find("h1", model)


def begin(page: Page, name: str, reason: str) -> None:
    """Press one action of the page, and say why."""
    page.find(".actions button", name).click()
    page.find("#act-reason").send_keys(reason)


def press(page: Page, name: str, reason: str, *, would: str, told: str) -> None:
    """Do one action of the page: a reason, a dry run, the press, the answer."""
    begin(page, name, reason)
    page.find("#act-dry").click()
    page.find("#act-answer .notice", would)
    page.find("#act-do").click()
    page.find("#act-answer .notice", told)
    page.find("#act-close").click()
    page.find("h1")


def answer(page: Page, option: str, reason: str, told: str, tone: str = "", *, would: str = "") -> None:
    """Answer a question of the model that is shown, after a dry run."""
    page.find("section.notice button", option).click()
    page.find("#act-dry").click()
    page.find("#act-answer .notice", f"This would happen: {would}")
    page.find("#act-do").click()
    page.find("#act-answer", "Say in a sentence why")
    page.find("#act-reason").send_keys(reason)
    page.find("#act-do").click()
    page.find(f"#act-answer .notice{tone}", told)
    page.find("#act-close").click()


def read_report(page: Page, link: Any, model: str, picture: Path) -> None:
    """Follow a link to a report into the window that it opens, and come back."""
    driver, own = page.driver, page.driver.current_window_handle
    link.click()
    page.until(lambda driver: len(driver.window_handles) == 2, "the report's window")
    driver.switch_to.window(next(window for window in driver.window_handles if window != own))
    page.find("h1", model)
    driver.save_screenshot(str(picture))
    driver.close()
    driver.switch_to.window(own)
