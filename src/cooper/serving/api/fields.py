"""The fields of a request, read by the one reader of plain values: a wrong type or an unknown name is said by name."""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from typing import Annotated, Any

import numpy as np
from PIL import Image

from cooper.errors import CooperError
from cooper.files.arguments import shown
from cooper.files.pictures import LazyPicture
from cooper.files.values import Above, AtLeast, AtMost, build
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.options import Options
from cooper.serving.api.faults import ApiFault
from cooper.serving.desk.limits import Limits
from cooper.trace.modes import AnswerMode
from cooper.trace.steps import Part, Question

DEEPEST = 32  # nested values in a body
NEUTRAL: Mapping[str, Sequence[Any]] = {  # fields of OpenAI that change nothing here, and the values that say so
    "n": (1, None),
    "frequency_penalty": (0, 0.0, None),
    "presence_penalty": (0, 0.0, None),
    "logprobs": (False, None),
    "stop": (None, [], ""),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "parallel_tool_calls": (None, True, False),
    "response_format": (None, {"type": "text"}),
    "text": (None, {"format": {"type": "text"}}),
    "modalities": (None, ["text"], ["text", "image"]),
    "store": (False, True),  # traces are kept for a while either way
    "logit_bias": ({},),
    "top_logprobs": (0,),
    "background": (None, False),
    "truncation": (None, "disabled"),
    "previous_response_id": (None,),
    "service_tier": (None, "auto", "default"),
}
IGNORED = (  # labels, which are not kept, and wishes about thoughts, which are the model's own
    *("user", "metadata", "safety_identifier", "prompt_cache_key", "include"),
    *("reasoning", "reasoning_effort", "verbosity"),
)


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What every question may say beside its words and pictures. `drawing`: as in a recipe; None is the checkpoint's own."""

    model: str = ""
    mode: AnswerMode = "interleaved"
    seed: Annotated[int, AtLeast(0), AtMost(2**32 - 1)] | None = 0
    temperature: Annotated[float, AtLeast(0), AtMost(2)] | None = None
    top_p: Annotated[float, Above(0), AtMost(1)] | None = None
    max_tokens: Annotated[int, AtLeast(1)] | None = None
    max_turns: Annotated[int, AtLeast(1)] | None = None
    deterministic: bool = False
    drawing: dict[str, Any] | None = None
    choices: tuple[str, ...] | None = None
    subject: int = -1
    known: dict[str, str] | None = None
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    previews: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Inquiry:
    """A request, read and checked: what goes to the engine, and how the answer is wanted."""

    question: Question
    options: Options
    seed: int
    choices: tuple[str, ...] | None
    stream: bool
    usage: bool
    previews: bool


