"""Rows of TSV, CSV and parquet files, and every way in which they can be broken."""

import csv
import math

import pytest

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.tables import TableRow, read_table


def test_a_mark_carriage_returns_and_blank_lines_are_no_matter(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes('\ufeffindex\tquestion\r\n1\tWhere?\r\n\r\n\t\r\n2\t"two\r\nlines, a ""quote"" and a\ttab"\r\n'.encode())
    rows = read_table(path, ("index", "question"), key="index")
    assert [row.get("index") for row in rows] == ["1", "2"]
    assert rows[1].text("question") == 'two\r\nlines, a "quote" and a\ttab'
    assert [row.number for row in rows] == [1, 2]


def test_a_field_may_be_long(tmp_path):
    limit = csv.field_size_limit()
    path = tmp_path / "t.tsv"
    path.write_text("index\timage\n1\t" + "A" * 400_000 + "\n")
    assert len(read_table(path, ("image",))[0].text("image")) == 400_000
    assert csv.field_size_limit() == limit


def test_absent_cells_are_empty():
    row = TableRow({"a": math.nan, "b": "nan", "c": " ", "d": None, "e": 3, "f": "None", "g": " x "}, "t.tsv", 1)
    assert [row.get(name) for name in "abcdefgh"] == ["", "", "", "", "3", "None", "x", ""]
    assert row.integer("e") == 3
    for name in "ah":
        with pytest.raises(CooperError, match=f"t.tsv, row 1, field '{name}': is empty"):
            row.text(name)
    with pytest.raises(CooperError, match="field 'g': 'x' is no whole number"):
        row.integer("g")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "column 'index' is missing; it has none"),
        ("question\nx\n", "column 'index' is missing; it has 'question'"),
        ("index\n", "the table has no rows"),
        ("index\tindex\n1\t2\n", "column 'index' stands there twice"),
        ("index\tquestion\n1\ta\n2\n", "row 2: has 1 fields, the header has 2"),
        ("index\tquestion\n1\ta\tb\n", "row 1: has 3 fields, the header has 2"),
        ("index\tquestion\n1\ta\n2\tb\n1\tc\n", "row 3, field 'index': '1' stands in row 1 of t.tsv already"),
        ("index\tquestion\n\ta\n", "row 1, field 'index': is empty"),
        ('index\tquestion\n1\t"never closed\n2\tb\n', "line 3: not a table of quoted fields"),
        ("index\tquestion\n1\tcaf\xe9\n", "not UTF-8 text"),
    ],
)
def test_a_broken_table_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "t.tsv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(CooperError, match=message) as caught:
        read_table(path, ("index",), key="index")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CooperError, match=r"none\.tsv: cannot be read \(No such file"):
        read_table(tmp_path / "none.tsv", ())


def test_parquet_rows(tmp_path, write_parquet):
    path = write_parquet(tmp_path / "t.parquet", [{"index": 7, "value": 2.5, "text": None}])
    row = read_table(path, ("index",))[0]
    assert (row.get("index"), row.get("value"), row.get("text")) == ("7", "2.5", "")
    with pytest.raises(CooperError, match=r"t\.parquet: column 'image' is missing; it has 'index', 'value', 'text'"):
        read_table(path, ("image",))
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(CooperError, match="truncated or no parquet file"):
        read_table(path, ())
