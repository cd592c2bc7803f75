"""Rules about marked sentences: which mentions are denied, which are only considered, and which are claimed as the answer.

A marked sentence has one character for each mention of an option (see `options`). Every pattern is bounded, so that a long
sentence is read in time in proportion to its length.
"""

import re

from cooper.evaluation.replies.choices.options import DENIED, MARK, SPELLED

_AND = r"(?:\s?[,/&+]\s?(?:and |or |nor )?|\s?[和与或跟及]\s?| and (?:also )?| or | nor | as well as )"
LIST = rf"{MARK}(?:{_AND}(?:also |both |option )?{MARK}){{0,30}}"
_ALL_DENIED = rf"{MARK}(?:{_AND}(?:also |both |option )?{MARK}(?! (?:is|are)\b)){{0,30}}"  # "not A, B is right" denies A alone
_SMALL = (
    r"(?:(?:be|option|the|a|an|in|on|at|of|is|it|to|with|by|from|for|really|necessarily|actually|just|either|any of|that|"
    r"its?|it's|think|believe|say|choose|pick|select|go) ){0,4}"
)
_DEGREE = (
    r"(?:(?:also|both|all|clearly|definitely|therefore|thus|obviously|simply|likely|then|certainly|really|quite|still) ){0,3}"
)

_OPEN = r"[\"'(\[]{0,2}"
_NOT_BEFORE = re.compile(
    r"(?:\b(?:not|never|neither|nor|rather than|instead of|as opposed to|unlike|exclud(?:e|ed|es|ing)|rul(?:e|ed|es|ing) out|"
    r"eliminat(?:e|ed|es|ing)|reject(?:ed|s|ing)?|discard(?:ed|ing)?|except(?: for)?|dismiss(?:ed|ing)?|contrary to|"
    r"no longer|other than|no to)|n't|n’t)"
    rf" {_SMALL}{_OPEN}({_ALL_DENIED})"
)
_OVER = re.compile(rf"(?<={MARK}) (?:over|than|before) {_OPEN}({LIST})")
_PREFERRED = re.compile(rf"(?<=\bprefer {MARK}) to {_OPEN}({LIST})")
_SAME = re.compile(rf"\b(?:so|neither|nor|likewise|same goes for|as) (?:are|is|do|does|can|were|was|for) {_OPEN}({LIST})")
_WRONG = (
    r"(?:not\b|n't\b|wrong|incorrect|false\b|untrue|out\b|impossible|invalid|excluded|eliminated|ruled out|unlikely|"
    r"implausible|"
    r"inconsistent|contradicted|inaccurate|rejected|discarded|no match|never\b|neither\b|nowhere|less )"
)
_NOT_AFTER = re.compile(
    rf"({LIST})[)\"']?,?(?: \([^()]{{0,80}}\))?,?(?: (?:option|one|choice|answer|which|that|both|all|too|itself))?"
    rf"(?: (?:is|are|was|were|seems?|looks?|appears?|must be|would be|has to be)(?: to be)? {_DEGREE}{_WRONG}"
    r"| ?(?:isn't(?! it\b)|aren't|wasn't|doesn't|don't|didn't|won't|wouldn't|can't|couldn't|cannot|can not|does not|do not|did "
    r"not|would not|"
    r"could not|will not|has no\b|lacks?\b|fails?\b|contradicts?\b|conflicts?\b|can be (?:safely )?(?:ruled|exclu|elimin|"
    r"dismiss|discard|reject))"
    rf"|\s?(?:[:–=-]|->|→)\s?(?:(?:this|it|that|the statement) )?(?:is |does |would be )?(?:{_WRONG}|no\b|doesn't|isn't|"
    r"does not)|\s?:?\s?[✗✘❌×])"
)
_NOT_CHINESE = re.compile(
    rf"({LIST})\s?(?:项)?\s?(?:是|也|都)?\s?(?:不|错|排除|有误)|(?:不是|不选|排除|而非|非|不会是)\s?(?:选项)?\s?({LIST})"
)
_DENIALS = (_NOT_BEFORE, _OVER, _PREFERRED, _NOT_AFTER, _NOT_CHINESE)

