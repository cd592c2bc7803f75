"""The rows of a run as a table that a browser can filter, wrong ones first, each with a link to its trace."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from cooper.evaluation.kept import PAGE, trace_folder
from cooper.evaluation.runner import AnswerRow

HEAD = ("row", "mode", "category", "truth", "reply", "", "maps")
VERDICTS = ("wrong", "not scored", "right")  # the order of the table
LONGEST = 160  # characters of a reply; the trace holds the rest
STYLE = (
    "#rows td{text-align:left;vertical-align:top;overflow-wrap:anywhere;min-width:4em}#rows .wrong{background:#fdeeee}"
    "#rows .off{display:none}"
)
SCRIPT = """
const words = document.getElementById("words"), verdict = document.getElementById("verdict");
const lines = [...document.querySelectorAll("#rows tbody tr")];
function choose() {
  const wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const line of lines) {
    const text = line.textContent.toLowerCase();
    const on = (!verdict.value || line.dataset.verdict === verdict.value) && wanted.every(word => text.includes(word));
    line.classList.toggle("off", !on);
    shown += on;
  }
  document.getElementById("shown").textContent = shown + " of " + lines.length;
}
words.oninput = verdict.onchange = choose;
"""


def row_table(rows: Sequence[AnswerRow], out: Path) -> str:
    """Every row of a run as HTML, "" without rows. The page must lie in `out`; a row whose trace was not kept has no link."""
    if not rows:
        return ""
    ordered = sorted(rows, key=lambda row: VERDICTS.index(verdict_of(row)))
    body = "".join(_line(row, out) for row in ordered)
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    choices = "".join(f"<option>{name}</option>" for name in VERDICTS)
    count = f"{len(rows)} of {len(rows)}"
    return (
        f'<style>{STYLE}</style><h2>Rows</h2><p><input id="words" placeholder="words that a row must hold"> '
        f'<select id="verdict"><option value="">all</option>{choices}</select> <span id="shown">{count}</span></p>'
        f'<table id="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><script>{SCRIPT}</script>'
    )


def verdict_of(row: AnswerRow) -> str:
    """One of `VERDICTS`."""
    if row.unscored:
        return "not scored"
    return "right" if row.correct else "wrong"


def _line(row: AnswerRow, out: Path) -> str:
    page, verdict = trace_folder(out, row.mode, row.id) / PAGE, verdict_of(row)
    name = escape(row.id)
    if page.is_file():
        name = f'<a href="{escape(quote(page.relative_to(out).as_posix()))}">{name}</a>'
    reply = row.reply if len(row.reply) <= LONGEST else row.reply[:LONGEST] + "…"
    cells = [name, *map(escape, (row.mode, row.category, row.truth, reply, verdict, ", ".join(row.maps)))]
    return (
        f'<tr class="{verdict.split()[-1]}" data-verdict="{verdict}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    )
