"""Pictures from files, bytes and base64 text, decoded when they are asked for."""

import copy

import pytest
from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.tables import PictureColumn, TableRow, from_files, split_list
from cooper.files.pictures import LazyPicture
from cooper.trace.steps import Question


def row(cells, number=1):
    return TableRow(cells, "t.tsv", number)


def test_lists_of_names():
    assert split_list("a.png") == ["a.png"]
    assert split_list("a.png, b c.png,") == ["a.png", "b c.png"]
    assert split_list("['a.png', \"b.png\"]") == ["a.png", "b.png"]
    assert split_list("data:image/png;base64,AAAA,data:image/png;base64,BBBB") == [
        "data:image/png;base64,AAAA",
        "data:image/png;base64,BBBB",
    ]


def test_cells_hold_base64_or_the_index_of_another_row(base64_picture):
    cells = [base64_picture(10), "0", f"['{base64_picture(20)}', 'data:image/png;base64,{base64_picture(30)}']"]
    rows = [row({"index": str(place), "image": cell}, place + 1) for place, cell in enumerate(cells)]
    column = PictureColumn(rows)
    assert [picture.open().getpixel((0, 0))[0] for picture in column.of(rows[2])] == [20, 30]
    assert column.of(rows[1])[0] is column.of(rows[0])[0]
    assert column.of(rows[1])[0].open().mode == "RGB"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("9", "row 1, field 'image': '9' is neither a base64 picture nor the index of a row"),
        ("0", "field 'image': names row 1, which holds no picture itself"),
        ("", "field 'image': is empty"),
        ("*" * 80, "field 'image': not base64"),
        ("AAAA" * 20, "field 'image': its 60 bytes are no picture"),
    ],
)
def test_unreadable_cells_are_named(cell, message):
    rows = [row({"index": "0", "image": cell})]
    with pytest.raises(CooperError, match=message.replace("*", r"\*")):
        PictureColumn(rows).of(rows[0])


def test_files_are_looked_for_in_each_folder(tmp_path, picture):
    (tmp_path / "images" / "BLINK").mkdir(parents=True)
    (tmp_path / "images" / "BLINK" / "1.png").write_bytes(picture(40))
    (tmp_path / "2.png").write_bytes(picture(50))
    folders = (tmp_path, tmp_path / "images")
    found = from_files(row({"image_path": "BLINK/ 1.png, 2.png"}), "image_path", folders)
    assert [picture.open().getpixel((0, 0))[0] for picture in found] == [40, 50]
    with pytest.raises(CooperError, match=r"row 1, field 'image_path': picture '3\.png' is in none of .*, .*images"):
        from_files(row({"image_path": "3.png"}), "image_path", folders)


def test_a_picture_that_breaks_when_decoded_is_named(tmp_path, picture):
    whole = picture(60)
    half = LazyPicture("t.tsv, row 4, field 'image'", whole[: len(whole) - 25])
    with pytest.raises(CooperError, match=r"t\.tsv, row 4, field 'image': .*truncated or damaged"):
        half.open()
    (tmp_path / "1.png").write_text("no picture")
    with pytest.raises(CooperError, match=r"row 4: .*1\.png"):
        LazyPicture("row 4", tmp_path / "1.png").open()


def test_a_question_holds_pictures_undecoded(picture):
    question = Question((LazyPicture("a", picture(70)), LazyPicture("b", picture(80)), "Which?"), id="q1")
    assert (question.text, question.id, question.subject, question.known) == ("Which?", "q1", -1, {})
    assert [type(part) for part in question.shown] == [Image.Image, Image.Image, str]
    assert question.images[question.subject].getpixel((0, 0)) == (80, 0, 0)
    assert question.images[0] is not question.images[0]  # decoded anew, nothing is kept
    opened = question.opened()
    assert opened.images[0] is opened.images[0] and (opened.text, opened.id) == ("Which?", "q1")
    assert question == copy.deepcopy(question) and len(repr(question)) < 200
