"""Several processes render one set, and none of them outlives the command."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
from pathlib import Path
from cooper.scenes.production import RenderSettings, render_scenes
if __name__ == "__main__":
    render_scenes(RenderSettings(400, 0, "train", Path({out!r}), size=64, spp=4, workers=2))
"""


def processes_below(number: int) -> set[int]:
    """Process numbers of all children, and of theirs."""
    below = set()
    for tasks in Path(f"/proc/{number}/task").glob("*/children"):
        children = {int(child) for child in tasks.read_text().split()}
        below |= children.union(*(processes_below(child) for child in children))
    return below


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_their_command(tmp_path):
    script = tmp_path / "render.py"
    script.write_text(SCRIPT.format(out=str(tmp_path / "set")))
    process = subprocess.Popen([sys.executable, str(script)])
    workers: set[int] = set()
    while len(workers) < 3:  # the tracker of resources and two that render
        assert process.poll() is None
        workers = processes_below(process.pid)
        time.sleep(0.1)
    time.sleep(2)  # until they have begun
    process.kill()
    process.wait()
    for _ in range(6000):
        if not any(alive(worker) for worker in workers):
            return
        time.sleep(0.1)
    pytest.fail("a worker outlived its command by ten minutes")
