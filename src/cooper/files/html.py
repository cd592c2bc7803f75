"""Pages from templates. Every value that a template prints is escaped, so a text can hold any mark-up."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_PACKAGE = Path(__file__).resolve().parents[1]


def render(template: str, **values: Any) -> str:
    """The text of a template, which is named from the package as `"trace/templates/trace.html"`.

    Halves of surrogate pairs, which no file can hold, become question marks.
    """
    text = _templates().get_template(template).render(**values)
    return text.encode("utf-8", "replace").decode("utf-8")


def fragment(template: str, **values: Any) -> "Markup":
    """A rendered template as a value that other templates print as it is."""
    from markupsafe import Markup

    return Markup(render(template, **values))


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
