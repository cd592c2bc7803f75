"""Packages that extend this one: modules that register a map, a data set, a benchmark, a reward or a stage when imported.

A package names such a module in its own `pyproject.toml`:

    [project.entry-points."cooper.plugins"]
    mine = "my_package.my_module"
"""

from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

from cooper.errors import CooperError

GROUP = "cooper.plugins"
T = TypeVar("T")


class PluginError(CooperError):
    """A module of an installed package that cannot be imported."""


@cache
def load_plugins() -> None:
    """Import the modules that installed packages name, once per process. CooperError names one that cannot be imported."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}" if isinstance(error, SystemExit) or not str(error) else error
            raise PluginError(f"the plugin {entry.name!r} ({entry.value}) cannot be loaded: {said}") from error


def register(registry: dict[str, T], noun: str, name: str, value: T) -> None:
    """Add `value` to a registry. ValueError: the name is taken."""
    if name in registry:
        raise ValueError(f"a {noun} named {name!r} is registered already")
    registry[name] = value
