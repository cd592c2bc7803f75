// The picture of a question: one of the bundled ones, a file, or what is dropped or pasted.

import { byId, element } from "./elements.js";
import { bytesOf, Refusal } from "./client.js";

const KINDS = ["image/png", "image/jpeg", "image/webp"];
const SIDE = 256; // pixels of the preview, at most

export class PicturePicker {
  /** `changed(picture)` hears of every new picture: {blob, type, name, bitmap, questions, bundled}. */
  constructor({ changed, problem }) {
    Object.assign(this, { changed, problem, picture: null, turn: 0 });
    this.gallery = byId("gallery");
    byId("choose").addEventListener("click", () => byId("file").click());
    byId("file").addEventListener("change", () => {
      const [file] = byId("file").files;
      if (file) this.take(file);
      byId("file").value = "";
    });
    this.listen();
  }

  listen() {
    const drop = byId("drop");
    for (const name of ["dragenter", "dragover"]) {
      document.addEventListener(name, (event) => {
        if (![...event.dataTransfer.types].includes("Files")) return;
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    document.addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      drop.classList.remove("over");
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      this.take(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
      if (!file) return;
      event.preventDefault();
      this.take(file);
    });
  }

  /** Offers the bundled pictures: [{url, name, description, questions}]. */
  offer(pictures) {
    this.gallery.replaceChildren(
      ...pictures.map((one) => {
        const image = element("img", { src: one.url, alt: "", width: 64, height: 64 });
        const act = () => {
          this.problem("");
          return this.pick(one);
        };
        return element("button", { type: "button", "aria-label": `${one.name}: ${one.description}`, "aria-pressed": "false", "data-name": one.name, on: { click: act } }, image);
      }),
    );
  }

  /** Takes a bundled picture. */
  async pick({ url, name, description, questions }) {
    try {
      await this.set(await bytesOf(url), { name, description, questions, bundled: true });
    } catch (error) {
      this.problem(error.message);
    }
  }

  async take(file) {
    this.problem("");
    try {
      if (!KINDS.includes(file.type)) throw new Refusal("a picture must be a PNG, JPEG or WebP file");
      await this.set(file, { name: file.name || "pasted picture", questions: [], bundled: false });
    } catch (error) {
      this.problem(error.message);
    }
  }

  /** Makes a picture the one that is asked about. */
  async set(blob, { name, description = "", questions = [], bundled = false }) {
    const turn = (this.turn += 1);
    let bitmap;
    try {
      bitmap = await createImageBitmap(blob);
    } catch {
      throw new Refusal(`${name} cannot be opened as a picture`);
    }
    if (turn !== this.turn) return;
    this.picture = { blob, type: blob.type || "image/png", name, description, questions, bundled, bitmap };
    const shown = byId("shown");
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    shown.width = Math.max(1, Math.round(bitmap.width * scale));
    shown.height = Math.max(1, Math.round(bitmap.height * scale));
    shown.getContext("2d").drawImage(bitmap, 0, 0, shown.width, shown.height);
    shown.setAttribute("aria-label", description ? `${name}: ${description}` : name);
    byId("picture-name").textContent = `${name}, ${bitmap.width} × ${bitmap.height} pixels`;
    for (const one of this.gallery.children) one.setAttribute("aria-pressed", String(bundled && one.dataset.name === name));
    this.changed(this.picture);
  }
}
