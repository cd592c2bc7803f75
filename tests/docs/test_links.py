"""Every relative link of the documents leads to a file, and every anchor to a heading; no page of the site is left out."""

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT

DOCS = sorted((ROOT / "docs").rglob("*.md"))
OTHERS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "src/cooper/assets/nano/README.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
OUTSIDE = ("http://", "https://", "mailto:")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", heading.strip().lower())
        found.add(re.sub(r"[-\s]+", "-", words).strip("-"))
    return found


@pytest.mark.parametrize("page", [*DOCS, *OTHERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(OUTSIDE):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.relative_to(ROOT)} links to {link}, which is not there"
        assert target.is_relative_to(ROOT)
        if ROOT / "docs" in page.parents:
            assert target.is_relative_to(ROOT / "docs"), f"{page.relative_to(ROOT)}: {link} is no part of the site"
        if anchor:
            assert anchor in anchors(target), f"{page.relative_to(ROOT)} links to {link}, and there is no such heading"


def test_every_page_is_in_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = re.findall(r"[\w/-]+\.md", yaml.safe_dump(nav))
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in DOCS)
