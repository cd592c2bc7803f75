"""The web page: its files, the six bundled pictures, and the headers that keep a browser from loading anything else."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, Response

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes() -> APIRouter:
    """`/` is the page, `/static/NAME` a file of it, `/v1/pictures` a list of the bundled pictures.

    The list has `name`, `description`, `questions` that fit, and `url`, from the address of the page. Files are looked up by
    name in a fixed list, so no path leads out of it.
    """
    router = APIRouter(include_in_schema=False)
    files = {path.relative_to(_STATIC).as_posix(): path for path in sorted(_STATIC.rglob("*")) if path.suffix in _TYPES}

    @router.get("/")
    def page() -> FileResponse:
        return _file(files["index.html"])

    @router.get("/static/{name:path}")
    def static(name: str) -> Response:
        return _file(files[name]) if name in files else _missing(name)

    @router.get("/v1/pictures")
    def pictures() -> Response:
        return _file(files["pictures.json"])

    return router


def _file(path: Path) -> FileResponse:
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=HEADERS)


def _missing(name: str) -> JSONResponse:
    said = {
        "message": f"the page has no file {name[:80]!r}",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found",
    }
    return JSONResponse({"error": said}, status_code=404, headers=HEADERS)
