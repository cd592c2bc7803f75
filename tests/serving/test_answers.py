"""Questions by the clients that people have: OpenAI's package, curl, litellm; and the same answer as without a server."""

import base64
import json
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from PIL import Image

from cooper.reasoning.decoding import Sampling
from cooper.reasoning.options import Inference
from cooper.trace.steps import Question
from cooper.trace.trace import Trace
from tests.serving.running import QUESTION, ROOM, URL, asking, messages

PICTURE = Image.open(BytesIO(ROOM))
INPUT = [{"role": "user", "content": [{"type": "input_image", "image_url": URL}, {"type": "input_text", "text": QUESTION}]}]


@pytest.fixture(scope="module")
def client(served) -> OpenAI:
    return OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def test_a_chat_completion_is_the_answer_of_ask(client, nano):
    alone = nano.ask(PICTURE, QUESTION, seed=3)
    found = client.chat.completions.create(model="nano", messages=messages(), seed=3)
    choice = found.choices[0]
    assert choice.message.content == alone.final and choice.finish_reason == "stop"
    thoughts = choice.message.reasoning_content
    assert thoughts and all(line in "".join(turn.text for turn in alone.turns) for line in thoughts.split("\n"))
    [image] = choice.message.images
    drawn = Image.open(BytesIO(base64.b64decode(image["image_url"]["url"].split(",")[1])))
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(alone.maps[0].image))
    assert image["modality"] == "depth" and image["index"] == 0


def test_tokens_are_counted(client, nano, served):
    found = client.chat.completions.create(model="nano", messages=messages(), seed=3)
    alone, usage = nano.ask(PICTURE, QUESTION, seed=3), found.usage
    drawn = sum(len(step.latents) for step in alone.maps)
    assert usage.completion_tokens == sum(len(turn.token_ids) for turn in alone.turns) + drawn
    parts = nano.engine.parts
    chain = parts.layout.question(Question((PICTURE.convert("RGB"), QUESTION)), "interleaved", alone.system)
    assert (
        usage.prompt_tokens == nano_tokens(nano, chain) and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    )
    details = usage.completion_tokens_details
    assert details.reasoning_tokens + details.text_tokens + details.image_tokens == usage.completion_tokens
    assert details.image_tokens == drawn and 0 < details.text_tokens < 20


def nano_tokens(nano, chain) -> int:
    from cooper.sequence.packing import Row, pack

    return sum(pack([Row(tuple(chain))], nano.engine.parts.layout.processor.geometry).splits.lengths)


def test_a_chat_stream_says_the_same(client):
    whole = client.chat.completions.create(model="nano", messages=messages(), seed=5).choices[0].message
    chunks = list(
        client.chat.completions.create(
            model="nano", messages=messages(), seed=5, stream=True, stream_options={"include_usage": True}
        )
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == whole.content
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas).strip() == whole.reasoning_content
    images = [image for delta in deltas for image in getattr(delta, "images", None) or ()]
    assert images == whole.images
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "stop"


def test_a_response_is_streamed_with_the_map_under_way(client, nano):
    kinds, previews, numbers = [], [], []
    with client.responses.stream(model="nano", input=INPUT, extra_body={"seed": 3}) as stream:
        for event in stream:
            kinds.append(event.type.removeprefix("response."))
            numbers.append(event.sequence_number)
            if kinds[-1] == "image_generation_call.partial_image":
                previews.append(Image.open(BytesIO(base64.b64decode(event.partial_image_b64))))
        final = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert final.output_text == nano.ask(PICTURE, QUESTION, seed=3).final and final.status == "completed"
    assert [item.type for item in final.output] == ["reasoning", "image_generation_call", "reasoning", "message"]
    assert kinds[:3] == ["created", "in_progress", "output_item.added"] and kinds[-1] == "completed"
    started, finished = kinds.index("image_generation_call.generating"), kinds.index("image_generation_call.completed")
    assert len(previews) == nano.defaults.drawing.num_timesteps - 2 and started < finished
    last = np.asarray(Image.open(BytesIO(base64.b64decode(final.output[1].result))), float)
    away = [np.abs(np.asarray(preview, float) - last).mean() for preview in previews]
    assert away[-1] < away[0], "each is nearer to the finished map"
    assert final.usage.output_tokens_details.reasoning_tokens > 0


def test_a_plain_response_and_a_bare_text(client, nano):
    found = client.responses.create(model="nano", input=INPUT, extra_body={"seed": 3, "mode": "perception"})
    assert [item.type for item in found.output].count("image_generation_call") == 2
    bare = client.responses.create(model="nano", input="What is 2 + 2?", extra_body={"mode": "direct"})
    assert bare.output[-1].type == "message"


def test_many_at_once_get_what_each_gets_alone(served, nano):
    """Modes, temperatures, seeds and pictures mixed, streamed and not, all at once."""
    ways = [
        {"mode": mode, "seed": seed, "temperature": heat, "stream": stream}
        for seed, (mode, heat, stream) in enumerate(
            [("interleaved", 0.0, True), ("text", 1.0, False), ("perception", 0.7, False), ("direct", 0.0, True)] * 3
        )
    ]

    def answer(way):
        response = served.client.post("/v1/chat/completions", json=asking(**way))
        assert response.status_code == 200, response.text
        if not way["stream"]:
            return response.json()["choices"][0]["message"]["content"]
        events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        return "".join(e["choices"][0]["delta"].get("content", "") for e in events if e["choices"])

    with ThreadPoolExecutor(len(ways)) as pool:
        found = list(pool.map(answer, ways))
    for way, said in zip(ways, found, strict=True):
        sampling = Sampling(temperature=way["temperature"], max_tokens=nano.defaults.sampling.max_tokens)
        other = nano.with_inference(Inference(sampling=sampling))
        assert said == (other.ask(PICTURE, QUESTION, mode=way["mode"], seed=way["seed"]).final or said), way


