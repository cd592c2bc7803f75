"""Where results may go: a new folder, an empty one, or one that holds a run; never the working directory and its like."""

from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.files.folders import own_folder, run_folder
from cooper.files.locks import FILE, held


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A home directory with a working directory in it."""
    (tmp_path / "home" / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home" / "work")
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("path", [".", "..", "/", "", "../work", "~", "~/work/.", "../.."])
def test_the_working_directory_and_what_holds_it_are_refused(path):
    with pytest.raises(CooperError, match=r"cannot be a folder for results: it is the working directory or holds it"):
        own_folder(path)


def test_the_home_directory_is_refused_from_elsewhere(place, monkeypatch):
    monkeypatch.chdir("/")
    for path in ("~", place / "home", place):
        with pytest.raises(CooperError, match="it is the home directory or holds it"):
            own_folder(path)
    assert own_folder("~/new") == place / "home" / "new"


def test_a_git_checkout_is_refused(place):
    (place / "code" / ".git").mkdir(parents=True)
    with pytest.raises(CooperError, match="code cannot be a folder for results: it is a git checkout"):
        own_folder(place / "code")
    assert own_folder(place / "code" / "out") == place / "code" / "out"


def test_a_folder_of_other_things_is_refused_and_stays_as_it_is(place):
    (place / "pictures").mkdir()
    (place / "pictures" / "room.png").touch()
    with pytest.raises(CooperError, match=r"it holds 'room\.png' and no run of a command; name a new folder"):
        held(place / "pictures", "cooper eval").__enter__()
    assert [path.name for path in (place / "pictures").iterdir()] == ["room.png"]


def test_what_a_launcher_writes_is_not_in_the_way_of_a_new_run(place):
    (place / "run" / "log" / "attempt_0").mkdir(parents=True)
    for name in ("slurm-12.out", "slurm-12.err", "train.log"):
        (place / "run" / name).touch()
    assert run_folder(place / "run") == place / "run"
    (place / "run" / "room.png").touch()
    with pytest.raises(CooperError, match=r"it holds 'room\.png'"):
        run_folder(place / "run")


@pytest.mark.parametrize("name", ["run.json", "dataset.json", "recipe.yaml", "rows-3.jsonl", "scenes", ".hidden"])
def test_a_folder_of_a_run_goes_on(place, name):
    (place / "run").mkdir()
    (place / "run" / name).touch()
    assert run_folder(place / "run") == place / "run"
    if name != ".hidden":
        (place / "run" / "notes.txt").touch()
    with held(place / "run", "cooper eval"):
        (place / "run" / "other").touch()  # what a command has made is not in the way of what it calls
        with held(place / "run", "what it calls"):
            assert (place / "run" / FILE).is_file()
