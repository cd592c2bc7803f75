"""Which option a reply chooses. Rules that look at the whole part come first, then claims, then mere mentions."""

import re
from collections.abc import Sequence

from cooper.errors import CooperError
from cooper.evaluation.replies.choices.claims import (
    ABBREVIATED,
    ANNOUNCED,
    CLAIMED,
    OPENING,
    PLAN,
    claims,
    corrects,
    without_considered,
    without_denied,
)
from cooper.evaluation.replies.choices.options import (
    DENIED,
    MARK,
    MOST,
    SPELLED,
    Lexer,
    labels,
    options_in,
    ordinal_place,
    place_of,
)
from cooper.evaluation.replies.fields import answer_field
from cooper.evaluation.replies.reading import ReplyReading, Trail, shown
from cooper.evaluation.replies.statements import Statement, is_cut_off, is_refusal, statements
from cooper.evaluation.replies.text import Part, answer_part, bare, tidy

_AROUND = " \t\n.,:;!'\"()[]{}"
_BARE_LETTER = re.compile(
    r"(?:(?:the )?(?:option|choice|answer|letter)s?\s*[:=]?\s*)?[(\[\"']*([a-z]{1,2})[)\]\"']*", re.IGNORECASE
)
_LIST_ONLY = re.compile(
    rf"(?:both |either |options? )?[\"'(\[]*{MARK}[\"')\]]*(?:(?:\s|[,/&+;.和与或跟及]|and|or|nor|"
    rf"[\"'()\[\]])+{MARK}[\"')\]]*)+[\s.!]*"
)
_SHORT, _WORD = 4, 3  # words of a reply that may begin an option, and letters that one of them has
_FEW = 2  # sentences, up to which a mere mention counts wherever it stands

_Claim = tuple[int, ...]  # the places of the options that a claim names, at least one


def choice_reading(reply: str, choices: Sequence[str]) -> ReplyReading[str]:
    """The label of the chosen option, "" when none or several are chosen. CooperError: over 700 options."""
    if len(choices) > MOST:
        raise CooperError(f"a question may have up to {MOST} choices, got {len(choices)}")
    trail, names = Trail(), labels(len(choices))
    part = answer_part(reply, trail)
    field = answer_field(part.text)
    if field is not None:
        trail.note("field", f"the field of the answer: {shown(field)}")
        part = Part(bare(tidy(field)))
    place = _place(part, [bare(tidy(choice)) for choice in choices], trail)
    return trail.end("" if place is None else names[place])


def _place(part: Part, choices: Sequence[str], trail: Trail) -> int | None:
    if not part.text.strip(_AROUND) and place_of(part.text, choices) is None:
        trail.note("empty", "there is nothing to read")
        return None
    if not part.guarded:
        place = _alone(part.text, choices)
        if place is not None:
            trail.note("alone", "the whole text is one option")
            return place
    lexer = Lexer.of(choices)
    if _LIST_ONLY.fullmatch(lexer.marked(part.text)) and len(options_in(lexer.marked(part.text))) > 1:
        trail.note("several", "several options are named side by side")
        return None
    return _stated(part, lexer, trail)


def _alone(text: str, choices: Sequence[str]) -> int | None:
    """The option that the text is, and nothing else: its letter in either case, its text, or its place."""
    names = labels(len(choices))
    letter = _BARE_LETTER.fullmatch(text.strip(_AROUND))
    label = letter[1].upper() if letter else ""
    exact = names.index(label) if len(label) == 1 and label in names else place_of(text, choices)
    if exact is None and label in names:
        exact = names.index(label)
    if exact is not None:
        return exact
    place = ordinal_place(text.strip(_AROUND), len(choices))
    if place is None:
        place = place_of(text.strip(_AROUND), choices)
    return _beginning_of_one(text, choices) if place is None else place


