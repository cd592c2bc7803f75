"""The web page of the server."""

from cooper.serving.web.page import routes

__all__ = ["routes"]
