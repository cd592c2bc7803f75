"""SIBench tables: settings, question types, several pictures, and rows at fault."""

import pytest

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import LETTER, NUMBER, YES_NO
from cooper.evaluation.benchmarks.sibench import OTHERS, SETTINGS, UNINSTRUCTED, SibenchSubset, read_sibench
from cooper.evaluation.runs.answering import score_reply

ROWS = [
    {"question": "Which is near?\nA. cube\nB. ball", "answer": "B", "type": "MCQ", "data_source": "BLINK"},
    {"question": "Is it there?", "answer": "Yes.", "type": "YN", "data_source": "SPHERE-VLM"},
    {"question": "How far in centimetres?", "answer": "120", "type": "Number", "data_source": "SpatialBench"},
    {"question": "How many?", "answer": "3", "type": "Number_Int", "data_source": "Spatial-MM"},
]


def row(place, **changes):
    base = {"index": place, **ROWS[place % 4], "input_type": "image", "image_path": f"BLINK/{place}.png"}
    return {**base, **changes}


@pytest.fixture
def folder(tmp_path, picture):
    """A folder with the pictures 0 .. 7, as red as their number."""
    (tmp_path / "BLINK").mkdir()
    for place in range(8):
        (tmp_path / "BLINK" / f"{place}.png").write_bytes(picture(place))
    return tmp_path


def height(folder, rows, write_table, **changes):
    write_table(folder / "Height.tsv", rows, end="\r\n", bom=True)
    return read_sibench(folder, SibenchSubset(("Height",), **changes))


def test_the_four_types(folder, write_table, red):
    found = height(folder, [row(place) for place in range(4)], write_table)
    assert (found.name, found.expected, found.notes) == ("sibench-Height", 0, ())
    choice, yes, number, count = found.items
    assert [item.id for item in found.items] == ["Height-0", "Height-1", "Height-2", "Height-3"]
    assert {(item.category, item.group) for item in found.items} == {("Height", "spatial")}
    assert [red(item) for item in found.items] == [[0], [1], [2], [3]]
    assert (choice.choices, choice.truth) == (("cube", "ball"), "ball")
    assert choice.question.parts[1] == f"Which is near?\nA. cube\nB. ball\n{LETTER}"
    assert (yes.truth, yes.question.text) == ("yes", f"Is it there?\n{YES_NO}")
    assert (number.truth, number.scoring, number.question.text) == ("120.0", "relative", "How far in centimetres?")
    assert count.question.text == f"How many?\n{NUMBER}"


def test_scores_are_those_published(folder, write_table):
    choice, yes, number, count = height(folder, [row(place) for place in range(4)], write_table).items
    assert score_reply(choice, "(B)").correct and not score_reply(choice, "cube").correct
    assert score_reply(yes, "<answer>Yes</answer>").value == 1.0
    assert score_reply(number, "108 cm").value == pytest.approx(0.8)  # the question names the unit
    assert score_reply(number, "1.2 m").value == 0.0
    assert score_reply(count, "three").value == 1.0 and score_reply(count, "4").value == 0.0


def test_options_in_columns_stand_below_the_question(folder, write_table):
    extra = {"A": "left", "B": "right", "C": "nan", "D": ""}
    item = height(folder, [row(0, question="Where?", answer="A", **extra)], write_table).items[0]
    assert item.choices == ("left", "right") and item.truth == "left"
    assert item.question.text == f"Where?\nA. left\nB. right\n{LETTER}"


def test_options_that_are_not_told_are_noted(folder, write_table):
    rows = [row(0, question="Which of the five?", answer="E"), row(4, answer="C")]
    found = height(folder, rows, write_table)
    assert found.items[0].choices == tuple(f"option {letter}" for letter in "ABCDE")
    assert score_reply(found.items[0], "The answer is (E).").correct
    assert score_reply(found.items[1], "C").correct and not score_reply(found.items[1], "B").correct
    assert found.notes == ("Height.tsv: the options of 2 rows could not be told from the question; only letters are read",)


def test_inputs_and_several_pictures(folder, write_table, red):
    paths = "BLINK/1.png, BLINK/2.png,BLINK/3.png"
    rows = [row(0), row(1, input_type="multi-view", image_path=paths), row(2, input_type="video", image_path="x.mp4")]
    found = height(folder, rows, write_table)
    assert len(found.items) == 1 and found.notes == ("Height.tsv: 2 rows are no image and were left out",)
    both = height(folder, rows, write_table, inputs=("image", "multi-view"))
    assert [red(item) for item in both.items] == [[0], [1, 2, 3]]
    assert both.items[1].question.parts[3].startswith("Is it there?")


