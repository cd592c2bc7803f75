"""Decoding turns of text for many rows at once.

B: rows. V: vocabulary that may be sampled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from cooper.files.values import Above, AtMost, Size, Weight, check_fields
from cooper.model.cooper import CooperModel
from cooper.reasoning.context import Context, Randomness, bind, unbind
from cooper.sequence.packing import Geometry, pack_tokens
from cooper.sequence.processor import Processor
from cooper.trace.grammar import ANSWER


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. Temperature 0 takes the likeliest; `max_tokens` limits one turn (the end token counts)."""

    temperature: Weight = 0.0
    top_p: Annotated[float, Above(0), AtMost(1)] = 1.0
    max_tokens: Size = 512

    def __post_init__(self) -> None:
        check_fields(self)


class AnswerGuide:
    """The tokens that may come next in one turn: any before the answer opens, and then those that go on with an option, or with
    `refusal`, behind which any may come."""

    def __init__(self, processor: Processor, choices: Sequence[str], refusal: str = "") -> None:
        self._processor = processor
        self._ways = [processor.encode(f"{choice}</{ANSWER}>") for choice in choices]
        self._refusal = tuple(processor.encode(refusal)) if refusal else ()
        self._start: int | None = None

    def allowed(self, ids: Sequence[int]) -> list[int]:
        """The tokens that may follow `ids`, those of the turn so far; [] where any may."""
        if self._start is None and self._processor.decode(list(ids[-_TAIL:])).endswith(f"<{ANSWER}>"):
            self._start = len(ids)
        if self._start is None:
            return []
        said = tuple(ids[self._start :])
        place, ways = len(said), [*self._ways, self._refusal]
        if self._refusal and said[: len(self._refusal)] == self._refusal:
            return []
        return sorted({way[place] for way in ways if len(way) > place and tuple(way[:place]) == said})


@dataclass(frozen=True)
class Writer:
    """A row about to write: where it stands, its random numbers, how its tokens are chosen, tokens it must write instead of
    sampling, and what holds its answer to the options of the question. Log-probabilities are those without it."""

    context: Context
    random: Randomness
    sampling: Sampling = Sampling()
    forced: tuple[int, ...] = ()
    guide: AnswerGuide | None = None


@dataclass(frozen=True)
class NewToken:
    """One token of one row, as it comes."""

    row: int
    token: int


@dataclass(frozen=True, eq=False)
class Written:
    """The finished turn of a row: sampled ids (end token included if sampled), log-probabilities, the context behind them.

    Log-probabilities are those of the tempered distribution over the tokenizer's vocabulary, before top-p.
    """

    row: int
    context: Context
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    truncated: bool


@torch.no_grad()
def write_turns(
    model: CooperModel,
    geometry: Geometry,
    vocabulary: int,
    writers: Sequence[Writer],
) -> Iterator[NewToken | Written]:
    """Decode one turn in every row until its end token or the limit; yields tokens as they come, and each finished turn.

    Every token written, the end token included, is fed back, so each context holds exactly what was sampled.
    """
    total = len(writers)
    ids: list[list[int]] = [[] for _ in range(total)]
    logprobs: list[list[float]] = [[] for _ in range(total)]
    contexts = [writer.context for writer in writers]
    limits = [len(writer.forced) or writer.sampling.max_tokens for writer in writers]
    live = list(range(total))
    cache = bind(model, contexts)
    feed = [geometry.bos] * total
    ropes = [writer.context.rope for writer in writers]
    ended = [False] * total
    while live:
        token_B, rope_B = (torch.tensor([x[row] for row in live], device=model.device) for x in (feed, ropes))
        hidden_BH = model(pack_tokens(token_B, rope_B, torch.ones_like(rope_B), geometry), cache)
        for row in live:
            ropes[row] += 1
        finished = [place for place, row in enumerate(live) if ended[row] or len(ids[row]) == limits[row]]
        if finished:
            for place in finished:
                row = live[place]
                alone = cache.select(torch.tensor([place], device=model.device))
                context = unbind(alone, [contexts[row]], [ropes[row]])[0]
                yield Written(row, context, tuple(ids[row]), tuple(logprobs[row]), not ended[row])
            going = [place for place in range(len(live)) if place not in set(finished)]
            if not going:
                break
            keep = torch.tensor(going, device=model.device)
            cache, hidden_BH, live = (
                cache.select(keep),
                hidden_BH[keep],
                [live[place] for place in going],
            )
        writing = [writers[row] for row in live]
        scores_BV = word_logprobs(model.text_logits(hidden_BH), vocabulary, _heat(writing, model.device))
        choices = choose(scores_BV, writing, ids, live)
        for row, token, logprob in zip(live, choices.tokens, choices.logprobs, strict=True):
            ids[row].append(token)
            logprobs[row].append(logprob)
            feed[row] = token
            ended[row] = token == geometry.eos
            yield NewToken(row, token)


