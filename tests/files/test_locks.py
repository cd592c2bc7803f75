"""One command a folder: real processes that hold, wait, die and are told why."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from cooper.errors import CooperError
from cooper.files import locks
from cooper.files.locks import FILE, held

HOLD = """
import sys
from cooper.files.locks import held
with held(sys.argv[1], "cooper eval"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holding(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """Another process, which holds the folder by the time that this returns, until its input ends."""
    given = {**os.environ, **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=given
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def other(tmp_path):
    process = holding(tmp_path / "run")
    yield process
    process.kill()
    process.communicate()


def test_a_folder_in_use_names_its_holder(other, tmp_path):
    with pytest.raises(
        CooperError, match=rf"is in use by process {other.pid} on .* \(cooper eval, since 20..-.*\): wait until"
    ):
        held(tmp_path / "run", "cooper eval").__enter__()
    with held(tmp_path / "elsewhere", "cooper eval"):
        pass
    other.communicate("")
    with held(tmp_path / "run", "cooper eval"), held(tmp_path / "run", "what it calls"):
        assert (tmp_path / "run" / FILE).is_file()
    assert not (tmp_path / "run" / FILE).exists()


def test_threads_of_one_process_never_refuse_one_another(tmp_path):
    faults = []

    def enter_and_leave():
        try:
            for _ in range(300):
                with held(tmp_path / "run", "cooper eval"):
                    pass
        except CooperError as error:
            faults.append(error)

    (tmp_path / "run").mkdir()
    threads = [threading.Thread(target=enter_and_leave) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and not (tmp_path / "run" / FILE).exists()


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_holder_that_dies_frees_the_folder(other, tmp_path, way):
    other.send_signal(way)
    other.wait()
    with held(tmp_path / "run", "cooper eval"):
        assert json.loads((tmp_path / "run" / FILE).read_text())["pid"] == os.getpid()


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    code = """
    import os, sys, time
    from cooper.files.locks import held
    with held(sys.argv[1], "parent"):
        child = os.fork()
        if child == 0:
            sys.stdout.write("forked\\n"); sys.stdout.flush()
            sys.stdin.read()  # outlives its parent
            os._exit(0)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "run")]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdout.readline() == "forked\n"
    parent.kill()
    parent.wait()
    with held(tmp_path / "run", "cooper eval"):
        pass
    assert parent.stdin is not None
    parent.stdin.close()


def test_processes_of_one_launcher_share_it(tmp_path, monkeypatch):
    launch = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29501", "WORLD_SIZE": "2"}
    first = holding(tmp_path / "run", RANK="0", **launch)
    second = holding(tmp_path / "run", RANK="1", **launch)
    for name, value in (launch | {"RANK": "1", "MASTER_PORT": "29502"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CooperError, match=f"in use by process {first.pid}"):  # the second process of another launcher
        held(tmp_path / "run", "cooper eval").__enter__()
    for process in (first, second):
        process.communicate("")
    with held(tmp_path / "run", "cooper eval"):
        assert not (tmp_path / "run" / FILE).exists(), "only the first process holds"


@pytest.mark.parametrize("left", [False, True])
def test_without_file_locks_the_process_decides(other, tmp_path, monkeypatch, left):
    monkeypatch.setattr(locks, "fcntl", None)  # stands for a file system or a system that cannot lock files
    if left:
        other.kill()
        other.wait()
        with held(tmp_path / "run", "cooper eval"):
            pass
    else:
        with pytest.raises(CooperError, match=f"in use by process {other.pid}"):
            held(tmp_path / "run", "cooper eval").__enter__()


@pytest.mark.parametrize("content", ["", "[" * 9999, "{}", '{"pid": "x"}', "\x00"])
def test_a_lock_file_of_any_content_blocks_nobody(tmp_path, content, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)  # as above: here the content decides
    (tmp_path / FILE).write_text(content)
    with held(tmp_path, "cooper eval"):
        pass


def test_a_place_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for place, said in {
        "file": "is a file",
        "file/below": "is a file",
        "x" * 300: "at most 200 bytes",
        "a\0b": "null",
    }.items():
        with pytest.raises(CooperError, match=said):
            held(tmp_path / place, "cooper eval").__enter__()
