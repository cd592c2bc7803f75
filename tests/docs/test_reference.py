"""The generated pages of docs/reference are those that the code gives today."""

import importlib.util
import sys

import pytest

from tests.docs.pages import ROOT

SPEC = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
assert SPEC is not None and SPEC.loader is not None
reference = sys.modules["reference"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(reference)


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_page_is_what_the_code_gives(name):
    stale = f"docs/reference/{name} is stale: run `make docs-reference`"
    assert (reference.FOLDER / name).read_text(encoding="utf-8") == reference.PAGES[name](), stale


def test_every_option_has_a_help_text():
    rows = [line for line in reference.command_line().splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert not [row for row in rows if row.endswith("|  |")]
