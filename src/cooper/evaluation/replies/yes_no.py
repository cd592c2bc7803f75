"""Whether a reply says yes or no."""

import re

from cooper.evaluation.replies.fields import answer_field
from cooper.evaluation.replies.reading import ReplyReading, Trail, shown
from cooper.evaluation.replies.statements import Statement, is_cut_off, is_refusal, statements
from cooper.evaluation.replies.text import answer_part, bare, tidy

_YES_WORDS = (
    "yes|yeah|yep|yup|yea|aye|affirmative|indeed|certainly|definitely|absolutely|surely|of course|sure|exactly|"
    "precisely|totally|true"
)
_NO_WORDS = "no|nope|nah|nay|negative|false|untrue|never|not at all|by no means|no way|not really|not quite"
_OTHER_YES = "oui|ja|sí|sim|да|はい|네|예"  # openings in other languages
_OTHER_NO = "non|nein|não|нет|いいえ|아니요|아니오"
_GOOD = "correct|right|true|accurate|valid|the case|so"
_BAD = "incorrect|wrong|false|untrue|inaccurate|invalid|mistaken"
_NOT = r"(?:not|never|hardly|cannot be|can't be|cannot|n't)"
_FILL = (
    r"(?:(?:be|really|quite|entirely|strictly|necessarily|at all|exactly|actually|fully|completely|very|also|simply|indeed) )*"
)
_THIS = (
    r"(?:it|this|that|the (?:statement|claim|description|assertion|sentence|caption|answer)|this (?:statement|claim|"
    r"description|assertion)|"
    r"(?:that|your) (?:statement|claim|description|assertion)|you|you're|they)"
)

