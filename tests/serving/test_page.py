"""The web page in Chromium, against `cooper serve` on nano."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from cooper.trace.example import example_questions
from cooper.trace.trace import Trace
from tests.serving.browsing import NAMELESS, PALE, ask, begin, chromium, opened_page, serving

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
pytestmark = pytest.mark.browser
NEAREST = example_questions()[0]
HOSTILE = "\"'><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\"></textarea><b>bold</b>"
WATCHED = """() => {
  window.watched = [];
  const [chip, map] = ["article .chip", "canvas.map"].map((name) => () => document.querySelector(name));
  const note = () => window.watched.push([chip()?.textContent ?? "", map()?.toDataURL()]);
  new MutationObserver(note).observe(document.getElementById("cards"), { subtree: true, childList: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def address(browser):
    with serving() as found:
        yield found


@pytest.fixture
def page(browser, address):
    with opened_page(browser, address) as found:
        yield found
        assert found.faults == []


def downloaded(page, selector):
    with page.expect_download() as waiting:
        page.click(selector)
    return waiting.value


def test_a_question_is_answered_with_a_map_and_its_trace(page, tmp_path):
    add = "(list) => list.getEntries().forEach((one) => (window.moved = (window.moved ?? 0) + one.value))"
    page.evaluate(f"new PerformanceObserver({add}).observe({{ type: 'layout-shift' }})")
    page.evaluate(WATCHED)
    ask(page, NEAREST, "interleaved")
    card = page.locator("article[data-mode=interleaved]")
    assert card.get_attribute("data-state") == "done"
    watched = page.evaluate("window.watched")
    assert any(re.fullmatch(r"drawing depth \d of \d", said) for said, _ in watched)
    assert len({drawn for _, drawn in watched if drawn}) > 2  # the map changed while it was drawn
    held = downloaded(page, "button[aria-label='Download trace of mode interleaved']")
    with zipfile.ZipFile(held.path()) as packed:
        packed.extractall(tmp_path / "trace")
    (folder,) = [path.parent for path in (tmp_path / "trace").rglob("trace.json")]
    trace = Trace.load(folder)
    assert trace.question.text == NEAREST and trace.answer
    assert card.locator(".final").text_content() == trace.answer
    depth = trace.maps[0].reading.arrays["depth"]
    legend = card.locator(".legend").first.text_content()
    assert f"{depth.min():.2f} m" in legend and f"{depth.max():.2f} m" in legend
    assert page.evaluate("window.moved ?? 0") < 0.1  # the bound that browsers call good


@pytest.mark.slow
def test_the_value_under_the_pointer_is_that_of_the_array(page):
    ask(page, NEAREST, "interleaved")
    held = downloaded(page, "button[aria-label='Download depth array of mode interleaved']")
    depth = np.load(held.path())
    page.locator("canvas.map").scroll_into_view_if_needed()
    box = page.locator("canvas.map").bounding_box()
    for column, row in ((10, 20), (100, 64), (125, 96)):
        page.mouse.move(box["x"] + (column + 0.5) / 128 * box["width"], box["y"] + (row + 0.5) / 128 * box["height"])
        said = page.locator("output.value").text_content()
        assert said == f"column {column}, row {row}: {depth[row, column]:.2f} m"


@pytest.mark.slow
def test_modes_stand_side_by_side_and_segmentation_names_its_classes(page):
    ask(page, NEAREST, "interleaved", "perception", "text", "direct")
    for mode in ("interleaved", "perception", "text", "direct"):
        card = page.locator(f"article[data-mode={mode}]")
        assert card.get_attribute("data-state") == "done"
        assert card.locator(".final").text_content() not in ("", "…", "–")
    assert page.locator("article[data-mode=text] canvas.map").count() == 0
    assert page.locator("article[data-mode=perception] canvas.map").count() == 2
    keys = page.locator("article[data-mode=perception] .keys li").all_text_contents()
    assert {"floor", "wall"} <= set(keys)
    tops = [page.locator(f"article[data-mode={mode}]").bounding_box()["y"] for mode in ("interleaved", "perception")]
    assert tops[0] == tops[1]


@pytest.mark.slow
def test_the_point_cloud_turns_by_keys_and_by_dragging(page):
    ask(page, NEAREST, "interleaved")
    cloud = page.locator("canvas.cloud")
    seen = [cloud.screenshot()]
    cloud.focus()
    cloud.press("ArrowLeft")
    seen.append(cloud.screenshot())
    cloud.hover()
    page.mouse.down()
    page.mouse.move(600, 300)
    page.mouse.up()
    seen.append(cloud.screenshot())
    assert len(set(seen)) == 3
    assert page.locator("article .tile button").text_content() == "Turn"  # less motion is asked for, so it stands still


@pytest.mark.slow
def test_the_point_cloud_turns_by_itself_until_it_is_held(browser, address):
    with opened_page(browser, address, reduced_motion="no-preference") as page:
        ask(page, NEAREST, "interleaved")
        hold = page.locator("article .tile button")
        assert hold.text_content() == "Hold"
        drawn = "document.querySelector('canvas.cloud').toDataURL()"
        first, tries = page.evaluate(drawn), 0
        while page.evaluate(drawn) == first and (tries := tries + 1) < 1000:
            page.wait_for_timeout(30)
        assert page.evaluate(drawn) != first
        hold.click()
        assert hold.text_content() == "Turn"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page, way):
    photo = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(photo, "PNG")
    page.evaluate(
        """([way, bytes]) => {
          const given = new DataTransfer();
          given.items.add(new File([new Uint8Array(bytes)], "given.png", { type: "image/png" }));
          const settings = { bubbles: true, cancelable: true };
          const event = way === "drop"
            ? new DragEvent("drop", { ...settings, dataTransfer: given })
            : new ClipboardEvent("paste", { ...settings, clipboardData: given });
          document.getElementById("drop").dispatchEvent(event);
        }""",
        [way, list(photo.getvalue())],
    )
    page.wait_for_selector("#picture-name:text-is('given.png, 40 × 30 pixels')")
    assert page.is_visible("#photo-note")


@pytest.mark.slow
def test_a_depth_map_of_ones_own_is_read(page):
    metres = np.linspace(1, 6, 128 * 128, dtype=np.float32).reshape(128, 128)
    picture = io.BytesIO()
    Image.fromarray(np.round(metres * 1000).astype(np.uint16)).save(picture, "PNG")
    array = io.BytesIO()
    np.save(array, metres)
    page.click("#settings summary")
    for name, data in (("mine.png", picture.getvalue()), ("mine.npy", array.getvalue())):
        page.set_input_files("#known", {"name": name, "mimeType": "application/octet-stream", "buffer": data})
        page.wait_for_selector("#known-remove:visible")
        assert page.text_content("#known-name") == name
        ask(page, NEAREST, "perception")
        card = page.locator("article[data-mode=perception]")
        assert card.get_attribute("data-state") == "done", card.text_content()
        assert card.locator("figcaption").first.text_content() == "depth, given"
        assert "1.00 m" in card.locator(".legend").first.text_content()
    page.click("#known-remove")
    assert page.text_content("#known-name") == "none"


@pytest.mark.slow
def test_settings_reach_the_trace(page):
    page.click("#settings summary")
    page.fill("#seed", "7")
    page.fill("#steps", "2")
    page.fill("#temperature", "0.5")
    ask(page, NEAREST, "interleaved")
    told = page.locator("article .hint").last.text_content()
    assert "seed 7" in told and "temperature 0.5" in told and "2 timesteps" in told


def test_stop_ends_the_work_on_the_server(page, address):
    page.click("#settings summary")
    page.fill("#steps", "100")  # far more than are drawn before the button is pressed
    begin(page, NEAREST, "perception")
    page.wait_for_selector("canvas.map")
    page.click("#stop")
    page.wait_for_selector("article[data-state=stopped]")
    tries = 0
    while running_on(page, address) > 0 and (tries := tries + 1) < 2000:
        page.wait_for_timeout(50)
    assert running_on(page, address) == 0
    page.fill("#steps", "")
    ask(page, NEAREST, "direct")
    assert page.get_attribute("article", "data-state") == "done"


def running_on(page, address):
    figures = page.request.get(f"{address}metrics").text()
    return sum(float(found) for found in re.findall(r"num_requests_running(?:\{[^}]*\})? ([\d.e+]+)", figures))


def test_one_sentence_says_what_is_wrong(page):
    page.click("#send")
    assert page.text_content("#problem") == "Write a question first."
    page.fill("#question", "Which?")
    page.uncheck("input[value=interleaved]")
    page.click("#send")
    assert page.text_content("#problem") == "Tick at least one mode."
    page.check("input[value=interleaved]")
    page.click("#settings summary")
    page.fill("#seed", "-1")
    page.click("#send")
    assert page.text_content("#problem") == "The seed must be a whole number from 0 to 4294967295."
    page.fill("#seed", "0")
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.wait_for_selector("#problem:not(:empty)")
    assert page.text_content("#problem") == "a.png cannot be opened as a picture."


def test_a_full_or_missing_server_is_named_in_the_card(page):
    # the server of these tests is neither full nor gone, so both are played
    full = json.dumps({"error": {"message": "64 requests wait already", "code": "queue_full"}})
    page.route("**/v1/responses", lambda route: route.fulfill(status=429, body=full, headers={"Retry-After": "3"}))
    ask(page, NEAREST, "direct")
    assert page.text_content("article .problem") == "64 requests wait already. Try again in 3 s."
    page.unroute("**/v1/responses")
    page.route("**/v1/responses", lambda route: route.abort("connectionrefused"))
    ask(page, NEAREST, "direct")
    assert page.text_content("article .problem") == "The server cannot be reached."
    page.unroute("**/v1/responses")
    half = 'data: {"type": "response.in_progress"}\n\n'
    page.route("**/v1/responses", lambda route: route.fulfill(body=half, content_type="text/event-stream"))
    ask(page, NEAREST, "direct")
    assert page.text_content("article .problem") == "The server ended the answer before it was complete."
    assert page.locator("#history .entry").count() == 0
    page.faults.clear()  # Chromium reports what failed


@pytest.mark.slow
def test_a_photograph_is_called_one(page):
    photo = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photo, "PNG")
    page.set_input_files("#file", {"name": "street.png", "mimeType": "image/png", "buffer": photo.getvalue()})
    page.wait_for_selector("#photo-note:visible")
    assert "rendered rooms only" in page.text_content("#photo-note")
    ask(page, "What is this?", "direct")
    assert "unlike the rendered rooms" in page.text_content("article .warning")


@pytest.mark.slow
def test_history_is_kept_shown_again_and_deleted(page):
    ask(page, NEAREST, "interleaved")
    answer = page.text_content("article .final")
    thoughts = page.locator("article .turn").all_text_contents()
    page.reload()
    page.wait_for_selector("#history .entry")
    page.click("#history .entry")
    page.wait_for_selector("article[data-state=done]")
    assert page.text_content("article .final") == answer
    assert page.locator("article .turn").all_text_contents() == thoughts
    assert page.locator("article .legend").count() == 1
    assert page.input_value("#question") == NEAREST
    page.click("#history button[aria-label^='Delete from the history']")
    page.wait_for_selector("#history .entry", state="detached")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#history .entry").count() == 0


@pytest.mark.slow
def test_script_in_what_a_user_gives_is_shown_as_text(page):
    photo = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(photo, "PNG")
    name = HOSTILE.replace("/", "")
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": photo.getvalue()})
    page.wait_for_selector("#photo-note:visible")
    page.set_input_files("#known", {"name": f"{name}.npy", "mimeType": "application/octet-stream", "buffer": b"no array"})
    ask(page, HOSTILE, "direct", "perception")
    assert page.text_content("#asked") == HOSTILE
    assert HOSTILE in page.text_content("#history .entry b")
    assert name in page.text_content("#picture-name") and name in page.text_content("#known-name")
    assert page.title() == "COOPER: ask about a picture"
    assert page.locator("main script, main b:text-is('bold'), main img[src=x]").count() == 0
    page.faults.clear()  # the server refuses the array, which Chromium reports as a fault of the request


def test_script_in_what_a_server_says_is_shown_as_text(page, tmp_path):
    # nano writes no HTML, so the server's words are replaced by hostile ones: a stream, and the trace that belongs to it
    events = [
        {"type": "response.in_progress"},
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": HOSTILE},
        {"type": "response.image_generation_call.generating", "output_index": 1, "modality": HOSTILE},
        {"type": "response.output_text.delta", "output_index": 2, "delta": HOSTILE},
        {"type": "response.completed", "response": {"trace_id": HOSTILE, "usage": {"input_tokens": HOSTILE}}},
    ]
    stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    page.route("**/v1/responses", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    page.route("**/trace.zip", lambda route: route.fulfill(body=hostile_trace(), content_type="application/zip"))
    ask(page, "What is there?", "interleaved")
    card = page.locator("article")
    assert card.get_attribute("data-state") == "done"
    assert card.locator(".turn").first.text_content() == HOSTILE
    assert card.locator(".final").text_content() == HOSTILE
    assert HOSTILE in card.locator(".warning").text_content()
    assert card.locator(".keys li").text_content() == HOSTILE
    assert HOSTILE in card.locator("figcaption").first.text_content()
    assert HOSTILE in card.locator(".hint").last.text_content()
    page.unroute("**/v1/responses")
    refusal = json.dumps({"error": {"message": HOSTILE, "type": "invalid_request_error", "param": None, "code": HOSTILE}})
    page.route("**/v1/responses", lambda route: route.fulfill(status=400, body=refusal, content_type="application/json"))
    ask(page, "And now?", "interleaved")
    assert page.text_content("article .problem").startswith(HOSTILE)
    assert page.title() == "COOPER: ask about a picture"
    assert page.locator("main script, main b:text-is('bold'), main img[src=x]").count() == 0
    page.faults.clear()  # Chromium reports the refusal


def hostile_trace():
    """A packed trace whose every text is hostile."""
    drawn, labels = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8), "navy").save(drawn, "PNG")
    np.save(labels, np.zeros((8, 8), dtype=np.int32))
    reading = {"arrays": {"labels": "labels.npy"}, "units": {"labels": HOSTILE}, "names": {"0": HOSTILE}}
    step = {"kind": "map", "modality": HOSTILE, "image": "step.png", "latents": "x", "reading": reading, "seconds": 0}
    settings = {"temperature": HOSTILE, "num_timesteps": HOSTILE}
    question = {"parts": [{"text": HOSTILE}]}
    record = {
        "question": question,
        "model": HOSTILE,
        "seed": HOSTILE,
        "mode": HOSTILE,
        "notes": [HOSTILE],
        "settings": settings,
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("trace.json", json.dumps({**record, "steps": [step]}))
        files.writestr("step.png", drawn.getvalue())
        files.writestr("labels.npy", labels.getvalue())
    return packed.getvalue()


def test_everything_can_be_done_by_keyboard(page):
    def reach(selector):
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached by the Tab key")

    reach("#gallery button[data-name='Room 4']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#gallery button[data-name='Room 4'][aria-pressed=true]")
    reach("#choose")
    reach("#question")
    page.keyboard.type("Which object is closest to the camera? A. purple ball B. cyan cylinder")
    reach("input[value=text]")
    page.keyboard.press("Space")
    reach("#settings summary")
    page.keyboard.press("Enter")
    reach("#key")
    reach("#send")
    page.keyboard.press("Enter")
    page.wait_for_selector("article[data-mode=text]")
    page.wait_for_selector("#stop:disabled")
    reach("canvas.map")
    page.keyboard.press("ArrowRight")
    assert re.fullmatch(r"column 65, row 64: \d\.\d\d m", page.text_content("output.value"))
    page.keyboard.press("Shift+ArrowUp")
    assert page.text_content("output.value").startswith("column 65, row 56")
    reach("canvas.cloud")
    reach("button[aria-label='Download trace of mode interleaved']")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename == "cooper-interleaved-trace.zip"
    reach("#history .entry")


SIGHTS = [
    (360, "dark"),
    *(pytest.param(*sight, marks=pytest.mark.slow) for sight in ((360, "light"), (1280, "light"), (1280, "dark"))),
]


@pytest.mark.parametrize(("width", "scheme"), SIGHTS)
def test_names_contrast_and_width(browser, address, scheme, width):
    with opened_page(browser, address, viewport={"width": width, "height": 740}, color_scheme=scheme) as page:
        page.click("#settings summary")
        ask(page, NEAREST, "interleaved", "perception")
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(PALE) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.select_option("#theme", "light" if scheme == "dark" else "dark")
        assert page.evaluate(PALE) == []
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert page.input_value("#theme") != scheme and page.evaluate(PALE) == []


@pytest.mark.slow
def test_a_server_with_a_key_is_asked_with_it(browser, monkeypatch):
    monkeypatch.setenv("COOPER_TEST_KEY", "a-key-of-this-test")
    with serving("--key-env", "COOPER_TEST_KEY") as address, opened_page(browser, address) as page:
        page.wait_for_selector("#problem:not(:empty)")
        refused = page.text_content("#problem")
        assert refused.startswith("A key is needed")
        page.fill("#key", "wrong")
        page.press("#key", "Tab")
        page.fill("#key", "a-key-of-this-test")
        page.press("#key", "Tab")
        page.wait_for_selector("#model:text('nano')")
        ask(page, NEAREST, "interleaved")
        assert page.get_attribute("article", "data-state") == "done"
        held = downloaded(page, "button[aria-label='Download the page of the trace of mode interleaved']")
        assert "a-key-of-this-test" not in held.path().read_text(encoding="utf-8")
        assert page.evaluate("JSON.stringify(localStorage)").find("a-key-of-this-test") < 0
        assert page.evaluate("sessionStorage.getItem('cooper.key')") == "a-key-of-this-test"
