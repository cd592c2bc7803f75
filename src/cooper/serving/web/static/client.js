// Talks to the server that sent this page. All addresses are relative, so the page also works behind a proxy with a prefix.

const KEY = "cooper.key"; // of sessionStorage: gone when the tab is closed

export class Refusal extends Error {
  /** What the server, or the way to it, has against a request: one sentence. `status` is 0 where no answer came. */
  constructor(message, status = 0) {
    super(sentence(message));
    this.status = status;
  }
}

export function sentence(text) {
  const said = String(text).trim();
  if (!said) return "";
  const named = /^[^\s:]*[._\d]\S/.test(said); // it begins with the name of a field or a file
  const whole = named ? said : said[0].toUpperCase() + said.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

export function readKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export function keepKey(key) {
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // without storage the key is asked for again
  }
}

async function ask(path, settings = {}) {
  const headers = { ...settings.headers };
  const key = readKey();
  if (key) {
    if (/[^\x21-\x7e]/.test(key)) throw new Refusal("the API key has characters that no key has", 401);
    headers.Authorization = `Bearer ${key}`;
  }
  let response;
  try {
    response = await fetch(path, { ...settings, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("the server cannot be reached");
  }
  if (response.ok) return response;
  throw await refusalOf(response);
}

async function refusalOf(response) {
  let said = "";
  try {
    const body = await response.json();
    said = body?.error?.message ?? body?.detail ?? "";
  } catch {
    // no JSON: a proxy answered
  }
  const wait = response.headers.get("Retry-After");
  const later = response.status === 429 && /^\d+$/.test(wait ?? "") ? ` Try again in ${wait} s.` : "";
  const message = typeof said === "string" && said ? said : `the server refused with status ${response.status}`;
  return new Refusal(sentence(message) + later, response.status);
}

export const models = async () => (await (await ask("v1/models")).json()).data;
export const pictures = async () => (await (await ask("static/pictures.json")).json()).data;
export const bytesOf = async (path) => (await ask(path)).blob();
export const traceFile = (id, name) => bytesOf(tracePath(id, name));
export const tracePath = (id, name) => `v1/traces/${encodeURIComponent(id)}/${name}`;

/** The events of one response as they come. `signal` ends the request, and with it the work on the server. */
export async function* respond(body, signal) {
  const response = await ask("v1/responses", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify({ ...body, stream: true }),
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      held += done ? "\n\n" : value;
      const parts = held.split(/\r?\n\r?\n/);
      held = parts.pop();
      for (const part of parts) {
        const event = eventOf(part);
        if (event) yield event;
      }
      if (done) return;
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof Refusal) throw error;
    throw new Refusal("the connection to the server broke before the answer was complete");
  } finally {
    reader.cancel().catch(() => {});
  }
}

function eventOf(part) {
  const lines = part.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  const data = lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
  if (!data || data === "[DONE]") return null;
  try {
    return JSON.parse(data);
  } catch {
    throw new Refusal("the server sent an event that cannot be read");
  }
}
