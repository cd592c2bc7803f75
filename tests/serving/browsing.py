"""A browser and a server for tests of the page: Debian's Chromium, driven by Playwright, and `cooper serve` on nano."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 120_000  # milliseconds that a wait may take before the test gives up: a machine may be slow

# What a browser finds at fault with names and colours of what is shown.
NAMELESS = """() => {
  const shown = (one) => one.checkVisibility({ visibilityProperty: true });
  const named = (one) => {
    const ids = (one.getAttribute("aria-labelledby") ?? "").split(" ");
    const by = ids.map((id) => document.getElementById(id)?.textContent ?? "");
    const labels = [...(one.labels ?? [])].map((label) => label.textContent);
    const own = one.matches("button, a, summary") ? one.textContent : "";
    return [one.getAttribute("aria-label") ?? "", ...by, ...labels, own].join("").trim();
  };
  const controls = document.querySelectorAll("button, a[href], input, select, textarea, summary, [tabindex='0'], [role=img]");
  return [...controls].filter((one) => shown(one) && !named(one)).map((one) => one.outerHTML.slice(0, 120));
}"""
PALE = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (channels) => {
    const [red, green, blue] = channels.slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const paper = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    const seen = one.checkVisibility({ visibilityProperty: true }) && !one.closest(":disabled, noscript, option");
    if (!walker.currentNode.data.trim() || !seen) continue;
    const style = getComputedStyle(one);
    const [ink, under] = [light(parts(style.color)), light(paper(one))];
    const ratio = (Math.max(ink, under) + 0.05) / (Math.min(ink, under) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push(`${ratio.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 60)}`);
  }
  return faults;
}"""


def found_browser() -> str:
    """The path of a Chromium; skips the test where there is none, or no Playwright."""
    pytest.importorskip("playwright", reason="Playwright is not installed")
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no Chromium on the path (looked for {', '.join(BROWSERS)})")
    return browser


@contextmanager
def chromium() -> Iterator:
    """A running Chromium without a window."""
    path = found_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """The address of `cooper serve` on nano, ready to answer. `options` are those of the command."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cooper", "serve", "--model", "nano", "--port", str(port), *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while not _ready(f"http://127.0.0.1:{port}/ready"):
            assert server.poll() is None, server.stderr.read() if server.stderr else ""
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(address) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def opened_page(browser, address: str, **settings) -> Iterator:
    """A page of the server in a context of its own, with what its console says against it in `page.faults`."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **settings})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
    try:
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.wait_for_selector("#picture-name:not(:empty)")
        yield page
    finally:
        context.close()


def ask(page, question: str, *modes: str) -> None:
    """Ask in these modes, and wait for the end of all answers."""
    begin(page, question, *modes)
    page.wait_for_selector("#stop:disabled")


def begin(page, question: str, *modes: str) -> None:
    """Ask, and return when the cards of the answers are there."""
    page.fill("#question", question)
    for box in page.query_selector_all("input[name=mode]"):
        box.set_checked(box.get_attribute("value") in modes)
    asked = int(page.get_attribute("#answers", "data-asked") or 0)
    page.click("#send")
    page.wait_for_selector(f"#answers[data-asked='{asked + 1}']")
