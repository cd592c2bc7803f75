import errno
import json
import math
import os
import subprocess
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cooper.errors import CooperError
from cooper.perception.modality import Reading
from cooper.trace.steps import MapStep, Question, TextStep
from cooper.trace.trace import Trace

random = np.random.default_rng(0)


def picture(mode="RGB"):
    return Image.fromarray(random.integers(0, 256, (6, 9, 3), dtype=np.uint8)).convert(mode)


def full_trace():
    depth = Reading({"depth": random.random((6, 9), dtype=np.float32)}, {"depth": "m"})
    labels = random.integers(-1, 9, (6, 9), dtype=np.int32)
    kinds = Reading({"labels": labels, "in/stances": labels}, {"labels": "class id", "in/stances": "id"}, {0: "floor", 7: "é"})
    return Trace(
        question=Question((picture(), "<b>Which?</b>\n", picture("RGBA"), "", picture("L")), subject=1, id="q-1"),
        steps=(
            TextStep("<think>é\x00 \r\n</think>", (3, 1, 2), (-0.1, -1e-17, -1 / 3), seconds=1.5),
            MapStep("depth", random.random((6, 9, 3), dtype=np.float32), picture(), None, 0.25, depth),
            MapStep("seg", random.random((6, 9, 3)).astype(np.float16), picture(), random.random((4, 8)), 2, kinds),
            TextStep("Look.", author="prompt"),
            TextStep("<answer>B", (5,), (-math.inf,), truncated=True),
        ),
        mode="perception",
        model="nano",
        seed=7,
        system="S",
        settings={"temperature": 0.7, "interval": [0.4, 1.0], "top_p": None},
        notes=("The picture is a photograph.",),
    )


def same_pictures(a, b):
    return a.mode == b.mode and a.size == b.size and a.tobytes() == b.tobytes()


def assert_same(a, b):
    for one, other in zip(a.question.parts, b.question.parts, strict=True):
        assert one == other if isinstance(one, str) else same_pictures(one, other)
    assert (a.question.subject, a.question.id) == (b.question.subject, b.question.id)
    assert (a.mode, a.model, a.seed, a.system, a.settings) == (b.mode, b.model, b.seed, b.system, b.settings)
    assert a.notes == b.notes
    for one, other in zip(a.steps, b.steps, strict=True):
        if isinstance(one, TextStep):
            assert one == other
        else:
            assert_same_map(one, other)


def assert_same_map(a, b):
    assert (a.modality, a.seconds) == (b.modality, b.seconds) and same_pictures(a.image, b.image)
    pairs = [(a.drawn, b.drawn)]
    assert (a.latents is None, a.reading is None) == (b.latents is None, b.reading is None)
    pairs += [] if a.latents is None else [(a.latents, b.latents)]
    if a.reading is not None:
        assert (a.reading.units, a.reading.names) == (b.reading.units, b.reading.names)
        assert list(a.reading.arrays) == list(b.reading.arrays)
        pairs += [(array, b.reading.arrays[name]) for name, array in a.reading.arrays.items()]
    for one, other in pairs:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_without_arrays_pictures_and_words_stay(tmp_path):
    trace = full_trace()
    trace.save(tmp_path / "t")  # which the lighter one replaces
    trace.save(tmp_path / "t", arrays=False)
    assert not list((tmp_path / "t").glob("*.npy"))
    again = Trace.load(tmp_path / "t")
    assert again.turns == trace.turns and again.settings == trace.settings
    for one, other in zip(trace.maps, again.maps, strict=True):
        assert (one.modality, one.seconds) == (other.modality, other.seconds) and same_pictures(one.image, other.image)
        assert np.abs(one.drawn.astype(np.float32) - other.drawn).max() <= 0.5 / 255 + 1e-3  # eight bits, from float16 too
        assert other.latents is None and other.reading is None


def test_round_trip_is_exact(tmp_path):
    trace = full_trace()
    trace.save(tmp_path / "runs" / "t")
    again = Trace.load(tmp_path / "runs" / "t")
    assert isinstance(again, Trace)
    assert_same(trace, again)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["t"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.lists(st.tuples(st.integers(0, 2**31), st.floats(max_value=0)))), max_size=3))
def test_any_text_and_number_round_trips(tmp_path_factory, turns):
    steps = tuple(TextStep(text, tuple(i for i, _ in pairs), tuple(p for _, p in pairs)) for text, pairs in turns)
    folder = tmp_path_factory.mktemp("trace")
    Trace(Question(("q",)), steps).save(folder)
    assert Trace.load(folder).steps == steps


