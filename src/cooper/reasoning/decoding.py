"""Decoding turns of text for many rows at once: rows join and leave between tokens.

B: rows. V: vocabulary that may be sampled.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from cooper.files.values import Above, AtMost, Size, Weight, check_fields
from cooper.model.cache import Cache
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


@dataclass(eq=False)
class _Turn:
    """A turn under way. `feed` is the token that the network reads next, at rope position `rope`."""

    row: int
    writer: Writer
    feed: int
    rope: int
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False

    @property
    def over(self) -> bool:
        return self.ended or len(self.ids) == (len(self.writer.forced) or self.writer.sampling.max_tokens)


class Decoding:
    """The rows that write: each step gives every one of them a token. Rows join and leave between two steps.

    Every token written, the end token included, is fed back, so each context holds exactly what was sampled.
    """

    def __init__(self, model: CooperModel, geometry: Geometry, vocabulary: int) -> None:
        self._model, self._geometry, self._vocabulary = model, geometry, vocabulary
        self._turns: list[_Turn] = []
        self._cache: Cache | None = None

    @property
    def rows(self) -> list[int]:
        """The rows that write, by the numbers that they joined with."""
        return [turn.row for turn in self._turns]

    def join(self, writers: Mapping[int, Writer]) -> None:
        """Let rows write a turn each from the next step on."""
        if not writers:
            return
        contexts = [*self._contexts(), *(writer.context for writer in writers.values())]
        bos = self._geometry.bos
        self._turns += [_Turn(row, writer, bos, writer.context.rope) for row, writer in writers.items()]
        self._cache = bind(self._model, contexts)

    def leave(self, rows: Collection[int]) -> None:
        """Drop rows, with the turns under way."""
        self._keep([place for place, turn in enumerate(self._turns) if turn.row not in rows])

    def _contexts(self) -> list[Context]:
        """What every row has read so far."""
        if self._cache is None:
            return []
        before = [turn.writer.context for turn in self._turns]
        return unbind(self._cache, before, [turn.rope for turn in self._turns])

    def _keep(self, places: Sequence[int]) -> None:
        if len(places) == len(self._turns):
            return
        self._turns = [self._turns[place] for place in places]
        if self._cache is not None:
            self._cache = self._cache.select(places) if places else None

    @torch.no_grad()
    def step(self) -> Iterator[NewToken | Written]:
        """One token more in every row; turns that are over with it come whole, and their rows have left."""
        if not self._turns:
            return
        hidden_BH = self._fed()
        over = [place for place, turn in enumerate(self._turns) if turn.over]
        if over:
            contexts, turns = self._contexts(), self._turns
            going = [place for place in range(len(turns)) if place not in set(over)]
            self._keep(going)
            hidden_BH = hidden_BH[torch.tensor(going, dtype=torch.long, device=hidden_BH.device)]
            for place in over:
                turn = turns[place]
                yield Written(turn.row, contexts[place], tuple(turn.ids), tuple(turn.logprobs), not turn.ended)
        turns = list(self._turns)
        if not turns:
            return
        writers = [turn.writer for turn in turns]
        heat = _heat(writers, self._model.device)
        scores_BV = word_logprobs(self._model.text_logits(hidden_BH), self._vocabulary, heat)
        choices = choose(scores_BV, writers, [turn.ids for turn in turns])
        for turn, token, logprob in zip(turns, choices.tokens, choices.logprobs, strict=True):
            turn.ids.append(token)
            turn.logprobs.append(logprob)
            turn.feed, turn.ended = token, token == self._geometry.eos
            yield NewToken(turn.row, token)

    def _fed(self) -> Tensor:
        """The hidden states [B, H] behind the next token of every row."""
        assert self._cache is not None
        token_B, rope_B = (
            torch.tensor(values, device=self._model.device)
            for values in ([turn.feed for turn in self._turns], [turn.rope for turn in self._turns])
        )
        hidden_BH = self._model(pack_tokens(token_B, rope_B, self._geometry), self._cache)
        for turn in self._turns:
            turn.rope += 1
        return hidden_BH


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


def choose(scores_BV: Tensor, writers: Sequence[Writer], ids: Sequence[Sequence[int]]) -> Choices:
    """Pick the next token of every row: forced, likeliest, or sampled by the row's own random number. `ids`: what its turn has
    so far."""
    held = [writer.guide.allowed(said) if writer.guide else [] for said, writer in zip(ids, writers, strict=True)]
    said_BV, scores_BV = scores_BV, _held(scores_BV, held)
    token_B = scores_BV.argmax(-1)
    drawn = [place for place, writer in enumerate(writers) if writer.sampling.temperature > 0]
    if drawn:
        at_D = torch.tensor(drawn, device=scores_BV.device)
        u_D = torch.tensor([writers[place].random.uniform() for place in drawn], dtype=torch.float64, device=scores_BV.device)
        top_p = [writers[place].sampling.top_p for place in drawn]
        token_B = token_B.index_copy(0, at_D, sample(scores_BV[at_D], u_D, top_p))
    for place, (said, writer) in enumerate(zip(ids, writers, strict=True)):
        if writer.forced:
            token_B[place] = writer.forced[len(said)]
    both = torch.stack([token_B.float(), said_BV.gather(1, token_B[:, None])[:, 0]])  # float32 holds every id below 2^24
    tokens, logprobs = both.tolist()  # all that a step reads back to the host
    return Choices([int(token) for token in tokens], logprobs)


def _held(scores_BV: Tensor, allowed: Sequence[Sequence[int]]) -> Tensor:
    """The scores of rows whose next token is held to some, without the others; the rest as they are."""
    if not any(allowed):
        return scores_BV
    return torch.stack([kept(row_V, some) if some else row_V for row_V, some in zip(scores_BV, allowed, strict=True)])


def sample(logprobs_BV: Tensor, u_B: Tensor, top_p: Sequence[float]) -> Tensor:
    """Inverse-transform sampling, in the order of the vocabulary, from the smallest set of likeliest tokens whose mass exceeds
    the row's `top_p` (the crossing token kept). Nothing is sorted for rows of 1. `u_B`: numbers from 0 to 1 in float64.

    Probabilities [0.2, 0.5, 0.3], top_p 0.6: the set is {1, 2}; u = 0.7 falls behind 0.5 / 0.8, so token 2 is drawn.
    """
    p_BV = logprobs_BV.double().exp()
    cutting = [row for row, most in enumerate(top_p) if most < 1]
    if cutting:
        cut_C = torch.tensor(cutting, device=p_BV.device)
        most_C = torch.tensor([top_p[row] for row in cutting], dtype=p_BV.dtype, device=p_BV.device)
        some_CV = p_BV[cut_C]
        p_BV = p_BV.index_copy(0, cut_C, some_CV.masked_fill(~_likeliest(some_CV, most_C), 0.0))
    mass_BV = p_BV.cumsum(-1)
    total_B = mass_BV[:, -1]
    reached_B = torch.minimum(u_B * total_B, torch.nextafter(total_B, torch.zeros_like(total_B)))
    return torch.searchsorted(mass_BV, reached_B[:, None], right=True)[:, 0]


def _likeliest(p_BV: Tensor, most_B: Tensor) -> Tensor:
    """Which tokens belong to the smallest set whose mass exceeds `most_B`: those with no more than that before them."""
    sorted_BV, order_BV = p_BV.sort(dim=-1, descending=True, stable=True)
    inside_BV = sorted_BV.cumsum(-1) - sorted_BV <= most_B[:, None]
    return torch.zeros_like(inside_BV).scatter(1, order_BV, inside_BV)


_TAIL = 16  # tokens in which the opening tag is looked for


def kept(scores_V: Tensor, allowed: Sequence[int]) -> Tensor:
    """The scores of the allowed tokens; the others can not be chosen."""
    held = torch.full_like(scores_V, -torch.inf)
    index = torch.tensor(list(allowed), device=scores_V.device)
    return held.index_copy(0, index, scores_V[index])
