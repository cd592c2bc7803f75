"""How the processes of one launch begin in one folder."""

import os
from threading import Thread

from cooper.training.loop.folder import RECIPE_FILE, enter


def test_other_processes_begin_when_the_first_has_looked(recipe, monkeypatch):
    """What another writes before the first has looked, latents for one, would be a foreign thing in a new folder."""
    monkeypatch.setenv("RANK", "1")
    second = Thread(target=enter, args=(recipe, False), daemon=True)
    second.start()
    second.join(1.0)
    assert second.is_alive() and not recipe.out.exists()
    monkeypatch.setitem(os.environ, "RANK", "0")
    enter(recipe, False)
    second.join(60)
    assert not second.is_alive() and (recipe.out / RECIPE_FILE).is_file()
