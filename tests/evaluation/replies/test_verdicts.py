"""What a judge says: in the form asked for, or with an explanation around it."""

import pytest

from cooper.evaluation.replies.verdicts import (
    read_extracted_choice,
    read_extracted_number,
    read_extracted_yes_no,
    read_grade,
    read_verdict,
)


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("yes", True),
        (" Yes.\n", True),
        ("**No**", False),
        ('"no."', False),
        ("<think>No? yes.</think>\n\nno", False),
        ("yes and no", None),
        ("Yes, it is right.", True),
        ("<think>yes", None),
        ("true", None),
        ("1", None),
        ("", None),
        (None, None),
    ],
)
def test_verdicts(reply, read):
    assert read_verdict(reply) is read


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("0.5", 0.5),
        ("**1.0**", 1.0),
        ("0", 0.0),
        (".7", 0.7),
        ("1.", 1.0),
        ("1.1", None),
        ("-0.1", None),
        ("0,5", None),
        ("5/10", None),
        ("50%", None),
        ("nan", None),
        ("__import__('os')", None),
        (None, None),
    ],
)
def test_grades(reply, read):
    assert read_grade(reply) == read


@pytest.mark.parametrize(
    ("reply", "read"),
    [("B", "B"), ("(b)", "B"), ("a.", "A"), ("Z", ""), ("C", None), ("AB", None), ("A or B", None), ("", None), (None, None)],
)
def test_choices(reply, read):
    assert read_extracted_choice(reply, ("left", "right")) == read


@pytest.mark.parametrize(
    ("reply", "read"),
    [("2.5", 2.5), ("-3", -3.0), ("1e3", 1000.0), ("1e999", None), ("2 m", None), ("1,234", None), ("none", None), ("٣", None)],
)
def test_numbers(reply, read):
    assert read_extracted_number(reply) == read


@pytest.mark.parametrize(("reply", "read"), [("Yes", "yes"), ("no.", "no"), ("none", ""), ("maybe", None), (None, None)])
def test_yes_or_no(reply, read):
    assert read_extracted_yes_no(reply) == read


FENCED = '```json\n{"score": 0.5, "why": "one of two parts"}\n```'


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        (FENCED, 0.5),
        (f"The reply names the cup but not the plate.\n\n{FENCED}", 0.5),
        ('{"explanation": "all parts", "grade": 1}', 1.0),
        ('{"Score": "0.3"}', 0.3),
        ("Score: 0.5", 0.5),
        ("**Score**: 0.5", 0.5),
        ("**Score: 0.5**\n\nThe reply names one of the two parts.", 0.5),
        ("The reply names one of the two parts.\n\nFinal score: 0.5", 0.5),
        ("0.5\n\nThe reply names one of the two parts.", 0.5),
        ("Half of it is there.\n0.5", 0.5),
        ("The grade is 0.7.", 0.7),
        ("Score: 0.5/1.0", 0.5),
        ("Score: 0.5 out of 1", 0.5),
        ("**Judgement**: 1", 1.0),
        ("Score: 0.5. After all parts are checked, the final score is 0.5.", 0.5),
        ("Score: 0.5\nFinal score: 0.8", None),
        ("0.5\n0.6", None),
        ("Score: 5/10", None),
        ("Score: 50%", None),
        ("Score: 7", None),
        ("Score: 0.5-0.7", None),
        ("Score: 0.5 or 0.6", None),
        ("Score: high", None),
        ('{"score": [0.5, 0.6]}', None),
        ('{"score": null}', None),
        ("I compare the 2 parts with the 4 parts of the answer.", None),
        ("<think>Score: 0.5</think>", None),
        ("<think>Score: 0.5", None),
    ],
)
def test_grades_with_an_explanation(reply, read):
    assert read_grade(reply) == read


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("**Judgement**: 1", True),
        ("**Judgement**: 0", False),
        ("Judgment: correct", True),
        ("Verdict: No", False),
        ("Both say two metres.\n\n**Verdict:** yes", True),
        ("Both say two metres.\n\nyes", True),
        ("No. The reply says left, the right answer is behind.", False),
        ("no\n\nThe reply says left.", False),
        ('```json\n{"correct": true}\n```', True),
        ('{"verdict": "no", "reason": "yes would need the same side"}', False),
        ("Verdict: yes\nVerdict: no", None),
        ("yes\nno", None),
        ("Verdict: maybe", None),
        ("The reply may be right or wrong.", None),
    ],
)
def test_verdicts_with_an_explanation(reply, read):
    assert read_verdict(reply) is read


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("Option: B", "B"),
        ("The reply settles on the right side.\n\nAnswer: B", "B"),
        ('{"option": "A"}', "A"),
        ("Letter: Z", ""),
        ("A\n\nIt says left.", "A"),
        ("Option: A\nOption: B", None),
        ("Option: C", None),
    ],
)
def test_choices_with_an_explanation(reply, read):
    assert read_extracted_choice(reply, ("left", "right")) == read


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("Number: 2.5", 2.5),
        ('{"number": 2.5}', 2.5),
        ("2.5\n\nIt gives 250 cm.", 2.5),
        ("Number: 2.5\nNumber: 3", None),
        ("2.5 m", None),
    ],
)
def test_numbers_with_an_explanation(reply, read):
    assert read_extracted_number(reply) == read


@pytest.mark.parametrize(("reply", "read"), [("Answer: yes", "yes"), ("none\n\nIt hedges.", ""), ("No, it denies it.", "no")])
def test_yes_or_no_with_an_explanation(reply, read):
    assert read_extracted_yes_no(reply) == read
