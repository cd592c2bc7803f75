"""Whether a reply says that what the question asks about cannot be seen."""

import re

from cooper.evaluation.replies.reading import ReplyReading, Trail, shown
from cooper.evaluation.replies.text import answer_part

CANNOT_SEE, ANSWERED = "cannot see", "answered"

_SEE = r"(?:see|find|detect|identify|locate|spot|make out|recogni[sz]e|observe|notice)"
_PICTURE = r"(?:picture|image|photo|photograph|scene|room|view|frame)"
_SHOWN = r"(?:visible|present|there|shown|seen|depicted|found|here|in (?:the|this|that) " + _PICTURE + r"|in view|anywhere)"
_ADVERBS = r"(?:(?:really|clearly|actually|currently|even|be|to be|at all) )*"
_NOT = r"(?:not|n't|never|nowhere)"
_OTHER = r"(?:doubt|question|need|problem|reason|difference|way|gap|space|room|distance|object between|obstacle|idea)\b"
_SAYS = re.compile(
    r"\b(?:can ?not|can't|could not|couldn't|do(?:es)? not|do(?:es)?n't|did not|didn't|unable to|not able to|fail(?:ed)? to) "
    rf"{_ADVERBS}{_SEE}\b(?! (?:an? |any )?{_OTHER})"
    rf"|\bthere(?: is| are|'s| was| were| seems? to be| appears? to be)(?: no| not an?| not any|n't an?|n't any)\b(?! {_OTHER})"
    r"|\bthere(?: is|'s| are)n't (?:an?|any)\b"
    rf"|\bno (?!{_OTHER})(?:such|[\w-]+(?: [\w-]+){{0,3}}) (?:is|are|can be|could be|was|were|exists?|appears?)\b"
    r"|\bno such (?:object|thing|item)\b"
    rf"|\b(?:is|are|was|were|'s|can|could) ?{_NOT} {_ADVERBS}{_SHOWN}\b(?! how)"
    rf"|(?:^|[,;:] ?)not (?:visible|present|there|shown|in (?:the|this) {_PICTURE})\b"
    rf"|\b(?:does not|doesn't|do not|don't) {_ADVERBS}(?:exist|appear|show (?:an?|any)|contain|have|include)\b"
    r"|\b(?:is|are) (?:absent|missing|nowhere)\b"
    r"|\bun ?answerable\b|\bcan ?not be (?:answered|determined|seen|found|measured)\b"
)
_ALONE = re.compile(
    r"(?:none|nothing|no (?:such )?(?:object|thing|[\w-]+ [\w-]+)|not (?:visible|present|there|in the picture))\W*"
)


def missing_reading(reply: str) -> ReplyReading[str]:
    """`CANNOT_SEE`, `ANSWERED` where the reply says something else, or "" where it gives no answer.

    >>> [missing_reading(reply).value for reply in ("I cannot see a red cube.", "2.4 m", "There is no doubt: it is 2 m.")]
    ['cannot see', 'answered', 'answered']
    """
    trail = Trail()
    part = answer_part(reply, trail)
    text = " ".join(part.text.lower().replace("’", "'").split())
    if not text or part.guarded:
        return trail.end("")
    found = _SAYS.search(text) or _ALONE.fullmatch(text)
    if found:
        return trail.end(CANNOT_SEE, "missing", f"it says that the thing cannot be seen: {shown(found[0])}")
    return trail.end(ANSWERED, "missing", "it does not say that anything is missing")
