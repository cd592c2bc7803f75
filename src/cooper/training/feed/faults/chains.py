"""Faults in the order of a trace: maps and requests for them, what carries a loss, tags, the answer."""

import re
from collections.abc import Iterator

from cooper.data.sources.reasoning.row import ShownMap, TraceRow, asked_map
from cooper.files.pictures import LazyPicture
from cooper.files.values import shown
from cooper.trace.grammar import ANSWER, THINK, answer_in
from cooper.trace.prompts import Prompts
from cooper.trace.steps import TextStep
from cooper.training.feed.faults.fault import Fault

ASPECT = 0.15  # by which the aspect of a map may differ from that of the pictures that were asked about


def chain_faults(row: TraceRow, prompts: Prompts, parts: bool) -> list[Fault]:
    """What is wrong with a row, whatever its pictures show. `parts`: whether question and answer stand in one list of parts."""
    tags = (THINK, ANSWER, *prompts.tags.values())
    learned = [step for step in row.steps if isinstance(step, TextStep) and step.author == "model"]
    targets = any(isinstance(step, ShownMap) and step.drawn is not None for step in row.steps)
    found: list[tuple[str, str]] = []
    if not learned and not targets:
        found.append(("no_loss", "no part of the row is learned, so it teaches nothing"))
    found += _prompts_learned(row, learned, tags, parts)
    found += _empty_words(row, learned)
    found += _maps(row, prompts)
    if parts and learned and has_tag(learned[0].text, tags):
        found += _late_picture(row)
    found += _same_pictures(row)
    for step in learned:
        found += _broken(step.text, tags)
    if any(answer_in(step.text) is not None for step in learned[:-1]):
        found.append(("tags", "the row goes on after its <answer>"))
    return [Fault(place=row.place, kind=kind, said=said) for kind, said in found]


def has_tag(text: str, tags: tuple[str, ...]) -> bool:
    """Whether an element of the grammar begins in a text."""
    return any(f"<{tag}>" in text for tag in tags)


def _prompts_learned(row: TraceRow, learned: list[TextStep], tags: tuple[str, ...], parts: bool) -> Iterator[tuple[str, str]]:
    """Words of a prompt are learned: the question, where none stands before the learned words, or words without any element of
    the grammar beside others that have one."""
    texts = [step for step in row.steps if isinstance(step, TextStep)]
    if parts and len(texts) > 1 and learned and not any(isinstance(part, str) for part in row.question):
        yield (
            "prompt_loss",
            f"the first words of the row carry a loss, so that nothing is its question: {shown(learned[0].text)}",
        )
    elif any(has_tag(step.text, tags) for step in learned):
        for step in learned if parts else _behind_maps(row):
            if not has_tag(step.text, tags):
                yield "prompt_loss", f"words carry a loss that are no thought, request or answer: {shown(step.text)}"


def _empty_words(row: TraceRow, learned: list[TextStep]) -> Iterator[tuple[str, str]]:
    """Nothing is asked, or words are learned that are none."""
    if not row.question and row.steps:
        yield "no_question", "nothing stands before what is learned"
    elif not any(part.strip() for part in row.question if isinstance(part, str)):
        yield "no_words", "no words stand before what is learned, so that a picture alone is the question"
    if any(not step.text.strip() for step in learned):
        yield "no_words", "words that are learned are empty"


def _behind_maps(row: TraceRow) -> Iterator[TextStep]:
    """Learned words between a map and other learned words, where the reflection stands."""
    for before, step, behind in zip(row.steps, row.steps[1:], row.steps[2:], strict=False):
        if not isinstance(before, ShownMap) or not isinstance(step, TextStep) or not isinstance(behind, TextStep):
            continue
        if step.author == behind.author == "model":
            yield step


def _late_picture(row: TraceRow) -> Iterator[tuple[str, str]]:
    """The question ends in a picture of the size of one before its words, as if a map stood there that nobody asked for."""
    kinds = [isinstance(part, str) for part in row.question]
    if len(kinds) > 2 and not kinds[-1] and kinds[-2] and False in kinds[:-2]:
        *earlier, last = row.question_pictures
        if _size(last) in map(_size, earlier):
            yield "late_picture", "a picture stands behind the question, of the size of one before it: is it a map?"


def _maps(row: TraceRow, prompts: Prompts) -> Iterator[tuple[str, str]]:
    aspects = [width / height for width, height in map(_size, row.question_pictures) if width and height]
    before: TextStep | ShownMap | None = None
    for step, following in zip(row.steps, (*row.steps, None)[1:], strict=True):
        asked = asked_map(step, prompts)
        if asked and not isinstance(following, ShownMap):
            yield "request", f"a turn asks for a map of {asked}, and no picture follows it"
        if isinstance(step, ShownMap):
            wanted = asked_map(before, prompts)
            if not wanted and not step.modality:
                yield "map", "a picture follows no request for a map"
            elif wanted and step.modality and wanted != step.modality:
                yield "map", f"a turn asks for a map of {wanted}, and one of {step.modality} follows"
            if aspects and (wanted or step.modality in prompts.tags):
                yield from _stretched(step, aspects)
        before = step


def _stretched(step: ShownMap, aspects: list[float]) -> Iterator[tuple[str, str]]:
    width, height = _size(step.picture)
    if width and height and min(abs(width / height / aspect - 1) for aspect in aspects) > ASPECT:
        yield "size", f"a map has {width} x {height} px, which is the aspect of no picture of the question"


def _same_pictures(row: TraceRow) -> Iterator[tuple[str, str]]:
    asked = [picture.source for picture in row.question_pictures]
    for step in row.steps:
        if isinstance(step, ShownMap) and step.picture.source in asked:
            yield "same_map", "a map is a picture of the question"


def _broken(text: str, tags: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for tag in tags:
        opening, closing = (len(re.findall(re.escape(mark), text)) for mark in (f"<{tag}>", f"</{tag}>"))
        if opening != closing:
            yield "tags", f"{opening} <{tag}> and {closing} </{tag}> in {shown(text)}"


def _size(picture: LazyPicture) -> tuple[int, int]:
    """Width and height; zeros where there is no picture."""
    try:
        return picture.size
    except ValueError:
        return 0, 0
