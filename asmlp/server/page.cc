#include "asmlp/server/page.h"

namespace asmlp::server {
namespace {

constexpr const char* kPage = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>asmlp</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --line: #8886; --accent: #2a6fbb; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 0 auto; padding: 1rem; }
  h1 { font-size: 1.3rem; margin: 0 0 .5rem; }
  #drop { border: 2px dashed var(--line); border-radius: 8px; padding: 1rem; text-align: center; cursor: pointer; }
  #drop.over { border-color: var(--accent); }
  .row { display: flex; gap: .8rem; flex-wrap: wrap; align-items: center; margin: .8rem 0; }
  #result { display: flex; gap: 1.2rem; flex-wrap: wrap; align-items: flex-start; }
  canvas { max-width: 100%; max-height: 70vh; border-radius: 6px; }
  #side { flex: 1 1 18rem; }
  table { border-collapse: collapse; width: 100%; }
  td { padding: .15rem .5rem; border-bottom: 1px solid var(--line); }
  td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  .bar { height: .5rem; background: var(--accent); border-radius: 3px; }
  .chip { display: inline-block; width: .9rem; height: .9rem; border-radius: 3px; vertical-align: -2px; margin-right: .4rem; }
  #error { color: #c22; }
</style>
</head>
<body>
<h1>asmlp <small id="about"></small></h1>
<div id="drop" tabindex="0">Drop a photo here, paste one, or click to choose one.
  <input id="file" type="file" accept="image/*" hidden></div>
<div class="row">
  <label>Model <select id="model"></select></label>
  <label id="least" hidden>Least score <input id="threshold" type="range" min="0" max="1" step="0.01" value="0.3">
    <output id="value">0.30</output></label>
  <label id="keys" hidden>API key <input id="key" type="password" autocomplete="off"></label>
</div>
<p id="error" role="alert"></p>
<div id="result"><canvas id="canvas" hidden></canvas><div id="side"></div></div>
<script>
"use strict";
const at = id => document.getElementById(id);
const paths = { classify: "predict", detect: "detect", segment: "segment" };
let models = [], photo = null, answer = null, turn = 0;

async function ask(path, options = {}) {
  const headers = at("key").value ? { Authorization: "Bearer " + at("key").value } : {};
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) at("keys").hidden = false;
  const json = await response.json();
  if (!response.ok) throw new Error(json.error.message || json.error);
  return json;
}

function show(error) { at("error").textContent = error ? String(error.message || error) : ""; }

async function loadModels() {
  try {
    models = (await ask("v1/models")).models;
    at("model").replaceChildren(...models.map(m => {
      const option = document.createElement("option");
      option.value = m.name;
      option.textContent = m.name + " (" + m.task + ")";
      return option;
    }));
    show(null);
    await run();
  } catch (error) { show(error); }
}

const chosen = () => models.find(m => m.name === at("model").value);

async function run() {
  const model = chosen(), mine = ++turn;
  if (!photo || !model) return;
  at("least").hidden = model.task !== "detect";
  try {
    show(null);
    const found = await ask("v1/" + paths[model.task] + "?model=" + encodeURIComponent(model.name),
                            { method: "POST", body: photo.blob });
    if (mine !== turn) return;  // another photo or model has been chosen
    answer = { task: model.task, ...found };
    await draw();
    document.body.dataset.done = model.task;
  } catch (error) { if (mine === turn) { answer = null; show(error); } }
}

const color = k => "hsl(" + (k * 137.5 + 210) % 360 + " 80% 50%)";

// COCO's compressed run lengths: the pixels inside, column by column.
function maskRuns(text) {
  const counts = [];
  for (let i = 0; i < text.length;) {
    let value = 0, shift = 0, more = true;
    while (more) {
      const c = text.charCodeAt(i++) - 48;
      value |= (c & 31) << shift;
      shift += 5;
      more = (c & 32) !== 0;
      if (!more && (c & 16)) value |= -1 << shift;
    }
    if (counts.length > 2) value += counts[counts.length - 2];
    counts.push(value);
  }
  return counts;
}

function paintMask(context, segmentation, style) {
  const [height, width] = segmentation.size;
  context.fillStyle = style;
  let position = 0, inside = false;
  for (const count of maskRuns(segmentation.counts)) {
    for (let left = inside ? count : 0, p = position; left > 0;) {
      const y = p % height, length = Math.min(left, height - y);
      context.fillRect(Math.floor(p / height), y, 1, length);
      p += length;
      left -= length;
    }
    position += count;
    inside = !inside;
  }
}

function cell(content, numeric) {
  const td = document.createElement("td");
  if (numeric) td.className = "n";
  td.append(content);
  return td;
}

function line(name, number, style, share) {
  const tr = document.createElement("tr"), label = document.createElement("span");
  if (style) {
    const chip = document.createElement("span");
    chip.className = "chip";
    chip.style.background = style;
    label.append(chip);
  }
  label.append(name);
  tr.append(cell(label), cell(number, true));
  if (share !== undefined) {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.style.width = 100 * share + "%";
    const td = cell(bar);
    td.style.width = "40%";
    tr.append(td);
  }
  return tr;
}

async function draw() {
  const canvas = at("canvas"), context = canvas.getContext("2d"), image = answer.images[0];
  const width = photo.bitmap.width, height = photo.bitmap.height, long = Math.max(width, height);
  const scale = Math.max(1, Math.round(480 / long));  // small pictures are enlarged
  canvas.hidden = false;
  canvas.width = width * scale;
  canvas.height = height * scale;
  context.scale(scale, scale);  // from here on in pixels of the photo
  context.drawImage(photo.bitmap, 0, 0);
  const table = document.createElement("table");
  if (answer.task === "classify") {
    for (const p of image.predictions) {
      table.append(line(p.label, (100 * p.prob).toFixed(1) + " %", null, p.prob));
    }
    if (image.unsure) table.append(line("The model is unsure.", ""));
  } else if (answer.task === "detect") {
    const least = Number(at("threshold").value);
    const size = Math.max(12 / scale, long / 45);
    context.lineWidth = size / 7;
    context.font = size + "px system-ui, sans-serif";
    context.textBaseline = "top";
    const objects = image.detections.filter(d => d.score >= least);
    for (const d of objects) {
      if (!d.segmentation) continue;
      context.globalAlpha = 0.45;
      paintMask(context, d.segmentation, color(d.category_id));
      context.globalAlpha = 1;
    }
    for (const d of objects) {
      const [x, y, w, h] = d.bbox, text = d.label + " " + d.score.toFixed(2);
      context.strokeStyle = context.fillStyle = color(d.category_id);
      context.strokeRect(x, y, w, h);
      const top = Math.max(0, y - size * 1.2);
      context.fillRect(x, top, context.measureText(text).width + size / 2, size * 1.2);
      context.fillStyle = "#fff";
      context.fillText(text, x + size / 4, top + size / 8);
      table.append(line(d.label, d.score.toFixed(3), color(d.category_id)));
    }
    if (objects.length === 0) table.append(line("No objects of this score.", ""));
  } else {
    const png = await createImageBitmap(await (await fetch("data:image/png;base64," + image.label_map)).blob());
    context.globalAlpha = 0.55;
    context.imageSmoothingEnabled = false;
    context.drawImage(png, 0, 0, width, height);
    context.globalAlpha = 1;
    for (const c of image.classes) {
      table.append(line(c.label, (100 * c.share).toFixed(1) + " %", c.color));
    }
  }
  const note = document.createElement("p");
  note.textContent = image.width ? image.width + " x " + image.height + ", " : "";
  note.textContent += (1000 * answer.seconds).toFixed(0) + " ms on the server";
  at("side").replaceChildren(table, note);
}

async function take(blob) {
  if (!blob) return;
  try {
    photo = { blob, bitmap: await createImageBitmap(blob) };
    await run();
  } catch (error) { show("This file is no picture that the browser can show."); }
}

const drop = at("drop");
drop.onclick = () => at("file").click();
drop.onkeydown = event => { if (event.key === "Enter" || event.key === " ") at("file").click(); };
at("file").onchange = event => take(event.target.files[0]);
document.ondragover = event => { event.preventDefault(); drop.classList.add("over"); };
document.ondragleave = () => drop.classList.remove("over");
document.ondrop = event => {
  event.preventDefault();
  drop.classList.remove("over");
  take(event.dataTransfer.files[0]);
};
document.onpaste = event => take([...event.clipboardData.files][0]);
at("model").onchange = run;
at("key").onchange = loadModels;
at("threshold").oninput = () => {
  at("value").textContent = Number(at("threshold").value).toFixed(2);
  if (answer) draw();
};
loadModels();
</script>
</body>
</html>
)html";

}  // namespace

HttpReply page_reply() {
  HttpReply reply;
  reply.type = "text/html; charset=utf-8";
  reply.body = kPage;
  reply.headers = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
       "img-src data: blob:; connect-src 'self' data:; base-uri 'none'; form-action 'none'; "
       "frame-ancestors 'none'"},
      {"Referrer-Policy", "no-referrer"}};
  return reply;
}

}  // namespace asmlp::server
