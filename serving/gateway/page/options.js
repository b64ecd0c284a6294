// The form of options.

import { find, make, toggle } from "./dom.js";

let served = [];

/** Offer these models, the default one first chosen; call `changed` at every change. */
export function offer(models) {
  const select = find("model");
  const chosen = select.value || models.find((model) => model.default)?.name;
  served = models;
  select.replaceChildren(...models.map(({ name }) => make("option", { value: name }, name)));
  if (chosen) select.value = chosen;
  toggle(models.length > 1, "model-field");
  adapt();
}

export function listen(changed) {
  find("options").addEventListener("input", () => {
    adapt();
    changed();
  });
}

/** The query parameters that the form stands for, but for `attention`. */
export function chosen() {
  const aligned = find("aligned").checked;
  const common = { aligned, model: find("model").value, match_colour: find("match-colour").checked };
  if (aligned) return common;
  const confidence = Number(find("min-confidence").value) / 100;
  return { ...common, upscale: upscale(), min_confidence: confidence || null };
}

/** Whether the model of this name can show where it looks. */
export function hasAttention(name) {
  return named(name)?.attention === true;
}

/** Take the picture as one face from now on. */
export function setAligned() {
  find("aligned").checked = true;
  adapt();
}

function named(wanted) {
  return served.find(({ name }) => name === wanted);
}

function upscale() {
  return Number(find("options").elements.upscale.value);
}

function adapt() {
  const side = named(find("model").value)?.side;
  find("model-hint").textContent = side ? `Restores a face at ${side} × ${side} pixels.` : "";
  find("min-confidence-value").textContent = `${find("min-confidence").value} %`;
  find("photograph-options").disabled = find("aligned").checked;
}
