// SPDX-License-Identifier: MIT
// Draws the frames of a trajectory on a canvas: no library, no WebGL.
"use strict";

function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const values = new Int16Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = view.getInt16(2 * i, true);
  return values;
}

function mix(color, other, part) {
  const of = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  const one = (i) => Math.round(of(color, i) * (1 - part) + of(other, i) * part);
  return `rgb(${one(0)},${one(1)},${one(2)})`;
}

// A shaded ball, drawn once for each element and depth, then copied.
const SHADES = 12;
function makeBalls(color) {
  return Array.from({ length: SHADES }, (_, shade) => {
    const canvas = document.createElement("canvas");
    const size = (canvas.width = canvas.height = 64);
    const pen = canvas.getContext("2d");
    const light = pen.createRadialGradient(23, 21, 2, 32, 32, 32);
    const fog = 0.6 * (1 - shade / (SHADES - 1));
    const faded = (other, part) => {
      const [r, g, b] = mix(color, other, part).match(/\d+/g).map(Number);
      const far = (x, y) => Math.round(x * (1 - fog) + y * fog);
      return `rgb(${far(r, 255)},${far(g, 255)},${far(b, 255)})`;
    };
    light.addColorStop(0, faded("#ffffff", 0.65));
    light.addColorStop(0.35, faded("#ffffff", 0.05));
    light.addColorStop(0.85, faded("#000000", 0.3));
    light.addColorStop(1, faded("#000000", 0.5));
    pen.fillStyle = light;
    pen.beginPath();
    pen.arc(size / 2, size / 2, size / 2 - 1, 0, 2 * Math.PI);
    pen.fill();
    return canvas;
  });
}

function multiply(a, b) {
  const product = new Array(9);
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 3; j++)
      product[3 * i + j] =
        a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
  return product;
}

function rotation(aroundX, aroundY) {
  const [cx, sx] = [Math.cos(aroundX), Math.sin(aroundX)];
  const [cy, sy] = [Math.cos(aroundY), Math.sin(aroundY)];
  return multiply([1, 0, 0, 0, cx, -sx, 0, sx, cx], [cy, 0, sy, 0, 1, 0, -sy, 0, cy]);
}