def _beginning_of_one(text: str, choices: Sequence[str]) -> int | None:
    """The one option that begins with the few words of the text: "to the left" of "to the left of the sofa"."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    words = words[1:] if words[:1] in (["a"], ["an"], ["the"]) else words
    if not 1 <= len(words) <= _SHORT or all(len(word) < _WORD for word in words):
        return None
    phrase = f" {' '.join(words)} "
    plain = [f" {' '.join(re.findall(r'[a-z0-9]+', choice.lower()))} " for choice in choices]
    holding = [place for place, choice in enumerate(plain) if choice.startswith(phrase)]
    return holding[0] if len(holding) == 1 else None


def _stated(part: Part, lexer: Lexer, trail: Trail) -> int | None:
    """What the sentences say, by rank: announced, claimed, mentioned."""
    said = statements(part.text)
    marked = [without_considered(without_denied(lexer.marked(each.text))) for each in said]
    for rank in ("announced", "claimed"):
        if rank == "claimed" and part.guarded:
            break
        found = [
            (number, claim) for number, each in enumerate(said) for claim in _claims(rank, number, each, said, marked, lexer)
        ]
        if found:
            return _decided(rank, found, said, marked, trail)
    if part.guarded:
        trail.note("announced", "the thought announces no answer")
        return None
    if is_refusal(part.text):
        trail.note("refusal", "the reply says that it cannot see the picture")
        return None
    if is_cut_off(part.text) and not (said and re.search(rf"{MARK}\W*$", lexer.marked(said[-1].text))):
        trail.note("cut off", "the reply stops in the middle of a sentence, so mentions do not count")
        return None
    return _mentioned(said, marked, lexer, trail)


def _claims(
    rank: str, number: int, each: Statement, said: Sequence[Statement], marked: Sequence[str], lexer: Lexer
) -> list[_Claim]:
    """The options that a sentence claims at this rank, a tuple for each claim."""
    sentence = marked[number]
    if each.asks and len(said) > 1:
        return []
    if rank == "announced":
        found = claims(ANNOUNCED, sentence)
        short = ABBREVIATED.match(sentence) if number in (0, len(said) - 1) else None
        if short and re.fullmatch(rf"[\"'(\[]*{MARK}[\"')\]]*\.?", sentence[short.end() :]):
            found.append(sentence[short.end() :])
        if not found and len(said) > 1 and number == len(said) - 1:
            place = None if each.text.endswith(":") else _alone(each.text, lexer.choices)
            found = [] if place is None else [chr(0xE000 + place)]
        if not found:
            place = _behind_announcement(each.text, lexer.choices)
            found = [] if place is None else [chr(0xE000 + place)]
    else:
        found = claims(CLAIMED, sentence)
        opening = OPENING.match(sentence) if number == 0 else None
        if opening:
            found.insert(0, opening[1])
        place = _alone(each.text, lexer.choices) if number == 0 and not found else None
        if place is not None:
            found.append(chr(0xE000 + place))
    return [tuple(options_in(claim)) for claim in found]


_ANNOUNCEMENT = re.compile(r"\banswer(?:\s+(?:is|would be|should be|must be)|\s*[:=])+\s*", re.IGNORECASE)


def _behind_announcement(sentence: str, choices: Sequence[str]) -> int | None:
    """The option that all of the text behind "the answer is" is: for options without words, and for small letters."""
    announced = list(_ANNOUNCEMENT.finditer(sentence))
    return _alone(sentence[announced[-1].end() :], choices) if announced else None


def _decided(
    rank: str, found: Sequence[tuple[int, _Claim]], said: Sequence[Statement], marked: Sequence[str], trail: Trail
) -> int | None:
    """The last claim, unless it names several options or contradicts an earlier one without taking it back."""
    number, last = found[-1]
    sentence = said[number].text
    if len(last) > 1:
        trail.note("several", f"{shown(sentence)} names several options")
        return None
    others = {claim for _, claim in found[:-1]} - {last}
    if rank == "claimed" and others and not corrects(marked[number]):
        trail.note("several", f"{shown(sentence)} contradicts what was claimed before it")
        return None
    trail.note(rank, f"{shown(sentence)} names the option")
    return next(iter(last))


def _mentioned(said: Sequence[Statement], marked: Sequence[str], lexer: Lexer, trail: Trail) -> int | None:
    """The one option that is mentioned and not denied; else the one that is left when all others are denied."""
    quiet = [
        sentence
        for number, (each, sentence) in enumerate(zip(said, marked, strict=True))
        if not (each.asks and len(said) > 1)
        and not (PLAN.match(sentence) and number < len(said) - 1)
        and (len(said) <= _FEW or number == len(said) - 1 or re.search(SPELLED, sentence) is not None)
    ]
    for kind, called in ((SPELLED, "letter"), (MARK, "option")):
        named = set(options_in("".join(re.findall(kind, "".join(quiet)))))
        if len(named) == 1:
            trail.note("mentioned", f"one {called} is mentioned and not denied")
            return named.pop()
        if len(named) > 1:
            trail.note("several", f"several {called}s are mentioned, and none is chosen")
            return None
    whole = "".join(lexer.marked(each.text) for each in said)
    denied, all_named = "".join(marked).count(DENIED), set(options_in(whole))
    left = set(range(len(lexer.choices))) - all_named
    if denied >= 2 and len(left) == 1 and len(all_named) >= 2:
        trail.note("left over", "all other options are denied")
        return left.pop()
    trail.note("nothing", "no option is named" if not denied else "options are denied, and none is chosen")
    return None
