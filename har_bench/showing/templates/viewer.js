"use strict";
// Draws the joints of every cast on a canvas; see viewer.py for how they are packed.

const content = JSON.parse(document.getElementById("content").textContent);
const ABSENT = -32768;
const view = { yaw: 0, pitch: 0, zoom: 1, at: 0, playing: false, shown: new Set(content.casts.keys()) };
const panels = [];

async function unpacked({ shape, order, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = raw.length / 2;
  const frames = shape[0];
  const places = new Int16Array(count);
  for (let track = 0; track < count / frames; track += 1) {
    let now = 0;
    let speed = 0;
    for (let frame = 0; frame < frames; frame += 1) {
      const from = track * frames + frame;
      const step = raw[from] | (raw[count + from] << 8); // its sign is the lowest bit
      speed = (order === 2 ? speed : 0) + ((step >>> 1) ^ -(step & 1));
      now = ((now + speed) << 16) >> 16;
      places[frame * (count / frames) + track] = now;
    }
  }
  return places;
}

const night = matchMedia("(prefers-color-scheme: dark)");

function colour(side, pale) {
  const middle = night.matches ? "night" : "middle";
  const [r, g, b] = content.colours[{ l: "left", r: "right", m: middle }[side]];
  return `rgba(${r}, ${g}, ${b}, ${pale ? 0.45 : 1})`;
}

function turned([x, y, z]) {
  const [a, b] = [Math.cos(view.yaw), Math.sin(view.yaw)];
  const [c, d] = [Math.cos(view.pitch), Math.sin(view.pitch)];
  const [x1, z1] = [a * x + b * z, a * z - b * x];
  return [x1, c * y - d * z1, c * z1 + d * y];
}

function inSpace(panel, place) {
  const [x, y, z] = turned(place);
  const scale = ((5000 / (5000 - z)) * view.zoom * panel.height) / 2 / 1150;
  return [panel.width / 2 + x * scale, panel.height / 2 - y * scale];
}

function inImage(panel, [x, y]) {
  const scale = Math.min(panel.width / content.size[0], panel.height / content.size[1]);
  return [(x / 4) * scale, (y / 4) * scale];
}

function figure(panel, cast, part, person) {
  const { pen, project } = panel;
  const [, persons, joints, axes] = part.shape;
  const start = (view.at * persons + person) * joints * axes;
  const places = [];
  for (let joint = 0; joint < joints; joint += 1) {
    const from = start + joint * axes;
    const place = Array.from(part.places.subarray(from, from + axes));
    places.push(place[0] === ABSENT ? null : project(panel, place));
  }
  const pale = !cast.truth && content.casts.length > 1;
  for (const [one, other] of part.lines) {
    if (!places[one] || !places[other]) continue;
    pen.strokeStyle = colour(part.sides[other], pale);
    pen.lineWidth = part.sides[other] === "l" ? 2 : 3.5;
    pen.beginPath();
    pen.moveTo(...places[one]);
    pen.lineTo(...places[other]);
    pen.stroke();
  }
  places.forEach((place, joint) => {
    if (!place) return;
    const hollow = part.hollowAt.has(`${view.at} ${person} ${joint}`);
    pen.fillStyle = pen.strokeStyle = colour(part.sides[joint], pale);
    pen.lineWidth = 1.5;
    pen.beginPath();
    if (part.sides[joint] === "l") pen.rect(place[0] - 4, place[1] - 4, 8, 8);
    else pen.arc(place[0], place[1], 4, 0, 7);
    if (hollow) pen.stroke();
    else pen.fill();
  });
}

function ground(panel) {
  const space = content.casts.map((cast) => cast.space).find(Boolean);
  panel.pen.strokeStyle = getComputedStyle(document.body).getPropertyValue("--rule");
  panel.pen.lineWidth = 1;
  const up = content.up;
  const across = up[1] > 0.99 ? [1, 0, 0] : [up[1], -up[0], 0].map((each) => each / Math.hypot(up[0], up[1]));
  const along = [across[1] * up[2] - across[2] * up[1], across[2] * up[0] - across[0] * up[2], across[0] * up[1] - across[1] * up[0]];
  const at = (a, b) => inSpace(panel, [0, 1, 2].map((axis) => up[axis] * space.floor + across[axis] * a + along[axis] * b));
  for (let step = -2000; step <= 2000; step += 500) {
    for (const ends of [[at(step, -2000), at(step, 2000)], [at(-2000, step), at(2000, step)]]) {
      panel.pen.beginPath();
      panel.pen.moveTo(...ends[0]);
      panel.pen.lineTo(...ends[1]);
      panel.pen.stroke();
    }
  }
}

function draw() {
  for (const panel of panels) {
    panel.pen.clearRect(0, 0, panel.width, panel.height);
    if (panel.kind === "space") ground(panel);
    [...content.casts.entries()].reverse().forEach(([number, cast]) => {
      const part = cast[panel.kind];
      if (!part || !view.shown.has(number)) return;
      for (let person = 0; person < part.shape[1]; person += 1) figure(panel, cast, part, person);
    });
  }
  document.getElementById("at").value = view.at;
  document.getElementById("frame").textContent = `frame ${content.frames[view.at]}`;
  const errors = content.casts.filter((cast) => cast.error && cast.error[view.at] !== null);
  document.getElementById("said").textContent = errors.map((cast) => `${cast.name}: ${cast.error[view.at]} ${cast.unit} off`).join("; ");
}

function go(frame) {
  view.at = Math.min(Math.max(frame, 0), content.frames.length - 1);
  draw();
}

let began = 0;
function play(on) {
  view.playing = on;
  document.getElementById("play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  const first = view.at === content.frames.length - 1 ? 0 : view.at;
  began = performance.now() - (first / content.fps) * 1000;
  const tick = (now) => {
    if (!view.playing) return;
    const frame = Math.floor(((now - began) / 1000) * content.fps);
    if (frame >= content.frames.length) return play(false);
    if (frame !== view.at) go(frame);
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

const KEYS = {
  " ": () => play(!view.playing),
  ArrowLeft: (shift) => go(view.at - (shift ? 10 : 1)),
  ArrowRight: (shift) => go(view.at + (shift ? 10 : 1)),
  Home: () => go(0),
  End: () => go(content.frames.length - 1),
  "+": () => (view.zoom *= 1.15),
  "-": () => (view.zoom /= 1.15),
  a: () => (view.yaw -= 0.1),
  d: () => (view.yaw += 0.1),
  w: () => (view.pitch += 0.1),
  s: () => (view.pitch -= 0.1),
  r: () => Object.assign(view, { yaw: 0, pitch: 0, zoom: 1 }),
};

function listen() {
  addEventListener("keydown", (event) => {
    const key = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
    const own = event.target.closest("button, input[type=checkbox]") && event.key === " ";
    if (!key || own || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    key(event.shiftKey);
    draw();
  });
  night.addEventListener("change", draw);
  document.getElementById("play").addEventListener("click", () => play(!view.playing));
  document.getElementById("at").addEventListener("input", (event) => go(Number(event.target.value)));
}

function panel(kind, width, height) {
  const canvas = document.createElement("canvas");
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", kind === "space" ? "Joints in space" : "Joints in the picture");
  document.getElementById("panels").append(canvas);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.lineCap = "round";
  const made = { kind, pen, width, height, project: kind === "space" ? inSpace : inImage };
  if (kind === "space") {
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      view.yaw += event.movementX / 150;
      view.pitch += event.movementY / 150;
      draw();
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      view.zoom *= event.deltaY < 0 ? 1.1 : 1 / 1.1;
      draw();
    });
  }
  panels.push(made);
}

function choices() {
  content.casts.forEach((cast, number) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => {
      if (box.checked) view.shown.add(number);
      else view.shown.delete(number);
      draw();
    });
    label.append(box, ` ${cast.name}`);
    document.getElementById("casts").append(label);
  });
}

function floorOf({ shape, places }) {
  const heights = [];
  for (let from = 0; from < places.length; from += 3) {
    if (places[from] === ABSENT) continue;
    heights.push(content.up[0] * places[from] + content.up[1] * places[from + 1] + content.up[2] * places[from + 2]);
  }
  heights.sort((one, other) => one - other);
  return heights[Math.floor(heights.length / 100)] ?? -shape[0];
}

async function begin() {
  for (const cast of content.casts) {
    for (const part of [cast.image, cast.space].filter(Boolean)) {
      part.places = await unpacked(part);
      part.hollowAt = new Set(part.hollow.map((each) => each.join(" ")));
    }
    if (cast.space) cast.space.floor = floorOf(cast.space);
  }
  const [width, height] = content.size;
  if (content.casts.some((cast) => cast.image)) panel("image", Math.round((480 * width) / height), 480);
  if (content.casts.some((cast) => cast.space)) panel("space", 480, 480);
  document.getElementById("at").max = content.frames.length - 1;
  choices();
  listen();
  go(0);
  document.body.dataset.ready = "yes";
}

begin();
