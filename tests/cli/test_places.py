"""Every command that fills a folder refuses the same places, before it reads anything."""

import pytest

COMMANDS = [
    ("eval", "scenes", "--mode", "direct", "--out"),
    ("eval", "mmvp", "--mode", "direct", "--data", "nowhere", "--out"),
    ("study", "a=run:direct", "--out"),
    ("scenes", "render", "--count", "1", "--out"),
    ("data", "draw", "--data", "nowhere", "--out"),
    ("data", "flags", "--data", "nowhere", "--out"),
    ("vlmeval", "--data", "nowhere", "--out"),
    ("ask", "room.png", "What?", "--out"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_places_that_are_no_folder_of_their_own(run, tmp_path, picture, monkeypatch, command):
    (tmp_path / "code" / ".git").mkdir(parents=True)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    for place, said in ((".", "working directory"), ("..", "working directory"), ("/", "working"), ("code", "git checkout")):
        ran = run(*command, place)
        told = f"{place} cannot be a folder for results: it is "
        assert ran.code == 1 and told in " ".join(ran.err.split()) and said in ran.err and ran.out == "", ran.err
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_a_folder_of_other_things_is_not_filled(run, tmp_path, picture, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.tex").touch()
    ran = run(*command, "own")
    assert ran.code == 1 and "holds 'thesis.tex'" in " ".join(ran.err.split()), ran.err
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["thesis.tex"]
