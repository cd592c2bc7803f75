"""The house rules that a script can check: who imports whom, file and function sizes, forbidden calls."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "cooper"
BELOW_TRAINING = {"perception", "trace", "sequence", "model", "reasoning", "data", "scenes", "evaluation", "curation"}
MAY_IMPORT: dict[str, set[str]] = {
    "files": set(),
    "perception": set(),
    "trace": {"perception"},
    "sequence": {"trace"},
    "model": {"sequence", "perception"},  # a configuration names maps, and only perception knows which there are
    "reasoning": {"model", "sequence", "trace", "perception"},
    "data": {"trace", "perception"},
    "scenes": {"data", "sequence", "trace", "perception"},
    "evaluation": {"reasoning", "scenes", "data", "trace", "perception"},
    "curation": {"evaluation", "reasoning", "scenes", "data", "trace", "perception"},
    "training": BELOW_TRAINING,
    "serving": {"reasoning", "trace", "perception"},
    "cli": BELOW_TRAINING | {"training", "serving"},
}
ANYWHERE = {"errors", "files"}  # the one exception type; readers of plain values, rows and pictures
FORBIDDEN_CALLS = {"eval", "exec"}
FILES = sorted(SOURCE.rglob("*.py"))


def area_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else "__init__"


def imported_areas(tree: ast.AST) -> list[tuple[str, int]]:
    """Areas of `cooper` that a file imports, those inside functions included, with line numbers."""
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            names = [node.module or ""]
            names += [f"cooper.{alias.name}" for alias in node.names] if node.module == "cooper" else []
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found += [(name.split(".")[1], node.lineno) for name in names if name.startswith("cooper.")]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_flow_one_way(file):
    area = area_of(file)
    if area == "__init__":
        return
    allowed = MAY_IMPORT[area] | {area} | ANYWHERE
    for imported, line in imported_areas(ast.parse(file.read_text())):
        assert imported in allowed, f"{file.relative_to(SOURCE)}:{line}: {area} may not import {imported}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_files_and_functions_are_small(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 300, f"{file.name} has over 300 lines: split it by noun"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{file.name}:{node.lineno}: {node.name} has {length} lines"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_nothing_forbidden(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{file.name}:{node.lineno}: a bare except hides faults"
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            assert name not in FORBIDDEN_CALLS, f"{file.name}:{node.lineno}: {name}() is forbidden"
            for keyword in node.keywords:
                off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                loose = keyword.arg == "strict" and off and name != "zip"
                assert not loose, f"{file.name}:{node.lineno}: strict=False hides missing weights"


def test_the_command_line_starts_without_templates():
    code = "import sys, cooper, cooper.cli.main, cooper.trace.page; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, "jinja2 is loaded before a page is made"


@pytest.mark.parametrize("module", ["cooper", "cooper.perception", "cooper.trace.trace", "cooper.cli.main"])
def test_light_modules_load_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, f"{module} imports torch"
