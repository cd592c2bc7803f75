"""Five-row tables in the kits' own format, and the bundled model in its cheapest mode."""

import base64
import csv
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image

ASSETS = Path(find_spec("cooper").submodule_search_locations[0]) / "assets"
OBJECTS = ("yellow cylinder", "red capsule", "blue ring", "blue ball")
QUESTIONS = ("closest to the camera", "farthest from the camera", "leftmost", "rightmost", "largest")


@pytest.fixture(scope="session")
def pictures():
    """Five pictures, as PNG files in memory: the demo room, a little more of it cut off each time."""
    room = Image.open(ASSETS / "demo" / "room.png").convert("RGB")
    found = []
    for place in range(5):
        file = BytesIO()
        room.crop((4 * place, 2 * place, room.width, room.height)).save(file, "PNG")
        found.append(file.getvalue())
    return found


@pytest.fixture(scope="session")
def choices(pictures):
    """Rows of a multiple-choice table, in the columns of VLMEvalKit."""
    return [
        {
            "index": place,
            "question": f"Which of these is {question}?",
            **dict(zip("ABCD", OBJECTS, strict=True)),
            "answer": "ABCDA"[place],
            "category": "place",
            "image": base64.b64encode(picture).decode(),
        }
        for place, (question, picture) in enumerate(zip(QUESTIONS, pictures, strict=True))
    ]


@pytest.fixture(scope="session")
def numbers(pictures):
    """Rows of a SIBench table: three numbers, a choice, and yes or no."""
    asked = [
        ("How far is the yellow cylinder from the camera in metres?", "2", "Number"),
        ("How far is the red capsule from the camera in metres?", "3.5", "Number"),
        ("How many objects are there?", "4", "Number_Int"),
        ("Which is closest?\nA. yellow cylinder\nB. red capsule\nC. blue ring\nD. blue ball", "A", "MCQ"),
        ("Is the blue ball left of the red capsule?", "Yes.", "YN"),
    ]
    return [
        {
            "index": place,
            "question": question,
            "answer": answer,
            "type": kind,
            "data_source": "SPAR-Bench",
            "input_type": "image",
            "image": base64.b64encode(picture).decode(),
        }
        for place, ((question, answer, kind), picture) in enumerate(zip(asked, pictures, strict=True))
    ]


@dataclass(frozen=True)
class ServedModel:
    """`cooper serve` in a process of its own. `url` ends in `/v1`."""

    url: str

    def answered(self) -> int:
        """How many requests it has answered."""
        text = urlopen(self.url.removesuffix("/v1") + "/metrics").read().decode()
        return sum(int(float(count)) for count in re.findall(r"^cooper:request_success_total\{.*\} (\S+)", text, re.MULTILINE))


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The bundled model, served as a user would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("served")
    # the kits' torchvision does not fit this torch: see `torchvision_cpu`
    begin = "import cooper.evaluation.kits.torchvision_cpu; from cooper.cli.main import main; main()"
    words = [sys.executable, "-c", begin, "serve", "--port", str(port), "--traces", str(folder / "traces")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            while True:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    urlopen(f"http://127.0.0.1:{port}/ready")
                    break
                except OSError:
                    time.sleep(0.3)
            yield ServedModel(f"http://127.0.0.1:{port}/v1")
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="session")
def write_tsv():
    """`write_tsv(path, rows)` writes a table."""

    def of(path, rows):
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return of
