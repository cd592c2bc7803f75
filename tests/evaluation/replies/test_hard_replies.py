"""Fifty replies as models really write them, each with the answer that a careful reader finds in it."""

import pytest

from cooper.evaluation.replies.answers import read_choice, read_number, read_yes_no

SIDES = ("left", "right", "in front of", "behind")
COUNTS = ("3", "5", "7", "15")
SCENES = ("rock_arch", "train_interior", "shopfront", "office_cubicles")
SIGNS = ("<", ">", "=")
LONG = "The red chair stands near the wall. " * 40 + "Wait, is A right? The lamp hides it, so B may be wrong too. " * 10

CHOICES = [
    (SIDES, "The correct option is C.", "C"),
    (SIDES, "Between A and D, D is the better match.", "D"),
    (SIDES, "It is not A, it is B.", "B"),
    (SIDES, "Option (C) seems plausible at first, but on reflection I'd go with (B).", "B"),
    (SIDES, "Answer:\n\nD", "D"),
    (SIDES, "The answer is: A) left", "A"),
    (SIDES, "A.\n\nExplanation: the cube stands nearer than the one in B, so C and D are out.", "A"),
    (SIDES, "I think it is on the left-hand side of the picture.", "A"),
    (SIDES, f"<think>{LONG}</think>\nSo the chair is **behind** the table.", "D"),
    (SIDES, f"{LONG}Final answer: (C)", "C"),
    (SIDES, r"Hence $\boxed{\text{(C) in front of}}$", "C"),
    (SIDES, '{"reason": "it is hidden", "answer": "D"}', "D"),
    (SIDES, "I would say B, although A is possible.", "B"),
    (SIDES, "It could be A or B; the picture does not settle it.", ""),
    (SIDES, "Sorry, I cannot see the image, so I am unable to answer.", ""),
    (SIDES, "The car is behind the truck, not in front of it.", "D"),
    (SIDES, "Option B is wrong, and so are C and D, which leaves A.", "A"),
    (COUNTS, "There are 5 chairs around the table.", "B"),
    (COUNTS, "15", "D"),
    (SCENES, "train_interior", "B"),
    (SIGNS, ">", "B"),
]

YES_NO = [
    ("Probably yes, as far as I can see.", "yes"),
    ("I believe the answer is no, although it is hard to be sure.", "no"),
    ("No doubt about it: yes.", "yes"),
    ("Yes — the cube is in front; there is no object between them.", "yes"),
    ("There is no chair next to the table.", "no"),
    ("I cannot determine whether the answer is yes or no.", ""),
    ("Yes and no.", ""),
    ("Nope, they stand far apart.", "no"),
    (f"<think>{LONG}Yes? No?</think>\n\n**No**, the lamp does not touch it.", "no"),
    ("It does not appear to be so.", "no"),
]

LENGTHS = [
    ("The distance is approximately 3.2 meters.", 3.2),
    ("Between 1.5 and 2.5 meters.", 2.0),
    ("3/4 of a metre", 0.75),
    (r"So the offset is $\boxed{-3}$", -3.0),
    ("12 feet 6 inches", 3.81),
    ("The table is 80 cm high and 2 m away. Final answer: 2 m.", 2.0),
    ("It is 5 times as long as the 30 cm ruler, hence 150 cm.", 1.5),
    ("Step 1: the door is 2 m high. Step 2: it spans 400 px. Step 3: the gap of 180 px is about 0.9 m", 0.9),
    ("≈ 0.45m", 0.45),
    (r"\scalar{2.5} \distance_unit{meters}", 2.5),
    ("I'm sorry, but I can't measure distances in a picture.", None),
    ("The distance is 1.2 m (about 4 feet).", 1.2),
    (f"{LONG}The answer is 70 centimetres, give or take 10.", 0.7),
]

COUNTED = [
    ("I count 1 chair, 2 tables and 3 lamps, so there are 6 objects.", 6.0),
    ("twenty-one", 21.0),
    ("**Four** windows are visible.", 4.0),
    ("The final answer is -2", -2.0),
    ("There are 7 in the back row.", 7.0),
    ("It is impossible to count them.", None),
]

TABLE = [
    *((reply, right, read_choice(reply, choices)) for choices, reply, right in CHOICES),
    *((reply, right, read_yes_no(reply)) for reply, right in YES_NO),
    *((reply, right, read_number(reply)) for reply, right in LENGTHS),
    *((reply, right, read_number(reply, lengths=False)) for reply, right in COUNTED),
]


def agrees(right, read) -> bool:
    return read == (right if right is None or isinstance(right, str) else pytest.approx(right))


@pytest.mark.parametrize(("reply", "right", "read"), TABLE, ids=range(len(TABLE)))
def test_what_is_read(reply, right, read):
    assert agrees(right, read), f"{reply[-80:]!r}: read {read!r}, right is {right!r}"


def test_they_are_fifty():
    assert len(TABLE) == len({reply for reply, _, _ in TABLE}) == 50
