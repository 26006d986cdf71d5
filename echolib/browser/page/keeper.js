// Keeping what is drawn: it is sent to Python until Python has said that it is kept. Until then it
// also lies in the store of the web browser, where there is one, and outlives a page that is closed.

const SEND_WITHIN = 400; // ms from a change until it is sent
const ANSWER_WITHIN = 4000; // ms from sending until the page says that there is no answer
const SEND_AGAIN = 5000; // ms from the first failure to the next attempt, twice as long each time
const SELDOM = 60_000; // ms between two attempts at most: a busy kernel gets all of them in the end

class Keeper {
  // send(message): to Python, or null in a page without.
  constructor(send) {
    this.send = send;
    this.listeners = new Set(); // functions that are called when the state changes
    this.waiting = new Map(); // edits by clip that are not kept yet
    this.failure = ""; // why not, as a sentence
    this.attempts = 0; // that have failed
    this.serial = 0;
    this.sent = null; // serials and clips of the messages without an answer
    this.timers = {};
  }

  tell() {
    for (const listener of this.listeners) listener();
  }

  changed(edits) {
    this.waiting.set(edits.name, edits);
    if (this.send) this.later("send", SEND_WITHIN, () => this.sendAll());
    else this.later("store", SEND_WITHIN, () => this.storeAll());
    this.tell();
  }

  // Do something once, unless it is waiting already.
  later(name, time, act) {
    this.timers[name] ??= setTimeout(() => {
      delete this.timers[name];
      act();
    }, time);
  }

  stopWaiting(name) {
    clearTimeout(this.timers[name]);
    delete this.timers[name];
  }

  storeAll() {
    for (const edits of this.waiting.values()) {
      storeText(keyOf(edits), JSON.stringify({ document: edits.document(false), saved: false }));
    }
    this.tell();
  }

  sendAll() {
    this.storeAll();
    this.stopWaiting("again");
    this.sent = new Map();
    for (const edits of this.waiting.values()) {
      this.serial += 1;
      this.sent.set(this.serial, edits.name);
      try {
        this.send({ kind: "correction", serial: this.serial, document: edits.document() });
      } catch (error) {
        this.fail(`the connection to Python is broken (${error.message}).`);
      }
    }
    this.later("answer", ANSWER_WITHIN, () => this.fail("Python is busy, or has ended."));
  }

  fail(reason) {
    this.failure = reason;
    this.later("again", Math.min(SEND_AGAIN * 2 ** this.attempts, SELDOM), () => {
      this.attempts += 1;
      this.sendAll();
    });
    this.tell();
  }

  // An answer of Python's. A clip that changed after the message was sent goes on waiting.
  receive({ kind, serial, reason }) {
    const clip = this.sent?.get(serial);
    if (clip === undefined) return;
    this.sent.delete(serial);
    this.stopWaiting("answer");
    if (kind === "not kept") {
      this.fail(reason);
      return;
    }
    this.failure = "";
    this.attempts = 0;
    this.stopWaiting("again");
    if (!this.timers.send && this.waiting.has(clip)) this.isSafe(this.waiting.get(clip));
    this.tell();
  }

  // What Python keeps is taken out of the store; what is not possible is not sent, and stays there
  // until it has been mended.
  isSafe(edits) {
    this.waiting.delete(edits.name);
    if (!edits.wrong.length) storeText(keyOf(edits), null);
  }

  // Let the reader save a clip's corrections as a file.
  download(edits) {
    const text = JSON.stringify(edits.document(), null, 1);
    saveFile(new Blob([text], { type: "application/json" }), fileName(`${edits.name} corrections.json`));
    if (!this.send) { // a file may get lost: the store keeps it, too, and the page goes on from there
      this.waiting.delete(edits.name);
      storeText(keyOf(edits), JSON.stringify({ document: edits.document(false), saved: true }));
    }
    this.tell();
  }

  // At the end of the last view: whatever still waits is sent or stored now.
  close() {
    if (this.waiting.size && this.send) this.sendAll();
    this.storeAll();
    for (const name of Object.keys(this.timers)) this.stopWaiting(name);
  }
}

// Pages that are opened from a disk or from one server share the store, and machines give the clips of
// many patients one name: the digest of the frames tells them apart.
const keyOf = ({ name, digest, count, height, width, start }) =>
  `echolib correction of ${name} (${digest}), ${count} frames of ${height} x ${width}, `
    + `by ${start.annotator}${start.exported ? ", in a page" : ""}`;

// Whether the store could be used: a page in a frame or a private window may have none.
function storeText(key, text) {
  try {
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}

// What lies in the store about a clip: {document, saved}, saved: whether as a file, too; or null, also
// if more time has been spent on what Python has, as in another web browser since.
function storedEdits(content, start) {
  const [count, height, width] = content.shape;
  try {
    const key = keyOf({ name: content.clip, digest: content.digest, count, height, width, start });
    const stored = JSON.parse(localStorage.getItem(key));
    const isUsable = stored?.document?.format === FORMAT
      && stored.document.seconds >= (start.document?.seconds ?? 0);
    return isUsable ? stored : null;
  } catch {
    return null;
  }
}
