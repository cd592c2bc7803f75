"""MMBench tables: pictures shared by index, hints, rotations in the table and made here."""

import pytest

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import LETTER
from cooper.evaluation.benchmarks.mmbench import DEV, MINI, read_mmbench, rotated
from cooper.evaluation.runs.answering import score_reply


@pytest.fixture
def row(base64_picture):
    def build(index, image=None, **changes):
        base = {"index": index, "question": "What is it?", "hint": "", "A": "cube", "B": "ball", "C": "cone", "D": "nan"}
        more = {"answer": "B", "category": "image_scene", "l2-category": "coarse", "split": "dev"}
        return {**base, **more, "image": base64_picture(index % 200) if image is None else image, **changes}

    return build


def test_a_table_of_main_rows_is_rotated_here(tmp_path, write_table, row):
    path = write_table(tmp_path / f"{MINI}.tsv", [row(241, hint="It is dark."), row(242, C="")])
    found = read_mmbench(tmp_path)
    assert found.name == "mmbench-v11-mini" and found.notes == ("mmbench-v11-mini: 2 questions, 108 were published",)
    assert [item.id for item in found.items][:3] == ["mmbench-241", "mmbench-1000241", "mmbench-2000241"]
    assert [item.choices for item in found.items[:3]] == [
        ("cube", "ball", "cone"),
        ("ball", "cone", "cube"),
        ("cone", "cube", "ball"),
    ]
    assert [item.truth for item in found.items] == ["ball"] * 5
    assert [item.bundle for item in found.items] == ["question-241"] * 3 + ["question-242"] * 2
    assert found.items[1].question.text == f"It is dark.\nWhat is it?\nA. ball\nB. cone\nC. cube\n{LETTER}"
    assert [score_reply(item, "A").correct for item in found.items] == [False, True, False, False, True]
    plain = read_mmbench(path, circular=False)
    assert [item.id for item in plain.items] == ["mmbench-241", "mmbench-242"] and plain.items[0].bundle == ""


def test_rotations_of_the_table_share_its_picture(tmp_path, write_table, row, red):
    turned = row(1_000_007, image="7", A="ball", B="cube", C="", answer="A")
    found = read_mmbench(write_table(tmp_path / "t.tsv", [row(7, C=""), turned, row(8, image="7")]), "t")
    assert [item.id for item in found.items] == [
        "mmbench-7",
        "mmbench-1000007",
        "mmbench-8",
        "mmbench-1000008",
        "mmbench-2000008",
    ]
    assert [red(item) for item in found.items] == [[7]] * 5
    first, second = (item.question.parts[0] for item in found.items[:2])
    assert first is second


def test_options_that_are_letters_or_alike_keep_their_place(tmp_path, write_table, row):
    letters = row(1, question="Which point?", A="D", B="A", C="B", D="C", answer="B")
    alike = row(2, A="same", B="same", C="other", answer="B")
    items = read_mmbench(write_table(tmp_path / "t.tsv", [letters, alike]), "t").items
    wanted = ["B", "A", "D", "C", "B", "A", "C"]
    for item, letter in zip(items, wanted, strict=True):
        right = [candidate for candidate in "ABCD"[: len(item.choices)] if score_reply(item, f"({candidate})").correct]
        assert right == [letter]


def test_options_move_on_by_places():
    assert rotated(("left", "right", "up"), 1) == ("right", "up", "left")
    assert rotated(("left", "right"), 0) == ("left", "right")


def test_full_count_and_splits(tmp_path, write_table, row):
    rows = [row(index, image="" if index else None) for index in range(108)]
    for place, cells in enumerate(rows):
        cells["image"] = rows[0]["image"] if place == 0 else "0"
        cells["split"] = "dev" if place < 54 else "test"
    found = read_mmbench(write_table(tmp_path / f"{MINI}.tsv", rows), circular=False)
    assert found.notes == ("questions by split: dev 54, test 54; published figures are given for each split",)
    assert read_mmbench(write_table(tmp_path / f"{DEV}.tsv", rows[:3]), DEV).expected == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": ""}, "field 'answer': is empty"),
        ({"answer": "D"}, "field 'answer': 'D' is none of the 3 options"),
        ({"B": ""}, "field 'B': is empty, but option C is not"),
        ({"B": "", "C": ""}, "field 'B': is empty, but a question needs two options"),
        ({"index": "7a"}, "field 'index': '7a' is no whole number"),
        ({"index": 1_000_009}, "field 'index': is a rotation of 9, which is not in the table"),
        ({"image": "99"}, "field 'image': '99' is neither a base64 picture nor the index of a row"),
        ({"image": "3"}, "field 'image': names row 2, which holds no picture itself"),
    ],
)
def test_rows_at_fault_are_named(tmp_path, write_table, row, changes, message):
    path = write_table(tmp_path / "t.tsv", [row(1), {**row(3), **changes}])
    with pytest.raises(CooperError, match=rf"t\.tsv, row 2, {message}"):
        read_mmbench(path, "t")


def test_what_was_looked_for_is_said(tmp_path):
    with pytest.raises(CooperError, match=r"holds none of MMBench_V11_MINI\.tsv"):
        read_mmbench(tmp_path)
