const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const ROLES = ["teacher", "student"];
const FIRST_IMAGES = 20;
const NEIGHBOURS = 8;
const BARS = 10;

// Labels and logits

function decode(base64, type) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new type(bytes.buffer);
}

const labels = decode(data.labels, Uint16Array);
const logits = {};
for (const role of ROLES) {
  const { steps, scale } = data.logits[role];
  logits[role] = Float32Array.from(decode(steps, Int16Array), (n) => n * scale);
}
const width = data.classes.length;
const row = (role, i) => logits[role].subarray(i * width, (i + 1) * width);

function softmax(values, temperature) {
  const largest = Math.max(...values);
  const powers = Array.from(values, (z) => Math.exp((z - largest) / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

function similarity(role, temperature) {
  const sums = data.classes.map(() => new Float64Array(width));
  const counts = new Float64Array(width);
  labels.forEach((label, i) => {
    counts[label] += 1;
    softmax(row(role, i), temperature).forEach((p, j) => (sums[label][j] += p));
  });
  return sums.map((sum, label) => sum.map((p) => p / Math.max(counts[label], 1)));
}

function nearest(values) {
  const mean = values.reduce((a, b) => a + b) / width;
  const distances = Array.from(labels, (_, i) => {
    const other = row("student", i);
    return other.reduce((sum, z, j) => sum + (z - values[j] + mean) ** 2, 0);
  });
  const order = distances.map((_, i) => i);
  return order.sort((a, b) => distances[a] - distances[b]).slice(0, NEIGHBOURS);
}

// Cards: an image with the softened predictions of one model or both

const top = (values) => values.indexOf(Math.max(...values));
const percent = (p) => `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)}\u00a0%`;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function makeCard(content, { label, logits: of }) {
  const card = byId("card").content.firstElementChild.cloneNode(true);
  const roles = ROLES.filter((role) => role in of);
  card.querySelector(".image").append(content);
  const lines = card.querySelector("dl");
  const line = (term) => {
    const value = element("dd");
    lines.append(element("div", {}, term, value));
    return value;
  };
  if (label !== undefined) {
    line(element("dt", { textContent: "label" })).textContent = data.classes[label];
  }
  const predicted = roles.map((role) => line(
    element("dt", {}, element("span", { className: `role ${role}`, textContent: role })),
  ));
  const order = Array.from(of[roles[0]].keys());
  const shown = order
    .sort((a, b) => of[roles[0]][b] - of[roles[0]][a])
    .slice(0, BARS)
    .sort((a, b) => a - b);
  const bars = card.querySelector(".bars");
  const fills = shown.map((i) => {
    const parts = roles.map((role) => element("div", { className: `fill ${role}` }));
    const name = element("span", { textContent: data.classes[i], title: data.classes[i] });
    if (i === label) name.className = "label";
    const track = element("div", { className: "track" }, ...parts);
    bars.append(element("div", { className: "bar" }, name, track));
    return parts;
  });
  const update = (temperature) => {
    const words = roles.map((role, k) => {
      const soft = softmax(of[role], temperature);
      shown.forEach((i, j) => fills[j][k].style.setProperty("--p", soft[i].toFixed(5)));
      predicted[k].textContent = `${data.classes[top(soft)]} ${percent(soft[top(soft)])}`;
      const each = shown.map((i) => `${data.classes[i]} ${percent(soft[i])}`);
      return `${role}: ${each.join(", ")}`;
    });
    bars.setAttribute("aria-label", words.join(". "));
  };
  return { card, update };
}

function makeImage(src, label, index) {
  const alt = `Test image ${index}, ${data.classes[label]}`;
  return element("img", { src, alt, loading: "lazy" });
}

const gallery = data.images.map((image) => ({
  ...image,
  ...makeCard(makeImage(image.src, image.label, image.index), image),
}));
for (const { card, index } of gallery) card.dataset.index = index;
let panelCards = [];
let allShown = false;

// The class-similarity maps

const maps = ROLES.map((role) => {
  const table = byId(`map-${role}`);
  const head = element("tr", {}, element("td"));
  const cells = data.shown.map((i) => {
    const title = element("span", { textContent: data.classes[i] });
    head.append(element("th", { scope: "col" }, title));
    const name = element("th", { scope: "row", textContent: data.classes[i] });
    const line = element("tr", {}, name);
    table.tBodies[0].append(line);
    return data.shown.map((j) => {
      const cell = element("td", { className: i === j ? "diagonal" : "" });
      line.append(cell);
      return cell;
    });
  });
  table.tHead.append(head);
  return { role, cells };
});
if (labels.length < data.total) {
  byId("map-count").textContent = `, of the first ${labels.length} test images`;
}

function updateMaps(temperature) {
  for (const { role, cells } of maps) {
    const means = similarity(role, temperature);
    data.shown.forEach((i, a) => data.shown.forEach((j, b) => {
      const p = means[i][j];
      cells[a][b].style.setProperty("--p", Math.sqrt(p).toFixed(4));
      cells[a][b].textContent = (100 * p).toFixed(p < 0.0995 ? 1 : 0);
    }));
  }
}

// The temperature and the order

const slider = byId("temperature");
const temperature = () => Number(slider.value);
let updateRequested = false;

function update() {
  const t = temperature();
  updateRequested = false;
  for (const { update: updateCard } of [...gallery, ...panelCards]) updateCard(t);
  updateMaps(t);
}

function showTemperature() {
  byId("temperature-value").textContent = temperature().toFixed(1);
  slider.setAttribute("aria-valuetext", `T = ${temperature().toFixed(1)}`);
}

function sortGallery() {
  const t = temperature();
  const key = {
    class: ({ label }) => label,
    confidence: ({ logits: of }) => Math.max(...softmax(of.teacher, t)),
    disagreement: ({ logits: of }) => {
      const student = softmax(of.student, t);
      return -softmax(of.teacher, t).reduce((sum, p, i) => sum + Math.abs(p - student[i]), 0);
    },
  }[byId("sort").value];
  const keys = new Map(gallery.map((entry) => [entry, key(entry)]));
  gallery.sort((a, b) => keys.get(a) - keys.get(b) || a.index - b.index);
  byId("gallery").replaceChildren(...gallery.map(({ card }) => card));
  gallery.forEach(({ card }, i) => (card.hidden = !allShown && i >= FIRST_IMAGES));
}

slider.addEventListener("input", () => {
  showTemperature();
  // Once a frame, however fast the slider moves.
  if (!updateRequested) requestAnimationFrame(update);
  updateRequested = true;
});
// Only after the slider is released, so that no card moves while it is read.
slider.addEventListener("change", sortGallery);
byId("sort").addEventListener("change", sortGallery);
document.querySelector(".temperature").addEventListener("submit", (e) => e.preventDefault());
byId("training-temperature").addEventListener("click", () => {
  slider.value = data.temperature;
  slider.dispatchEvent(new Event("input"));
  sortGallery();
});
const more = byId("more");
more.hidden = gallery.length <= FIRST_IMAGES;
more.addEventListener("click", () => {
  allShown = !allShown;
  more.setAttribute("aria-expanded", allShown);
  more.textContent = allShown ? "Show fewer images" : "Show all images";
  sortGallery();
});
showTemperature();
sortGallery();
update();

// The try-it panel, if the page is served with the runtime

const [height, across, channels] = data.imageShape;
let session; // a promise

function addScript(src) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src, onload: resolve });
    script.onerror = () => reject(new Error(`${src} cannot be loaded`));
    document.head.append(script);
  });
}

