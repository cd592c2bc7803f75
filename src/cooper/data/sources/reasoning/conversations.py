"""Conversations about pictures, of which the replies are learned: rows in LLaVA form, and rows of OpenAI-like messages.

LLaVA: `conversations`, a list of `{"from": "human", "value": WORDS}` (or `gpt`, `system`), and `image`, a path or a list of
them in the order of the marks `<image>` in the words. Messages: `messages`, a list of `{"role": "user", "content": WORDS}` (or
`assistant`, `system`); a list of parts may stand for the words: `{"type": "text", "text": WORDS}` or
`{"type": "image_url", "image_url": {"url": URL}}`, where URL is `data:...;base64,...` or a path, for nothing is fetched.
Pictures stand before the first reply.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cooper.data.sources.reasoning.interleaved import coded_picture, row_of_parts
from cooper.data.sources.reasoning.own import picture_file
from cooper.data.sources.reasoning.row import TraceRow, field_of, objects_of
from cooper.errors import CooperError
from cooper.files.pictures import LazyPicture
from cooper.files.rows import Line
from cooper.files.values import shown
from cooper.trace.steps import TextStep

MARK = "<image>"
SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
Parts = list[TextStep | LazyPicture]


def llava_row(line: Line, folder: Path) -> TraceRow:
    """A row in LLaVA form. CooperError: a field at fault, or not as many marks as pictures."""
    pictures = list(_pictures(line, folder))
    turns: list[tuple[str, Parts]] = []
    used = 0
    for values, place in objects_of(line, "conversations"):
        speaker, text = _speaker(values, place, "from"), field_of(values, place, "value", str)
        if speaker == "assistant":
            turns.append((speaker, [TextStep(text)]))
            continue
        pieces, parts = text.split(MARK), Parts()
        for number, piece in enumerate(pieces):
            if piece.strip():
                parts.append(TextStep(piece.strip(), author="prompt"))
            if number + 1 < len(pieces):
                if used == len(pictures):
                    raise CooperError(f"{place}: more marks {MARK} than the {len(pictures)} pictures of the row")
                parts.append(pictures[used])
                used += 1
        turns.append((speaker, parts))
    if used < len(pictures):
        raise CooperError(f"{line.place}: the field 'image' names {len(pictures)} pictures, and {used} marks {MARK} show them")
    return _conversation(line, turns)


def messages_row(line: Line, folder: Path) -> TraceRow:
    """A row of OpenAI-like messages. CooperError: a field at fault."""
    turns: list[tuple[str, Parts]] = []
    for values, place in objects_of(line, "messages"):
        speaker, content = _speaker(values, place, "role"), values.get("content")
        learned = "model" if speaker == "assistant" else "prompt"
        if isinstance(content, str):
            turns.append((speaker, [TextStep(content, author=learned)]))
            continue
        parts = Parts()
        for number, part in enumerate(field_of(values, place, "content", list)):
            where = f"{place}, content[{number}]"
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "text":
                parts.append(TextStep(field_of(part, where, "text", str), author=learned))
            elif kind == "image_url":
                parts.append(_linked(field_of(part, where, "image_url", dict), where, folder))
            else:
                raise CooperError(f"{where}: the type is {shown(kind)}; known: text, image_url")
        turns.append((speaker, parts))
    return _conversation(line, turns)


def _conversation(line: Line, turns: list[tuple[str, Parts]]) -> TraceRow:
    """A system text that begins is that of the row. CooperError: a picture behind the first reply."""
    said: dict[str, Any] = {}
    if turns[0][0] == "system":
        said["system"] = "\n".join(part.text for part in turns[0][1] if isinstance(part, TextStep))
        turns = turns[1:]
    row = row_of_parts(line, [part for _, parts in turns for part in parts], **said)
    if row.draws:
        raise CooperError(f"{line.place}: a picture stands behind the first reply; here pictures belong to the question")
    return row


def _pictures(line: Line, folder: Path) -> Iterator[LazyPicture]:
    if "video" in line.values:
        raise CooperError(f"{line.place}: the field 'video' is not read; only pictures are")
    names = line.values.get("image", [])
    for number, name in enumerate(names if isinstance(names, list) else [names]):
        yield picture_file({"image": name}, f"{line.place} (picture {number})", folder)


def _speaker(values: Mapping[str, Any], place: str, name: str) -> str:
    said = field_of(values, place, name, str)
    if said not in SPEAKERS:
        raise CooperError(f"{place}: the field {name!r} is {shown(said)}; known: {', '.join(SPEAKERS)}")
    return SPEAKERS[said]


def _linked(values: Mapping[str, Any], place: str, folder: Path) -> LazyPicture:
    url = field_of(values, place, "url", str)
    if url.startswith("data:"):
        return coded_picture(url, f"{place}, field 'url'")
    if "://" in url:
        raise CooperError(f"{place}: the field 'url' is {shown(url)}; nothing is fetched: give a path or data:...;base64,...")
    return picture_file(values, place, folder, "url")
