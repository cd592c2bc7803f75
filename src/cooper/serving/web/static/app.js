// The page: what is asked, who answers, and what is kept.

import { answered } from "./answering.js";
import { traceOf } from "./archive.js";
import { Card } from "./card.js";
import { keepKey, models, pictures, readKey, Refusal, sentence, traceFile } from "./client.js";
import { bodyOf, boundForm, formOf, KnownMap, showForm } from "./form.js";
import { button, byId, dataUrl, element, say } from "./elements.js";
import { drop, dropAll, keep, kept } from "./history.js";
import { PicturePicker } from "./picture.js";

let model = "";
let limits = {};
let running = null; // the AbortController of what is asked now
const known = new KnownMap(problem);
const picker = new PicturePicker({ changed: pictureChanged, problem });

function problem(text) {
  byId("problem").textContent = text ? sentence(text) : "";
}

function pictureChanged(picture) {
  const strange = !picture.bundled && model === "nano";
  byId("photo-note").hidden = !strange;
  if (strange) byId("photo-note").textContent = "The bundled model nano knows rendered rooms only. On a photograph its answers and maps mean little.";
  byId("examples").replaceChildren(...picture.questions.map((text) => button(text, () => {
    byId("question").value = text;
    byId("question").focus();
  }, "example")));
}

async function ask(event) {
  event.preventDefault();
  if (running) return;
  problem("");
  const stop = new AbortController();
  try {
    const { picture } = picker;
    if (!picture) throw new Refusal("choose a picture first");
    const asked = formOf();
    running = stop;
    busy(true);
    const url = await dataUrl(picture.blob, picture.type);
    const bodies = asked.modes.map((mode) => bodyOf(asked, { model, mode, url, known: known.url }));
    if (bodies.some((body) => JSON.stringify(body).length > limits.body)) throw new Refusal("the picture is larger than this server takes");
    const cards = show(asked, picture, asked.modes);
    say(`Asked in ${asked.modes.length === 1 ? `mode ${asked.modes[0]}` : `${asked.modes.length} modes`}`);
    const answers = await Promise.all(cards.map((card, place) => answered(card, bodies[place], stop.signal)));
    if (answers.some((answer) => answer.status === 401)) askForKey();
    await remember({ asked, picture, answers: answers.filter((answer) => answer.state === "done") });
  } catch (error) {
    problem(error.message);
  } finally {
    running = null;
    busy(false);
  }
}

function busy(is) {
  byId("send").disabled = is;
  byId("stop").disabled = !is;
  byId("answers").setAttribute("aria-busy", String(is));
}

/** Empty cards for a question, one a mode. */
function show(asked, picture, modes) {
  byId("answers").dataset.asked = String(Number(byId("answers").dataset.asked ?? 0) + 1);
  byId("empty").hidden = true;
  byId("asked").hidden = false;
  byId("asked").textContent = asked.question;
  const cards = modes.map((mode) => new Card({ mode, picture: picture.bitmap, fetchFile: traceFile, problem }));
  byId("cards").replaceChildren(...cards.map((card) => card.root));
  const { top } = byId("answers").getBoundingClientRect();
  if (top > innerHeight / 2 || top < -innerHeight / 2) byId("answers").scrollIntoView(); // on a narrow screen they are below the form
  return cards;
}

function askForKey() {
  byId("settings").open = true;
  byId("key").focus();
}

async function remember({ asked, picture, answers }) {
  if (!answers.length) return;
  const { blob, name, description, questions, bundled } = picture;
  try {
    await keep({ when: Date.now(), asked, picture: blob, name, description, questions, bundled, answers });
    await listHistory();
  } catch {
    byId("past-hint").textContent = "This browser keeps no data for this page, so there is no history.";
  }
}

async function listHistory() {
  const entries = await kept();
  byId("forget").hidden = !entries.length;
  byId("history").replaceChildren(...entries.map(row));
}

function row(entry) {
  const picture = element("img", { alt: "", width: 40, height: 40 });
  const address = URL.createObjectURL(entry.picture);
  picture.addEventListener("load", () => URL.revokeObjectURL(address));
  picture.src = address;
  const told = entry.answers.map((answer) => `${answer.mode}: ${answer.answer || "no answer"}`).join(" · ");
  const when = new Date(entry.when).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const text = element("span", { class: "told" }, element("b", {}, entry.asked.question), element("span", {}, told), element("span", { class: "hint" }, when));
  const open = element("button", { type: "button", class: "entry", on: { click: () => restore(entry) } }, picture, text);
  const forget = button("Delete", async () => {
    await drop(entry.id);
    await listHistory();
    say("Deleted");
  }, "quiet");
  forget.setAttribute("aria-label", `Delete from the history: ${entry.asked.question}`);
  return element("li", {}, open, forget);
}

async function restore(entry) {
  if (running) return problem("an answer is under way; stop it first");
  try {
    await picker.set(entry.picture, entry);
    showForm(entry.asked);
    const cards = show(entry.asked, picker.picture, entry.answers.map((answer) => answer.mode));
    for (const [place, card] of cards.entries()) {
      const { zip, cloud, answer, usage, id } = entry.answers[place];
      const trace = await traceOf(zip);
      card.replay(trace, answer);
      await card.complete({ trace, cloud, id, usage, zip });
    }
    byId("answers").focus();
  } catch (error) {
    problem(error.message);
  }
  return undefined;
}

async function start() {
  byId("ask").addEventListener("submit", ask);
  byId("stop").addEventListener("click", () => running?.abort());
  byId("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
  });
  byId("key").value = readKey();
  byId("key").addEventListener("change", async () => {
    keepKey(byId("key").value.trim());
    await nameModel();
  });
  byId("forget").addEventListener("click", async () => {
    await dropAll();
    await listHistory();
    say("The history is deleted");
  });
  await Promise.all([nameModel(), offerPictures(), listHistory().catch(() => {
    byId("past-hint").textContent = "This browser keeps no data for this page, so there is no history.";
  })]);
  document.documentElement.dataset.ready = "true";
}

async function nameModel() {
  try {
    const [served] = await models();
    model = served?.id ?? "";
    limits = served?.limits ?? {};
    boundForm(limits, served?.defaults ?? {});
    byId("model").textContent = model ? `model: ${model}` : "no model";
    problem("");
    if (picker.picture) pictureChanged(picker.picture);
  } catch (error) {
    if (error.status === 401) askForKey();
    problem(error.message);
  }
}

async function offerPictures() {
  try {
    const offered = await pictures();
    picker.offer(offered);
    if (!picker.picture) await picker.pick(offered[0]);
  } catch (error) {
    problem(error.message);
  }
}

start();
