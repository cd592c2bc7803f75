"""Our model inside an installed lmms-eval (0.7), which finds it through the entry-point group `lmms_eval.models`.

`lmms-eval --model cooper --model_args pretrained=nano,mode=interleaved,traces=DIR,inference=FILE --tasks ...`
"""

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from PIL import Image

from cooper.errors import CooperError
from cooper.evaluation.kits import torchvision_cpu
from cooper.evaluation.kits.answering import Answerer, KitModel, KitReply, question_of_parts
from cooper.trace.steps import Question

__all__ = ["MANIFEST", "CooperChat", "CooperSimple", "torchvision_cpu"]

MANIFEST = ModelManifest(
    model_id="cooper", simple_class_path=f"{__name__}.CooperSimple", chat_class_path=f"{__name__}.CooperChat"
)
Part = str | Path | Image.Image


@contextmanager
def _ending_the_command() -> Iterator[None]:
    """Makes any failure end the process with exit code 1: the kit's command takes in every `Exception` and exits with 0."""
    try:
        yield
    except CooperError as error:
        raise SystemExit(f"error: {error}") from error
    except Exception as error:
        traceback.print_exc()
        raise SystemExit(f"error: a row failed ({type(error).__name__}: {error})") from error


class _Cooper(lmms):
    """A model of ours for the kit. A question that cannot be asked ends the run, and the command with exit code 1.

    A task's own limits (`max_new_tokens`, `until`) are for a bare answer and would cut a thought short, so they are passed
    over; `max_tokens` limits one turn.
    """

    def __init__(
        self,
        pretrained: str = "nano",
        mode: str = "interleaved",
        base: str = "",
        max_tokens: int = 0,
        traces: str = "",
        batch_size: int | str = 1,
        device: str | None = None,
        inference: str = "",
        quantization: str = "",
    ) -> None:
        super().__init__()
        self.size = int(batch_size)
        model = KitModel(
            pretrained, mode, base, int(max_tokens), traces=traces, device=device or "",
            inference=inference, quantization=quantization,
        )  # fmt: skip
        with _ending_the_command():
            self.answerer = Answerer.of(model)

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """The final answers in order, with the tokens that were written for each; what an answer is, `final_reply` says."""
        results: list[GenerationResult] = []
        with _ending_the_command():
            for start in range(0, len(requests), self.size):
                chunk = requests[start : start + self.size]
                replies = self.answerer.answer([self.question(request) for request in chunk], "")
                results += [_result(reply) for reply in replies]
        return results

    def question(self, request: Instance) -> Question:
        """A request as one question, named by its task and number."""
        *_, number, task, split = request.args
        return question_of_parts(self.parts(request, self.task_dict[task][split][number]), f"{task}-{number}")

    def parts(self, request: Instance, row: Any) -> list[Part]:
        """Texts and pictures of a request in order; `row` is the task's document."""
        raise NotImplementedError

    def loglikelihood(self, requests: Sequence[Instance]) -> list[Any]:
        raise CooperError("log-likelihood tasks are not supported")

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[Any]:
        raise CooperError("tasks of several rounds are not offered")


class CooperSimple(_Cooper):
    """For tasks that give pictures and a text apart."""

    is_simple = True

    def parts(self, request: Instance, row: Any) -> list[Part]:
        text, _, pictures_of, *_ = request.args
        return placed(text, pictures_of(row))


class CooperChat(_Cooper):
    """For tasks that give messages, where pictures stand between texts."""

    is_simple = False

    def parts(self, request: Instance, row: Any) -> list[Part]:
        _, messages_of, *_ = request.args
        return [_part(content) for message in messages_of(row) for content in _contents(message)]


def placed(text: str, pictures: Sequence[Image.Image | str]) -> list[Part]:
    """Pictures in place of `<image>` where there are as many, else before the text: `placed("Is <image> red?", [p])` is
    `["Is", p, "red?"]`."""
    found = [Path(picture) if isinstance(picture, str) else picture for picture in pictures]
    pieces = re.split(r"\s*<image>\s*", text)
    if len(pieces) != len(found) + 1 or not found:
        return [*found, text]
    mixed: list[Part] = [pieces[0]]
    for picture, piece in zip(found, pieces[1:], strict=True):
        mixed += [picture, piece]
    return [part for part in mixed if part != ""]


def _contents(message: dict[str, Any]) -> list[dict[str, Any]]:
    if message["role"] == "assistant":
        raise CooperError("a task gives turns of an assistant as examples, which are not read")
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _part(content: dict[str, Any]) -> Part:
    match content["type"]:
        case "text":
            return content["text"]
        case "image":
            return Path(content["url"]) if isinstance(content["url"], str) else content["url"]
    raise CooperError(f"a message holds a part of type {content['type']!r}; only text and pictures are read")


def _result(reply: KitReply) -> GenerationResult:
    written = sum(len(turn.token_ids) for turn in reply.trace.turns)
    return GenerationResult(reply.text, TokenCounts(output_tokens=written))
