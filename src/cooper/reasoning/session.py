"""What an engine is made of, and one run of it: the samples under way, and the contexts they grow."""

import sys
import warnings
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from cooper.errors import CooperError
from cooper.files.arguments import shown
from cooper.model.checkpoints.memory import room_of
from cooper.model.checkpoints.opening import is_published_layout
from cooper.model.checkpoints.published import Places
from cooper.model.cooper import CooperModel
from cooper.perception.modality import Modality
from cooper.reasoning.context import EMPTY, Context, begin, extend
from cooper.reasoning.options import Options, Request
from cooper.sequence.layout import Layout
from cooper.sequence.processor import Processor
from cooper.sequence.segments import Segment, TextSegment
from cooper.trace.prompts import DEFAULT, FILE_NAME, Prompts
from cooper.trace.steps import Question, Step

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Parts:
    """What an engine is made of. `modalities` are the maps it can draw, by name."""

    model: CooperModel
    layout: Layout
    prompts: Prompts
    modalities: Mapping[str, Modality]

    def modality(self, name: str) -> Modality:
        """The modality of a name. Raises CooperError where the checkpoint cannot draw it or has no words to ask for it."""
        if name not in self.modalities or name not in self.prompts.requests:
            raise CooperError(f"this checkpoint draws no {name} maps; it draws: {', '.join(self.modalities) or 'none'}")
        return self.modalities[name]

    @property
    def free_memory(self) -> int:
        """Bytes that are free where the model lies, as loading counts them; very many where they cannot be known."""
        free = room_of(self.model.device).free
        return sys.maxsize if free is None else free

    def extend(self, contexts: Sequence[Context], segments: Sequence[Sequence[Segment]]) -> list[Context]:
        """Read further segments into each context, all in one forward pass."""
        return extend(self.model, self.layout.processor.geometry, contexts, segments)


@dataclass(frozen=True)
class PromptTokens:
    """Tokens that a row has read before it begins, marks included: of texts, and of pictures in all their views."""

    text: int
    pictures: int


@dataclass(eq=False)
class Sample:
    """One sample under way: its contexts, what it has done, and what it will do next.

    `without_text` and `without_image` are the guidance contexts: without the request for a map, and without the picture.
    """

    question: Question
    request: Request
    options: Options
    main: Context
    without_text: Context
    without_image: Context
    script: deque[tuple[int, ...]]
    wants: deque[str]  # modalities to draw before writing on
    turns: int  # turns it may still write
    prompt: PromptTokens
    steps: list[Step] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return not self.wants and self.turns <= 0


