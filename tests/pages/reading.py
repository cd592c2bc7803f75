"""Reads a page as a browser would, and says what in it could run or lead away."""

import os
import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

HOSTILE = (
    "\"'><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\"><svg onload=\"document.title='ran'\">"
    "</style></title></table></details><iframe src=\"javascript:parent.document.title='ran'\"></iframe>{{ 7 * 7 }}{% raw %}"
    "<style>main{display:none}</style><base href='https://example.com/'>"
)
HARMLESS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "header",
    "section",
    "div",
    "span",
    "p",
    "h1",
    "h2",
    "small",
}
HARMLESS |= {"figure", "figcaption", "img", "ol", "li", "details", "summary", "table", "thead", "tbody", "tr", "th", "td"}
HARMLESS |= {"a", "input", "label", "svg", "g", "rect", "line", "text"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Elements(HTMLParser):
    """The elements of a page in order, each with its attributes, and what stands between tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def faults_of(page: str) -> list[str]:
    """What a page holds that could run, load or lead out of its folder."""
    read = Elements(page)
    faults = [f"element {tag}" for tag, _ in read.found if tag not in HARMLESS]
    faults += [f"{len(read.of(tag))} elements {tag}" for tag in ("title", "style") if len(read.of(tag)) != 1]
    for tag, attributes in read.found:
        for name, value in attributes.items():
            said = value or ""
            runs = name.startswith("on") or name in ("srcdoc", "action", "formaction", "xlink:href")
            loads = name == "src" and not said.startswith("data:image/")
            leads = name == "href" and (not said.startswith("traces/") or re.search(r":|\\|//|(^|/)\.\.?(/|$)", said))
            styles = name == "style" and not re.fullmatch(r"[a-z-]+: (rgb|linear-gradient|[\d.]+%)[a-z\d(), .%]*", said)
            if runs or loads or leads or styles:
                faults.append(f"{tag} with {name}={said[:60]!r}")
    policy = [each.get("content") for each in read.of("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    if policy != ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]:
        faults.append(f"content security policy {policy}")
    return faults


def loaded(page: Path) -> str:
    """What Chromium makes of a page after its scripts have run; skips the test where there is no Chromium."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no Chromium on the path (looked for {', '.join(BROWSERS)})")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        options += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--virtual-time-budget=2000"]
        command = [browser, *options, f"--user-data-dir={profile}", "--dump-dom", page.resolve().as_uri()]
        ran = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert ran.returncode == 0 and ran.stdout, ran.stderr.decode(errors="replace")
    return ran.stdout.decode("utf-8", "replace")


def title_of(page: str) -> str:
    found = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    return found[1] if found else ""