def test_choices_known_maps_and_drawing(served, nano):
    depth = np.full((64, 64), 2500, np.uint16)
    file = BytesIO()
    Image.fromarray(depth).save(file, "PNG")
    known = {"depth": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"}
    body = asking(known=known, mode="perception", choices=["red capsule", "blue ball"], drawing={"num_timesteps": 3})
    found = served.client.post("/v1/chat/completions", json=body).json()
    assert found["choices"][0]["message"]["content"] in ("red capsule", "blue ball")
    packed = served.client.get(f"/v1/traces/{found['trace_id']}/depth.npy").content
    assert np.load(BytesIO(packed)) == pytest.approx(2.5, rel=0.02)
    array = BytesIO()
    np.save(array, np.full((32, 32), 2.5, np.float32))
    body["known"]["depth"] = f"data:application/x-npy;base64,{base64.b64encode(array.getvalue()).decode()}"
    again = served.client.post("/v1/chat/completions", json=body).json()
    assert again["choices"][0]["message"]["content"] == found["choices"][0]["message"]["content"]


def test_a_trace_can_be_taken_along(served, tmp_path):
    name = served.client.post("/v1/chat/completions", json=asking(seed=3)).json()["trace_id"]
    record = served.client.get(f"/v1/traces/{name}").json()
    assert record["question"] == QUESTION and [step["kind"] for step in record["steps"]].count("map") == 1
    page = served.client.get(f"/v1/traces/{name}/page")
    assert "default-src 'none'" in page.headers["content-security-policy"] and "<script" not in page.text
    zipfile.ZipFile(BytesIO(served.client.get(f"/v1/traces/{name}/trace.zip").content)).extractall(tmp_path)
    trace = Trace.load(tmp_path / "trace")
    assert trace.seed == 3 and trace.maps[0].latents is not None
    assert served.client.get(f"/v1/traces/{name}/points.ply").content.startswith(b"ply\nformat binary_little_endian 1.0")
    text = served.client.post("/v1/chat/completions", json=asking(mode="text")).json()["trace_id"]
    assert served.client.get(f"/v1/traces/{text}/depth.npy").json()["error"]["message"] == "this answer has no depth map"


def test_a_photograph_comes_with_a_note(served):
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    found = served.client.post("/v1/chat/completions", json={"messages": messages("What is it?", url)}).json()
    assert "unlike" in found["notes"][0]


def test_mistakes_are_told_to_openais_client(client):
    with pytest.raises(BadRequestError, match="mode"):
        client.chat.completions.create(model="nano", messages=messages(), extra_body={"mode": "loud"})
    with pytest.raises(NotFoundError, match="gpt-4o"):
        client.chat.completions.create(model="gpt-4o", messages=messages())
    with pytest.raises(BadRequestError, match="n is not supported"):
        client.chat.completions.create(model="nano", messages=messages(), n=4)


def test_what_a_server_says_of_itself(served):
    [model] = served.client.get("/v1/models").json()["data"]
    assert model["id"] == "nano" and model["maps"] == ["depth", "segmentation"] and model["limits"]["rows"] == 16
    assert served.client.get("/health").json() == {"status": "alive"}
    assert served.client.get("/ready").json() == {"status": "ready"}
    served.client.post("/v1/chat/completions", json=asking())
    figures = served.client.get("/metrics").text
    for name in ("num_requests_running", "time_to_first_token_seconds_count", "generation_tokens_total", "maps_total"):
        assert f"cooper:{name}" in figures, name
    assert 'modality="depth"' in figures and QUESTION not in figures


def test_curl_asks_and_streams(served, tmp_path):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    body = tmp_path / "body.json"
    for stream in (False, True):
        body.write_text(json.dumps(asking(stream=stream, seed=3)))
        words = [curl, "-sN", f"{served.url}/v1/chat/completions", "-H", "Content-Type: application/json", "-d", f"@{body}"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert ("data: [DONE]" in done.stdout) == stream and "red capsule" in done.stdout


def test_litellm_asks(served, monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it looks for prices on the internet when it is imported
    litellm = pytest.importorskip("litellm", reason="litellm is not installed: pip install litellm")
    found = litellm.completion(
        model="openai/nano", api_base=f"{served.url}/v1", api_key="none", messages=messages(), seed=3, temperature=0
    )
    assert found.choices[0].message.content == "red capsule"
    assert found.choices[0].message.reasoning_content
    pieces = litellm.completion(
        model="openai/nano", api_base=f"{served.url}/v1", api_key="none", messages=messages(), seed=3, stream=True
    )
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "red capsule"


def test_the_shell_asks_a_server(served, tmp_path):
    room = tmp_path / "room.png"
    room.write_bytes(ROOM)
    words = [sys.executable, "-m", "cooper", "ask", str(room), QUESTION, "--server", served.url, "--seed", "3"]
    done = subprocess.run([*words, "--json", "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["final"] == "red capsule" and (tmp_path / "out" / "page.html").is_file()
    gone = subprocess.run([*words[:-3], "http://127.0.0.1:9"], capture_output=True, text=True, check=False)
    assert gone.returncode == 1 and "cannot be asked" in gone.stderr and "Traceback" not in gone.stderr
