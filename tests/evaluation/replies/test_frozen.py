"""What was read rightly before the reader became a grammar is read the same from then on.

`frozen.jsonl`: its first line holds the sets of options; each other line is `[kind, place of the options, reply, value]`
for a choice and `[kind, reply, value]` else. Each value was put down with the sentence, before any reader saw it.
"""

import json
from pathlib import Path

import pytest

from cooper.evaluation.replies.answers import read_choice, read_number, read_yes_no

FILE = Path(__file__).with_name("frozen.jsonl")


def lines():
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def read(kind, choices, reply):
    if kind == "choice":
        return read_choice(reply, choices)
    return read_yes_no(reply) if kind == "yes_no" else read_number(reply, lengths=kind == "length")


def agrees(right, found):
    return found == (pytest.approx(right, rel=1e-9) if isinstance(right, float) else right)


def test_nothing_that_was_right_is_lost():
    first, *rest = lines()
    rows = [(kind, first["choices"][more[0]] if kind == "choice" else (), *more[-2:]) for kind, *more in rest]
    assert len(rows) > 3000
    lost = [(kind, reply, right) for kind, choices, reply, right in rows if not agrees(right, read(kind, choices, reply))]
    assert not lost
