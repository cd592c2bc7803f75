"""`GET /v1/traces/{id}` and what belongs to it: for as long as the trace is kept, and for the key it was made with."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from starlette.responses import JSONResponse, Response

from cooper.perception.depth import intrinsics_of, point_cloud, write_ply
from cooper.serving.api.faults import ApiFault
from cooper.serving.desk.kept import TRACE, KeptTraces
from cooper.trace.page import PAGE, trace_page
from cooper.trace.record import trace_json
from cooper.trace.steps import MapStep
from cooper.trace.trace import Trace

PAGE_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox"


def folder_of(kept: KeptTraces, name: str, key: str) -> Path:
    """ApiFault: there is no such trace for this key."""
    folder = kept.find(name, key)
    if folder is None:
        raise ApiFault(
            404, "there is no such trace: it was never made, was made with another key, or is kept no longer", "not_found"
        )
    return folder


def _record(folder: Path) -> Response:
    return JSONResponse(trace_json(Trace.load(folder), None))


def _page(folder: Path) -> Response:
    headers = {"Content-Security-Policy": PAGE_POLICY}
    return Response(trace_page(Trace.load(folder)), media_type="text/html; charset=utf-8", headers=headers)


def _zip(folder: Path) -> Response:
    """The folder, which `Trace.load` reads once it is unpacked, with the page in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, Path(TRACE) / path.relative_to(folder))
        archive.writestr(f"{TRACE}/{PAGE}", trace_page(Trace.load(folder)))
    headers = {"Content-Disposition": 'attachment; filename="trace.zip"'}
    return Response(file.getvalue(), media_type="application/zip", headers=headers)


def _depth_map(trace: Trace) -> tuple[MapStep, np.ndarray]:
    """The last depth map of a trace at its own size, float32 [H, W]. ApiFault: it has none."""
    for step in reversed(trace.maps):
        if step.reading is not None and "depth" in step.reading.arrays:
            return step, step.reading.arrays["depth"]
    raise ApiFault(404, "this answer has no depth map", "not_found")


def _depth(folder: Path) -> Response:
    _, depth_HW = _depth_map(Trace.load(folder))
    file = io.BytesIO()
    np.save(file, depth_HW, allow_pickle=False)
    headers = {"Content-Disposition": 'attachment; filename="depth.npy"'}
    return Response(file.getvalue(), media_type="application/x-npy", headers=headers)


def _points(folder: Path) -> Response:
    trace = Trace.load(folder)
    _, depth_HW = _depth_map(trace)
    source = trace.question.images[trace.question.subject]
    height, width = depth_HW.shape
    camera = intrinsics_of(60.0, width, height, source.width / source.height)
    cloud = point_cloud(depth_HW, np.asarray(source.resize((width, height))), camera)
    with TemporaryDirectory() as place:
        write_ply(Path(place) / "points.ply", cloud)
        data = (Path(place) / "points.ply").read_bytes()
    headers = {"Content-Disposition": 'attachment; filename="points.ply"'}
    return Response(data, media_type="application/octet-stream", headers=headers)


VIEWS: dict[str, Callable[[Path], Response]] = {
    "": _record,
    "/page": _page,
    "/trace.zip": _zip,
    "/depth.npy": _depth,
    "/points.ply": _points,
}
