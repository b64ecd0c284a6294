// The key: from the address' fragment, which reaches no server, or from a field; kept by this tab.

const STORED = "sparnet-key";

/** The key that was given with `#key=`, which leaves the address bar, or the one kept; or null. */
export function present() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given !== null) {
    history.replaceState(null, "", location.pathname + location.search);
    keep(given);
  }
  return sessionStorage.getItem(STORED);
}

/** Keep what was pasted, be it the bare key or the whole header line; false for no key at all. */
export function keep(text) {
  const key = text.trim().replace(/^(authorization:\s*)?bearer\s+/i, "");
  if (!/^[\x21-\x7e]+$/.test(key)) return false;
  sessionStorage.setItem(STORED, key);
  return true;
}

export function forget() {
  sessionStorage.removeItem(STORED);
}
