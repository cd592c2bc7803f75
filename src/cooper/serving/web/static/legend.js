// What the colours of a map mean, read off the map itself: a scale of depth, or the names of classes.

import { element } from "./elements.js";

const STOPS = 24;
const ALIKE = 60; // distance in RGB below which two colours of one class are shown as one
const SAMPLE = 4096; // pixels of an object that tell its colour, at most
const MOST = 3; // colours shown of one class

const rgb = (colour) => `rgb(${colour.join(", ")})`;
const colourAt = (pixels, place) => [pixels[4 * place], pixels[4 * place + 1], pixels[4 * place + 2]];

export function unitOf(map, name) {
  const unit = map.units[name] ?? "";
  return unit === "m" ? "m" : unit === "relative" ? "(relative)" : "";
}

/** The legend of a map. `pixels`: RGBA of the map at the size of its arrays. */
export function legendOf(map, pixels) {
  if (map.arrays.depth) return scale(map, pixels);
  if (map.arrays.labels) return keys(map, pixels);
  return element("p", { class: "hint" }, "This map has no legend.");
}

function scale(map, pixels) {
  const places = [];
  const { numbers } = map.arrays.depth;
  for (let place = 0; place < numbers.length; place += 1) if (Number.isFinite(numbers[place])) places.push(place);
  if (!places.length) return element("p", { class: "hint" }, "No depth is known here.");
  places.sort((one, other) => numbers[one] - numbers[other]);
  const [low, high] = [numbers[places[0]], numbers[places.at(-1)]];
  const colours = [];
  let at = 0;
  for (let stop = 0; stop < STOPS; stop += 1) {
    const wanted = low + ((high - low) * stop) / (STOPS - 1);
    while (at < places.length - 1 && numbers[places[at]] < wanted) at += 1;
    colours.push(rgb(colourAt(pixels, places[at])));
  }
  const bar = element("div", { class: "gradient" });
  bar.style.background = `linear-gradient(to right, ${colours.join(", ")})`;
  const unit = unitOf(map, "depth");
  const mark = (value, what = "") => element("span", {}, `${value.toFixed(2)} ${unit}`.trim(), what && element("i", {}, what));
  const ends = element("div", { class: "scale" }, mark(low, " nearest"), mark((low + high) / 2), mark(high, " farthest"));
  return element("div", { class: "legend" }, bar, ends);
}

function keys(map, pixels) {
  const { numbers } = map.arrays.labels;
  const instances = map.arrays.instances?.numbers;
  const classes = new Map();
  for (let place = 0; place < numbers.length; place += 1) {
    const label = Number(numbers[place]);
    if (!classes.has(label)) classes.set(label, new Map());
    const objects = classes.get(label);
    const object = instances ? Number(instances[place]) : 0;
    if (!objects.has(object)) objects.set(object, []);
    objects.get(object).push(place);
  }
  const named = [...classes].filter(([label]) => map.names[label] !== undefined).sort(([one], [other]) => one - other);
  if (!named.length) return element("p", { class: "hint" }, `${classes.size} regions without names`);
  const list = element("ul", { class: "legend keys", "aria-label": "Classes and their colours" });
  for (const [label, objects] of named) {
    const item = element("li", {});
    for (const colour of coloursOf(objects, pixels)) {
      const swatch = element("span", { class: "swatch" });
      swatch.style.background = rgb(colour);
      item.append(swatch);
    }
    item.append(map.names[label]);
    list.append(item);
  }
  return list;
}

function coloursOf(objects, pixels) {
  const found = [];
  for (const all of objects.values()) {
    const places = all.filter((_, number) => number % Math.ceil(all.length / SAMPLE) === 0);
    const middle = [0, 1, 2].map((channel) => median(places.map((place) => pixels[4 * place + channel])));
    const near = found.some((other) => Math.hypot(...middle.map((value, channel) => value - other[channel])) < ALIKE);
    if (!near && found.length < MOST) found.push(middle);
  }
  return found;
}

function median(values) {
  values.sort((one, other) => one - other);
  return values[values.length >> 1];
}

/** What a map says at one place, in words. */
export function valueAt(map, column, row) {
  const array = map.arrays.depth ?? map.arrays.labels;
  if (!array) return "no value";
  const place = row * array.shape[1] + column;
  if (map.arrays.depth) {
    const depth = array.numbers[place];
    return Number.isFinite(depth) ? `${depth.toFixed(2)} ${unitOf(map, "depth")}`.trim() : "no depth";
  }
  const label = Number(array.numbers[place]);
  const object = map.arrays.instances ? Number(map.arrays.instances.numbers[place]) : 0;
  const name = map.names[label] ?? `region ${label}`;
  return object ? `${name}, object ${object}` : name;
}
