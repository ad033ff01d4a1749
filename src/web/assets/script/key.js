// The API key of a server that asks for one: kept as long as the tab is open, sent with every request to this server.

import { byId, showFault } from "./dom.js";

const KEY = "marketrank.key";
const dialog = byId("key-dialog");
const button = byId("key");
let key = stored();
let asking = null;
let declined = false;

/** Headers that say who asks. */
export function authorization() {
  return key ? { authorization: `Bearer ${key}` } : {};
}

/**
 * Asks the visitor for a key after an answer of 401; resolves to whether there is a new one. Requests that are refused at
 * once share one question, and who declined is not asked again until the button in the head of the page is pressed.
 */
export function askForKey(sentence) {
  button.hidden = false;
  if (declined) return Promise.resolve(false);
  asking ??= new Promise((resolve) => {
    showFault(byId("key-fault"), key ? sentence : null);
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      asking = null;
      declined = dialog.returnValue !== "given";
      resolve(!declined);
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/** `again` is called when a key was given by way of the button. */
export function startKey(again) {
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    key = byId("key-field").value.trim();
    byId("key-field").value = "";
    try {
      sessionStorage.setItem(KEY, key);
    } catch {
      // Storage may be forbidden; then it lasts until the page is left.
    }
    dialog.close(key ? "given" : "");
  });
  byId("key-decline").addEventListener("click", () => dialog.close(""));
  button.addEventListener("click", async () => {
    declined = false;
    if (await askForKey(null)) again();
  });
}

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
