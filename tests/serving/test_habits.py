"""What clients do by habit: fields that are null, HEAD, a base address with /v1, a Ctrl-C in the middle of an answer."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from openai import OpenAI

from cooper.serving.api.story import answer_of, plain
from cooper.trace.steps import Question, TextStep
from cooper.trace.trace import Trace
from tests.serving.running import QUESTION, ROOM, asking, serving, settings_in
from tests.serving.test_faults import LONG, _running, begun, until

NULLS = dict.fromkeys(("top_logprobs", "functions", "audio", "prediction", "mode", "model", "drawing", "logit_bias"))
WISHES = {"reasoning_effort": "low", "verbosity": "low", "store": True, "n": 1, "logit_bias": {}, "stop": None}


@pytest.mark.parametrize("fields", [NULLS, WISHES], ids=["null is left out", "wishes"])
def test_fields_that_change_nothing_are_taken(served, fields):
    found = served.client.post("/v1/chat/completions", json=asking(seed=3, **fields))
    assert found.status_code == 200 and found.json()["choices"][0]["message"]["content"] == "red capsule"


def test_instructions_are_read_before_the_question(served):
    body = asking(mode="text", seed=3)
    alike = {**body, "messages": [{"role": "system", "content": "Be brief."}, *body["messages"]]}
    body["input"] = body.pop("messages")
    found = served.client.post("/v1/responses", json={**body, "instructions": "Be brief."}).json()
    other = served.client.post("/v1/chat/completions", json=alike).json()
    assert found["usage"]["input_tokens"] == other["usage"]["prompt_tokens"]


def test_the_model_is_found_by_its_name(served):
    client = OpenAI(base_url=f"{served.url}/v1", api_key="none")
    assert client.models.retrieve("nano").id == "nano" == client.models.list().data[0].id


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/metrics"])
def test_head_is_get_without_its_body(served, path):
    found = served.client.head(path)
    assert found.status_code == 200 and not found.content
    assert found.headers["content-type"] == served.client.get(path).headers["content-type"]


def test_another_method_names_those_that_are_right(served):
    found = served.client.put("/v1/chat/completions", json={})
    assert found.status_code == 405 and found.headers["allow"] == "POST"


def test_the_shell_takes_the_address_of_openai_s_clients(served, tmp_path):
    room = tmp_path / "room.png"
    room.write_bytes(ROOM)
    words = [sys.executable, "-m", "cooper", "ask", str(room), QUESTION, "--seed", "3"]
    done = subprocess.run([*words, "--server", f"{served.url}/v1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "red capsule" in done.stdout
    lost = subprocess.run([*words, "--key-env", "HOME"], capture_output=True, text=True, check=False)
    assert lost.returncode == 1 and "--server" in lost.stderr


def test_a_key_that_is_wrong_is_not_called_missing(nano, tmp_path):
    with serving(nano, settings_in(tmp_path, keys=("the-right-key",))) as locked:
        for key, says in (("the-wrong-key", "not known"), (None, "a key is needed")):
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            found = locked.client.get("/v1/models", headers=headers)
            assert found.status_code == 401 and says in found.json()["error"]["message"]


def cut(text: str, mode: str, truncated: bool = True) -> Trace:
    return Trace(Question(("Which?",)), (TextStep(text, (1, 2), truncated=truncated),), mode=mode)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x 2 y 2, blue cube.</think><answer>4", "4"),
        ("4</answer>", "4"),
        ("red capsule", "red capsule"),
        ("<think>far</think>", "far"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ],
)
def test_marks_in_the_wrong_place_are_not_shown(text, wanted):
    assert plain(text) == wanted


def test_a_cut_answer_shows_no_request_and_no_half_choice():
    request = cut("<think>Far.</think><depth-estimation>Draw the depth map.</depth-estimation>", "interleaved", False)
    assert answer_of(request, ["depth-estimation"]) == ("", False)
    half = cut("<answer>yellow", "direct")
    assert answer_of(half, [], ("yellow cylinder", "no")) == ("", False)
    assert answer_of(half, []) == ("yellow", False)


def test_what_outlives_the_drain_is_told(tmp_path):
    process, url = begun(tmp_path / "traces", "--drain", "0")
    long = asking(
        mode="perception", drawing={"num_timesteps": 100}, **{k: v for k, v in LONG.items() if k not in ("mode", "drawing")}
    )
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=url, timeout=60) as client:
        asked = pool.submit(client.post, "/v1/chat/completions", json=long)
        until(lambda: asked.done() or _running(httpx.get(f"{url}/metrics").text) == 1.0)
        process.send_signal(signal.SIGINT)
        found = asked.result()
    assert found.status_code == 503 and "going down" in found.json()["error"]["message"]
    said = process.communicate()[1]
    assert process.returncode in (0, 130, -signal.SIGINT) and "Traceback" not in said and "terminate" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--drain", "nan"], "drain"),
        (["--drain", "-1"], "--drain"),
        (["--drain", "inf"], "--drain"),
        (["--most-rows", "0"], "--most-rows"),
        (["--keep-mib", "-1"], "--keep-mib"),
        (["--memory-mib", "-5"], "--memory-mib"),
        (["--most-seconds", "nan"], "seconds"),
        (["--allow-origin", "foo"], "--allow-origin 'foo'"),
        (["--allow-origin", "*"], "--allow-origin '*'"),
        (["--allow-host", "http://x"], "--allow-host 'http://x'"),
    ],
    ids=" ".join,
)
def test_options_that_no_server_can_keep_are_said(tmp_path, words, says):
    command = [sys.executable, "-m", "cooper", "serve", "--port", "0", "--traces", str(tmp_path / "t"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (1, 2) and says in done.stderr and "Traceback" not in done.stderr
