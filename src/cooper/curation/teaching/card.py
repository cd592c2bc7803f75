"""What a run will cost, before it begins, and the card of the data that it made."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cooper.curation.teaching.curate import REJECTED, CurateSettings
from cooper.curation.teaching.rows import ASKED, EXAMPLES, TRACES
from cooper.curation.teaching.teachers import VERSION
from cooper.errors import CooperError
from cooper.evaluation.judge.judge import JudgeCounts
from cooper.files.arguments import markdown_text
from cooper.files.rows import read_rows, write_whole
from cooper.trace.grammar import ANSWER

CARD = "README.md"
RULES, QUESTION, TURN, PICTURE = 350, 60, 90, 765  # tokens: words by four characters each; 1024 x 1024 px as GPT-4o counts them


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Of a million tokens, in any one currency; 0 where it is not known."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def __post_init__(self) -> None:
        if min(self.tokens_in, self.tokens_out) < 0:
            raise CooperError("a price must not be negative")

    def of(self, tokens_in: int, tokens_out: int) -> float | None:
        """What so many tokens cost; None without prices."""
        cost = (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1e6
        return cost if self.tokens_in or self.tokens_out else None


@dataclass(frozen=True)
class CostEstimate:
    """Requests and tokens, at most, if each question takes one try."""

    requests: int
    tokens_in: int
    tokens_out: int

    @classmethod
    def of(cls, questions: int, settings: CurateSettings) -> "CostEstimate":
        """For so many questions: one map each where maps may be asked for, and one more look where their use is checked."""
        answer = RULES + QUESTION + PICTURE
        if settings.mode == "text":
            return cls(questions, questions * answer, questions * TURN)
        seen = answer + TURN + PICTURE
        looks = 1 + settings.check_maps
        return cls(questions * (1 + looks), questions * (answer + looks * seen), questions * (1 + looks) * TURN)

    def told(self, prices: Prices) -> str:
        """In one sentence."""
        cost = prices.of(self.tokens_in, self.tokens_out)
        price = "" if cost is None else f", {cost:,.2f} at the given prices"
        return f"about {self.requests:,} requests, {self.tokens_in:,} tokens in and {self.tokens_out:,} out{price}"


def write_card(folder: Path, settings: CurateSettings, url: str, counts: JudgeCounts, prices: Prices) -> None:
    """The card: what the data is, how it was made, what was left out, and what it took."""
    accepted = Counter(row["kind"] for row in read_rows(folder / EXAMPLES))
    reasons: dict[str, Counter[str]] = {}
    for row in read_rows(folder / REJECTED):
        reasons.setdefault(row["reason"], Counter())[row["kind"]] += 1
    kinds = sorted({*accepted, *(kind for some in reasons.values() for kind in some)})
    names = sorted(reasons)
    head = f"| kind | examples | {' | '.join(names)} |" if names else "| kind | examples |"
    rows = [[markdown_text(kind), accepted[kind], *(reasons[name][kind] for name in names)] for kind in kinds]
    rows.append(["all", accepted.total(), *(reasons[name].total() for name in names)])
    table = [head, "| " + " | ".join(["---"] * (2 + len(names))) + " |"]
    table += [f"| {' | '.join(map(str, row))} |" for row in rows]
    write_whole(folder / CARD, "\n\n".join([_made(settings, url), "\n".join(table), _taken(counts, prices), _use()]) + "\n")


def _made(settings: CurateSettings, url: str) -> str:
    teacher = f"`{settings.teacher}`" + (f" at {url}, instructions `{VERSION}`" if url else ", from the geometry of the scenes")
    maps = "as the scene has them" if settings.given_maps == "true" else f"as `{settings.model}` draws them"
    used = (
        " An example with maps is kept if the teacher, shown the maps of another picture, does not come to the right answer."
        if settings.check_maps and url
        else ""
    )
    return (
        f"# Reasoning about the questions of {markdown_text(str(settings.data))}\n\n"
        f"Made by `cooper data curate`. Teacher: {teacher}. Mode: {settings.mode}. Maps: {', '.join(settings.maps)}, {maps}. "
        f"An example is kept if its answer is right and every turn keeps the grammar.{used}"
    )


def _taken(counts: JudgeCounts, prices: Prices) -> str:
    if not (counts.asked or counts.cached):
        return "Nothing was asked of an endpoint in the last run."
    cost = prices.of(counts.tokens_in, counts.tokens_out)
    price = "" if cost is None else f", {cost:,.2f} at the given prices"
    return (
        f"The last run: {counts.asked:,} requests, {counts.tokens_in:,} tokens in and {counts.tokens_out:,} out{price}; "
        f"{counts.cached:,} replies were kept from before."
    )


def _use() -> str:
    return (
        f"`{TRACES}`: `data:` of `cooper train sft`. `{ASKED}`: `--data` of `cooper data flags`, and `data:` of "
        f"`cooper train grpo`. `{REJECTED}`: what was left out, with the reason. Answers stand in `<{ANSWER}>`. "
        "The terms of the pictures, of the questions and of the teacher hold for what was made from them."
    )