_NO_SIDE = re.compile(  # phrases in which yes and no are no answer
    r"\bno (?:idea|clue|answer|information|info|doubt|comment|problem|question|way (?:to|of) (?:tell|know|say|telling|"
    r"knowing|saying)|telling|guarantee|evidence either way|one (?:can|could))\b"
    r"|(?:\b(?:whether|if) (?:it|that|this)(?: is|'s) )?\b(?:yes|true|correct|right)\s?(?:or|nor|and|/)\s?(?:no|false|"
    r"incorrect|wrong)\b"
    r"|\b(?:no|false|incorrect|wrong)\s?(?:or|nor|and|/)\s?(?:yes|true|correct|right)\b"
    r"|\b(?:whether|if) (?:it|that|this|the (?:statement|claim))(?: is|'s) (?:true|false|correct|right)\b"
    r"|是否|是不是|有没有|对不对"
    r"|\byes\W{1,5}and no\b|\bno\W{1,5}and yes\b"
    r"|\b(?:yes|no) (?:would|could|should|cannot|can't|is (?:not|wrong|incorrect))\b"
)
_BELIEVE = (
    r"(?:of course|i think|i believe|i am sure|i'm sure|i suppose|i guess|i would say|i'd say|clearly|surely|certainly|"
    r"definitely)(?: that)?"
)
_ITS = r"(?:it|they|there|he|she|this|that) (?:is|are|does|do|was|were|has|have|can|will)"
_TO_NO = re.compile(
    rf"\b(?:is|are|was|does|do)?n't {_FILL}(?:{_GOOD})\b|\b{_NOT} {_FILL}(?:{_GOOD})\b|\b(?:far from|anything but) "
    r"(?:true|correct)\b"
    r"|\b(?:absolutely|definitely|certainly|of course|surely|clearly|obviously|probably|apparently|evidently|seemingly|"
    r"presumably|most likely|likely) "
    r"not\b|\bnot at all\b"
    rf"|\b{_BELIEVE} {_ITS}(?: not|n't)\b|\bi (?:do not|don't) (?:think|believe) {_ITS}(?=\W*$|[.,;!])"
    r"|\bi(?:'m| am)? (?:afraid|suppose|guess|think|believe) not\b"
    r"|\bi (?:do not|don't|would not|wouldn't) (?:think|believe|say|suppose) so\b|\bi (?:doubt|disagree)\b(?: it| that| so)?"
    r"|\b(?:does not|doesn't|do not|don't|did not) (?:appear|seem|look)(?: to be)? (?:so|that way|like it|to be so|the case)\b"
)
_TO_YES = re.compile(
    rf"\b{_NOT} {_FILL}(?:{_BAD})\b|n't {_FILL}(?:{_BAD})\b|\bi(?:'d)? (?:would )?(?:think|believe|say|suppose|guess|"
    r"reckon) so\b|\bi agree\b"
    rf"|\b{_BELIEVE} {_ITS}(?=\W*$|[.,;!])"
    r"|\b(?:it |that )?(?:seems|appears|looks|would appear|would seem) (?:so|that way|like it|to be so|to be the case)\b|"
    r"\bwithout (?:a )?doubt\b"
)
_JUDGED = re.compile(
    rf"(?:^|\b){_THIS}(?: is|'s| are| was| seems| looks| appears)? (?:to be )?{_FILL}(?P<side>{_GOOD}|{_BAD})\b(?! "
    r"(?:answer|option|choice|side|hand))"
)
_BARE_JUDGED = re.compile(
    r"\W*(?:(?:quite|very|perfectly|entirely|all|completely) )?(?P<side>correct|right|accurate|incorrect|wrong|"
    r"inaccurate|agreed|disagree)\b(?=\W*$|[.!,;:])(?!\W*(?:answer|option))"
)
_SHORT_AUX = re.compile(
    r"(?:it|they|he|she|there|that|this|we|you)\s?(?:(?:certainly|definitely|indeed|clearly|really|sure) )?(?P<aux>is|"
    r"are|was|were|does|do|did|can|has|have|'s|'re|will|would)(?: (?:indeed|certainly|definitely))?(?P<no> not|"
    r"n't)?[\s.!]*"
)
_SHORT_NO = re.compile(
    r"n|not exactly|hardly|unlikely|very unlikely|not likely|doubtful|none|there are none|there is none|"
    r"there isn't one|not so|nothing|it seems not|evidently not|not as far as i can see|not that i can see|"
    r"in no way|improbable"
)
_SHORT_YES = re.compile(
    r"y|likely|very likely|quite likely|there is one|there are some|most likely|quite so|it is so|"
    r"without question|sure thing|you bet|uh-huh|mm-hmm|probably|no doubt|undoubtedly|sure enough|naturally|"
    r"obviously|clearly"
)
_SIDE = re.compile(rf"(?<![\w-])(?:(?P<no>{_NO_WORDS})|(?P<yes>{_YES_WORDS}|{_OTHER_YES}))(?![\w-])")
_WEAK = frozenset({"indeed", "certainly", "definitely", "absolutely", "surely", "sure", "exactly", "precisely"})
_WEAK |= {"totally", "of course", "never", "negative"}
_WEAK |= {"not really", "not quite"}
_OPENING = re.compile(
    r"[\W_]*(?:(?:well|so|ok|okay|hmm|oh|hence|thus|therefore|then|in short|in conclusion|overall|answer|most|very|my|"
    r"the|final|answer|is|a|i|would|i'd|say|"
    r"probably|likely|perhaps|clearly|it|think)\b[\s,:=.–-]*){0,7}"
    rf"(?P<word>(?P<no>{_NO_WORDS}|{_OTHER_NO})|(?P<yes>{_YES_WORDS}|{_OTHER_YES}|si))(?![\w'])(?!-)"
)
ANNOUNCED = re.compile(
    r"\b(?:final )?answer(?: to [\w ]{0,40})?(?: (?:is|would be|should be|must be)|\s?[:=])+\s?|\b(?:therefore|hence|"
    r"thus|so|overall|in conclusion)\b[,:]?"
)
_CHINESE_NO = re.compile(
    r"^(?:答案\s?(?:是|为)?\s?:?\s?)?[\"']?(?:并?不[是对会能可行存正]?|否|没有|没|错|无(?!法)|并?非|假|不正确)"
)
_CHINESE_YES = re.compile(r"^(?:答案\s?(?:是|为)?\s?:?\s?)?[\"']?(?:是|对|正确|没错|不错|有|可以|能|会|真|存在|确实|当然)")
_CHINESE_OPEN = re.compile(r"无法|不[太大很]?确定|不知道|不清楚|难以|看不[清出到]|说不|不好说|不能(?:确定|判断|回答)")
_HAN = re.compile(r"[\u3400-\u9fff]")
_NO_THINGS = re.compile(
    r"\bthere (?:is|are|was|were) no(?:thing| \w)|\b(?:no|none of the) \w+ (?:is|are) (?:visible|present|there|seen)\b"
)
_NO_LEADS = re.compile(
    r"[\W_]*(?:no|nope) (?:image|picture|photo|one|other|more|matter|object|objects|chair|visible|clear|sign|longer|such)\b"
)
_UNSURE = re.compile(
    r"\b(?:can(?:no|')?t|can not|unable to|not able to|impossible to|hard to|difficult to|not possible to) (?:\w+ "
    r")?(?:tell|say|determine|decide|answer|know|judge|see|be sure|confirm)\b"
    r"|\b(?:not sure|unsure|uncertain|unclear|it depends|not enough|insufficient|maybe|perhaps|(?:could|may|might) be|"
    r"either|one hand)\b"
)