async function startSession() {
  await addScript("runtime/ort.wasm.min.js");
  ort.env.wasm.wasmPaths = new URL("runtime/", location.href).href;
  // More threads need headers that isolate the page.
  ort.env.wasm.numThreads = 1;
  return ort.InferenceSession.create("student.onnx");
}

/** Resizes the centre of the source to the model's size, on a canvas. */
function shrink(source, sourceWidth, sourceHeight) {
  const canvas = element("canvas", { width: across, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const scale = Math.max(across / sourceWidth, height / sourceHeight);
  const [w, h] = [sourceWidth * scale, sourceHeight * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(source, (across - w) / 2, (height - h) / 2, w, h);
  return canvas;
}

function tensorOf(canvas) {
  const context = canvas.getContext("2d");
  const rgba = context.getImageData(0, 0, across, height).data;
  const values = new Uint8Array(height * across * channels);
  for (let i = 0; i < height * across; i += 1) {
    const [r, g, b] = rgba.subarray(4 * i, 4 * i + 3);
    if (channels === 1) values[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    else values.set([r, g, b], 3 * i);
  }
  return new ort.Tensor("uint8", values, [1, height, across, channels]);
}

async function classify(canvas, label) {
  session ??= startSession();
  const model = await session;
  const feeds = { [model.inputNames[0]]: tensorOf(canvas) };
  const outputs = (await model.run(feeds))[model.outputNames[0]].data;
  // A single logit is that of class 1 of two.
  const values = outputs.length === 1 ? [0, outputs[0]] : outputs;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "The image at the student's size");
  const predicted = makeCard(canvas, { label, logits: { student: Array.from(values) } });
  byId("prediction").replaceChildren(...predicted.card.children);
  const found = nearest(Array.from(values)).map((i) => makeCard(
    makeImage(`images/${i}.png`, labels[i], i),
    { label: labels[i], logits: { teacher: row("teacher", i), student: row("student", i) } },
  ));
  byId("neighbours").replaceChildren(...found.map(({ card }) => card));
  byId("nearest").hidden = false;
  panelCards = [predicted, ...found];
  for (const { update: updateCard } of panelCards) updateCard(temperature());
  byId("verdict").textContent = `Prediction: ${data.classes[top(Array.from(values))]}`;
}

/** Classifies the canvas that `makeCanvas` returns, or shows the error. */
async function show(makeCanvas, label) {
  byId("verdict").textContent = "…";
  try {
    await classify(await makeCanvas(), label);
  } catch (error) {
    byId("verdict").textContent = `Error: ${error.message}`;
  }
}

function showFile(file, label) {
  return show(async () => {
    const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    return shrink(bitmap, bitmap.width, bitmap.height);
  }, label);
}

function startFiles() {
  const drop = byId("drop");
  byId("file").addEventListener("change", (event) => {
    if (event.target.files.length) showFile(event.target.files[0]);
  });
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) showFile(event.dataTransfer.files[0]);
  });
  byId("random").addEventListener("click", async () => {
    const i = Math.floor(Math.random() * labels.length);
    const response = await fetch(`images/${i}.png`);
    showFile(await response.blob(), labels[i]);
  });
}

