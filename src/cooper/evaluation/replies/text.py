"""From a reply to the part that holds the answer: plain characters, no thoughts, no decoration.

Every step takes time in proportion to the reply's length; of a very long part the beginning and the end are read.
"""

import re
import unicodedata
from dataclasses import dataclass

from cooper.evaluation.replies.reading import Trail, shown

HEAD, TAIL = 4_000, 12_000  # characters of a long part that are read: how it opens, and how it ends

_THOUGHTS = r"think|thinking|thoughts?|reasoning|reason|analysis|reflection|scratchpad"
_THOUGHT_TAG = re.compile(rf"<\s*(/?)\s*(?:{_THOUGHTS})\s*>|(\[/?THINK\])|◁(/?)think▷", re.IGNORECASE)
_ANSWER_TAG = re.compile(
    r"<\s*(/?)\s*(?:final[_ -]?)?answer\s*>|\[(/?)(?:final[_ -]?)?answer\]|<\|(?:begin|(end))_of_box\|>", re.IGNORECASE
)
_OTHER_TAG = re.compile(
    r"</?(?:b|i|u|em|strong|p|br|span|code|pre|div|s|center|h[1-6])\s{0,4}/?>|<\|[^<>|]{1,40}\|>", re.IGNORECASE
)
_VULGAR = {char: unicodedata.normalize("NFKC", char).replace("⁄", "/") for char in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_FRACTION_SIGN = re.compile(rf"(\d?) ?([{''.join(_VULGAR)}])")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile(r"(?<=10)[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")

_LOST_ESCAPES = (("\x08oxed", r"\boxed"), ("\x0crac", r"\frac"), ("\text{", r"\text{"))  # a backslash that was executed
_SPACED = {"，": ", ", "。": ". ", "、": ", ", "；": "; ", "！": "! ", "？": "? ", "：": ": ", "…": "... "}
_ALIKE = {
    **dict.fromkeys("“”„‟″＂«»「」『』", '"'),
    **dict.fromkeys("‘’‚‛′＇", "'"),
    **dict.fromkeys("【〔《〈", "["),
    **dict.fromkeys("】〕》〉", "]"),
    **dict.fromkeys("−‐‑﹣", "-"),
    **dict.fromkeys("–—―", "–"),
    **dict.fromkeys("∼〜～", "~"),
    "⁄": "/",
    "∶": ":",
}


def _plain_characters() -> dict[int, str]:
    table = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms
    controls = (*range(32), *range(127, 160), *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF, 0xFE0F)
    table |= {code: "" for code in controls if chr(code) not in "\n\t"}
    spaces = (0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000, 0x2028, 0x2029)
    table |= dict.fromkeys(spaces, " ") | dict.fromkeys(range(0xE000, 0xF900), " ")  # the private area marks options
    return table | {ord(char): plain for char, plain in (_ALIKE | _SPACED).items()} | {9: " "}


_CHARACTERS = _plain_characters()

_NAMED_LATEX = re.compile(
    r"\\(?:text|mathrm|textbf|mathbf|textit|mathit|textrm|mbox|operatorname|boldsymbol|mathsf|texttt|bold|bf|rm|underline)"
    r"\s{0,4}\{([^{}]{0,400})\}"
)
_FRAC = re.compile(r"(\d?)\s{0,2}\\[dt]?frac\s{0,4}(?:\{\s*([\d.]{1,20})\s*\}\s{0,4}\{\s*([\d.]{1,20})\s*\}|(\d)\s?(\d))")
_SPACING = re.compile(r"\\(?:[,;:! ()\[\]]|(?:left|right|quad|qquad|displaystyle|rm|bf|text|mathrm|textbf)\b)|\$")
_SIGNS = (
    (re.compile(r"\\(?:approx|sim|simeq)\b"), " ≈ "),
    (re.compile(r"\\times\b"), "×"),
    (re.compile(r"\\cdot\b"), "·"),
    (re.compile(r"\\pm\b"), "±"),
    (re.compile(r"\\(?=[%_&#])"), ""),
    (re.compile(r"\^\s?\{\s?(-?\d{1,3})\s?\}"), r"^\1"),
    (re.compile(r"(?<=\d)~(?=[^\W\d])"), " "),  # a tie between a number and its unit
)
_EMPHASIS = re.compile(r"(?<!\d)\*{2,}|\*{2,}(?!\d)|`+|(?<![\d*])(?<!\d )\*|\*(?!\s?\d|\*)|(?<![^\W_])_+|_+(?![^\W_])")
_LINE_MARK = re.compile(r"^[ ]{0,8}(?:[#>]{1,6}[ ]+|[-+•·][ ]+)+", re.MULTILINE)
_HAN = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_SCRIPTS_MEET = re.compile(rf"(?<={_HAN})(?=[A-Za-z0-9(\"'])|(?<=[A-Za-z0-9)\"'])(?={_HAN})")  # no word goes on there
_FENCE = re.compile(r"^[ ]{0,8}```[\w-]{0,20}[ ]*$", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """Where the answer stands.

    text: plain characters, line breaks kept. guarded: it is a thought with nothing behind it, so only an announcement counts.
    """

    text: str
    guarded: bool = False


def tidy(text: str) -> str:
    """The same text in plain characters: full-width forms, typographic marks, fractions of one character, odd spaces."""
    for lost, meant in _LOST_ESCAPES:
        text = text.replace(lost, meant)
    text = text.encode("utf-8", "ignore").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    text = _POWER.sub(lambda found: "^" + found[0].translate(_RAISED), text)
    text = _FRACTION_SIGN.sub(lambda found: f"{found[1]}{' ' if found[1] else ''}{_VULGAR[found[2]]}", text)
    return text.translate(_CHARACTERS)


def bare(text: str) -> str:
    """Without markdown and LaTeX around the words; `\\scalar{...}` and the like stay."""
    text = _FENCE.sub("", _OTHER_TAG.sub(" ", text))
    for _ in range(3):
        text = _NAMED_LATEX.sub(r"\1", text)
    text = _FRAC.sub(lambda f: f"{f[1]}{' ' if f[1] else ''}{f[2] or f[4]}/{f[3] or f[5]}", text)
    for sign, plain in _SIGNS:
        text = sign.sub(plain, text)
    text = _LINE_MARK.sub("", _EMPHASIS.sub("", _SPACING.sub(" ", text)))
    return re.sub(r"[ ]+", " ", _SCRIPTS_MEET.sub(" ", text)).strip()


def answer_part(reply: str, trail: Trail) -> Part:
    """The last answer element (also one cut off), else what follows the thoughts; of that the last box, if any."""
    marked = _last_element(reply)
    if marked is not None:
        marked = tidy(shortened(marked))
        trail.note("part", f"the answer element: {shown(marked)}")
        return Part(_unboxed(marked) or bare(marked))
    spoken, thought, is_open = _without_thoughts(reply)
    spoken, thought = tidy(shortened(spoken)), tidy(shortened(thought))
    if spoken.strip():
        if thought or is_open:
            trail.note("part", "what stands outside the thoughts")
        boxed = _unboxed(spoken)
        if boxed:
            trail.note("part", f"the last box: {shown(boxed)}")
        return Part(boxed or bare(spoken))
    if is_open:
        trail.note("part", "the thought was cut off before an answer")
        return Part("")
    if thought.strip():
        trail.note("part", "nothing follows the thought, so only what it announces counts")
        boxed = _unboxed(thought)
        return Part(boxed or bare(thought), guarded=not boxed)
    return Part("")


def _last_element(text: str) -> str | None:
    """What the last complete answer element holds, else what follows the last opening tag."""
    begin, content = None, None
    for tag in _ANSWER_TAG.finditer(text):
        if not (tag[1] or tag[2] or tag[3]):
            begin = tag.end()
        elif begin is not None:
            content, begin = text[begin : tag.start()], None
    return text[begin:] if content is None and begin is not None else content


def _without_thoughts(text: str) -> tuple[str, str, bool]:
    """What was said aloud, the last thought, and whether a thought is still open. A lone closing tag ends a thought."""
    aloud: list[str] = []
    thought, place, begin = "", 0, None
    for tag in _THOUGHT_TAG.finditer(text):
        closing = bool(tag[1] or tag[3] or (tag[2] or "").startswith("[/"))
        if not closing and begin is None:
            aloud.append(text[place : tag.start()])
            begin = tag.end()
        elif closing:
            if begin is None:
                aloud.clear()
            thought, begin, place = text[place if begin is None else begin : tag.start()], None, tag.end()
    if begin is None:
        aloud.append(text[place:])
    return " ".join(aloud), thought, begin is not None


def _unboxed(text: str) -> str:
    """The content of the last box, plain, with a unit that follows it; "" without a box."""
    start = text.rfind(r"\boxed{")
    if start < 0:
        return ""
    depth, begin = 1, start + len(r"\boxed{")
    end = len(text)
    for index in range(begin, min(len(text), begin + TAIL)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            end = index
            break
    inner = bare(text[begin:end])
    after = re.match(r"[ ~]*(?:['\"°]|degrees?\b|[^\W\d_]{1,11}\.?(?![^\W_]))", bare(text[end + 1 : end + 60]))
    if after and re.fullmatch(r"[-+]?[\d.,/ –~-]+", inner):
        unit = after[0].strip(" ~")
        return f"{inner}{unit}" if unit in "'\"°" else f"{inner} {unit}"
    return inner


def shortened(text: str) -> str:
    """The beginning and the end of a very long text, parted by a line of dots."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n...\n{text[-TAIL:]}"