@dataclass(frozen=True)
class Choices:
    """One token per row and its log-probability."""

    tokens: list[int]
    logprobs: list[float]


def _heat(writers: Sequence[Writer], device: torch.device) -> float | Tensor:
    """The temperature of all rows, or one for each [B, 1]."""
    found = [writer.sampling.temperature or 1.0 for writer in writers]
    return found[0] if len(set(found)) == 1 else torch.tensor(found, device=device)[:, None]


def word_logprobs(logits_BV: Tensor, vocabulary: int, temperature: float | Tensor) -> Tensor:
    """Log-probabilities, in float32, of the tokens that may be sampled, tempered (temperature 0 counts as 1 here); one for each
    row is [B, 1], and none of them is 0.

    This is what a trace records and what reinforcement learning scores; there is no other.
    """
    heat = temperature if isinstance(temperature, Tensor) else temperature or 1.0
    return (logits_BV[:, :vocabulary].float() / heat).log_softmax(-1)


def choose(
    scores_BV: Tensor,
    writers: Sequence[Writer],
    ids: Sequence[Sequence[int]],
    live: Sequence[int],
) -> Choices:
    """Pick the next token of every row: forced, likeliest, or sampled by the row's own random number."""
    held = [writer.guide.allowed(ids[row]) if writer.guide else [] for row, writer in zip(live, writers, strict=True)]
    said_BV, scores_BV = scores_BV, _held(scores_BV, held)
    token_B = scores_BV.argmax(-1)
    drawn = [place for place, writer in enumerate(writers) if writer.sampling.temperature > 0]
    if drawn:
        at_D = torch.tensor(drawn, device=scores_BV.device)
        u_D, top_p_D = (
            torch.tensor(values, dtype=torch.float64, device=scores_BV.device)
            for values in zip(
                *((writers[place].random.uniform(), writers[place].sampling.top_p) for place in drawn), strict=True
            )
        )
        token_B = token_B.index_copy(0, at_D, sample(scores_BV[at_D], u_D, top_p_D))
    for place, (row, writer) in enumerate(zip(live, writers, strict=True)):
        if writer.forced:
            token_B[place] = writer.forced[len(ids[row])]
    return Choices(token_B.tolist(), said_BV.gather(1, token_B[:, None])[:, 0].tolist())


def _held(scores_BV: Tensor, allowed: Sequence[Sequence[int]]) -> Tensor:
    """The scores of rows whose next token is held to some, without the others; the rest as they are."""
    if not any(allowed):
        return scores_BV
    return torch.stack([kept(row_V, some) if some else row_V for row_V, some in zip(scores_BV, allowed, strict=True)])


def sample(logprobs_BV: Tensor, u_B: Tensor, top_p: float | Tensor) -> Tensor:
    """Inverse-transform sampling from the smallest set of likeliest tokens whose mass exceeds `top_p`, one for all rows or one
    each [B] (the crossing token kept).

    Probabilities [0.5, 0.3, 0.2], top_p 0.6: the set is {0, 1}; u = 0.7 falls behind 0.5 / 0.8, so token 1 is drawn.
    """
    p_BV, order_BV = logprobs_BV.double().exp().sort(dim=-1, descending=True, stable=True)
    mass_BV = p_BV.cumsum(-1)
    several = isinstance(top_p, Tensor)
    if several or top_p < 1:
        most = torch.where(top_p < 1, top_p, torch.inf)[:, None] if isinstance(top_p, Tensor) else top_p
        p_BV = p_BV.masked_fill(mass_BV - p_BV > most, 0.0)
        mass_BV = p_BV.cumsum(-1)
    place_B = torch.searchsorted(mass_BV, (u_B * mass_BV[:, -1])[:, None], right=True)[:, 0]
    return order_BV.gather(1, place_B.clamp(max=p_BV.shape[1] - 1)[:, None])[:, 0]


_TAIL = 16  # tokens in which the opening tag is looked for


def kept(scores_V: Tensor, allowed: Sequence[int]) -> Tensor:
    """The scores of the allowed tokens; the others can not be chosen."""
    held = torch.full_like(scores_V, -torch.inf)
    index = torch.tensor(list(allowed), device=scores_V.device)
    return held.index_copy(0, index, scores_V[index])
