// Requests to the gateway.

const MOST_TRIES = 5;
const MOST_PATIENCE = 60;

/** A refusal, or with status 0 no answer at all. `retryAfter` is in seconds, or null. */
export class Problem extends Error {
  constructor(status, detail = "", requestId = "", retryAfter = null) {
    super(detail);
    Object.assign(this, { status, detail, requestId, retryAfter });
  }
}

/** The models that this key may use. */
export async function models(key) {
  const answer = await fetched("/v1/models", { headers: authorization(key) });
  return (await answer.json()).models;
}

/** The sample photograph. */
export async function sample() {
  const answer = await fetched("/page/sample.png");
  return new File([await answer.blob()], "astronaut.png", { type: "image/png" });
}

/**
 * Send a picture and return the gateway's JSON. A busy server is asked again when it says so.
 * watch: signal; uploading(fraction); waiting(seconds) before each new try.
 */
export async function restore(file, wishes, key, watch) {
  for (let tries = 1; ; tries++) {
    try {
      return await send(file, wishes, key, watch);
    } catch (problem) {
      if (tries === MOST_TRIES || !canWait(problem)) throw problem;
      watch.waiting(problem.retryAfter);
      await pause(problem.retryAfter * 1000, watch.signal);
    }
  }
}

function canWait({ retryAfter }) {
  return Number.isFinite(retryAfter) && retryAfter <= MOST_PATIENCE;
}

function send(file, wishes, key, { signal, uploading }) {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far an upload is
    const stop = () => request.abort();
    request.open("POST", address(wishes));
    request.responseType = "json";
    const headers = {
      ...authorization(key),
      Accept: "application/json, image/png;q=0.5",
      "Content-Type": "application/octet-stream",
    };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => uploading(total ? loaded / total : 1);
    request.upload.onload = () => uploading(1);
    request.onload = () => {
      if (request.status === 200 && request.response) resolve(request.response);
      else reject(refusal(request.status, request.response, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new Problem(0));
    request.onabort = () => reject(cancelled());
    request.onloadend = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    request.send(file);
  });
}

function address({ aligned, ...options }) {
  const given = Object.entries(options).filter(([, value]) => value !== null && value !== false);
  return `${aligned ? "/v1/faces" : "/v1/enhance"}?${new URLSearchParams(given)}`;
}

async function fetched(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Problem(0);
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => null);
  throw refusal(answer.status, body, answer.headers.get("Retry-After"));
}

function refusal(status, body, retryAfter) {
  const seconds = retryAfter === null ? null : Number(retryAfter);
  return new Problem(status, body?.detail, body?.request_id, seconds);
}

function authorization(key) {
  return { Authorization: `Bearer ${key}` };
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(cancelled());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

function cancelled() {
  return new DOMException("cancelled", "AbortError");
}