def test_an_earlier_trace_is_replaced(tmp_path):
    full_trace().save(tmp_path / "t")
    (tmp_path / "t" / "page.html").write_text("old")
    Trace(Question(("q",))).save(tmp_path / "t")
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["trace.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_other_files_are_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CooperError, match=r"thesis\.txt"):
        full_trace().save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    with pytest.raises(CooperError, match="is a file"):
        full_trace().save(tmp_path / "thesis.txt")


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("call", ["numpy.save", "os.replace"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, call, earlier):
    if earlier:
        replace(full_trace(), seed=99).save(tmp_path / "t")

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(call, full)
    with pytest.raises(CooperError) as caught:
        full_trace().save(tmp_path / "t")
    assert str(tmp_path / "t") in str(caught.value) and "No space left" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == (["t"] if earlier else [])
    assert not earlier or Trace.load(tmp_path / "t").seed == 99


def test_settings_that_are_no_json_are_refused(tmp_path):
    with pytest.raises(CooperError, match="settings"):
        Trace(Question(("q",)), settings={"x": object()}).save(tmp_path / "t")
    assert not list(tmp_path.iterdir())


def edited(tmp_path, edit):
    full_trace().save(tmp_path / "t")
    path = tmp_path / "t" / "trace.json"
    fields = json.loads(path.read_text())
    edit(fields)
    path.write_text(json.dumps(fields))
    with pytest.raises(CooperError) as caught:
        Trace.load(tmp_path / "t")
    assert "trace.json" in str(caught.value)
    return str(caught.value)


def test_a_fault_names_file_and_field(tmp_path):
    assert "version 9" in edited(tmp_path, lambda f: f.update(version=9))
    assert "'mode'" in edited(tmp_path, lambda f: f.update(mode="dream"))
    assert "'seed' is missing" in edited(tmp_path, lambda f: f.pop("seed"))
    assert "steps.0: 'token_ids'" in edited(tmp_path, lambda f: f["steps"][0].update(token_ids="1"))
    assert "steps.1: 'kind'" in edited(tmp_path, lambda f: f["steps"][1].update(kind="sound"))
    assert "'author'" in edited(tmp_path, lambda f: f["steps"][0].update(author="me"))


@pytest.mark.parametrize("name", ["../secret.npy", "/etc/passwd", "other.npy"])
def test_a_trace_reads_only_its_own_files(tmp_path, name):
    assert name in edited(tmp_path, lambda f: f["steps"][1].update(drawn=name))


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(CooperError, match="absent"):
        Trace.load(tmp_path / "absent")
    full_trace().save(tmp_path / "t")
    (tmp_path / "t" / "step_1.drawn.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(CooperError, match=r"step_1\.drawn\.npy"):
        Trace.load(tmp_path / "t")
    np.save(tmp_path / "t" / "step_1.drawn.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CooperError, match=r"step_1\.drawn\.npy"):
        Trace.load(tmp_path / "t")
    (tmp_path / "t" / "input_0.png").unlink()
    with pytest.raises(CooperError, match=r"input_0\.png"):
        Trace.load(tmp_path / "t")


class Killed(BaseException):
    """What a test raises where a process would be killed: no handler runs, no file is put back."""


@pytest.mark.parametrize("renames", [0, 1])
def test_a_process_killed_while_it_replaces_a_trace_loses_neither(tmp_path, monkeypatch, renames):
    replace(full_trace(), seed=1).save(tmp_path / "t")
    done, rename = [], os.replace

    def killed(*arguments):
        if len(done) == renames:
            raise Killed
        done.append(arguments)
        rename(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", killed)
        patched.setattr("shutil.rmtree", lambda *_, **__: None)  # a killed process tidies nothing
        with pytest.raises(Killed):
            replace(full_trace(), seed=2).save(tmp_path / "t")
    assert Trace.load(tmp_path / "t").seed == 1
    replace(full_trace(), seed=3).save(tmp_path / "t")
    assert Trace.load(tmp_path / "t").seed == 3
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_drafts_of_processes_that_are_gone_are_removed(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / f".t.draft-{gone.pid}").mkdir()
    (tmp_path / ".t.draft-1").mkdir()  # process 1 always runs
    (tmp_path / ".t2.draft-x").mkdir()
    full_trace().save(tmp_path / "t")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".t.draft-1", ".t2.draft-x", "t"]


@pytest.mark.parametrize("name", ["t[1]", "a*b", "ä ö", "-x"])
def test_any_name_of_a_folder_will_do(tmp_path, name):
    for seed in (1, 2):
        replace(full_trace(), seed=seed).save(tmp_path / name)
    assert Trace.load(tmp_path / name).seed == 2 and [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "working directory"),
        (".", "working directory"),
        ("file", "is a file"),
        ("file/below", "is a file"),
        ("a" * 300, "at most 200 bytes"),
        ("a\0b", "null byte"),
        ("/proc/t", "/proc"),
    ],
)
def test_a_place_where_no_trace_can_be_is_named(tmp_path, monkeypatch, place, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CooperError, match=said):
        full_trace().save(place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("token_ids", [True]),
        ("token_ids", [1.5]),
        ("logprobs", [False]),
        ("logprobs", ["1"]),
        ("seconds", -1),
        ("seconds", math.nan),
        ("seconds", True),
        ("truncated", 1),
        ("text", None),
        ("text", 10**30),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(tmp_path, field, value):
    assert f"steps.0: '{field}'" in edited(tmp_path, lambda f: f["steps"][0].update({field: value}))


def test_the_file_itself_may_be_wrong(tmp_path):
    full_trace().save(tmp_path / "t")
    path = tmp_path / "t" / "trace.json"
    for content in (
        b"[" * 100_000,
        b"",
        b"[]",
        b"\xff\xfe{}",
        b'{"version": ' + b"9" * 5000 + b"}",
        b'{"version": 1' + b"0" * 400 + b"}",
    ):
        path.write_bytes(content)
        with pytest.raises(CooperError, match=r"trace\.json"):
            Trace.load(tmp_path / "t")
    path.unlink()
    path.mkdir()
    with pytest.raises(CooperError, match="is a folder"):
        Trace.load(tmp_path / "t")


def test_a_byte_order_mark_changes_nothing(tmp_path):
    trace = full_trace()
    trace.save(tmp_path / "t")
    path = tmp_path / "t" / "trace.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert_same(Trace.load(tmp_path / "t"), trace)


def npy(header: str) -> bytes:
    text = header.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2700000000,), }\n"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }\n"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }\n"),
        npy("(" * 9000),
        npy("{'descr': '<f4'}"),
        npy("\x00" * 40),
        b"PK\x03\x04" + bytes(60),
        b"",
    ],
    ids=range(8),
)
def test_an_array_that_promises_what_it_does_not_hold_is_named(tmp_path, content):
    full_trace().save(tmp_path / "t")
    (tmp_path / "t" / "step_1.drawn.npy").write_bytes(content)
    with pytest.raises(CooperError, match=r"step_1\.drawn\.npy"):
        Trace.load(tmp_path / "t")