def yes_no_reading(reply: str) -> ReplyReading[str]:
    """ "yes", "no", or "" when the reply says neither, both, or that it cannot see."""
    trail = Trail()
    part = answer_part(reply, trail)
    field, text = answer_field(part.text), part.text
    if field is not None:
        trail.note("field", f"the field of the answer: {shown(field)}")
        text = bare(tidy(field))
    text = text.lower()
    whole = text.strip(" \n.,!\"'()[]")
    if _SHORT_NO.fullmatch(whole) or _SHORT_YES.fullmatch(whole):
        return trail.end("no" if _SHORT_NO.fullmatch(whole) else "yes", "whole", "the whole reply says so")
    if not whole:
        return trail.end("", "empty", "there is nothing to read")
    if is_refusal(text):
        return trail.end("", "refusal", "the reply says that it cannot see the picture")
    if _HAN.match(text.lstrip(" \"'*([")):
        return _in_chinese(text.strip(" \"'*(["), trail)
    return _in_words(text, part.guarded, trail)


def _in_chinese(text: str, trail: Trail) -> ReplyReading[str]:
    if _CHINESE_OPEN.search(text):
        return trail.end("", "undecided", "the reply leaves it open")
    clauses = [clause.strip() for clause in re.split(r"[,.;!?\n]", text) if clause.strip()]
    answers = [clause for clause in clauses if "答案" in clause]
    for clause in (*answers[::-1], *clauses[:1]):
        clause = re.sub(r"[\"' ]", "", clause)
        clause = re.sub(r"^(?:我|所以|因此)?(?:认为|觉得|想)?\s?", "", clause)
        clause = re.sub(
            r"^(?:这|该|此|那|上述)?(?:个|种|句话)?(?:说法|陈述|描述|判断|表述)?(?:是)?(?=正确|错|对|不对|不正确|真|假)",
            "",
            clause,
        )
        clause = re.sub(r"^.*答案\s?(?:应该|就)?(?:是|为)?\s?:?\s?", "", clause) or clause
        if re.match(r"是(?:否|不是)", clause):
            continue
        if _CHINESE_NO.match(clause) and not re.match(r"不错|没错", clause):
            return trail.end("no", "chinese", f"{shown(clause)} denies")
        if _CHINESE_YES.match(clause):
            return trail.end("yes", "chinese", f"{shown(clause)} affirms")
    if any(re.match(r"(?:图|图片|照片|画面|这里|那里|桌|房间)[中里上]?\s?(?:并)?没有", clause) for clause in clauses):
        return trail.end("no", "nothing there", "the reply says that there is none")
    return trail.end("", "nothing", "the reply says neither")