function start(root) {
  const scene = JSON.parse(root.querySelector("script").textContent);
  const canvas = root.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const slider = root.querySelector(".frame");
  const playButton = root.querySelector(".play");
  const clock = root.querySelector(".time");
  const legend = root.querySelector(".legend");
  const n = scene.elements.length;
  const frames = scene.times.length;
  const positions = decode(scene.positions);
  const balls = scene.kinds.map((kind) => makeBalls(kind[1]));
  const hidden = scene.kinds.map(() => false);
  const bonded = new Array(n).fill(false);
  scene.bonds.forEach(([i, j]) => (bonded[i] = bonded[j] = true));
  const radii = scene.elements.map((kind, i) => scene.kinds[kind][2] * (bonded[i] ? 0.3 : 0.5));
  const xyz = new Float32Array(3 * n); // in nm, x to the right, y up, z to the reader
  const order = Array.from({ length: n }, (_, i) => i);
  let reach = 0;
  const corners = (cell) =>
    Array.from({ length: 8 }, (_, k) =>
      [0, 1, 2].map((x) =>
        [0, 1, 2].reduce((sum, row) => sum + (((k >> row) & 1) - 0.5) * cell[row][x], 0)
      )
    );
  for (let i = 0; i < 3 * n; i += 3)
    reach = Math.max(reach, Math.hypot(positions[i], positions[i + 1], positions[i + 2]));
  reach *= scene.scale;
  if (scene.cells)
    reach = Math.max(...corners(scene.cells[0]).map((corner) => Math.hypot(...corner)));
  let turned, zoom, current = 0, playing = false, last = 0, asked = false;

  function reset() {
    turned = rotation(0.35, -0.5);
    zoom = 1.15;
    draw();
  }

  function turn(x, y, z) {
    return [0, 3, 6].map((row) => turned[row] * x + turned[row + 1] * y + turned[row + 2] * z);
  }

  function draw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(paint);
  }

  function paint() {
    asked = false;
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const distance = 4 * reach; // of the eye
    const size = (0.47 * zoom * Math.min(width, height)) / reach;
    const project = ([x, y, z]) => {
      const near = distance / Math.max(distance - z, 0.1 * distance);
      return [width / 2 + x * size * near, height / 2 - y * size * near, size * near];
    };
    for (let i = 0; i < n; i++) {
      const from = 3 * (current * n + i);
      const at = turn(positions[from], positions[from + 1], positions[from + 2]);
      for (let x = 0; x < 3; x++) xyz[3 * i + x] = at[x] * scene.scale;
    }
    const place = (i) => [xyz[3 * i], xyz[3 * i + 1], xyz[3 * i + 2]];
    const things = order
      .filter((i) => !hidden[scene.elements[i]])
      .map((i) => ({ z: xyz[3 * i + 2], atom: i }));
    for (const [i, j] of scene.bonds) {
      if (hidden[scene.elements[i]] || hidden[scene.elements[j]]) continue;
      const [a, b] = [place(i), place(j)];
      if (Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) > scene.longest) continue;
      things.push({ z: Math.min(a[2], b[2]), ends: [a, b] });
    }
    if (scene.cells) {
      const box = corners(scene.cells[current]).map((corner) => turn(...corner));
      for (let k = 0; k < 8; k++)
        for (const side of [1, 2, 4])
          if (!(k & side)) {
            const ends = [box[k], box[k | side]];
            things.push({ z: (ends[0][2] + ends[1][2]) / 2, ends, edge: true });
          }
    }
    things.sort((a, b) => a.z - b.z);
    for (const thing of things) {
      const near = Math.min(1, Math.max(0, (thing.z / reach + 1) / 2));
      if (thing.ends) {
        const [a, b] = thing.ends.map(project);
        pen.strokeStyle = thing.edge ? "#9aa7b4" : mix("#777777", "#ffffff", 0.6 * (1 - near));
        pen.lineWidth = thing.edge ? 1 : Math.max(1, 0.025 * a[2]);
        pen.beginPath();
        pen.moveTo(a[0], a[1]);
        pen.lineTo(b[0], b[1]);
        pen.stroke();
      } else {
        const [x, y, scale] = project(place(thing.atom));
        const radius = radii[thing.atom] * scale;
        const shade = Math.round(near * (SHADES - 1));
        const ball = balls[scene.elements[thing.atom]][shade];
        pen.drawImage(ball, x - radius, y - radius, 2 * radius, 2 * radius);
      }
    }
    slider.value = current;
    clock.textContent = `${scene.times[current].toPrecision(4)} ps`;
    root.dataset.frame = current; // so that others can see what is drawn
  }

  function play(time) {
    if (!playing) return;
    if (time - last > 60) {
      last = time;
      current = (current + 1) % frames;
      draw();
    }
    requestAnimationFrame(play);
  }

  function setPlaying(on) {
    playing = on;
    playButton.textContent = on ? "Pause" : "Play";
    if (on) requestAnimationFrame(play);
  }

  playButton.addEventListener("click", () => setPlaying(!playing));
  root.querySelector(".reset").addEventListener("click", reset);
  slider.addEventListener("input", () => {
    setPlaying(false);
    current = Number(slider.value);
    draw();
  });
  const fingers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    };
    const [x, y] = [event.clientX, event.clientY];
    const wide = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, [x, y]);
    if (wide) zoom = Math.min(20, Math.max(0.2, (zoom * spread()) / wide));
    else turned = multiply(rotation((y - before[1]) / 150, (x - before[0]) / 150), turned);
    draw();
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom = Math.min(20, Math.max(0.2, zoom * Math.exp(-event.deltaY / 600)));
      draw();
    },
    { passive: false }
  );
  scene.kinds.forEach(([name, color], kind) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.style.setProperty("--color", color);
    button.textContent = name;
    button.addEventListener("click", () => {
      hidden[kind] = !hidden[kind];
      button.setAttribute("aria-pressed", String(!hidden[kind]));
      draw();
    });
    legend.append(button);
  });
  new ResizeObserver(draw).observe(canvas);
  playButton.disabled = slider.disabled = frames < 2;
  reset();
}

document.querySelectorAll(".viewer").forEach(start);
