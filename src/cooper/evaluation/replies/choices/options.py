"""Options as they are named in a sentence: by letter, by text, by place. Each mention becomes one mark of the private area,
so that rules about sentences need not know what an option is called."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cooper.evaluation.replies.text import tidy

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST = 700  # options: AA follows Z, and ZX is the last
_LETTER, _TEXT, _PLACE = 0xE000, 0xE800, 0xF000  # the first mark of each kind of mention
MARK = "[\ue000-\uf7ff]"
SPELLED = "[\ue000-\ue7ff]"  # a mention by letter
DENIED = "\uf8ff"  # what stands for an option that was denied

_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+(?:\.\d+)?|-(?=\.?\d)"
)
_ARTICLES = ("the", "a", "an")
_DIGITS = {
    word: str(value)
    for value, word in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
}
_PLACES = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_SHORT_PLACES = {f"{number}{['st', 'nd', 'rd', 'th'][min(number, 4) - 1]}": number - 1 for number in range(1, 11)}
_PLACE_OF = {word: number for number, word in enumerate(_PLACES)} | _SHORT_PLACES | {"last": -1, "final": -1}
_NOUN = r"(?:option|choice|alternative|candidate|possibility)"
_ORDINAL = re.compile(
    rf"\b(?:the\s+)?({'|'.join(_PLACE_OF)})\s+(?:(?:listed|given)\s+)?(?:{_NOUN}|one|answer)\b(?!\s+of\b)"
    rf"|\b(?:the\s+)?(?P<also>{'|'.join(_PLACES)})(?=\s+(?:and|or)\s+(?:the\s+)?(?:{'|'.join(_PLACE_OF)})\s+(?:{_NOUN}|"
    r"one|answer)s?\b)"
    r"|第\s?(?P<han>[一二三四五六七八九十])\s?(?:个|项)(?:选项|答案)?|选项\s?(?P<item>[一二三四五六七八九十])",
    re.IGNORECASE,
)
_NUMBERED = re.compile(rf"\b{_NOUN}\s+(?:number\s+|no\.?\s*|#\s?)?(\d{{1,3}}|one|two|three|four|five|six)\b(?![.,]\d)", re.I)
_PRONOUN_BEFORE = re.compile(
    r"(?:right|correct|first|second|third|fourth|fifth|last|this|that|which|no|the|only|other|best|wrong|each|any|every|"
    r"another|accurate|likely|either|option|choice)\s+$",
    re.IGNORECASE,
)
_OF_LETTER = re.compile(r"(?<!\w)\(?[A-Z]\)? (?:is|are|seems?|looks?|must be) (?:not |also |both |clearly |the )?$")
_RIGHT_BEHIND = re.compile(r"\s+(?:one|answer|option|choice|match|description|order|now|away)\b|\s*(?:answer|option)\b", re.I)
_AFTER_A = (
    r"is|are|were|have|isn|isn't|was|seems|looks|appears|fits|matches|and|or|nor|but|not|over|rather|instead|it|"
    r"because|since|as|would|could|might|may|can|cannot|can't|does|doesn't|has|must|should|remains|agrees|describes|"
    r"shows|works|holds|to|stands|seem|look|appear|fit|match"
)
_MID_SENTENCE = re.compile(r"[a-z,] $")  # where an article is written small
_AS_A_LETTER = re.compile(rf"\s*(?:$|[.,:;!?✓✔✅✗✘❌×)\]/&+=–\-\"'\n]|(?:{_AFTER_A})\b|[B-Z]\b|[\u3400-\u9fff{MARK[1:-1]}])")


def labels(count: int) -> list[str]:
    """The names of so many options: A to Z, then AA, AB and so on."""
    names = [*LETTERS, *(first + second for first in LETTERS for second in LETTERS)]
    return names[: min(count, MOST)]


def plain(text: str) -> str:
    """Lower case words and numbers only, without a leading article."""
    words = _WORD.findall(tidy(text).lower())
    return " ".join(words[1:] if words[:1] and words[0] in _ARTICLES and len(words) > 1 else words)


def place_of(text: str, choices: Sequence[str]) -> int | None:
    """Which choice a text is: the one written the same, else the one of the same words and numbers."""
    short = plain(text)
    counted = _DIGITS.get(short, short)
    tests = (
        [choice.strip().casefold() == text.strip().casefold() for choice in choices],
        [plain(choice) == short != "" for choice in choices],
        [_DIGITS.get(plain(choice), plain(choice)) == counted != "" for choice in choices],
    )
    return next((same.index(True) for same in tests if sum(same) == 1), None)


def options_in(marked: str) -> list[int]:
    """The places of the options that a marked text mentions, in order, each once."""
    places = [(ord(char) - _LETTER) % 0x800 for char in re.findall(MARK, marked)]
    return list(dict.fromkeys(places))


def ordinal_place(text: str, count: int) -> int | None:
    """The place that "first" or "the 2nd" names among so many options."""
    place = _PLACE_OF.get(re.sub(r"^the\s+", "", text.lower()))
    return place % count if place is not None and -1 <= place < count and text.lower() != "final" else None


@dataclass(frozen=True)
class Lexer:
    """Turns sentences into marked ones, for one set of options."""

    choices: tuple[str, ...]
    by_first: dict[str, list[tuple[tuple[str, ...], int]]]
    letters: re.Pattern[str]
    places: dict[str, int]

    @classmethod
    def of(cls, choices: Sequence[str]) -> "Lexer":
        """A lexer of these options; those that cannot be told apart by their words are known by letter only."""
        names = labels(len(choices))
        words = [tuple(plain(choice).split()) for choice in choices[:MOST]]
        often = Counter(words)
        by_first: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for place, option in enumerate(words):
            if option and often[option] == 1 and not (len(option) == 1 and re.fullmatch("[a-z]", option[0])):
                by_first.setdefault(option[0], []).append((option, place))
        for first in by_first.values():
            first.sort(key=lambda pair: -len(pair[0]))
        either = "|".join(sorted(names, key=len, reverse=True)) or "(?!)"
        small = either.lower()
        letters = re.compile(
            rf"[(\[]\s?(?P<bracketed>{either}|{small})\s?[)\]]"
            rf"|\b(?i:{_NOUN}s?|letters?)\s+[\"'(]?(?P<named>(?:{either})(?![\w'])|(?:{small})(?![\w'])(?=\W*$|\W*\n| is\b|"
            r"[.,:)]))[\"')]?"
            rf"|(?:(?<='s )|(?<=is )|(?<=be ))(?P<ending>{small})(?=\W*$)"
            rf"|(?<![\w'.\-])(?P<right>{small})(?= is (?:the )?(?:correct|right|best|answer)\b)"
            rf"|(?<![\w'])[\"'](?P<quoted>{either}|{small})\.?[\"'](?!\w)"
            rf"|(?<![\w'.\-])(?P<lone>{either})(?![\w']|-\w|\.\w)"
        )
        return cls(tuple(choices), by_first, letters, {name: place for place, name in enumerate(names)})

    def marked(self, sentence: str) -> str:
        """The sentence in lower case, with a mark for each mention of an option; a letter with its text is one mention."""
        text = _ORDINAL.sub(self._ordinal, _NUMBERED.sub(self._numbered, sentence))
        text = self._texts(text)
        text = self.letters.sub(self._letter, text)
        return _one_mention(text.lower())

    def _ordinal(self, found: re.Match[str]) -> str:
        han = found["han"] or found["item"]
        word = (found[1] or found["also"] or "").lower()
        place = "一二三四五六七八九十".index(han) if han else _PLACE_OF[word]
        if word == "final" or not -1 <= place < len(self.choices):
            return found[0]
        return chr(_PLACE + place % len(self.choices))

    def _numbered(self, found: re.Match[str]) -> str:
        place = int(_DIGITS.get(found[1].lower(), found[1])) - 1
        return chr(_PLACE + place) if 0 <= place < min(len(self.choices), MOST) else found[0]

    def _texts(self, text: str) -> str:
        words = list(_WORD.finditer(text))
        lowered = [word[0].lower() for word in words]
        pieces, place, index = [], 0, 0
        while index < len(words):
            size, option = self._option_at(lowered, index)
            if size and not _is_other_sense(
                lowered[index : index + size], text, words[index].start(), words[index + size - 1].end()
            ):
                start = words[index].start()
                before = re.search(r"(?:^|\s)(?:the|an?)\s+$", text[max(place, start - 6) : start], re.IGNORECASE)
                cut = start - len(before[0].lstrip()) if before else start
                pieces += [text[place:cut], chr(_TEXT + option)]
                place, index = words[index + size - 1].end(), index + size
            else:
                index += 1
        return "".join([*pieces, text[place:]])

    def _option_at(self, words: Sequence[str], index: int) -> tuple[int, int]:
        for option, place in self.by_first.get(words[index], ()):
            if tuple(words[index : index + len(option)]) == option:
                return len(option), place
        return 0, 0

    def _letter(self, found: re.Match[str]) -> str:
        name = found["bracketed"] or found["named"] or found["quoted"] or found["ending"] or found["right"]
        if name:
            return chr(_LETTER + self.places[name.upper()])
        name = found["lone"]
        behind = found.string[found.end() :][:12]
        ahead = found.string[: found.start()][-12:]
        if name == "I" and not (re.match(r"\s*(?:$|[.):\n])", behind) and re.search(r"(?:^|is|:|=)\W*$", ahead.lower())):
            return found[0]
        article = name == "A" and not (_AS_A_LETTER.match(behind) or _MID_SENTENCE.search(ahead))
        return found[0] if article else chr(_LETTER + self.places[name])


def _is_other_sense(words: Sequence[str], text: str, start: int, end: int) -> bool:
    """Whether the words of an option mean something else here: "the right one", "the correct one"."""
    if list(words) == ["one"]:
        return _PRONOUN_BEFORE.search(text[max(0, start - 14) : start]) is not None
    if words[-1] in ("right", "correct", "true"):
        return _OF_LETTER.search(text[max(0, start - 28) : start]) is not None or _RIGHT_BEHIND.match(text, end) is not None
    return False


_WITH_TEXT = re.compile(r"([\ue000-\ue7ff])(?:\s*[.:)\]–-]*\s*[(\"']?\s*)(?:option )?([\ue800-\uefff])[)\"']?")
_TEXT_FIRST = re.compile(r"([\ue800-\uefff])\s*[(,:–-]?\s*([\ue000-\ue7ff])\)?(?![\ue800-\uefff])")


def _one_mention(text: str) -> str:
    """Letters with their texts as one mark; where the two disagree, the letter is meant."""
    text = _WITH_TEXT.sub(r"\1", text)

    def same(found: re.Match[str]) -> str:
        return found[2] if ord(found[1]) - _TEXT == ord(found[2]) - _LETTER else found[0]

    return _TEXT_FIRST.sub(same, text)
