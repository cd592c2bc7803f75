"""Sentences, and what holds for a whole reply: it was cut off, or it refuses to look."""

import re
from dataclasses import dataclass

_BOUNDARY = re.compile(r"\n+|[.!?]+[\"')\]]*(?=\s|$)")
_ABBREVIATED = frozenset(
    ["ft", "in", "cm", "mm", "km", "m", "yd", "i.e", "e.g", "approx", "ca", "vs", "fig", "no", "nr", "st", "dr", "mr", "mrs"]
)
_LABEL = re.compile(r"\W*(?:[A-Za-z]|\d{1,2})\W*")
_GOES_ON = re.compile(r"\s*[\d(a-z]")

_UNFINISHED = re.compile(
    r"the|a|an|of|are|was|were|be|to|under|near|on|at|by|from|with|and|or|but|that|which|these|those|its|their|his|"
    r"her|between|behind|above|below|beside|into|onto|over|i|see|would|they|if|because|since|as|then|than|about|"
    r"approximately|when|while|where|option|let|we|is|distance|roughly|around|must|should|has|have|been|very|more|"
    r"less|each|both"
)
_SHORT = 4  # words, up to which a reply is no cut-off sentence

_PICTURE = r"(?:images?|pictures?|photos?|photographs?|visuals?|attachments?|files?|videos?|frames?|screenshots?)"
_ANY = r"(?:(?:the|this|that|an|any|your|these|those|actual|provided|attached|given|uploaded|input|of|or|such|a)\s+){0,4}"
_CANNOT = (
    r"(?:can(?:no|['’]?)t|can not|could(?:n['’]t| not)|(?:un|not )able to|do(?:es)? ?n['’o]t have(?: the ability to| any "
    r"way to)?"
    r"|not possible (?:for me )?to|impossible (?:for me )?to|no (?:way|ability) to|not capable of|incapable of|don['’]t)"
)
_SEE = (
    r"(?:see|view|look at|access|open|process|analy[sz]e|interpret|examine|display|perceive|inspect|load|read|seeing|viewing)"
)
_REFUSED = re.compile(
    rf"\b{_CANNOT}\s+(?:\w+\s+){{0,2}}?(?:{_SEE}\s+)+{_ANY}{_PICTURE}\b"
    rf"|\bno (?:access|ability)\b[^.!?]{{0,30}}\b{_PICTURE}\b|\b(?:have|has) access to {_ANY}{_PICTURE}\b"
    rf"|\bno {_PICTURE}\b[^.!?]{{0,30}}\b(?:provided|attached|available|given|included|shared|uploaded|here|visible|loaded)\b"
    rf"|\b(?:the|your|this) {_PICTURE} (?:is|was|are|were|has|have)(?:n['’]t| not)? ?(?:been |actually )?"
    r"(?:not |n['’]t )?(?:provided|attached|available|missing|included|shared|uploaded|blank|corrupted|empty|loading|visible)\b"
    rf"|\bno {_PICTURE}\b[^.!?]{{0,12}}\b(?:came|come|arrived|sent|received|in (?:our|this|your) (?:conversation|message|"
    r"chat|prompt))\b"
    rf"|^\W*no {_PICTURE}(?: (?:was |is )?(?:found|detected|seen))?\W*$|\bsee no {_PICTURE}\b(?! (?:of|on|in|at)\b)"
    rf"|\b{_PICTURE} (?:did not|didn't|failed to|could not be|couldn't be) (?:load|open|come|arrive|upload)"
    rf"|\b{_PICTURE} (?:cannot|can['’]t|can not) be (?:seen|viewed|opened|processed|loaded|accessed|displayed)\b"
    r"|\bas an? (?:\w+[ -]){0,3}(?:ai|assistant|model)\b[^.!?]{0,60}?\b(?:cannot|can['’]t|can not|unable|not able|no way|"
    r"don['’]t|do not|lack)"
    r"|我?(?:无法|不能|没办法|没法)(?:查看|看到|看见|访问|打开|分析|识别|处理)[^.!?]{0,6}(?:图|照片|影像)|(?:没有|未)(?:提供|上传|附上|收到)?(?:任何)?(?:图片|图像|照片)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Statement:
    """A sentence or a line. `asks`: it is a question."""

    text: str
    start: int
    end: int
    asks: bool


def statements(text: str, whole: tuple[tuple[int, int], ...] = ()) -> list[Statement]:
    """The sentences of a text, without its line breaks. No sentence ends inside a span of `whole`, nor behind a label or
    an abbreviation that goes on."""
    found: list[Statement] = []
    begin, spans = 0, iter(sorted(whole))
    span = next(spans, None)
    for mark in _BOUNDARY.finditer(text):
        while span is not None and span[1] <= mark.start():
            span = next(spans, None)
        inside = span is not None and span[0] < mark.start() + 1 and mark.end() < span[1]
        if inside or not _ends(text, begin, mark):
            continue
        _add(found, text, (begin, mark.end()))
        begin = mark.end()
    _add(found, text, (begin, len(text)))
    return found


def _ends(text: str, begin: int, mark: re.Match[str]) -> bool:
    if mark[0] != ".":
        return True
    before = text[max(begin, mark.start() - 8) : mark.start()]
    words = before.split()
    word = words[-1].strip("(\"'").lower() if words else ""
    if word.lstrip("0123456789.") in _ABBREVIATED and _GOES_ON.match(text, mark.end()):
        return False
    label = text[begin : mark.start()]
    return not (len(label) <= 12 and _LABEL.fullmatch(label) and text[mark.end() : mark.end() + 2].strip())


def _add(found: list[Statement], text: str, span: tuple[int, int]) -> None:
    piece = text[span[0] : span[1]]
    words = piece.strip()
    if words.strip(".!?,;:\"'()[] "):
        start = span[0] + len(piece) - len(piece.lstrip())
        found.append(Statement(words, start, span[1], words.rstrip("\"')] ").endswith("?")))
    elif words and found and words[0] == "?":
        found[-1] = Statement(found[-1].text, found[-1].start, span[1], True)


def is_cut_off(text: str) -> bool:
    """Whether the last sentence stops at a word or a mark that must go on."""
    end = text.rstrip()
    if len(end.split(None, _SHORT)) <= _SHORT and "\n" not in end:
        return False
    last = re.search(r"([^\W\d_]+(?:['’]\w+)?)$", end[-30:])
    if re.search(r"\b(?:is|are|was|were|has|have|see) (?:no|not an?)$", end[-20:].lower()):
        return True
    return end[-1:] in (",", "(", ";", "-", "–") or (last is not None and _UNFINISHED.fullmatch(last[1].lower()) is not None)


def is_refusal(text: str) -> bool:
    """Whether a reply says that there is no picture, or that its writer cannot look at pictures."""
    return _REFUSED.search(text[:2000]) is not None
