"""No text of a chart meets another text, a bar or an interval, at the width of a phone and at that of a desk."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from cooper.evaluation.figures.statistics import Estimate
from cooper.evaluation.report.charts import BarGroup, bar_chart, share_chart
from cooper.evaluation.report.report import html_page
from tests.pages.reading import loaded, title_of

NONE = Estimate(float("nan"), low=float("nan"), high=float("nan"), rows=0)
GROUPS = (
    BarGroup(
        "all rows",
        (
            Estimate(0.72, low=0.66, high=0.78, rows=200),
            Estimate(1.0, low=0.95, high=1.0, rows=200),
            Estimate(0.0, low=0.0, high=0.04, rows=200),
        ),
    ),
    BarGroup(
        "a category with a long name, jpqgy " * 3,
        (Estimate(0.5, low=0.0, high=1.0, rows=9), NONE, Estimate(0.97, low=0.1, high=1.0, rows=9)),
    ),
    BarGroup(
        "last",
        (
            Estimate(1.0, low=1.0, high=1.0, rows=1),
            Estimate(0.0, low=0.0, high=0.99, rows=9),
            Estimate(0.999, low=0.5, high=1.0, rows=9),
        ),
    ),
)
CHARTS = {
    "bars": bar_chart(("interleaved", "text", "direct"), GROUPS),
    "shares": share_chart([("left_right", [1.0, 0.0]), ("rooms", [0.5, 0.999])], ("depth", "segmentation")),
}
# what a browser measures: pairs of texts that meet, texts that meet a drawn thing, and texts that leave the chart
MEASURE = """<script>
const boxes = [...document.querySelectorAll("svg text")].map(each => [each.textContent, each.getBoundingClientRect()]);
const drawn = [...document.querySelectorAll("svg rect, svg line")].filter(each => !each.hasAttribute("opacity"));
const frame = document.querySelector("svg").getBoundingClientRect();
const meet = (a, b, play) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > play
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > play;
const faults = [];
boxes.forEach(([text, box], place) => {
  if (box.right > frame.right + 0.5 || box.left < frame.left - 0.5) faults.push("out of the chart: " + text);
  for (const [other, another] of boxes.slice(place + 1)) if (meet(box, another, 0.6)) faults.push(text + " meets " + other);
  for (const each of drawn) if (meet(box, each.getBoundingClientRect(), 3.2)) faults.push("a bar meets " + text);
});
document.title = boxes.length + " texts, faults: " + faults.join("; ");
</script>"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [328, 1152])  # of the chart on a phone of 360 px, and its greatest on a desk
@pytest.mark.parametrize("name", CHARTS)
def test_no_text_of_a_chart_meets_another(tmp_path: Path, name: str, width: int):
    page = tmp_path / "chart.html"
    style = f"svg {{ display: block; width: {width}px }}"
    page.write_text(f"<!doctype html><title>-</title><style>{style}</style>{CHARTS[name]}{MEASURE}", encoding="utf-8")
    count = len(texts(CHARTS[name]))
    assert title_of(loaded(page)) == f"{count} texts, faults: "


def texts(chart: str) -> list[ElementTree.Element]:
    return [each for each in ElementTree.fromstring(chart).iter() if each.tag.endswith("text")]


@pytest.mark.parametrize("name", CHARTS)
def test_values_stand_in_one_column_right_of_all_bars(name: str):
    chart = ElementTree.fromstring(CHARTS[name])
    values = [each for each in texts(CHARTS[name]) if each.get("text-anchor") == "end"]
    assert len({each.get("x") for each in values}) == 1 and len(values) == {"bars": 8, "shares": 4}[name]
    widths = [each.get("width", "") for each in chart.iter() if each.tag.endswith("rect")]
    longest = max(float(width.removesuffix("%")) for width in widths if width.endswith("%"))
    narrow = 328 * (100 - longest) / 100  # px beside the longest bar on a phone
    assert values[0].get("x") == "100%" and all(6.7 * len(each.text or "") + 2 < narrow for each in values)


def test_a_page_with_charts_follows_the_colours_of_its_reader():
    page = html_page("t", {}, [], [])
    assert "prefers-color-scheme: dark" in page and all("currentColor" in chart for chart in CHARTS.values())
