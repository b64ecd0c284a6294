// What a person is told.

const READABLE = "JPEG, PNG, WebP, BMP, TIFF and GIF can be read.";
const CAUSES = {
  408: () => ["The picture did not arrive in time", "Try again on a faster connection."],
  413: (detail) => ["The picture is too large", sentence(detail)],
  415: () => ["This file is not a picture", READABLE],
  422: (detail) => ["The picture cannot be used", sentence(detail)],
  429: () => ["The server is busy", "Try again in a minute."],
  500: () => ["The model failed on this picture", "Try another photograph."],
  503: (detail) => ["The server is not ready", `${sentence(detail)} Try again in a minute.`.trim()],
  504: () => ["The server took too long", "Try again, or take a smaller picture."],
};

/** A title and a line of advice for a Problem. */
export function explained({ status, detail }) {
  if (isFaceless({ status, detail })) {
    return ["No face was found", "If the whole picture is one face, it can be restored as such."];
  }
  if (status === 0) {
    return ["The server cannot be reached", "See that it runs and that you are connected; then try again."];
  }
  const cause = CAUSES[status] ?? (() => ["Something went wrong", sentence(detail)]);
  return cause(detail);
}

/** Whether the picture was refused because no face was found in it. */
export function isFaceless({ status, detail }) {
  return status === 422 && /\bno face was found\b/i.test(detail);
}

/** "2 faces restored". */
export function restored(count) {
  return count === 1 ? "1 face restored" : `${count} faces restored`;
}

/** "92 %", or null where nothing was judged. */
export function percent(confidence) {
  return typeof confidence === "number" ? `${Math.round(confidence * 100)} %` : null;
}

/** What stands in the list for a face: its confidence, and what keeps a low one down. */
export function judged({ confidence, reason }) {
  const figure = percent(confidence);
  if (figure === null) return "the whole picture";
  return reason && confidence < 0.8 ? `${figure}, ${reason}` : figure;
}

/** "holiday.jpeg" restored as PNG is "holiday-restored.png". */
export function restoredName(name, mediaType) {
  const stem = name.replace(/\.[^.]*$/, "") || "picture";
  const ending = mediaType.split("/")[1].replace("jpeg", "jpg");
  return `${stem}-restored.${ending}`;
}

function sentence(text) {
  const trimmed = (text ?? "").trim();
  if (!trimmed) return "";
  const grouped = trimmed.replace(/\d{5,}/g, (digits) => Number(digits).toLocaleString("en"));
  const ended = /[.!?]$/.test(grouped) ? grouped : `${grouped}.`;
  return ended[0].toUpperCase() + ended.slice(1);
}
