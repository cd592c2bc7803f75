"""Code blocks of a Markdown page."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of code: its language, its title ("" for none), whether it is slow, and its text."""

    language: str
    title: str
    slow: bool
    text: str


def blocks(page: Path) -> list[Block]:
    """All blocks of a page that name a language, in order."""
    found = []
    for language, words, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        title = re.search(r'title="([^"]*)"', words)
        found.append(Block(language, title[1] if title else "", "slow" in words, text))
    return found