@dataclass(eq=False)
class Session:
    """The samples of one run. Rows are named by their number among the requests, in the order in which they were admitted.
    `failed`: rows that could not go on, until they are told and dropped."""

    parts: Parts
    samples: dict[int, Sample] = field(default_factory=dict)
    failed: dict[int, Exception] = field(default_factory=dict)
    admitted: int = 0

    def admit(self, questions: Sequence[Question], requests: Sequence[Request], options: Options) -> range:
        """Read further questions once each and fork a sample per request; the numbers of the new rows.

        Requests count the questions given here from 0. Rows under way are not touched and have options of their own, so
        requests may enter between two steps of the engine. CooperError: the model cannot draw a map that the options name.
        """
        parts = self.parts
        for name in options.maps:
            parts.modality(name)
        system = parts.prompts.system.get(options.mode, "")
        chains = [parts.layout.question(question, options.mode, system) for question in questions]
        mains, blind = list[Context](), list[Context]()
        for some in [[chain] for chain in chains] if options.deterministic else [chains]:
            mains += begin(parts.model, parts.layout.processor.geometry, some)
            words = [[s for s in chain if isinstance(s, TextSegment)] for chain in some]
            blind += parts.extend([EMPTY] * len(some), words) if options.guided_by_image else [EMPTY] * len(some)
        turns = 0 if options.mode == "map" else options.max_turns
        read = [_prompt_tokens(chain, main) for chain, main in zip(chains, mains, strict=True)]
        rows = range(self.admitted, self.admitted + len(requests))
        self.admitted += len(requests)
        for row, request in zip(rows, requests, strict=True):
            at, script, wants = request.question, deque(request.script), deque(options.maps)
            contexts = (mains[at], mains[at], blind[at])
            self.samples[row] = Sample(questions[at], request, options, *contexts, script, wants, turns, read[at])
        return rows

    def drop(self, rows: Collection[int]) -> None:
        """Forget rows, with all that they have read."""
        for row in rows:
            self.samples.pop(row, None)
            self.failed.pop(row, None)

    def trying(self, row: int, work: Callable[[], Found]) -> Found | None:
        """What `work` for one row gives; None where it fails, which is kept in `failed` so that other rows go on."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - whatever a modality, a script or a source of numbers may raise
            self.failed[row] = error
            return None

    def extend_main(self, rows: Sequence[int], segments: Sequence[Sequence[Segment]]) -> None:
        """Let rows read segments."""
        contexts = self.parts.extend([self.samples[row].main for row in rows], segments)
        for row, context in zip(rows, contexts, strict=True):
            self.samples[row].main = context

    def extend_without_text(self, rows: Sequence[int], segments: Sequence[Sequence[Segment]]) -> None:
        """Let the guidance contexts that lack a request read segments, where they are needed."""
        for row, context in self._extended("without_text", rows, segments, [self.samples[row].options.guided for row in rows]):
            self.samples[row].without_text = context

    def extend_without_image(self, rows: Sequence[int], segments: Sequence[Sequence[Segment]]) -> None:
        """Let the guidance contexts that lack the picture read segments, where they are needed."""
        needed = [self.samples[row].options.guided_by_image for row in rows]
        for row, context in self._extended("without_image", rows, segments, needed):
            self.samples[row].without_image = context

    def _extended(
        self, name: str, rows: Sequence[int], segments: Sequence[Sequence[Segment]], needed: Sequence[bool]
    ) -> list[tuple[int, Context]]:
        """The contexts of that name of those rows that need it, after they have read their segments."""
        some = [(row, more) for row, more, need in zip(rows, segments, needed, strict=True) if need]
        contexts = self.parts.extend([getattr(self.samples[row], name) for row, _ in some], [more for _, more in some])
        return [(row, context) for (row, _), context in zip(some, contexts, strict=True)]


def _prompt_tokens(chain: Sequence[Segment], read: Context) -> PromptTokens:
    text = sum(len(segment.ids) + 1 + segment.closed for segment in chain if isinstance(segment, TextSegment))
    return PromptTokens(text, read.kv_length - text)


def companions_of(
    model: CooperModel, directory: Path, base: Path | None, prompts: Prompts | str | Path | None = None
) -> tuple[Processor, Prompts]:
    """Processor and prompts of a checkpoint; `prompts` replaces its own. CooperError: there is no tokenizer."""
    tokenizer = Places(directory, base).find("tokenizer.json")
    if tokenizer is None:
        raise CooperError(f"{directory} holds no tokenizer.json" + ("" if base else "; name the base directory that does"))
    return model.config.processor(tokenizer.parent), _prompts(prompts, directory, base)


def _prompts(given: Prompts | str | Path | None, directory: Path, base: Path | None) -> Prompts:
    if isinstance(given, Prompts):
        return given
    if given is not None and not isinstance(given, str | Path):
        raise CooperError(f"prompts must be Prompts or a JSON file, not {shown(given)}")
    path = Path(given) if given is not None else directory / FILE_NAME
    if given is None and not path.is_file():
        warnings.warn(
            f"{directory} holds no {FILE_NAME}: the wording of this project is used, which these weights were not trained with",
            stacklevel=3,
        )
        published = is_published_layout(directory, base)  # which has no system text where nothing is reasoned
        return replace(DEFAULT, system={**DEFAULT.system, "direct": ""}) if published else DEFAULT
    return Prompts.from_json(path)