/** Fits the drawing into 20 of 28 pixels, centred by mass, as in MNIST. */
function centred(drawing) {
  const { width: w, height: h } = drawing;
  const rgba = drawing.getContext("2d").getImageData(0, 0, w, h).data;
  let [left, right, above, below, mass, sumX, sumY] = [w, 0, h, 0, 0, 0, 0];
  for (let i = 0; i < w * h; i += 1) {
    const ink = rgba[4 * i];
    if (!ink) continue;
    const [x, y] = [i % w, Math.floor(i / w)];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [above, below] = [Math.min(above, y), Math.max(below, y)];
    mass += ink;
    sumX += ink * x;
    sumY += ink * y;
  }
  const canvas = element("canvas", { width: across, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillRect(0, 0, across, height);
  if (!mass) return canvas;
  const size = (20 / 28) * Math.min(across, height);
  const scale = size / Math.max(right - left + 1, below - above + 1);
  const [x, y] = [across / 2 - (sumX / mass) * scale, height / 2 - (sumY / mass) * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(drawing, x, y, w * scale, h * scale);
  return canvas;
}

function startDrawing() {
  const drawing = byId("drawing");
  const context = drawing.getContext("2d", { willReadFrequently: true });
  const place = (event) => {
    const box = drawing.getBoundingClientRect();
    const scale = drawing.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  const clear = () => context.fillRect(0, 0, drawing.width, drawing.height);
  clear();
  Object.assign(context, { lineWidth: 22, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
  let last = null;
  drawing.addEventListener("pointerdown", (event) => {
    drawing.setPointerCapture(event.pointerId);
    last = place(event);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...next);
    context.stroke();
    last = next;
  });
  drawing.addEventListener("pointerup", () => {
    last = null;
    show(() => centred(drawing));
  });
  byId("clear").addEventListener("click", clear);
}

if ("served" in document.documentElement.dataset) {
  startFiles();
  if (byId("drawing")) startDrawing();
}
