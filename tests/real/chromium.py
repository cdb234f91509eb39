"""Headless Chromium under a test's control."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from ..conftest import require

BROWSER: Final = shutil.which("chromium")
DRIVER: Final = shutil.which("chromedriver")
# Seconds until what should be seen is missed.
PATIENCE: Final = 20

_FLAGS: Final = (
    "--headless=new",
    # The tests may run as root, where Chromium has no sandbox.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser(profile: Path) -> Iterator[Chrome]:
    """Run a browser with a profile of its own. At its end no page has complained."""
    require(BROWSER and DRIVER, "needs chromium and chromedriver")
    assert BROWSER is not None
    options = ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    # Else it opens connections that it may never use.
    options.add_experimental_option("prefs", {"net.network_prediction_options": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options, ChromeService(DRIVER))
    try:
        yield chrome
        complaints = [entry["message"] for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]
        assert [] == complaints
    finally:
        chrome.quit()


def wait_until_shown(chrome: Chrome, selector: str, text: str) -> None:
    """Wait until some element of this kind shows the text."""

    def is_shown(chrome: Chrome) -> bool:
        return any(text in element.text for element in chrome.find_elements(By.CSS_SELECTOR, selector))

    WebDriverWait(chrome, PATIENCE, 0.05).until(is_shown, f"{text!r} in {selector}")


def enter(chrome: Chrome, url: str, name: str, room: str, token: str = "") -> str:
    """Open the chat page in a new tab and enter a room; return the tab's handle."""
    chrome.switch_to.new_window("tab")
    chrome.get(url)
    if token:
        chrome.find_element(By.CSS_SELECTOR, "#entrance summary").click()
        chrome.find_element(By.ID, "token").send_keys(token)
    for field, value in (("name", name), ("room", room)):
        element = chrome.find_element(By.ID, field)
        element.clear()
        element.send_keys(value)
    chrome.find_element(By.CSS_SELECTOR, "#entrance button").click()
    wait_until_shown(chrome, "#messages .note", "You are in the room")
    return str(chrome.current_window_handle)


def say(chrome: Chrome, text: str) -> None:
    """Write a message in the current tab."""
    chrome.find_element(By.ID, "text").send_keys(text)
    chrome.find_element(By.CSS_SELECTOR, "#compose button").click()
