"""Inside an installed lmms-eval, with the bundled model: `make test-kits`."""

import json
from importlib.metadata import entry_points
from textwrap import dedent

import pytest

pytest.importorskip("lmms_eval")

from lmms_eval import evaluator
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager
from PIL import Image

from cooper.evaluation.kits import lmms_eval as plugin
from cooper.evaluation.kits.answering import KitReply, final_reply, question_of_parts
from cooper.evaluation.replies.answers import score
from cooper.reasoning.cooper import Cooper
from cooper.trace.steps import TextStep
from cooper.trace.trace import Trace

TASK = """
dataset_path: json
dataset_kwargs:
  data_files: {{test: {rows}}}
  cache_dir: {cache}
task: toy
test_split: test
output_type: generate_until
doc_to_visual: !function toy.pictures
doc_to_text: !function toy.text
doc_to_target: answer
process_results: !function toy.hits
generation_kwargs: {{max_new_tokens: {tokens}}}
metric_list:
  - metric: hit
    aggregation: mean
    higher_is_better: true
"""
FUNCTIONS = """
from PIL import Image

def pictures(row):
    return [Image.open(row["path"]).convert("RGB")]

def text(row, settings=None):
    return row["question"]

def hits(row, replies):
    return {"hit": float(replies[0].lower().startswith(row["answer"]))}
"""


@pytest.fixture
def task(tmp_path, pictures):
    """`task(rows)` makes a task `toy` of them and says where; `rows` are five questions of yes or no."""
    rows = []
    for place, picture in enumerate(pictures):
        path = tmp_path / f"{place}.png"
        path.write_bytes(picture)
        question = f"Is the blue ball {('left', 'right')[place % 2]} of the red capsule?"
        rows.append({"question": question, "answer": ("yes", "no")[place > 2], "path": str(path)})

    def of(rows, tokens=1):  # our own plugin answers in as many tokens as the model needs
        (tmp_path / "rows.json").write_text("\n".join(map(json.dumps, rows)))
        home = tmp_path / "tasks"
        home.mkdir()
        (home / "toy.py").write_text(dedent(FUNCTIONS))
        (home / "toy.yaml").write_text(TASK.format(rows=tmp_path / "rows.json", cache=tmp_path / "cache", tokens=tokens))
        return home

    return rows, of


def evaluated(home, traces, simple):
    manager = TaskManager(include_path=str(home), include_defaults=False, model_name="cooper")
    settings = {"model": "cooper", "model_args": f"pretrained=nano,mode=direct,traces={traces}", "tasks": ["toy"]}
    found = evaluator.simple_evaluate(**settings, task_manager=manager, batch_size=2, force_simple=simple, bootstrap_iters=0)
    return found["results"]["toy"]["hit,none"]


@pytest.mark.parametrize("simple", [True, False], ids=["simple", "chat"])
def test_scores_as_ours(tmp_path, task, simple):
    rows, of = task
    figure = evaluated(of(rows), tmp_path / "traces", simple)
    traces = [Trace.load(tmp_path / "traces" / f"question-toy-{place}") for place in range(5)]
    ours = [score(trace.answer or "", "YN", row["answer"]) for trace, row in zip(traces, rows, strict=True)]
    assert figure == pytest.approx(sum(each.correct for each in ours) / 5)
    cooper = Cooper.from_pretrained("nano")
    asked = [question_of_parts([Image.open(row["path"]), row["question"]], f"toy-{n}") for n, row in enumerate(rows)]
    found = [samples[0].answer for samples in cooper.batch(asked, cooper.options("direct"))]
    assert [trace.answer for trace in traces] == found


@pytest.mark.parametrize("simple", [True, False], ids=["simple", "chat"])
def test_right_and_wrong_replies_score_as_ours(tmp_path, task, simple, monkeypatch):
    """A model in place of ours that gives known replies, so that equal scores are not 0 = 0."""
    rows, of = task  # yes, yes, yes, no, no
    replies = {f"toy-{place}": reply for place, reply in enumerate(["Yes.", "No.", "yes", "no, right of it", "Yes"])}

    class Scripted:
        def answer(self, questions, dataset):
            traces = [Trace(asked, (TextStep(f"<answer>{replies[asked.id]}</answer>", (1, 2)),)) for asked in questions]
            return [KitReply(final_reply(trace), trace, None) for trace in traces]

    monkeypatch.setattr(plugin.Answerer, "of", classmethod(lambda cls, model: Scripted()))
    figure = evaluated(of(rows), tmp_path / "traces", simple)
    ours = [score(reply, "YN", row["answer"]).correct for reply, row in zip(replies.values(), rows, strict=True)]
    assert ours == [True, False, True, True, False]
    assert figure == pytest.approx(sum(ours) / 5)


@pytest.mark.parametrize("simple", [True, False], ids=["simple", "chat"])
def test_the_kit_asks_a_server(task, served, simple):
    """The kit's own backend for OpenAI's endpoints: every reply is an answer, and its figure is ours of the same."""
    rows, of = task
    before = served.answered()
    manager = TaskManager(include_path=str(of(rows, tokens=512)), include_defaults=False, model_name="openai")
    settings = {"model": "openai", "model_args": f"model=nano,base_url={served.url},api_key=none", "tasks": ["toy"]}
    found = evaluator.simple_evaluate(**settings, task_manager=manager, batch_size=1, force_simple=simple, bootstrap_iters=0)
    assert served.answered() == before + 5
    replies = {sample["doc"]["path"]: sample["filtered_resps"][0] for sample in found["samples"]["toy"]}
    assert {reply.lower().rstrip(".") for reply in replies.values()} <= {"yes", "no"}
    ours = [score(replies[row["path"]], "YN", row["answer"]).correct for row in rows]
    assert found["results"]["toy"]["hit,none"] == pytest.approx(sum(ours) / 5)


def test_a_question_that_cannot_be_asked_ends_the_run(tmp_path, task):
    """With `SystemExit`, and so with exit code 1: the kit's command takes in every other exception and exits with 0."""
    rows, of = task
    home = of([rows[0], {**rows[1], "question": "Why? " * 5000}])
    with pytest.raises(SystemExit, match="the question has 25000 characters"):
        evaluated(home, tmp_path / "traces", simple=True)


def test_a_fault_within_a_row_ends_the_run(tmp_path, task, monkeypatch):
    rows, of = task
    monkeypatch.setattr(plugin.Answerer, "answer", lambda self, questions, dataset: 1 / 0)
    with pytest.raises(SystemExit, match=r"a row failed \(ZeroDivisionError"):
        evaluated(of(rows), tmp_path / "traces", simple=True)


def test_the_kit_finds_us():
    (found,) = entry_points(group="lmms_eval.models", name="cooper")
    assert found.load() == plugin.MANIFEST
    assert get_model("cooper") is plugin.CooperChat
    assert get_model("cooper", force_simple=True) is plugin.CooperSimple


def test_pictures_stand_where_the_text_wants_them():
    one, two = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    assert plugin.placed("Is <image> redder than <image>?", [one, two]) == ["Is", one, "redder than", two, "?"]
    assert plugin.placed("Is it red?", [one, two]) == [one, two, "Is it red?"]
    assert plugin.placed("Is <image> red?", [one, two]) == [one, two, "Is <image> red?"]