def test_pictures_may_lie_in_images_or_in_the_table(tmp_path, write_table, picture, base64_picture, red):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "5.png").write_bytes(picture(5))
    rows = [{**row(0, image_path="5.png"), "image": ""}, {**row(1, image_path=""), "image": base64_picture(6)}]
    rows.append({**row(2, image_path=""), "image": "1"})
    found = height(tmp_path, rows, write_table)
    assert [red(item) for item in found.items] == [[5], [6], [6]]


def test_all_settings_and_small_variants(folder, write_table):
    for setting in SETTINGS:
        write_table(folder / "data" / f"{setting}_MINI.tsv", [row(0, image_path="../BLINK/0.png")])
    found = read_sibench(folder, SibenchSubset(mini=True))
    assert found.name == "sibench-mini" and [item.category for item in found.items] == list(SETTINGS)
    with pytest.raises(CooperError, match=r"holds none of relative_distance\.tsv, data/relative_distance\.tsv"):
        read_sibench(folder)


def test_one_file_for_all_settings(folder, write_table):
    path = write_table(folder / "SIBench_Single_Image.tsv", [row(0, category="Height"), row(1, category="Existence")])
    for data in (folder, path):
        assert [item.id for item in read_sibench(data).items] == ["Height-0", "Existence-1"]


def test_the_file_of_all_settings_is_read_for_those_wanted(folder, write_table, red):
    rows = [
        row(0, category="height"),
        row(1, category="Counting"),
        row(2, category="Object_Size_Estimation"),
        row(3, category="Existence"),
        row(4, category=""),
        row(5, category="Height", input_type="multi-view", image_path="BLINK/5.png,BLINK/6.png"),
        row(6, category="Height", input_type="video", image_path="x.mp4"),
        row(7, category="indoor"),  # no setting of SIBench
    ]
    path = write_table(folder / "SIBench_Single_Image.tsv", rows)
    whole = read_sibench(folder)
    ids = ["Height-0", "Existence-3", "SIBench_Single_Image-4", "Height-5", "indoor-7"]
    assert [item.id for item in whole.items] == ids
    assert red(whole.items[3]) == [5, 6]
    name = "SIBench_Single_Image.tsv"
    assert whole.notes == (
        f"{name}: 2 rows of other settings (Counting, Object_Size_Estimation) were left out",
        f"{name}: 1 rows are no image and were left out",
        f"{name}: 1 rows have several pictures and are asked, as the published class does",
        f"{name}: 1 rows name no setting, so whether it is one of the 13 is not checked",
    )
    one = read_sibench(path, SibenchSubset(("Height",)))
    assert [item.id for item in one.items] == ["Height-0", "SIBench_Single_Image-4", "Height-5", "indoor-7"]
    assert one.notes[0] == f"{name}: 3 rows of other settings (Counting, Existence, Object_Size_Estimation) were left out"


def test_a_single_file(folder, write_table):
    path = write_table(folder / "Maze_Navigation_MINI.tsv", [row(0)])
    assert read_sibench(path).items[0].category == "Maze_Navigation"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "Essay"}, "field 'type': 'Essay' is none of MCQ, YN, Number, Number_Int"),
        ({"answer": "Z"}, "field 'answer': 'Z' is none of the 2 options"),
        ({"answer": "up"}, "field 'answer': 'up' is none of the 2 options"),
        ({"answer": ""}, "field 'answer': is empty"),
        ({"question": "nan"}, "field 'question': is empty"),
        ({"image_path": ""}, "field 'image_path': is empty"),
        ({"image_path": "BLINK/99.png"}, r"field 'image_path': picture 'BLINK/99\.png' is in none of"),
        ({"type": "YN", "answer": "perhaps"}, "field 'answer': 'perhaps' is neither yes nor no"),
        ({"type": "Number", "answer": "two apples"}, "field 'answer': 'two apples' is not one number"),
        ({"type": "Number", "answer": "1, 2 and 3"}, "field 'answer': '1, 2 and 3' is not one number"),
    ],
)
def test_rows_at_fault_are_named(folder, write_table, changes, message):
    extra = {"A": "left", "B": "right"}
    with pytest.raises(CooperError, match=rf"Height\.tsv, row 2, {message}"):
        height(folder, [{**row(0), "A": "x", "B": "y"}, {**row(4, answer="A"), **extra, **changes}], write_table)


def test_odd_requests_are_named(folder, write_table):
    with pytest.raises(CooperError, match="SIBench has no setting 'Counting'"):
        SibenchSubset(("Counting",))
    with pytest.raises(CooperError, match="no question is left to ask"):
        height(folder, [row(0, input_type="video")], write_table)
    with pytest.raises(CooperError, match=r"row 2, field 'index': '0' stands in row 1"):
        height(folder, [row(0), row(0)], write_table)


def test_thirteen_settings_and_thirteen_sources_without_an_instruction():
    assert len(SETTINGS) == len(set(SETTINGS)) == len(UNINSTRUCTED) == 13
    assert len(OTHERS) == 10 and not set(OTHERS) & set(SETTINGS)  # 23 in all
