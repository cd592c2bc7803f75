"""What a client is told when it gets no answer, in OpenAI's form."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

STATUS = {  # of the codes that the desk gives
    "invalid_value": 400,
    "too_large": 413,
    "queue_full": 429,
    "cancelled": 499,
    "server_error": 500,
    "engine_dead": 503,
    "timeout": 504,
}
KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiFault(Exception):  # noqa: N818 - it is an answer
    """An answer that is no success. `param`: the field at fault."""

    def __init__(
        self, status: int, message: str, code: str = "", param: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.headers = status, message, code, param, dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        kind = KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param or None, "code": self.code or None}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, self.headers)


def of_code(code: str, message: str) -> ApiFault:
    """The answer to a failure that the desk told."""
    return ApiFault(STATUS.get(code, 500), message, code)