_CONSIDERED = re.compile(
    r"\b(?:at first|initially|originally|at first glance|at first sight|my (?:first|initial) (?:\w+ )?(?:thought|"
    r"instinct|guess|impression|idea)|"
    r"i (?:first |initially |originally |briefly |had )?(?:thought|considered|suspected|assumed|was tempted|expected)|"
    r"one (?:might|may|could) think|(?:it |this |that )?(?:may|might) (?:seem|look|appear)|(?:al)?though|even though|"
    r"even if|whereas|while|despite|"
    r"(?:is|was) tempting)\b"
    rf"[^,;.{MARK[1:-1]}]{{0,60}}{_OPEN}({LIST})[^,;.]{{0,60}}"
)
_PLAUSIBLE = re.compile(
    rf"({LIST}),? (?:also )?(?:is|are|was|were|seems?|seemed|looks?|looked|appears?|appeared)(?: to be)? (?:also |quite |"
    r"rather |very |fairly )?"
    r"(?:tempting|possible|plausible|a possibility|close|reasonable|\w+ at first|\w+ initially)"
)
_AMONG = re.compile(
    rf"\b(?:between|among|amongst|out of|of|from|compar(?:e|ed|ing)|consider(?:ing)?|given) (?:options |the options )?({LIST}),"
)
_CORRECTED = re.compile(
    r"\b(?:but|however|wait|actually|so|hence|therefore|thus|instead|on reflection|closer|rather|final(?:ly)?|yet|no,)(?!\w)"
)

