// One request to the server, from its first event to the finished trace, shown in a card.

import { traceOf } from "./archive.js";
import { Refusal, respond, traceFile } from "./client.js";
import { say } from "./elements.js";

const ENDED = ["response.completed", "response.incomplete", "response.failed"];

/** Asks in one mode. Returns what the history keeps of it; faults and stops are shown in the card. */
export async function answered(card, body, signal) {
  const began = performance.now();
  const kept = { mode: card.mode, state: "failed", answer: "" };
  try {
    const response = await followed(card, body, signal);
    const seconds = (performance.now() - began) / 1000;
    const id = response.trace_id;
    card.state("reading the trace");
    const zip = await traceFile(id, "trace.zip");
    const trace = await traceOf(zip);
    const deep = trace.steps.some((step) => step.kind === "map" && step.arrays.depth && step.units.depth === "m");
    const cloud = deep ? await traceFile(id, "points.ply") : null;
    const usage = usageOf(response.usage);
    await card.complete({ trace, cloud, id, seconds, usage, zip });
    return { ...kept, state: "done", answer: card.answer.trim(), seconds, usage, id, zip, cloud };
  } catch (error) {
    if (error.name === "AbortError") {
      card.stop();
      return { ...kept, state: "stopped" };
    }
    card.fail(error instanceof Refusal ? error.message : `The page cannot show this answer: ${error.message}.`);
    return { ...kept, status: error.status };
  }
}

async function followed(card, body, signal) {
  for await (const event of respond(body, signal)) {
    if (event.type === "error") throw new Refusal(event.message ?? event.error?.message ?? "the server stopped");
    if (ENDED.includes(event.type)) {
      const { response } = event;
      if (event.type === "response.failed") throw new Refusal(response.error?.message ?? "the server stopped");
      return response;
    }
    shown(card, event);
  }
  throw new Refusal("the server ended the answer before it was complete");
}

function shown(card, event) {
  const place = event.output_index;
  switch (event.type) {
    case "response.in_progress":
      return card.state("reasoning");
    case "response.reasoning_text.delta":
    case "response.reasoning_summary_text.delta":
      card.state("reasoning");
      return card.write(place, "thought", event.delta);
    case "response.output_text.delta":
      card.state("answering");
      return card.write(place, "answer", event.delta);
    case "response.output_item.added":
      if (event.item.type === "image_generation_call") card.map(place, event.item.modality);
      return undefined;
    case "response.image_generation_call.in_progress":
    case "response.image_generation_call.generating": {
      const view = card.map(place, event.modality);
      card.state(`drawing ${view.modality || "a map"}`);
      return say(`${card.mode}: drawing ${view.modality || "a map"}`);
    }
    case "response.image_generation_call.partial_image": {
      const steps = event.total ? ` ${event.done ?? event.partial_image_index + 1} of ${event.total}` : "";
      card.state(`drawing ${card.map(place, event.modality).modality || "a map"}${steps}`);
      return card.partial(place, event.partial_image_b64, event.partial_image_index);
    }
    case "response.output_item.done":
      if (event.item.type === "image_generation_call" && event.item.result) {
        card.map(place, event.item.modality);
        return card.partial(place, event.item.result, Number.MAX_SAFE_INTEGER);
      }
      return undefined;
    default:
      return undefined;
  }
}

function usageOf(usage) {
  if (!usage) return "";
  return [["read", usage.input_tokens ?? usage.prompt_tokens], ["written", usage.output_tokens ?? usage.completion_tokens]]
    .filter(([, count]) => count !== undefined)
    .map(([name, count]) => `${count} tokens ${name}`)
    .join(", ");
}
