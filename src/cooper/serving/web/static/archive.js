// Reads a trace as the server packs it: a zip of trace.json, pictures and npy arrays.

const ARRAYS = {
  "|u1": Uint8Array, "|i1": Int8Array, "|b1": Uint8Array, "<u2": Uint16Array, "<i2": Int16Array, "<u4": Uint32Array,
  "<i4": Int32Array, "<f4": Float32Array, "<f8": Float64Array, "<i8": BigInt64Array, "<u8": BigUint64Array,
};
const NO_TRACE = "the server sent a trace that cannot be read";

/** The files of a zip by their names without folders, each as Uint8Array. */
export async function unzipped(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const view = new DataView(bytes.buffer);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw new Error(NO_TRACE);
  const files = new Map();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new Error(NO_TRACE);
    const [method, size] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true)];
    const [name, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    const start = view.getUint32(at + 42, true);
    const title = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name));
    const body = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
    const packed = bytes.subarray(body, body + size);
    files.set(title.split("/").pop(), method === 8 ? await inflated(packed) : packed);
    at += 46 + name + extra + comment;
  }
  return files;
}

async function inflated(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** An npy array: its numbers in rows, and its shape. */
export function arrayOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = bytes[6] > 1;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const head = new TextDecoder("latin1").decode(bytes.subarray(10, start));
  const kind = ARRAYS[/'descr':\s*'([^']+)'/.exec(head)?.[1]];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(head)?.[1].split(",").filter((part) => part.trim()).map(Number);
  if (!kind || !shape || /'fortran_order':\s*True/.test(head)) throw new Error("an array of the trace has a form that this page cannot read");
  const numbers = new kind(bytes.slice(start).buffer);
  return { shape, numbers };
}

/** What a trace says: its record, and of each map the picture, arrays [H, W], units and names of classes. */
export async function traceOf(blob) {
  const files = await unzipped(blob);
  if (!files.has("trace.json")) throw new Error(NO_TRACE);
  const record = JSON.parse(new TextDecoder().decode(files.get("trace.json")));
  const steps = record.steps.map((step) => (step.kind === "map" ? mapOf(step, files) : step));
  const inputs = record.question.parts.filter((part) => part.image).map((part) => png(files, part.image));
  return { ...record, notes: record.notes ?? [], steps, inputs };
}

function mapOf(step, files) {
  const arrays = {};
  for (const [name, file] of Object.entries(step.reading?.arrays ?? {})) {
    const read = arrayOf(files.get(file));
    if (read.shape.length === 2) arrays[name] = read;
  }
  return { ...step, blob: png(files, step.image), known: !step.latents, arrays, units: step.reading?.units ?? {}, names: step.reading?.names ?? {} };
}

const png = (files, name) => new Blob([files.get(name)], { type: "image/png" });
