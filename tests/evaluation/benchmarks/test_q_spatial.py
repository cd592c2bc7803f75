"""Q-Spatial tables in parquet, with and without pictures, and the ratio that decides."""

import math

import pytest

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import DISTANCE
from cooper.evaluation.benchmarks.q_spatial import read_q_spatial
from cooper.evaluation.replies.answers import within_ratio
from cooper.evaluation.runs.answering import score_reply


@pytest.fixture
def plus(picture):
    def row(place, value=96.0, unit="centimeter", **changes):
        image = {"bytes": picture(place, "JPEG"), "path": f"{place}.jpg"}
        base = {
            "question": "How far apart?",
            "answer_value": value,
            "answer_unit": unit,
            "question_type": "horizontal_distance",
        }
        return {**base, "image_path": f"QSpatial_plus/images/{place}.jpg", "image": image, **changes}

    return row


def test_within_ratio_by_definition():
    assert within_ratio(0.51, 1.0) and within_ratio(1.99, 1.0) and within_ratio(0.59, 0.3)
    assert not within_ratio(0.49, 1.0) and not within_ratio(2.01, 1.0)
    assert within_ratio(1.0, 1.0, 1.01) and not within_ratio(1.01, 1.0, 1.01)
    assert within_ratio(0.0, 0.0) and not within_ratio(0.0, 0.1) and not within_ratio(0.1, 0.0)
    assert within_ratio(-1.1, -2.0) and not within_ratio(-1.0, 2.0) and not within_ratio(-1e-300, 1e-300)
    assert not within_ratio(math.nan, 1.0) and not within_ratio(math.inf, math.inf)
    for ratio in (0.5, 1.0, math.nan):
        with pytest.raises(CooperError, match="a ratio must be greater than 1"):
            within_ratio(1.0, 1.0, ratio)


def test_exactly_twice_is_wrong_as_in_the_published_scorer(tmp_path, plus, write_parquet):
    for twice, truth in (
        (2.0, 1.0),
        (1.0, 2.0),
        (0.6, 0.3),
        (0.6096, 0.3048),
        (2 * 0.1, 0.1),
        (0.3 + 0.3, 0.3),
        (7 * 0.0254, 14 * 0.0254),
    ):
        assert not within_ratio(twice, truth), (twice, truth)
    item = read_q_spatial(write_parquet(tmp_path / "QSpatial_plus.parquet", [plus(0)])).items[0]  # 96 cm
    for reply in (r"\scalar{192} \distance_unit{cm}", "1.92 m", "48 cm", "0.48 m"):
        assert not score_reply(item, reply).correct, reply
    for reply in (r"\scalar{191} \distance_unit{cm}", r"\scalar{6.2} \distance_unit{ft}", "49 cm"):
        assert score_reply(item, reply).correct, reply


def test_the_published_split_with_its_pictures(tmp_path, plus, write_parquet):
    rows = [plus(place) for place in range(60)], [plus(60, 2, "meter"), *(plus(place) for place in range(61, 101))]
    for number, part in enumerate(rows):
        write_parquet(tmp_path / "data" / f"QSpatial_plus-0000{number}-of-00002.parquet", part)
    found = read_q_spatial(tmp_path)
    assert (found.name, found.expected, found.notes, len(found.items)) == ("q-spatial-plus", 101, (), 101)
    first, later = found.items[0], found.items[60]
    assert (first.id, first.category, first.group) == ("q-spatial-plus-0", "horizontal_distance", "distance_size")
    assert first.question.text == f"How far apart?\n{DISTANCE}" and first.question.images[0].size == (16, 12)
    assert float(first.truth) == pytest.approx(0.96) and float(later.truth) == 2.0
    assert all((item.scoring, item.tolerance, item.type) == ("ratio", 2.0, "Number") for item in found.items)


def test_replies_within_a_factor_of_two(tmp_path, plus, write_parquet):
    item = read_q_spatial(write_parquet(tmp_path / "QSpatial_plus.parquet", [plus(0)])).items[0]
    for reply in ("about 1 meter", "50 cm", "1.91 m", "19 inches", "3 ft", "between 0.5 and 1 m", "<answer>49 cm</answer>"):
        assert score_reply(item, reply).correct, reply
    for reply in ("48 cm", "1.92 m", "96 m", "0 m", "-1 m", "I cannot say."):
        assert not score_reply(item, reply).correct, reply
    assert score_reply(item, "96 cm").value == 1.0 and score_reply(item, "50 cm").value == pytest.approx(0.1)


def test_scannet_pictures_lie_beside_the_table(tmp_path, plus, write_parquet, picture, red):
    place = tmp_path / "images" / "scene0015_00" / "color"
    place.mkdir(parents=True)
    (place / "0.jpg").write_bytes(picture(200))
    path = "QSpatial_scannet/images/scene0015_00/color/0.jpg"
    rows = [plus(0, 4, "feet", image=None, image_path=path)]
    write_parquet(tmp_path / "data" / "QSpatial_scannet-00000-of-00001.parquet", rows)
    found = read_q_spatial(tmp_path, "scannet")
    assert red(found.items[0]) == [200] and float(found.items[0].truth) == pytest.approx(1.2192)
    assert found.notes == ("q-spatial-scannet: 1 questions, 170 were published",)
    (place / "0.jpg").unlink()
    with pytest.raises(CooperError, match=r"row 1, field 'image_path': picture 'scene0015_00/color/0\.jpg' is in none of"):
        read_q_spatial(tmp_path, "scannet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "parsec"}, "field 'answer_unit': 'parsec' is no unit of length"),
        ({"value": math.nan}, "field 'answer_value': is empty"),
        ({"value": 0.0}, "field 'answer_value': 0.0 centimeter is no distance or size"),
        ({"value": -3.0}, "field 'answer_value': -3.0 centimeter is no distance or size"),
        ({"question": " "}, "field 'question': is empty"),
        ({"image": {"bytes": b"none", "path": "0.jpg"}}, "field 'image': its 4 bytes are no picture"),
    ],
)
def test_rows_at_fault_are_named(tmp_path, plus, write_parquet, changes, message):
    path = write_parquet(tmp_path / "QSpatial_plus.parquet", [plus(0), plus(1, **changes)])
    with pytest.raises(CooperError, match=rf"QSpatial_plus\.parquet, row 2, {message}"):
        read_q_spatial(path)


def test_what_was_looked_for_is_said(tmp_path):
    with pytest.raises(CooperError, match=r"holds none of QSpatial_plus\*\.parquet, data/QSpatial_plus\*\.parquet"):
        read_q_spatial(tmp_path)