_BETWEEN = rf"[^.;:!?{MARK[1:-1]}{DENIED}]"
_OF_ANSWER = (
    r"\b(?:answers?|ans|selection|pick|verdict|conclusion|response|solution|guess|prediction|correct one|right one|"
    r"correct|best match|best fit"
    r"|(?:correct|right|best|final|my|chosen|selected|likely|closest) (?:choice|option|result|letter|description|statement)"
    r"|(?:choice|option|result|letter|selected)(?=\s?(?:[:=]|is\b)))"
)
_IS = r"(?:\bis\b|\bwas\b|would be|should be|must be|has to be|will be|\bbe\b|[:=]|-+>|→|⇒)"
_ADVERB = (
    r"(?:(?:therefore|thus|option|clearly|definitely|probably|most likely|likely|indeed|hence|then|simply|the|a|an|to be|"
    r"that|it|is|it's) ){0,4}"
)
ANNOUNCED = re.compile(
    rf"{_OF_ANSWER}\b(?:{_BETWEEN}{{0,40}}?{_IS}[\s:=]*|\s+)[\s,]{{0,2}}{_ADVERB}[\"'(\[]{{0,2}}({LIST})"
    rf"|(?:正确)?答案\s?(?:应该|应|就|可能|可以)?(?:是|为|选)?\s?[:=]?\s?(?:选项)?\s?[\"'(\[]{{0,2}}({LIST})"
)
_CHOOSE = (
    r"\b(?:choos(?:e|ing)|chose|chosen|pick|picked|select|selected|selecting|go(?:ing)? (?:with|for)|opt(?:ing)? for|say|"
    r"vote for|"
    r"prefer|settle (?:on|for)|take|lean(?:ing)? (?:to|towards?|on)|think|believe|guess|conclude|answer(?:ing)?|favou?r|"
    r"stick with|bet on|"
    r"points? to(?:wards?)?|suggests?|indicates?|supports?|confirms?|inclined to (?:say|choose)|looks like|seems (?:like|"
    r"to be)|must be|"
    r"has to be|have to be|appears to be)"
)
_FITS = (
    r"(?:correct|right|true|accurate|best|answer|valid|supported|consistent|likely|appropriate|fitting|match(?:es)?|"
    r"fits?|winner|"
    r"choice|option|the one|most|better|closest|plausible|what|our|my|selected|chosen|confirmed)"
)
CLAIMED = re.compile(
    rf"{_CHOOSE}\b{_BETWEEN}{{0,30}}?[\s:]{_OPEN}({LIST})"
    rf"|({LIST})[)\"']?,?(?: \([^()]{{0,80}}\))?(?: (?:option|choice|answer|one))? (?:is|was|are|seems|appears|looks|must "
    r"be|would be|should be|has to be)"
    rf"(?: to be)? {_DEGREE}(?:the |a |an |my |our )?(?:only |most |best |more |one |single |final |correct |right )?{_FITS}"
    rf"|({LIST})[)\"']? (?:also )?(?:matches|fits|agrees|holds|applies|works|describes|remains|wins|stands out|comes "
    r"closest|makes (?:the most )?sense)\b"
    rf"|({LIST})[)\"']? it is\b|{DENIED}[^.;]{{0,40}}[,;] ({LIST}) (?:is|does|fits)\W*$"
    rf"|\b(?:wait|no|actually|correction|sorry|hmm)[,:] (?:(?:actually|no|wait|it is|it's|rather|so),? ){{0,3}}{_OPEN}({LIST})"
    rf"|\b(?:only|leaves|leaving|left with|remaining)\b{_BETWEEN}{{0,24}}?[\s:]{_OPEN}({LIST})"
    r"|\b(?:so|thus|hence|therefore|consequently|accordingly|ergo|overall|in conclusion|in short|to conclude|finally|"
    r"clearly|definitely)\b[,:]?\s"
    rf"(?:(?:it|this|that|they|we|i|the|is|are|it's|must|be|has|have|get|would|say|choose|object|one) ){{0,4}}{_OPEN}({LIST})"
    rf"|({LIST})[)\"']?\s?(?:[:–-]|->)\s?(?:this |it |that )?(?:is )?(?:correct|right|true|matches|fits|yes)|"
    rf"({LIST})[)\"']?\s?:?\s?[✓✔✅]"
    rf"|(?:选择?|应选|故选|选项)\s?(?:了|的是|是|为)?\s?[:]?\s?[\"'(\[]{{0,2}}({LIST})|({LIST})\s?(?:项)?\s?(?:是)?\s?(?:正确|对的|对\b)"
)
OPENING = re.compile(
    rf"{_OPEN}({SPELLED})[)\"'\]]{{0,2}}(?:\s?[.:;)]|\s?,(?! {MARK})|\s?[–-]|\s?$| because\b| since\b| as\b(?! well)| "
    r"for\b| due to\b)"
)
PLAN = re.compile(
    r"(?:let me|let's|let us|i will|i'll|i need to|we need to|first|to (?:determine|decide|answer|find)|next|consider|now) "
)
ABBREVIATED = re.compile(rf"a\s?[:=]\s?|{SPELLED}\s?:\s?(?={_OPEN}{SPELLED}[)\"'\]]{{0,2}}\.?$)")


def without_denied(marked: str) -> str:
    """The sentence with every denied option replaced by one character that is no option."""
    for rule in _DENIALS:
        marked = rule.sub(_struck, marked)
    return _SAME.sub(_struck, marked) if DENIED in marked else marked


def without_considered(marked: str) -> str:
    """The sentence without options that are weighed and left: "at first A", "although A is possible", "between A and B,"."""
    for rule in (_AMONG, _CONSIDERED, _PLAUSIBLE):
        marked = rule.sub(lambda found: re.sub(MARK, " ", found[0]), marked)
    return marked


def corrects(marked: str) -> bool:
    """Whether a sentence takes back or sums up what was said before it."""
    return _CORRECTED.search(marked) is not None


def claims(rule: re.Pattern[str], marked: str) -> list[str]:
    """What the rule finds claimed in a sentence: lists of marks."""
    return [next(group for group in found.groups() if group) for found in rule.finditer(marked)]


def _struck(found: re.Match[str]) -> str:
    listed = next(group for group in found.groups() if group)
    return found[0].replace(listed, DENIED * len(listed))
