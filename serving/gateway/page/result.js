// A restored picture: compared, outlined, told in words, and ready to be kept.

import { find, make, makeSvg, toggle } from "./dom.js";
import { judged, percent, restored, restoredName } from "./words.js";

const LEAST_WIDTH = 480; // CSS pixels; a smaller picture is enlarged to it
const ROOM_FOR_FIGURE = 0.09; // of the picture's width
const ROOM_ABOVE = 0.08; // of its height

let addresses = [];

/** An image element that has decoded this blob, or null where the browser cannot. */
export async function decoded(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
    return image;
  } catch {
    URL.revokeObjectURL(image.src);
    return null;
  }
}

/**
 * Show the gateway's JSON `answer` for `file`.
 * before: its decoded image, or null; upscale: how much larger the answer is; seconds: it took.
 */
export async function show(answer, { file, before, upscale, seconds }) {
  const picture = blobOf(answer.picture.base64, answer.picture.media_type);
  const after = await decoded(picture);
  clear();
  addresses = [before, after].filter(Boolean).map((image) => image.src);
  compare(before, after);
  const seen = before ?? { naturalWidth: after.naturalWidth / upscale, naturalHeight: after.naturalHeight / upscale };
  outline(answer.faces, seen.naturalWidth, seen.naturalHeight);
  tell(answer, after, seconds);
  list(answer);
  showAttention(answer.attention);
  offerDownload(after.src, restoredName(file.name, answer.picture.media_type));
}

/** Forget the pictures that are shown. */
export function clear() {
  for (const address of addresses) URL.revokeObjectURL(address);
  addresses = [];
}

/** Follow the slider and the switch of the outlines. */
export function listen() {
  find("slider").addEventListener("input", place);
  find("outlines-switch").addEventListener("change", showOutlines);
}

/** Show or hide what the answer told about attention. */
export function showAttentionPart(shown) {
  toggle(shown && find("sheets").childElementCount > 0, "attention");
}

function compare(before, after) {
  const frame = find("compare");
  after.alt = "The restored photograph";
  after.className = "after";
  frame.querySelectorAll("img").forEach((image) => image.remove());
  if (before) {
    before.alt = "The photograph as it was";
    before.className = "before";
    frame.prepend(before);
  }
  frame.prepend(after);
  frame.style.setProperty("--ratio", after.naturalWidth / after.naturalHeight);
  frame.style.setProperty("--widest", `${Math.max(LEAST_WIDTH, after.naturalWidth)}px`);
  toggle(before !== null, "slider", "divider", "tag-before");
  toggle(before === null, "no-before");
  find("slider").value = 50;
  place();
}

function place() {
  const slider = find("slider");
  const share = Math.round(slider.value);
  find("compare").style.setProperty("--at", `${slider.value}%`);
  slider.setAttribute("aria-valuetext", `${share} % before, ${100 - share} % after`);
}

function outline(faces, width, height) {
  const found = faces.filter((face) => percent(face.confidence) !== null);
  const shapes = found.map((face, index) => outlined(face, index + 1, width, height));
  find("outlines").replaceChildren(...shapes);
  toggle(found.length > 0, "outlines-label");
  showOutlines();
}

function showOutlines() {
  const shown = find("outlines-switch").checked;
  find("outlines").classList.toggle("off", !shown);
}

function outlined({ box: [left, top, right, bottom], confidence }, number, width, height) {
  const share = (value) => `${value * 100}%`;
  const [x, y, wide] = [left / width, top / height, (right - left) / width];
  const sides = { x: share(x), y: share(y), width: share(wide), height: share((bottom - top) / height), rx: 6 };
  const words = wide < ROOM_FOR_FIGURE ? `${number}` : `${number} · ${percent(confidence)}`;
  return makeSvg(
    "g",
    {},
    makeSvg("rect", { ...sides, class: "halo" }),
    makeSvg("rect", { ...sides, class: "line" }),
    label(words, share(Math.max(0, x)), share(Math.max(0, y)), y < ROOM_ABOVE),
  );
}

function label(words, x, y, inside) {
  const wide = 16 + words.length * 7;
  return makeSvg(
    "svg",
    { x, y, overflow: "visible" },
    makeSvg(
      "g",
      { transform: inside ? "translate(6 6)" : "translate(0 -28)" },
      makeSvg("rect", { width: wide, height: 22, rx: 6, class: "plate" }),
      makeSvg("text", { x: wide / 2, y: 15.5, "text-anchor": "middle" }, words),
    ),
  );
}

function tell({ faces, model, version }, after, seconds) {
  find("result-title").textContent = restored(faces.length);
  find("model-name").textContent = model;
  find("version").textContent = version;
  find("size").textContent = `${after.naturalWidth} × ${after.naturalHeight} pixels`;
  find("seconds").textContent = `${seconds.toFixed(1)} s`;
}

function list({ faces, left }) {
  const rows = faces.map((face, index) => row(`Face ${index + 1}`, judged(face)));
  const kept = (left ?? []).map((face) => row("Left as it was", judged(face)));
  find("faces").replaceChildren(...rows, ...kept);
}

function row(name, words) {
  return make("li", {}, make("span", {}, name), make("span", { class: "figure" }, words));
}

function showAttention(sheets) {
  const shown = (sheets ?? []).flatMap((sheet, index) => (sheet ? [figure(sheet, index + 1)] : []));
  find("sheets").replaceChildren(...shown);
}

function figure(base64, number) {
  const address = URL.createObjectURL(blobOf(base64, "image/png"));
  addresses.push(address);
  const alt = `Attention maps of face ${number}, one for each unit of the network`;
  return make("figure", {}, make("img", { src: address, alt }), make("figcaption", {}, `Face ${number}`));
}

function offerDownload(address, name) {
  const link = find("download");
  link.href = address;
  link.download = name;
}

function blobOf(base64, type) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type });
}
