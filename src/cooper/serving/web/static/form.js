// What the form says, checked, and the request that it makes.

import { byId, dataUrl } from "./elements.js";
import { Refusal } from "./client.js";

const NUMBERS = [
  ["seed", "the seed", true],
  ["steps", "the number of timesteps", true],
  ["temperature", "the temperature", false],
  ["turns", "the number of turns", true],
];
const KNOWN = { png: "image/png", npy: "application/x-npy" };

/** The form's values: {question, modes, seed, steps, temperature, turns}; numbers that are left out are null. */
export function formOf() {
  const question = byId("question").value;
  if (!question.trim()) throw new Refusal("write a question first");
  const modes = [...document.querySelectorAll("input[name=mode]:checked")].map((box) => box.value);
  if (!modes.length) throw new Refusal("tick at least one mode");
  const asked = { question, modes };
  for (const [id, name, whole] of NUMBERS) asked[id] = numberOf(byId(id), name, whole);
  return asked;
}

function numberOf(field, name, whole) {
  if (field.validity.badInput) throw new Refusal(`${name} must be a number`);
  if (!field.value.trim()) return null;
  const value = Number(field.value);
  const [low, high] = [Number(field.min), Number(field.max)];
  if (!Number.isFinite(value) || value < low || value > high || (whole && !Number.isInteger(value))) {
    throw new Refusal(`${name} must be a ${whole ? "whole " : ""}number from ${low} to ${high}`);
  }
  return value;
}

/** Says in the form what a server takes, and what holds where a field is empty. */
export function boundForm(limits, defaults) {
  if (limits.turns) byId("turns").max = limits.turns;
  if (limits.timesteps) byId("steps").max = limits.timesteps;
  for (const [id, value] of [["steps", defaults.num_timesteps], ["temperature", defaults.temperature]]) {
    if (value !== undefined) byId(id).placeholder = `${value} (default)`;
  }
}

/** Fills the form with the values of an earlier question. */
export function showForm(asked) {
  byId("question").value = asked.question;
  for (const box of document.querySelectorAll("input[name=mode]")) box.checked = asked.modes.includes(box.value);
  for (const [id] of NUMBERS) byId(id).value = asked[id] ?? "";
}

/** The body of `POST /v1/responses` for one mode. `url`: the picture as a data URL; `known`: a depth map as one, or null. */
export function bodyOf(asked, { model, mode, url, known }) {
  const content = [
    { type: "input_image", image_url: url },
    { type: "input_text", text: asked.question },
  ];
  const body = { model, mode, input: [{ role: "user", content }], seed: asked.seed ?? 0 };
  if (asked.temperature !== null) body.temperature = asked.temperature;
  if (asked.turns !== null) body.max_turns = asked.turns;
  if (asked.steps !== null) body.drawing = { num_timesteps: asked.steps };
  if (known && ["interleaved", "perception"].includes(mode)) body.known = { depth: known };
  return body;
}

/** A depth map that the user brings. */
export class KnownMap {
  constructor(problem) {
    this.url = null;
    const input = byId("known");
    byId("known-choose").addEventListener("click", () => input.click());
    byId("known-remove").addEventListener("click", () => this.set(null, "none"));
    input.addEventListener("change", async () => {
      const [file] = input.files;
      input.value = "";
      if (!file) return;
      const kind = KNOWN[file.name.toLowerCase().split(".").pop()];
      if (!kind) problem("a depth map must be a .png or an .npy file");
      else this.set(await dataUrl(file, kind), file.name);
    });
  }

  set(url, name) {
    this.url = url;
    byId("known-name").textContent = name;
    byId("known-remove").hidden = url === null;
  }
}
