"""Files of reasoning and of questions in the published forms, as a user would have them, for the tests that read one."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cooper.trace.prompts import DEFAULT

SIZE = (64, 48)
QUESTIONS = (("Which box is nearer? (A) left (B) right", "B"), ("How many boxes are there?", "3"), ("Is it red?", "yes"))


def picture(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Squares of 8 px in colours of their own."""
    width, height = size
    small = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(small.repeat(8, axis=0).repeat(8, axis=1))


def coded(image: Image.Image, kind: str = "PNG", prefix: str = "") -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return prefix + base64.b64encode(buffer.getvalue()).decode()


def words(text: str, loss: bool) -> dict[str, str]:
    return {"type": "text", "value": text, "need_loss": "true" if loss else "false"}


def shown(seed: int, **options: str) -> dict[str, str]:
    return {"type": "image", "value": coded(picture(seed), **options)}


def turn(name: str) -> str:
    return f"<think>A map helps.</think>\n{DEFAULT.requests[name]}"


def last(answer: str) -> str:
    return f"<think>It is plain.</think>\n<answer>\\boxed{{{answer}}}</answer>"


def interleaved_row(number: int, maps: tuple[str, ...], pictures: int = 1) -> dict[str, Any]:
    """Pictures, a question, for each map a turn that asks for it with the map and the reflection, and the answer."""
    question, answer = QUESTIONS[number % 3]
    parts = [shown(number * 10 + place) for place in range(pictures)]
    parts.append(words(question, False))
    for place, name in enumerate(maps):
        parts += [words(turn(name), True), shown(1000 + number * 10 + place), words(DEFAULT.reflection, False)]
    return {"interleaved_reason": [*parts, words(last(answer), True)]}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def interleaved_file(path: Path, count: int = 6) -> Path:
    """Rows with 0, 1, 2, 1 maps and so on; of every sixth two pictures are asked about."""
    kinds = ((), ("depth",), ("segmentation", "depth"), ("segmentation",))
    rows = [interleaved_row(number, kinds[number % 4], 2 if number % 6 == 5 else 1) for number in range(count)]
    return write_rows(path, rows)


def published_questions(folder: Path, count: int = 6, flags: bool = True) -> Path:
    """Questions as the published reinforcement reads them, with pictures in `images`."""
    rows: list[dict[str, Any]] = []
    for number in range(count):
        question, answer = QUESTIONS[number % 3]
        (folder / "images").mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / "images" / f"{number}.png")
        row = {"data_id": f"q{number}", "question": question, "answer": answer, "image": f"{number}.png"}
        rows.append({**row, "flag": ("positive", "negative", "boundary")[number % 3]} if flags else row)
    return write_rows(folder / "RL_data.jsonl", rows)
