// A map beside its picture: drawn while it is denoised, then with its legend, and the value under the pointer.

import { CloudView } from "./cloud.js";
import { element } from "./elements.js";
import { legendOf, valueAt } from "./legend.js";

const SMALLEST = 128; // pixels of a canvas before anything is drawn on it

export class MapView {
  /** `picture`: an ImageBitmap. `modality`: "" until it is known. */
  constructor(picture, modality = "") {
    this.canvas = element("canvas", { width: SMALLEST, height: SMALLEST, class: "map", tabindex: 0, role: "application" });
    this.photo = element("canvas", { width: picture.width, height: picture.height, role: "img", "aria-label": "the picture" });
    this.photo.getContext("2d").drawImage(picture, 0, 0);
    this.title = element("span", {});
    this.value = element("output", { class: "value", "aria-live": "polite" });
    this.legend = element("div", { class: "legend-place" });
    this.told = element("div", { class: "reading" }, this.value, this.legend);
    this.tiles = element("div", { class: "tiles" }, this.tile(this.canvas, this.title), this.tile(this.photo, "the picture"), this.told);
    this.root = element("div", { class: "map-view" }, this.tiles);
    for (const canvas of [this.canvas, this.photo]) canvas.parentElement.style.aspectRatio = `${picture.width} / ${picture.height}`;
    this.done = false;
    this.name(modality);
    this.listen();
  }

  tile(canvas, caption) {
    const frame = element("div", { class: "frame" }, canvas, element("span", { class: "cross", hidden: true }));
    return element("figure", { class: "tile" }, frame, element("figcaption", {}, caption));
  }

  name(modality) {
    if (modality) this.modality = modality;
    const shown = this.modality || "map";
    this.title.textContent = this.done ? `${shown}${this.map?.known ? ", given" : ""}` : `${shown}, being drawn`;
    const how = this.map ? " Arrow keys move the point whose value is read." : "";
    this.canvas.setAttribute("aria-label", `${shown} map.${how}`);
    if (shown === "depth" && !this.cloud) {
      this.cloud = new CloudView("from the depth map");
      this.told.before(this.cloud.root);
    }
  }

  /** Draws a picture of the map as far as it is. Pictures that come late, after a newer one, are passed over. */
  async show(blob, order = Infinity) {
    if (order < (this.order ?? -1)) return;
    this.order = order;
    const bitmap = await createImageBitmap(blob);
    if (order < this.order) return;
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
  }

  /** The finished map with its arrays. */
  async finish(map) {
    await this.show(map.blob);
    this.map = map;
    this.done = true;
    this.name(map.modality);
    const array = map.arrays.depth ?? map.arrays.labels;
    if (!array) return;
    const [height, width] = array.shape;
    const copy = new OffscreenCanvas(width, height).getContext("2d");
    copy.imageSmoothingEnabled = false;
    copy.drawImage(this.canvas, 0, 0, width, height);
    this.legend.replaceChildren(legendOf(map, copy.getImageData(0, 0, width, height).data));
    this.value.textContent = "Point at the map to read a value.";
    this.size = { width, height };
  }

  cut(why) {
    if (!this.done) this.title.textContent = `${this.modality || "map"}, ${why}`;
  }

  listen() {
    for (const canvas of [this.canvas, this.photo]) {
      canvas.addEventListener("pointermove", (event) => {
        const box = canvas.getBoundingClientRect();
        this.point((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      });
    }
    this.canvas.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 8 : 1;
      const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
      if (!way || !this.size) return;
      event.preventDefault();
      const { width, height } = this.size;
      const [column, row] = this.at ?? [width >> 1, height >> 1];
      this.read(Math.max(0, Math.min(width - 1, column + way[0])), Math.max(0, Math.min(height - 1, row + way[1])));
    });
  }

  point(x, y) {
    if (!this.size) return;
    const { width, height } = this.size;
    this.read(Math.max(0, Math.min(width - 1, Math.floor(x * width))), Math.max(0, Math.min(height - 1, Math.floor(y * height))));
  }

  read(column, row) {
    this.at = [column, row];
    for (const cross of this.root.querySelectorAll(".cross")) {
      cross.hidden = false;
      cross.style.left = `${(100 * (column + 0.5)) / this.size.width}%`;
      cross.style.top = `${(100 * (row + 0.5)) / this.size.height}%`;
    }
    this.value.textContent = `column ${column}, row ${row}: ${valueAt(this.map, column, row)}`;
  }
}
