// A point cloud that turns: PLY points drawn on a canvas, nearest in front. Drag or arrow keys turn it, + and - change its size.

import { button, element } from "./elements.js";

const SIDE = 320; // pixels of the canvas
const MOST = 150_000; // points drawn; of more, every second or third
const SWAY = 0.45; // radians to each side
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Points of a binary PLY: positions in metres (x right, y down, z forward), and their colours. */
export function pointsOf(buffer) {
  const head = new TextDecoder("latin1").decode(buffer.slice(0, 2048));
  const end = head.indexOf("end_header\n");
  const count = Number(/element vertex (\d+)/.exec(head)?.[1]);
  if (!head.startsWith("ply\nformat binary_little_endian") || end < 0 || !(count >= 0)) throw new Error("the point cloud has a form that this page cannot read");
  const offsets = {};
  let width = 0;
  for (const [, kind, name] of head.slice(0, end).matchAll(/property (float|uchar) (\w+)/g)) {
    offsets[name] = width;
    width += kind === "float" ? 4 : 1;
  }
  const view = new DataView(buffer, end + "end_header\n".length);
  const step = Math.max(1, Math.ceil(count / MOST));
  const kept = Math.ceil(count / step);
  const xyz = new Float32Array(3 * kept);
  const colours = new Uint32Array(kept);
  for (let point = 0; point < kept; point += 1) {
    const at = point * step * width;
    ["x", "y", "z"].forEach((axis, place) => (xyz[3 * point + place] = view.getFloat32(at + offsets[axis], true)));
    const [red, green, blue] = ["red", "green", "blue"].map((name) => view.getUint8(at + offsets[name]));
    colours[point] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  return { xyz, colours, count };
}

export class CloudView {
  constructor(name) {
    this.canvas = element("canvas", {
      width: SIDE, height: SIDE, tabindex: 0, role: "application", class: "cloud",
      "aria-label": `Point cloud, ${name}. Arrow keys turn it, plus and minus change its size, 0 puts it back.`,
    });
    this.hold = button("Turn", () => this.toggle(), "quiet");
    this.root = element("figure", { class: "tile cloud-tile" }, element("div", { class: "frame" }, this.canvas), element("figcaption", {}, element("span", {}, "point cloud"), this.hold));
    this.hold.disabled = true;
    this.hold.setAttribute("aria-label", "Turn the point cloud");
    this.turning = false;
    this.reset();
    this.listen();
  }

  reset() {
    Object.assign(this, { yaw: 0, pitch: 0, size: 1, phase: 0 });
  }

  show(buffer) {
    this.points = pointsOf(buffer);
    this.place();
    this.hold.disabled = false;
    this.draw();
    if (!still.matches) this.toggle();
  }

  /** Finds the middle of the points, about which they turn. */
  place() {
    const { xyz } = this.points;
    const middle = [0, 1, 2].map((axis) => {
      const values = [];
      for (let at = axis; at < xyz.length; at += 3 * Math.max(1, Math.floor(xyz.length / 6000))) values.push(xyz[at]);
      values.sort((one, other) => one - other);
      return values[values.length >> 1] ?? 0;
    });
    this.middle = middle;
  }

  toggle() {
    this.turning = !this.turning;
    this.hold.textContent = this.turning ? "Hold" : "Turn";
    this.hold.setAttribute("aria-label", `${this.hold.textContent} the point cloud`);
    if (this.turning) this.tick();
  }

  tick() {
    const frame = () => {
      if (!this.turning || !this.canvas.isConnected) return;
      if (this.canvas.checkVisibility?.() ?? true) {
        this.phase += 0.012;
        this.yaw = SWAY * Math.sin(this.phase);
        this.draw();
      }
      setTimeout(() => requestAnimationFrame(frame), 30);
    };
    requestAnimationFrame(frame);
  }

  listen() {
    const { canvas } = this;
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = { x: event.clientX, y: event.clientY, yaw: this.yaw, pitch: this.pitch };
      canvas.setPointerCapture(event.pointerId);
      if (this.turning) this.toggle();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      this.yaw = from.yaw - (event.clientX - from.x) / 120;
      this.turn(0, from.pitch + (event.clientY - from.y) / 160 - this.pitch);
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (from = null));
    canvas.addEventListener("keydown", (event) => {
      const turns = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
      if (turns[event.key]) this.turn(...turns[event.key]);
      else if (event.key === "+" || event.key === "=") this.grow(1.15);
      else if (event.key === "-") this.grow(1 / 1.15);
      else if (event.key === "0") this.turn(-this.yaw, -this.pitch, this.reset());
      else return;
      event.preventDefault();
      if (this.turning) this.toggle();
    });
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.max(-1.2, Math.min(1.2, this.pitch + pitch));
    this.draw();
  }

  grow(factor) {
    this.size = Math.max(0.4, Math.min(6, this.size * factor));
    this.draw();
  }

  draw() {
    if (!this.points) return;
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(SIDE, SIDE);
    const pixels = new Uint32Array(image.data.buffer);
    const depths = new Float32Array(SIDE * SIDE).fill(Infinity);
    const { xyz, colours } = this.points;
    const [mx, my, mz] = this.middle;
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const focal = 0.85 * SIDE * this.size;
    const dot = Math.max(1, Math.round(1.25 * Math.sqrt((SIDE * SIDE) / colours.length) * this.size));
    for (let point = 0; point < colours.length; point += 1) {
      const [x, y, z] = [xyz[3 * point] - mx, xyz[3 * point + 1] - my, xyz[3 * point + 2] - mz];
      const [tx, tz] = [cy * x + sy * z, cy * z - sy * x];
      const [ty, deep] = [cp * y - sp * tz, cp * tz + sp * y + mz];
      if (deep < 0.05) continue;
      const left = Math.round(SIDE / 2 + (focal * (tx + mx)) / deep - dot / 2);
      const top = Math.round(SIDE / 2 + (focal * (ty + my)) / deep - dot / 2);
      for (let row = Math.max(0, top); row < Math.min(SIDE, top + dot); row += 1) {
        for (let column = Math.max(0, left); column < Math.min(SIDE, left + dot); column += 1) {
          const at = row * SIDE + column;
          if (deep < depths[at]) [depths[at], pixels[at]] = [deep, colours[point]];
        }
      }
    }
    context.putImageData(image, 0, 0);
  }
}
