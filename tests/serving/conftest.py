"""The bundled model, loaded once, and one server over it."""

from collections.abc import Iterator

import pytest

from cooper.reasoning.cooper import Cooper
from tests.serving.running import Served, serving, settings_in


@pytest.fixture(scope="session")
def nano() -> Cooper:
    return Cooper.from_pretrained("nano")


@pytest.fixture(scope="session")
def served(nano, tmp_path_factory) -> Iterator[Served]:
    with serving(nano, settings_in(tmp_path_factory.mktemp("served"))) as found:
        yield found
