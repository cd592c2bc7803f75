"""Replies with the value that a careful reader finds in them, written down with the sentence before any rule saw it.

`frozen.jsonl`: what was read rightly before the reader became a grammar, which must not be lost. `kinds.jsonl`: kinds of
replies that models write. The first line of a file holds its sets of options; the others are `[kind, reply, value]`, for a
choice with the place of its options before the reply, and in `kinds.jsonl` with the kind's name in front.
"""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from cooper.evaluation.replies import RULES_VERSION
from cooper.evaluation.replies.answers import read_choice, read_number, read_yes_no

FOLDER = Path(__file__).parent
Row = tuple[str, str, list[str], str, object]  # name of the kind, kind, options, reply, right value


def rows(name: str) -> list[Row]:
    first, *rest = [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]
    named = [line if name == "kinds.jsonl" else ["frozen", *line] for line in rest]
    return [(group, kind, first["choices"][more[0]] if kind == "choice" else [], *more[-2:]) for group, kind, *more in named]


OTHERS = ("choice", "yes_no", "bare", "length")  # also what a reader makes of a reply that is not for it
FROZEN, KINDS = rows("frozen.jsonl"), rows("kinds.jsonl")


def read(row: Row) -> object:
    _, kind, choices, reply, _ = row
    if kind == "choice":
        return read_choice(reply, choices)
    return read_yes_no(reply) if kind == "yes_no" else read_number(reply, lengths=kind == "length")


def agrees(right: object, found: object) -> bool:
    return found == (pytest.approx(right, rel=1e-9) if isinstance(right, float) else right)


def test_nothing_that_was_right_is_lost():
    assert len(FROZEN) > 4000
    assert [row for row in FROZEN if not agrees(row[-1], read(row))] == []


@pytest.mark.parametrize("group", sorted({row[0] for row in KINDS}))
def test_kinds_of_replies(group):
    of_kind = [row for row in KINDS if row[0] == group]
    assert [(*row, read(row)) for row in of_kind if not agrees(row[-1], read(row))] == []


def test_other_readings_need_another_version():
    """Runs store the version, so that they can be scored again when the rules read something else."""
    found = [read(row) for row in FROZEN + KINDS] + [
        read(("", kind, ["1", "2"], row[3], "")) for row in KINDS[::3] for kind in OTHERS
    ]
    spelled = [f"{value:.9g}" if isinstance(value, float) else str(value) for value in found]
    digest = sha256("\n".join(spelled).encode()).hexdigest()
    recorded = json.loads((FOLDER / "versions.json").read_text())
    assert recorded.get(str(RULES_VERSION)) == digest, (
        f"the rules read something else: raise RULES_VERSION to {RULES_VERSION + 1} and record {digest} in versions.json"
    )


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("to the left", "A"),
        ("In front of.", "D"),
        ("behind", "C"),
        ("the sofa", ""),
        ("of", ""),
        ("not behind", ""),
        ("left or right", ""),
    ],
)
def test_a_few_words_may_begin_one_option(reply, wanted):
    places = ("to the left of the sofa", "to the right of the sofa", "behind the sofa", "in front of the sofa")
    assert read_choice(reply, places) == wanted


def test_a_tolerance_may_follow_or_so():
    assert read_number("0.9 m or so, give or take 10 cm") == pytest.approx(0.9)
