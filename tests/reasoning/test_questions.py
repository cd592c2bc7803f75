"""The Python door takes what users of PyTorch and PIL hold, and refuses the rest in one sentence."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cooper.errors import CooperError
from cooper.model.cooper import CooperModel
from cooper.perception.modality import Reading
from cooper.reasoning.cooper import Cooper
from cooper.reasoning.decoding import Sampling
from cooper.reasoning.options import Inference, Options
from cooper.trace.steps import Question

RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
METRES = np.full((48, 64), 2.0, np.float32)


@pytest.fixture(scope="module")
def nano() -> Cooper:
    model = Cooper.from_pretrained("nano")
    return model.with_inference(Inference(Sampling(max_tokens=2), max_turns=2))  # how long answers are changes nothing here


def png(pixels=PIXELS) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "picture",
    [
        PIXELS,
        torch.from_numpy(PIXELS),
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        PIXELS.transpose(2, 0, 1),
        PIXELS.astype(np.int64),
        PIXELS.astype(np.uint16) * 257,
        PIXELS.astype(np.float32) / 255,
        (torch.from_numpy(PIXELS).permute(2, 0, 1).float() / 255).requires_grad_(),
        png(),
        bytearray(png()),
        memoryview(png()),
        BytesIO(png()),
        Image.fromarray(PIXELS),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_one_picture_in_many_forms_is_one_picture(nano, picture):
    shown = nano.ask(picture, "What?", "direct").question.images[0]
    assert shown.mode == "RGB" and np.array_equal(np.asarray(shown), PIXELS)


def test_paths_lists_and_the_home_folder(nano, tmp_path, monkeypatch):
    (tmp_path / "room.png").write_bytes(png())
    monkeypatch.setenv("HOME", str(tmp_path))
    with (tmp_path / "room.png").open("rb") as file:
        trace = nano.ask(["~/room.png", tmp_path / "room.png", file, PIXELS], "What?", "direct", subject=np.int64(0))
    assert len(trace.question.images) == 4 and trace.question.subject == 0


def test_grey_and_truth_values_are_pictures(nano):
    grey = nano.ask(PIXELS[:, :, 0], "What?", "direct").question.images[0]
    assert np.array_equal(np.asarray(grey)[:, :, 1], PIXELS[:, :, 0])
    mask = nano.ask(PIXELS[:, :, 0] > 127, "What?", "direct").question.images[0]
    assert set(np.unique(np.asarray(mask))) == {0, 255}
    half = nano.ask(torch.full((3, 32, 32), 0.5, dtype=torch.bfloat16), "What?", "direct").question.images[0]
    assert half.getpixel((3, 3)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (None, "not None"),
        (5, "not 5"),
        ([], "at least one picture"),
        ([PIXELS, 5], "picture 1 must be"),
        ({"image": PIXELS}, "not a dict"),
        (np.zeros((2, 3, 48, 64), np.uint8), "as a list"),
        (np.zeros((48, 64, 2), np.uint8), "shape [48, 64, 2]"),
        (np.zeros((0, 64, 3), np.uint8), "empty"),
        (np.full((48, 64, 3), np.nan, np.float32), "holds float32 values from nan"),
        (PIXELS.astype(np.float32), "floats in 0..1"),
        (PIXELS.astype(np.complex64), "complex64"),
        (np.full((48, 64), "a"), "holds <U1"),
        (torch.empty(3, 48, 64, device="meta"), "cannot be read"),
        (b"", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "not a picture that can be read"),
        (BytesIO(png()[:200]), "truncated"),
        (np.zeros((4, 64, 3), np.uint8), "at least 8 px"),
        ("/no/such\0file.png", "cannot read"),
        ("~nobody-of-this-name/room.png", "cannot read"),
        ("a" * 5000, "cannot read"),
    ],
)
def test_what_is_no_picture_is_one_sentence(nano, picture, said):
    with pytest.raises(CooperError) as refused:
        nano.ask(picture, "What?")
    assert said in str(refused.value) and len(str(refused.value)) < 400


def test_a_pipe_is_no_picture(nano, tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CooperError, match="no regular file"):
        nano.ask(tmp_path / "pipe", "What?")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (None, "needs a question"),
        (b"What?", "must be a text"),
        (["What?"], "must be a text"),
        (7, "must be a text, not 7"),
        ("  \n", "empty"),
        ("half \ud83d", "surrogate"),
        ("x" * 20_001, "at most 20000"),
        ("😀" * 4000, "at most 2048 are read"),
    ],
)
@pytest.mark.parametrize("door", ["ask", "stream"])
def test_what_is_no_question_is_one_sentence(nano, question, said, door):
    with pytest.raises(CooperError, match=said):
        list(getattr(nano, door)(PIXELS, question))


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30, 1.5, None, "1", True, float("nan")])
@pytest.mark.parametrize("door", ["ask", "stream", "batch", "depth"])
def test_seeds_are_whole_and_bounded_at_every_door(nano, seed, door):
    calls = {
        "ask": lambda: nano.ask(PIXELS, "What?", seed=seed),
        "stream": lambda: list(nano.stream(PIXELS, "What?", seed=seed)),
        "batch": lambda: nano.batch([Question((Image.fromarray(PIXELS), "What?"))], seed=seed),
        "depth": lambda: nano.depth(PIXELS, seed=seed),
    }
    with pytest.raises(CooperError, match="the seed"):
        calls[door]()


def test_seeds_of_numpy_and_torch_are_those_of_python(nano):
    plain = nano.depth(PIXELS, seed=5).reading.arrays["depth"]
    for seed in (np.int64(5), np.uint8(5), torch.tensor(5)):
        assert np.array_equal(nano.depth(PIXELS, seed=seed).reading.arrays["depth"], plain)


QUESTION = Question((Image.fromarray(PIXELS), "What?"))


@pytest.mark.parametrize(
    ("questions", "more", "said"),
    [
        (None, {}, "must be a list"),
        (QUESTION, {}, "must be a list"),
        ("What?", {}, "must be a list"),
        (5, {}, "must be a list"),
        ([5], {}, "question 0 must be a Question"),
        (["What?"], {}, "question 0 must be a Question"),
        ([QUESTION, Question(())], {}, "question 1 has neither"),
        ([QUESTION, Question((Image.fromarray(PIXELS),))], {}, "question 1 has no words: ask something"),
        ([Question((Image.fromarray(PIXELS), " ", "\n"))], {}, "question 0 has no words"),
        ([Question(("What?",))], {}, "no picture"),
        ([Question((Image.fromarray(PIXELS), "What?"), subject=5)], {}, "picture 5 is asked for"),
        ([Question((Image.fromarray(PIXELS), 5))], {}, "part 1 must be"),
        ([Question("What?")], {}, "parts must be"),
        ([QUESTION], {"options": 5}, "options must be Options"),
        ([QUESTION], {"options": "text"}, "options must be Options"),
        ([QUESTION], {"samples": 0}, "samples is 0"),
        ([QUESTION], {"samples": -1}, "samples is -1"),
        ([QUESTION], {"samples": 1.5}, "samples must be a whole number"),
        ([Question((Image.fromarray(PIXELS), "What?"), known={"depth": 5})], {}, "known depth map"),
    ],
)
def test_what_is_no_batch_is_one_sentence(nano, questions, more, said):
    with pytest.raises(CooperError, match=said):
        nano.batch(questions, **more)


def test_batches_of_nothing_of_paths_and_of_grey_pictures(nano, tmp_path):
    assert nano.batch([]) == []
    (tmp_path / "room.png").write_bytes(png())
    parts = (tmp_path / "room.png", Image.fromarray(PIXELS).convert("L"), "What?")
    options = nano.options("direct")
    shown = nano.batch([Question(parts)], options)[0][0].question.images
    assert [image.mode for image in shown] == ["RGB", "RGB"]
    assert nano.batch([Question(("What?",))], options)[0][0].question.images == ()


def test_a_question_may_be_asked_as_it_is(nano):
    options = nano.options("direct")
    asked, batched = nano.ask(QUESTION, mode="direct"), nano.batch([QUESTION], options)[0][0]
    assert asked.turns[0].token_ids == batched.turns[0].token_ids
    with pytest.raises(CooperError, match="holds its own words"):
        nano.ask(QUESTION, "What?")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (5, "known must map"),
        ({"heat": METRES}, "known holds 'heat'"),
        ({"depth": "a"}, "must be a Reading"),
        ({"depth": METRES.astype(complex)}, "must hold real numbers"),
        ({"depth": np.full((4, 4), "a")}, "must hold real numbers"),
        ({"depth": np.zeros((0, 4))}, "non-empty"),
        ({"depth": np.zeros((4, 4, 3))}, "non-empty"),
        ({"depth": np.full((4, 4), np.nan)}, "NaN"),
        ({"depth": -METRES}, "behind the camera"),
        ({"depth": 0 * METRES}, "no pixel of it"),
        ({"depth": METRES + np.inf}, "no pixel of it"),
        ({"depth": Reading({"labels": METRES}, {})}, "no array 'depth'"),
        ({"depth": Reading({"depth": METRES}, {"depth": "feet"})}, "unit 'feet'"),
        ({"segmentation": METRES}, "must hold whole numbers"),
        ({"segmentation": Reading({"depth": METRES}, {})}, "no array 'labels'"),
        ({"segmentation": np.full((4, 4), 900)}, "outside the"),
    ],
)
def test_what_is_no_known_map_is_one_sentence(nano, known, said):
    with pytest.raises(CooperError, match=said):
        nano.ask(PIXELS, "How far?", "perception", known=known)


@pytest.mark.parametrize("metres", [METRES, torch.from_numpy(METRES), Reading({"depth": METRES}, {"depth": "m"})])
def test_known_depth_is_read_and_not_drawn(nano, metres):
    trace = nano.ask(PIXELS, "How far?", "perception", known={"depth": metres})
    depth, segmentation = trace.maps
    assert depth.latents is None and segmentation.latents is not None
    assert abs(float(depth.reading.arrays["depth"].mean()) - 2.0) < 0.05
    (streamed,) = [
        e.trace for e in nano.stream(PIXELS, "How far?", "perception", known={"depth": metres}) if hasattr(e, "trace")
    ]
    assert streamed.maps[0].latents is None


WIDE = Image.fromarray(RNG.integers(0, 256, (270, 480, 3), dtype=np.uint8))  # drawn at 128 x 80: another aspect


@pytest.mark.parametrize("size", [(270, 480), (540, 960), (80, 128), (9, 16), (5, 9), (3, 5), (392, 686)])
@pytest.mark.parametrize("name", ["depth", "segmentation"])
def test_a_known_map_may_have_any_size(nano, size, name):
    given = np.full(size, 2.0, np.float32) if name == "depth" else np.ones(size, np.int64)
    read = [
        step.modality for step in nano.ask(WIDE, "How far?", "perception", known={name: given}).maps if step.latents is None
    ]
    assert read == [name]


@pytest.mark.parametrize("size", [(480, 270), (480, 480), (480, 640), (270, 700)])
def test_a_known_map_of_another_shape_is_refused(nano, size):
    said = f"the known depth map has {size[1]} x {size[0]} px and its picture 480 x 270 px"
    for known in (np.full(size, 2.0, np.float32), Reading({"depth": np.full(size, 2.0, np.float32)}, {"depth": "m"})):
        with pytest.raises(CooperError, match=said):
            nano.ask(WIDE, "How far?", "perception", known={"depth": known})
        with pytest.raises(CooperError, match=said):
            nano.batch([Question((PIXELS, WIDE, "How far?"), known={"depth": known})], nano.options("perception"))
    tall = WIDE.transpose(Image.Transpose.ROTATE_90)
    asked = Question((tall, WIDE, "How far?"), subject=0, known={"depth": np.full((480, 270), 2.0, np.float32)})
    assert nano.ask(asked, mode="perception").maps[0].latents is None  # it belongs to the first picture


@pytest.mark.parametrize("turns", [0, -1, 1.5, "3"])
def test_turns_are_whole_numbers_above_zero(nano, turns):
    for call in (
        lambda: nano.options("text", max_turns=turns),
        lambda: Options(max_turns=turns),
        lambda: Inference(max_turns=turns),
    ):
        with pytest.raises(CooperError, match="max_turns"):
            call()


NAN = float("nan")


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": NAN},
        {"temperature": -1},
        {"top_p": NAN},
        {"top_p": 0},
        {"top_p": 1.5},
        {"max_tokens": 0},
        {"max_tokens": 2.5},
    ],
)
def test_sampling_settings_have_ranges(values):
    with pytest.raises(CooperError, match=next(iter(values))):
        Sampling(**values)


@pytest.mark.parametrize("maps", [("depth",), ("depth", "depth")])
def test_names_and_pictures_go_together(nano, maps):
    with pytest.raises(CooperError, match="names for 1 pictures"):
        nano.draw([PIXELS], "depth", names=("a", *maps))
    with pytest.raises(CooperError, match="draws no heat maps"):
        nano.draw([PIXELS], "heat")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name_or_path": None}, "a checkpoint is a folder"),
        ({"name_or_path": 5}, "a checkpoint is a folder"),
        ({"name_or_path": "a\0b"}, "cannot lie at"),
        ({"base": 5}, "a checkpoint is a folder"),
        ({"dtype": "int8"}, "dtype must be"),
        ({"dtype": torch.int8}, "dtype must be"),
        ({"dtype": 8}, "dtype must be"),
        ({"device_map": "foo"}, "device 'foo'"),
        ({"device_map": 5.5}, "device must be"),
        ({"device_map": ""}, "device ''"),
        ({"device_map": "meta"}, "device 'meta'"),
        ({"device_map": {"": "foo"}}, "the device of ''"),
        ({"prompts": 5}, "prompts must be"),
        ({"device": "foo"}, "device 'foo'"),
        ({"torch_dtype": "int8"}, "dtype must be"),
        ({"device": "cpu", "device_map": "cpu"}, "device is another name of device_map, and both are given"),
        ({"dtype": "float32", "torch_dtype": "float32"}, "torch_dtype is another name of dtype, and both are given"),
        ({"divice": "cpu"}, "no argument 'divice'; did you mean 'device'?"),
        ({"promts": 5}, "no argument 'promts'; did you mean 'prompts'?"),
        (
            {"load_in_8bit": True},
            "no argument 'load_in_8bit'; there are: name_or_path, base, dtype, device_map, prompts",
        ),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(arguments, said):
    with pytest.raises(CooperError) as refused:
        Cooper.from_pretrained(**arguments)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "dtype"),
    [
        ({"device": "cpu"}, torch.float32),
        ({"device": torch.device("cpu")}, torch.float32),
        ({"device_map": torch.device("cpu")}, torch.float32),
        ({"device": None, "torch_dtype": None}, torch.float32),
        ({"device": "cpu", "torch_dtype": torch.bfloat16}, torch.bfloat16),
        ({"torch_dtype": "float16"}, torch.float16),
        ({"dtype": "bfloat16"}, torch.bfloat16),
    ],
    ids=str,
)
@pytest.mark.parametrize("door", [Cooper, CooperModel])
def test_devices_and_types_have_the_names_of_other_libraries_too(arguments, dtype, door):
    loaded = door.from_pretrained("nano", **arguments)
    model = loaded.engine.parts.model if door is Cooper else loaded
    stored = torch.bfloat16  # of the bundled weights, which the network keeps by itself and the door for people does not
    keeps = door is CooperModel and not {arguments.get("dtype"), arguments.get("torch_dtype")} - {None}
    assert model.device.type == "cpu" and next(model.layers.parameters()).dtype == (stored if keeps else dtype)


def test_maps_come_back_at_the_size_of_the_picture(nano):
    depth, native = nano.depth(WIDE), nano.depth(WIDE, native=True)
    assert depth.reading.arrays["depth"].shape == (270, 480) and depth.picture.size == depth.source.size == (480, 270)
    assert native.reading.arrays["depth"].shape == native.picture.size[::-1] == native.source.size[::-1] != (270, 480)
    assert depth.trace.maps[0].reading.arrays["depth"].shape == native.reading.arrays["depth"].shape
    drawn = native.reading.arrays["depth"]
    assert drawn.min() <= depth.reading.arrays["depth"].min() <= depth.reading.arrays["depth"].max() <= drawn.max()
    parts = nano.segment(WIDE).reading
    assert parts.arrays["labels"].shape == (270, 480) and parts.arrays["labels"].dtype == np.int32


@pytest.mark.parametrize("native", [True, False])
def test_a_cloud_has_the_aspect_of_the_picture(nano, native):
    wide = Image.fromarray(RNG.integers(0, 256, (100, 200, 3), dtype=np.uint8))
    drawn = nano.depth(wide, native=native)
    flat = Reading({"depth": np.ones_like(drawn.reading.arrays["depth"])}, {"depth": "m"})
    points = type(drawn)(flat, drawn.picture, drawn.source, drawn.trace, drawn.aspect).point_cloud(90).points
    width, height = (points[:, axis].max() - points[:, axis].min() for axis in (0, 1))
    rows, columns = flat.arrays["depth"].shape
    assert width == pytest.approx(2 * (1 - 1 / columns), rel=1e-4)  # 90 degrees at 1 m: 2 m from edge to edge
    assert height == pytest.approx(1 * (1 - 1 / rows), rel=1e-4)


def test_a_file_stays_open_for_its_owner(tmp_path, nano):
    path = Path(tmp_path / "room.png")
    path.write_bytes(png())
    with path.open("rb") as file:
        nano.ask(file, "What?", "direct")
        assert not file.closed


def test_a_known_map_that_was_not_asked_for_is_told(nano):
    question = Question((Image.fromarray(PIXELS), "What?"), known={"depth": METRES})  # two tokens are no request for a map
    assert nano.batch([question])[0][0].notes == ("the model did not ask for the known depth map, so it was not read",)
    assert not any("known" in note for note in nano.ask(PIXELS, "What?", "perception", known={"depth": METRES}).notes)


@pytest.mark.parametrize("mode", ["text", "direct"])
def test_a_known_map_in_a_mode_without_maps_is_told(nano, mode):
    said = f"the mode {mode} reads no maps"
    with pytest.warns(UserWarning, match=said):
        trace = nano.ask(PIXELS, "What?", mode, known={"depth": METRES})
    question = Question((Image.fromarray(PIXELS), "What?"), known={"depth": METRES})
    for found in (trace, nano.batch([question], nano.options(mode))[0][0]):
        assert found.notes[-1] == f"{said}, so the known depth map was not read"


@pytest.mark.parametrize("view", ["60", None, True, float("nan"), 0, 180])
def test_a_field_of_view_is_an_angle(nano, view):
    with pytest.raises(CooperError, match="field of view"):
        nano.depth(PIXELS).point_cloud(view)


def test_a_trace_is_saved_at_a_path(nano):
    with pytest.raises(CooperError, match="must be a path, not None"):
        nano.ask(PIXELS, "What?", "direct").save(None)


def test_a_question_of_a_batch_may_come_with_a_bare_array(nano):
    question = Question((Image.fromarray(PIXELS), "How far?"), known={"depth": METRES})
    options = nano.options("perception")
    batched, asked = nano.batch([question], options)[0][0], nano.ask(question, mode="perception")
    for trace in (batched, asked):
        assert trace.maps[0].latents is None and abs(float(trace.maps[0].reading.arrays["depth"].mean()) - 2.0) < 0.05


def test_a_depth_map_in_millimetres_is_refused(nano):
    with pytest.raises(
        CooperError, match=r"known depth map: half of its pixels lie beyond 2000 m, and this model draws depth up"
    ):
        nano.ask(PIXELS, "Where?", known={"depth": (METRES * 1000).astype(np.uint16)})
    nano.ask(PIXELS, "Where?", known={"depth": METRES * 20})  # far, but metres it may be


def test_one_picture_is_no_list_of_pictures(nano):
    with pytest.raises(CooperError, match=r"images must be a list of pictures, not .*; `depth` and `segment` take one"):
        nano.draw(Image.fromarray(PIXELS), "depth")
