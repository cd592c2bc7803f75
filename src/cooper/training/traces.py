"""What stage 2 learns of a JSON Lines file: its rows as the traces of a checkpoint."""

from cooper.data.sources.reasoning.row import Canvas
from cooper.data.sources.reasoning.trace_file import OF_TRACES, TraceFile, TraceReading
from cooper.errors import CooperError
from cooper.trace.prompts import Prompts
from cooper.training.data import Data, source_of_data


def trace_file(data: Data, prompts: Prompts, canvas: Canvas, seed: int, most: int) -> TraceFile:
    """The first rows, `most` or the source's own limit, every one checked. `canvas`: brings a picture to the size at which the
    checkpoint draws. CooperError: no file of traces, or a row at fault."""
    source = source_of_data(data)
    if source.kind not in OF_TRACES:
        raise CooperError(f"{source.path} holds {source.kind}, from which sft learns nothing; it takes {', '.join(OF_TRACES)}")
    folder = source.image_root or source.path.parent
    reading = TraceReading(kind=source.kind, folder=folder, prompts=prompts, canvas=canvas, mode=source.mode)
    return TraceFile(source.path, reading, seed, most if source.limit is None else min(most, source.limit))
