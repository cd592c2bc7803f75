"""What both kits need: a question of parts in any order, the model that answers it, and the reply to be scored."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.benchmarks.items import item_id
from cooper.evaluation.runs.origin import Origin
from cooper.evaluation.runs.settings import check_modes
from cooper.evaluation.runs.traces import keep_trace
from cooper.files.pictures import opened
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.options import Inference, Options, read_inference
from cooper.trace.asked import LONGEST_QUESTION
from cooper.trace.steps import Question, TextStep
from cooper.trace.trace import Trace


@dataclass(frozen=True)
class KitModel:
    """Which model answers, and how. `max_tokens` limits one turn, 0 for the model's own limit; "" is none, or the default.

    `traces`: the folder in which every trace is kept. `inference`: a file of settings in place of the checkpoint's own.
    `quantization`: "int8" or "4bit" for weights of few bits.
    """

    name: str = "nano"
    mode: str = "interleaved"
    base: str = ""
    max_tokens: int = 0
    seed: int = 0
    traces: str = ""
    device: str = ""
    inference: str = ""
    quantization: str = ""

    @property
    def changed(self) -> Inference | None:
        """The settings of the file. CooperError names the file and the key at fault."""
        return read_inference(self.inference) if self.inference else None

    @property
    def record(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {
            "model": self.name,
            "mode": self.mode,
            **Origin.of(self.name, self.base, self.changed, self.quantization).record,
        }


@dataclass(frozen=True)
class KitReply:
    """The reply that a kit scores, the trace behind it, and where that was kept, None if it was not."""

    text: str
    trace: Trace
    folder: Path | None

    def record(self) -> dict[str, object]:
        """The trace in words and places, as JSON values: its steps in order, and what was said of them."""
        return {
            "trace": "" if self.folder is None else str(self.folder),
            "mode": self.trace.mode,
            "answered": self.trace.answer is not None,
            "truncated": any(turn.truncated for turn in self.trace.turns),
            "seconds": round(self.trace.seconds, 3),
            "steps": [
                {"type": "text", "author": step.author, "value": step.text}
                if isinstance(step, TextStep)
                else {"type": "map", "modality": step.modality, "value": "; ".join(step.facts)}
                for step in self.trace.steps
            ],
        }


@dataclass(frozen=True)
class Answerer:
    """A loaded model that answers a kit's questions in one mode."""

    cooper: Cooper
    options: Options
    model: KitModel

    @classmethod
    def of(cls, model: KitModel) -> "Answerer":
        """Load the model. CooperError: an unknown mode, a model that cannot be loaded, or settings that cannot be read."""
        (mode,), changed = check_modes([model.mode]), model.changed
        where, few = model.device or None, model.quantization or None
        cooper = Cooper.from_pretrained(model.name, base=model.base or None, device_map=where, quantization=few)
        cooper = cooper.with_inference(changed) if changed else cooper
        options = cooper.options(mode)
        if model.max_tokens:
            options = replace(options, sampling=replace(options.sampling, max_tokens=model.max_tokens))
        return cls(cooper, options, model)

    def answer(self, questions: Sequence[Question], dataset: str) -> list[KitReply]:
        """Answer questions together. An answer depends on its question and the seed alone."""
        traces = self.cooper.batch(questions, self.options, self.model.seed)
        return [self._kept(question, samples[0], dataset) for question, samples in zip(questions, traces, strict=True)]

    def _kept(self, question: Question, trace: Trace, dataset: str) -> KitReply:
        if not self.model.traces:
            return KitReply(final_reply(trace), trace, None)
        folder = Path(self.model.traces) / item_id(dataset or "question", question.id)
        keep_trace(trace, folder)
        return KitReply(final_reply(trace), trace, folder)


def final_reply(trace: Trace) -> str:
    r"""What stands in the answer element, without `\boxed{...}` around it; without an element, the last text the model wrote.

    The thoughts are left out: kits look for an option's letter anywhere in a reply, and would take "A chair .." for option A.
    """
    if trace.final is not None:
        return trace.final
    return trace.turns[-1].text if trace.turns else ""


def question_of_parts(parts: Iterable[str | Path | Image.Image], id: str = "") -> Question:
    """Texts, and pictures as files or in memory, in the order they are read; texts that follow one another become lines of one.

    Without an `id` the content names the question. CooperError: no picture, no text, too much of it, or a picture at fault.
    """
    whole: list[str | Image.Image] = []
    for part in parts:
        if not isinstance(part, str):
            whole.append(opened(part))
        elif whole and isinstance(whole[-1], str):
            whole[-1] = f"{whole[-1]}\n{part}"
        else:
            whole.append(part)
    found = Question(tuple(whole), id=id or _digest(whole))
    if not found.images:
        raise CooperError("a question needs at least one picture")
    if not found.text.strip():
        raise CooperError("the question is empty")
    if len(found.text) > LONGEST_QUESTION:
        raise CooperError(f"the question has {len(found.text)} characters; at most {LONGEST_QUESTION} are read")
    return found


def _digest(parts: Sequence[str | Image.Image]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part.tobytes())
    return digest.hexdigest()[:16]
