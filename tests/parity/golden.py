"""Texts of golden files, which hold them as words or as token ids."""

from typing import Any

from cooper.sequence.processor import Processor


def ids_of(entry: dict[str, Any] | str, processor: Processor, key: str = "text") -> tuple[int, ...]:
    """Token ids of an entry."""
    if isinstance(entry, str):
        return processor.encode(entry)
    return tuple(entry["ids"]) if "ids" in entry else processor.encode(entry[key])


def text_of(entry: dict[str, Any] | str, processor: Processor, key: str = "text") -> str:
    """Words of an entry."""
    return processor.decode(ids_of(entry, processor, key))
