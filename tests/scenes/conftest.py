"""Scenes shared by the tests of this folder: geometry only, and small, so that they are quick."""

import pytest

from cooper.scenes.room.render import Staged, stage_scene
from cooper.scenes.room.sampling import SceneKey

SIZE = 64


@pytest.fixture(scope="session")
def staged() -> list[Staged]:
    pytest.importorskip("mitsuba")
    return [stage_scene(SceneKey("test", 11, index), SIZE) for index in range(40)]