def body_of(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body. ApiFault: there is none, or one nested too deeply."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise ApiFault(400, "the body is no JSON object", "invalid_json") from None
    if not isinstance(found, dict):
        raise ApiFault(400, "the body is JSON, but no object", "invalid_json")
    if _depth(found) > DEEPEST:
        raise ApiFault(400, f"the body is nested more than {DEEPEST} deep", "invalid_json")
    return {name: value for name, value in found.items() if value is not None}  # a field that is null is left out


def messages_of(given: Any, body: dict[str, Any]) -> Any:
    """The messages of `/v1/responses`: `input`, a text or a list, behind its `instructions`, which leave the body."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if given is None and "messages" in body:
        raise ApiFault(400, "messages is a field of /v1/chat/completions; here it is called input", "unknown_field", "messages")
    instructions = body.pop("instructions", "")
    if not isinstance(instructions, str):
        raise ApiFault(400, f"instructions must be a text, not {shown(instructions)}", "invalid_value", "instructions")
    return [{"role": "system", "content": instructions}, *given] if instructions and isinstance(given, list) else given


def _depth(value: Any) -> int:
    """How deep values are nested, without recursion."""
    deepest, level = 0, [value]
    while level and deepest <= DEEPEST:
        deepest += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return deepest


def asked_of(body: Mapping[str, Any], parts: Sequence[Part], model: Cooper, limits: Limits) -> Inquiry:
    """The rest of a body, once its words and pictures are taken out. ApiFault names the field at fault."""
    values = {name: value for name, value in body.items() if name not in IGNORED}
    for name, neutral in NEUTRAL.items():
        if name in values and values.pop(name) not in neutral:
            raise ApiFault(400, _unsupported(name, neutral), "unsupported_value", name)
    for name in ("max_completion_tokens", "max_output_tokens"):
        if name in values:
            values["max_tokens"] = values.pop(name)
    try:
        extras = build(Extras, values, "the request")
        options = _options(extras, model, limits)
        question = Question(tuple(parts), extras.subject, known=_known(extras.known or {}, model.modalities))
    except CooperError as error:
        unknown = next((name for name in values if name not in Extras.__dataclass_fields__), "")
        code = "unknown_field" if unknown else "invalid_value"
        raise ApiFault(400, str(error), code, unknown or _named(str(error), values)) from None
    wants = extras.stream_options or {}
    if set(wants) - {"include_usage", "include_obfuscation"}:
        raise ApiFault(400, "stream_options takes include_usage only", "invalid_value", "stream_options")
    return Inquiry(
        question=question,
        options=options,
        seed=extras.seed or 0,
        choices=extras.choices,
        stream=bool(extras.stream),
        usage=bool(wants.get("include_usage")),
        previews=extras.previews,
    )


def _unsupported(name: str, neutral: Sequence[Any]) -> str:
    other = next((value for value in neutral if value is not None), None)
    return f"{name} is not supported here; leave it out" + ("" if other is None else f", or send {json.dumps(other)}")


def _named(message: str, values: Mapping[str, Any]) -> str:
    """The field that a message is about: the one that it names first."""
    places = {name: found.start() for name in values if (found := re.search(rf"\b{re.escape(name)}\b", message))}
    return min(places, key=places.__getitem__, default="")


def _options(extras: Extras, model: Cooper, limits: Limits) -> Options:
    """CooperError: a value beyond what the server allows."""
    own = model.defaults.sampling
    if extras.max_turns is not None and extras.max_turns > limits.turns:
        raise CooperError(f"max_turns is {extras.max_turns}; this server allows {limits.turns}")
    tokens = min(extras.max_tokens or own.max_tokens, limits.tokens)  # clients ask for thousands by habit
    heat = own.temperature if extras.temperature is None else extras.temperature
    sampling = Sampling(heat, extras.top_p or own.top_p, tokens)
    drawing = model.defaults.drawing
    if extras.drawing:
        drawing = build(type(drawing), asdict(drawing) | extras.drawing, "the request", "drawing")
    if drawing.num_timesteps > limits.timesteps:
        raise CooperError(f"drawing.num_timesteps is {drawing.num_timesteps}; this server allows {limits.timesteps}")
    options = model.options(extras.mode, sampling, drawing)
    turns, bits = min(extras.max_turns or options.max_turns, limits.turns), extras.deterministic or options.deterministic
    return replace(options, max_turns=turns, deterministic=bits)


def picture_of(url: Any, place: str, limits: Limits) -> Image.Image:
    """The picture of a data URL, decoded. ApiFault: it is an address, no picture, or too large."""
    if not isinstance(url, str):
        raise ApiFault(400, f"{place} must be a data URL, not {shown(url)}", "invalid_value", place)
    picture = LazyPicture(place, _data(url, place, "image/"))
    try:
        width, height = picture.size
        if width * height > limits.pixels:
            raise ApiFault(413, f"{place} has {width} x {height} px; this server takes {limits.pixels:,}", "too_large", place)
        return picture.open()
    except CooperError as error:
        raise ApiFault(400, str(error), "invalid_image", place) from None


def _data(url: str, place: str, kind: str) -> bytes:
    head, comma, data = url.partition(",")
    if not head.startswith("data:") or not comma:
        said = "addresses are never fetched" if url.startswith(("http:", "https:", "file:", "ftp:")) else "it is none"
        raise ApiFault(400, f"{place} must be a data URL (data:{kind}...;base64,...): {said}", "invalid_image", place)
    if not head.startswith(f"data:{kind}") or not head.endswith(";base64"):
        raise ApiFault(400, f"{place} must begin with data:{kind}... and ;base64", "invalid_image", place)
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ApiFault(400, f"{place} holds no base64", "invalid_image", place) from None


def _known(given: Mapping[str, str], drawn: Collection[str]) -> dict[str, Any]:
    """Maps that come with a question: a PNG of 16 bits (depth in millimetres) or of 8 bits (class ids), or an npy file."""
    found = {}
    for name, url in given.items():
        place = f"known.{name}"
        if name not in drawn:
            raise CooperError(f"known holds {shown(name)}; this model draws: {', '.join(drawn)}")
        if url.startswith("data:image/"):
            found[name] = _map_of(_data(url, place, "image/"), name, place)
        else:
            found[name] = _array(_data(url, place, "application/"), place)
    return found


def _array(data: bytes, place: str) -> np.ndarray:
    try:
        return np.load(BytesIO(data), allow_pickle=False, max_header_size=10_000)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError, MemoryError, OverflowError, RecursionError):
        raise CooperError(f"{place} is no npy file of numbers") from None


def _map_of(data: bytes, name: str, place: str) -> np.ndarray:
    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            wanted = "I;16" if name == "depth" else "L"
            if image.mode != wanted:
                bits = "16 bits a pixel, in millimetres" if name == "depth" else "8 bits a pixel, class ids"
                raise CooperError(f"{place} must be a grey PNG of {bits}; it has the mode {image.mode}")
            if image.width * image.height > Image.MAX_IMAGE_PIXELS:  # pyright: ignore[reportOperatorIssue]
                raise CooperError(f"{place} is too large")
            array = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise error if isinstance(error, CooperError) else CooperError(f"{place} is no PNG that can be read") from None
    return array.astype(np.float32) / 1000 if name == "depth" else array.astype(np.int32)


def parts_of(messages: Any, name: str, limits: Limits) -> list[Part]:
    """Words and pictures of the messages, in order: one user's question, with system texts before it. `name`: of the field.
    ApiFault: another role, or a part that is neither."""
    if not isinstance(messages, list):
        said = "is missing" if messages is None else "must be a list of messages" + (", or a text" if name == "input" else "")
        raise ApiFault(400, f"{name} {said}", "invalid_value", name)
    if not messages:
        raise ApiFault(400, f"{name} has no message", "invalid_value", name)
    parts: list[Part] = []
    for number, message in enumerate(messages):
        place = f"{name}[{number}]"
        if not isinstance(message, dict) or message.get("role") not in ("user", "system", "developer"):
            raise ApiFault(
                400,
                f"{place} must be a user's or a system message: one question a request, without earlier turns",
                "invalid_value",
                name,
            )
        unknown = set(message) - {"role", "content", "name", "type"}
        if unknown:
            raise ApiFault(
                400, f"{place} has the unknown field {shown(min(unknown))}", "unknown_field", f"{place}.{min(unknown)}"[:100]
            )
        parts += _content(message.get("content"), f"{place}.content", limits)
    if not any(isinstance(part, str) and part.strip() for part in parts):
        raise ApiFault(400, f"{name} asks nothing: there is no text", "invalid_value", name)
    if sum(not isinstance(part, str) for part in parts) > limits.pictures:
        raise ApiFault(413, f"{name} has more than {limits.pictures} pictures", "too_large", name)
    return parts


def _content(content: Any, place: str, limits: Limits) -> list[Part]:
    if isinstance(content, str):
        return [content] if content.strip() else []
    if not isinstance(content, list):
        raise ApiFault(400, f"{place} must be a text or a list of parts", "invalid_value", place)
    return [_part(part, f"{place}[{number}]", limits) for number, part in enumerate(content)]


def _part(part: Any, place: str, limits: Limits) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "input_text") and isinstance(part.get("text"), str):
        return part["text"]
    if kind in ("image_url", "input_image"):
        given = part.get("image_url")
        return picture_of(given.get("url") if isinstance(given, dict) else given, f"{place}.image_url", limits)
    raise ApiFault(400, f"{place} must be a text or an image_url part", "invalid_value", place)