@pytest.mark.parametrize("name", ["input_0.png", "step_1.drawn.npy", "trace.json"])
def test_a_pipe_in_a_trace_does_not_hang(tmp_path, name):
    full_trace().save(tmp_path / "t")
    (tmp_path / "t" / name).unlink()
    os.mkfifo(tmp_path / "t" / name)
    with pytest.raises(CooperError, match="no regular file"):
        Trace.load(tmp_path / "t")


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path):
    full_trace().save(tmp_path / "t")
    path = tmp_path / "t" / "input_0.png"
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the header
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(CooperError, match=r"input_0\.png unpacks to more"):
        Trace.load(tmp_path / "t")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("absent", "absent does not exist"),
        ("file", "file is a file"),
        ("empty", "empty holds no trace.json"),
        ("other", "other holds no trace.json"),
        ("a\0b", "cannot be looked into|does not exist"),
        ("a" * 5000, "cannot be looked into|does not exist"),
        (None, "must be a path, not None"),
        (5, "must be a path, not 5"),
    ],
)
def test_what_is_no_trace_is_one_sentence(tmp_path, monkeypatch, place, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(CooperError, match=said) as refused:
        Trace.load(place)
    told = str(refused.value)
    assert len(told) < 400 and ("a trace is a folder with trace.json" in told or not isinstance(place, str))


def test_arrays_that_do_not_belong_are_named(tmp_path):
    full_trace().save(tmp_path / "t")
    drawn, reading = tmp_path / "t" / "step_1.drawn.npy", tmp_path / "t" / "step_1.reading_0.npy"
    before = drawn.read_bytes()
    np.save(drawn, np.zeros((3, 3)))
    with pytest.raises(CooperError, match=r"step_1\.drawn\.npy must be a picture \[H, W, 3\], not \[3, 3\]"):
        Trace.load(tmp_path / "t")
    drawn.write_bytes(before)
    np.save(reading, np.array([["near", "far"]]))
    with pytest.raises(CooperError, match=r"step_1\.reading_0\.npy must hold numbers, not <U4"):
        Trace.load(tmp_path / "t")
