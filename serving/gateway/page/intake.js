// Ways in for a photograph: chosen, dropped anywhere, pasted.

import { find } from "./dom.js";

/** Call `take` with each file that comes. */
export function listen(take) {
  const chooser = find("file");
  chooser.addEventListener("change", () => {
    const [file] = chooser.files;
    chooser.value = ""; // the same file may be chosen again
    if (file) take(file);
  });
  document.addEventListener("paste", (event) => takeFrom(event.clipboardData, take, event));
  listenToDrops(take);
}

function listenToDrops(take) {
  let depth = 0; // dragleave comes for every child, too
  const over = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => carries(event) && over(1));
  addEventListener("dragleave", (event) => carries(event) && over(-1));
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    over(-depth);
    takeFrom(event.dataTransfer, take, event);
  });
}

function takeFrom(transfer, take, event) {
  const file = transfer?.files[0];
  if (!file) return;
  event.preventDefault();
  take(file);
}