def _in_words(text: str, guarded: bool, trail: Trail) -> ReplyReading[str]:
    said = statements(_turned(text))
    announced = _announced(said)
    if announced:
        return trail.end(announced[0], "announced", f"{shown(announced[1])} says {announced[0]}")
    if guarded:
        return trail.end("", "announced", "the thought announces no answer")
    opening = _opening(said[0].text) if said else ""
    sides = {side for each in said for side in _sides(each.text)} if said else set()
    if opening and len(set(_sides(said[0].text))) == 2 and _UNSURE.search(said[0].text) and len(said[0].text.split()) < 6:
        return trail.end("", "several", "both yes and no are said")
    if opening and not (len(said) > 1 and _is_torn(said, opening)):
        return trail.end(opening, "opening", f"the reply opens with {opening}")
    if is_cut_off(text):
        return trail.end("", "cut off", "the reply stops in the middle of a sentence")
    judged = _last_judged(said)
    if judged:
        return trail.end(judged, "judged", f"the statement is judged: {judged}")
    if len(sides) == 1 and not opening:
        return trail.end(sides.pop(), "said", "one of the two is said")
    if sides and said:
        last = _sides(said[-1].text)
        torn = _UNSURE.search(said[-1].text) and not re.search(rf"\b(?:but|so) {last[-1]}\W*$" if last else "$^", said[-1].text)
        if last and re.search(rf"\b{last[-1]}\W*$", said[-1].text) and not torn:
            return trail.end(last[-1], "last", f"the reply ends with {last[-1]}")
        return trail.end("", "several", "both yes and no are said")
    if len(said) <= 2 and said and (aux := _SHORT_AUX.fullmatch(said[0].text)):
        side = "no" if aux["no"] else "yes"
        return trail.end(side, "short", f"{shown(said[0].text)} says {side}")
    if any(_NO_THINGS.search(each.text) and not each.asks for each in said):
        return trail.end("no", "nothing there", "the reply says that there is none")
    return trail.end("", "nothing", "the reply says neither")


def _turned(text: str) -> str:
    """The text without phrases that take no side, and with denied words turned round: "not true" is a no."""
    text = re.sub(r"[ \t]+", " ", _NO_SIDE.sub(" # ", text))
    return _TO_NO.sub(" no ", _TO_YES.sub(" yes ", text)).strip()


def _announced(said: list[Statement]) -> tuple[str, str] | None:
    """The side of the last announcement that names one alone or first, and its sentence."""
    for each in reversed(said):
        if each.asks and len(said) > 1:
            continue
        for mark in reversed(list(ANNOUNCED.finditer(each.text))):
            found = _opening(each.text[mark.end() :])
            if found:
                return found, each.text
    return None


def _opening(sentence: str) -> str:
    """The side that a sentence opens with; "no" before a noun is none."""
    if _NO_LEADS.match(sentence):
        return ""
    judged = _BARE_JUDGED.match(sentence)
    if judged:
        return "yes" if judged["side"] in ("correct", "right", "accurate", "agreed") else "no"
    found = _OPENING.match(sentence)
    if found is None:
        return ""
    behind = sentence[found.end() :]
    if (
        found["word"] == "no"
        and re.match(r" [a-z]", behind)
        and not re.match(
            r" (?:it|the|they|there|this|that|he|she|i|we|because|since|as|but|not|a|an|and|in|you|yes|these|those|both|"
            r"matter)\b",
            behind,
        )
    ):
        return ""
    if (
        found["word"] in _WEAK
        and re.match(r" [a-z]", behind)
        and not re.match(r" (?:yes|so|it|they|the|there|true|correct)\b", behind)
    ):
        return ""
    if (
        found["word"] in ("true", "false")
        and re.match(r" [a-z]", behind)
        and not re.match(r" (?:since|because|as|that)\b", behind)
    ):
        return ""
    return "no" if found["no"] else "yes"


def _sides(sentence: str) -> list[str]:
    return ["no" if found["no"] else "yes" for found in _SIDE.finditer(sentence) if found[0] not in _WEAK]


def _is_torn(said: list[Statement], opening: str) -> bool:
    """Whether the reply asks itself the opening, or ends with the other side."""
    if said[0].asks:
        return True
    last = _opening(said[-1].text)
    return bool(last) and last != opening


def _last_judged(said: list[Statement]) -> str:
    """The side on which the last judgement of "the statement" comes down."""
    for each in reversed(said):
        found = list(_JUDGED.finditer(each.text))
        if found and not each.asks and not _UNSURE.search(each.text[: found[-1].start()]):
            return "yes" if re.fullmatch(_GOOD, found[-1]["side"]) else "no"
    return ""
