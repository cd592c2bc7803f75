"""What the repository says of itself: citation, model card, notice and package metadata agree."""

import json
import re
import tomllib
from importlib.metadata import version

import yaml

from tests.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NANO = ROOT / "src" / "cooper" / "assets" / "nano"


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["title"], cited["version"], cited["license"]) == ("COOPER", PROJECT["version"], PROJECT["license"])
    assert cited["authors"] and cited["version"] == version("cooper")


def test_the_model_card_has_the_front_matter_of_the_hub():
    _, front, text = (NANO / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    said = yaml.safe_load(front)
    assert said["license"] == PROJECT["license"].lower() and said["pipeline_tag"] == "visual-question-answering"
    classes = json.loads((NANO / "config.json").read_text(encoding="utf-8"))["modalities"]["segmentation"]["names"]
    assert f"segmentation into {len(classes)} classes" in text and "## Limits" in text


def test_figures_of_the_bundled_model_are_the_same_everywhere():
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    figures = set(re.findall(r"\d+\.\d+ \[[\d., ]+\]", (NANO / "README.md").read_text(encoding="utf-8")))
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace(" % [", " [")
    assert len(figures) >= 5
    assert all(figure in results and figure in readme for figure in figures)


def test_the_notice_names_every_dependency():
    notice = re.sub(r"[_-]", "-", (ROOT / "NOTICE").read_text(encoding="utf-8").lower())
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(name for extra in ("train", "scenes", "judge", "docs") for name in extras[extra])]
    for requirement in wanted:
        name = re.split(r"[<>=\[ ]", requirement)[0].lower().replace("_", "-")
        assert name in notice, f"NOTICE does not name {name}"
