// The answer of one mode: what the model thinks, the maps that it draws, and what it says, in the order in which they come.

import { blobOf, button, download, element, say } from "./elements.js";
import { MapView } from "./map.js";
import { readKey, sentence, tracePath } from "./client.js";

const FILES = [
  ["trace.zip", "Trace"],
  ["depth.npy", "Depth array"],
  ["points.ply", "Point cloud"],
];

export class Card {
  /** `picture`: an ImageBitmap. `fetchFile(id, name)`: gets a file of a trace. `problem(text)`: shows a fault of a download. */
  constructor({ mode, picture, fetchFile, problem }) {
    Object.assign(this, { mode, picture, fetchFile, problem, blocks: new Map(), maps: [], answer: "" });
    this.chip = element("span", { class: "chip" }, "waiting");
    this.final = element("p", { class: "final" }, "…");
    this.steps = element("ol", { class: "steps" });
    this.notes = element("div", {});
    this.files = element("div", { class: "files" });
    this.facts = element("p", { class: "hint" });
    const title = element("h3", { id: `card-${mode}` }, mode);
    this.root = element(
      "article", { class: "card", "aria-labelledby": title.id, "data-mode": mode },
      element("header", {}, title, this.chip), element("div", { class: "answer" }, element("h4", {}, "answer"), this.final),
      this.notes, this.steps, this.facts, this.files,
    );
  }

  state(text, kind = "") {
    this.chip.textContent = text;
    this.root.dataset.state = kind || "running";
  }

  /** Words of a thought or an answer that belong to one item of the reply. */
  write(place, kind, text) {
    const block = this.blocks.get(place) ?? this.step(place, kind);
    block.text.textContent += text;
    if (kind === "answer") {
      this.answer += text;
      this.final.textContent = this.answer.trim() || "…";
    }
  }

  step(place, kind) {
    const text = element("div", { class: "turn" });
    const root = element("li", { class: `step ${kind}` }, element("h4", {}, kind === "answer" ? "says" : "thinks"), text);
    if (kind !== "answer") this.steps.append(root);
    this.blocks.set(place, { text, root });
    return { text, root };
  }

  /** The view of a map that is item `place` of the reply. */
  map(place, modality = "") {
    let view = this.blocks.get(place);
    if (!view) {
      view = new MapView(this.picture, modality);
      this.blocks.set(place, view);
      this.maps.push(view);
      this.steps.append(element("li", { class: "step drawn" }, element("h4", {}, "draws"), view.root));
    } else if (modality && !view.modality) view.name(modality);
    return view;
  }

  partial(place, base64, order) {
    return this.map(place).show(blobOf(base64, "image/png"), order);
  }

  /** Everything that the trace tells beyond what was streamed: values of maps, notes, files. `cloud`: bytes of a PLY or null. */
  async complete({ trace, cloud, id, seconds, usage, zip }) {
    const drawn = trace.steps.filter((step) => step.kind === "map");
    for (const [number, map] of drawn.entries()) await (this.maps[number] ?? this.map(`trace ${number}`)).finish(map);
    const deep = this.maps.findLast((view) => view.map?.arrays.depth);
    if (cloud && deep?.cloud) deep.cloud.show(await cloud.arrayBuffer());
    for (const note of trace.notes) this.note(note);
    this.facts.textContent = factsOf(trace, usage);
    this.offer(id, zip, cloud, drawn);
    this.state(seconds === undefined ? "kept" : `done in ${seconds.toFixed(1)} s`, "done");
    say(`${this.mode}: ${this.answer.trim() ? `the answer is ${this.answer.trim()}` : "no answer"}`);
    if (!this.answer.trim()) this.final.textContent = "The model gave no answer.";
  }

  note(text) {
    this.notes.append(element("p", { class: "warning" }, sentence(text)));
  }

  /** Buttons that hand out files. What the browser has is not fetched again. */
  offer(id, zip, cloud, maps) {
    const here = { "trace.zip": zip, "points.ply": cloud };
    const depth = maps.some((map) => map.arrays.depth);
    for (const [name, label] of FILES) {
      if (name !== "trace.zip" && !depth) continue;
      if (!id && !here[name]) continue;
      const made = button(label, () => this.hand(id, name, `cooper-${this.mode}-${name}`, here[name]));
      made.setAttribute("aria-label", `Download ${label.toLowerCase()} of mode ${this.mode}`);
      this.files.append(made);
    }
    if (id) this.files.append(this.page(id));
  }

  /** A link cannot send a key, so with one the page of the trace is handed out as a file. */
  page(id) {
    const named = { "aria-label": `Page of the trace of mode ${this.mode}` };
    if (!readKey()) return element("a", { ...named, href: tracePath(id, "page"), target: "_blank", rel: "noopener" }, "Page");
    const made = button("Page", () => this.hand(id, "page", `cooper-${this.mode}.html`));
    made.setAttribute("aria-label", `Download the page of the trace of mode ${this.mode}`);
    return made;
  }

  async hand(id, name, title, here = null) {
    try {
      download(here ?? (await this.fetchFile(id, name)), title);
    } catch (error) {
      this.problem(error.message);
    }
  }

  fail(message) {
    this.end("failed", "failed");
    this.notes.append(element("p", { class: "problem" }, message));
    say(`${this.mode}: ${message}`);
  }

  stop() {
    this.end("stopped", "stopped");
    say(`${this.mode}: stopped`);
  }

  end(text, kind) {
    this.state(text, kind);
    for (const view of this.maps) view.cut("not finished");
    if (!this.answer.trim()) this.final.textContent = "–";
  }

  /** Shows the thoughts of a stored trace. */
  replay(trace, answer) {
    this.answer = answer;
    this.final.textContent = answer || "…";
    let place = 0;
    let number = 0;
    for (const step of trace.steps) {
      place += 1;
      if (step.kind === "map") this.map(`trace ${number++}`, step.modality);
      else if (step.author === "model") {
        const thought = thoughtOf(step.text, answer);
        if (thought) this.write(`text ${place}`, "thought", thought);
      }
    }
  }
}

/** The thought of a turn: what stands outside the answer, without tags. A prompt may have opened the answer before the turn. */
function thoughtOf(text, answer) {
  const outside = text.replace(/<answer>[\s\S]*?(<\/answer>|$)/g, "").replace(/^[\s\S]*<\/answer>/, "");
  const unasked = outside.replace(/<(?!think>)([a-z][\w-]*)>[\s\S]*?<\/\1>/gi, ""); // without what asks for a map
  const thought = unasked.replace(/<\/?[a-z][\w-]*>/gi, " ").trim();
  return thought === answer ? "" : thought;
}

function factsOf(trace, usage) {
  const settings = trace.settings ?? {};
  const told = [trace.model, `seed ${trace.seed}`];
  if (settings.temperature !== undefined) told.push(`temperature ${settings.temperature}`);
  if (settings.num_timesteps !== undefined && trace.steps.some((step) => step.kind === "map")) told.push(`${settings.num_timesteps} timesteps`);
  if (usage) told.push(usage);
  return told.filter(Boolean).join(" · ");
}
