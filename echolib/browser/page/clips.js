// The list of clips: search by words, step through what was found.

const FOUND_AT_ONCE = 50; // names listed below the search
const LATE = 5000; // ms after which a clip that is still being opened is spoken of

class ClipList {
  // page: of controls.js; notes: what search also finds; current(): name of the clip that is
  // open; open(name): is called with the name of the clip to open.
  constructor(page, names, notes, current, open) {
    Object.assign(this, { page, names, current });
    this.texts = names.map((name, number) => `${name} ${notes[number]}`.toLowerCase());
    this.notes = notes;
    this.chosen = 0; // in the list of a search
    this.open = (name) => {
      this.list(false);
      if (name === current()) return;
      this.say(`opening ${name} …`);
      this.late = setTimeout(
        () => this.say(`still opening ${name}: Python is busy with it, or has ended`), LATE);
      open(name);
    };
    page.clips.hidden = page.place.hidden = names.length < 2;
    page.search.placeholder = `search ${names.length} clips`;
    page.search.addEventListener("focus", () => this.list(true));
    page.search.addEventListener("blur", () => this.list(false));
    page.search.addEventListener("input", () => {
      this.chosen = 0;
      this.list(true);
    });
    page.search.addEventListener("keydown", (event) => this.key(event));
  }

  // Numbers of the clips in whose name and notes all words of the search occur.
  found() {
    const words = this.page.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return this.texts.flatMap((text, number) =>
      (words.every((word) => text.includes(word)) ? [number] : []));
  }

  step(by) {
    const list = this.found();
    const now = this.names.indexOf(this.current());
    const at = list.indexOf(now);
    let next = list[(at + by + list.length) % list.length];
    if (at < 0) { // not among those found: go on from its place in the whole list
      next = by > 0 ? list.find((number) => number > now) ?? list[0]
        : list.filter((number) => number < now).at(-1) ?? list.at(-1);
    }
    if (next === undefined || next === now) this.say("no other clip is found by this search");
    else this.open(this.names[next]);
  }

  say(text) {
    clearTimeout(this.late);
    this.page.place.textContent = text;
  }

  showPlace() {
    this.say(`${this.names.indexOf(this.current()) + 1} of ${this.names.length}`);
  }

  list(open) {
    const { matches, search } = this.page;
    matches.hidden = !open;
    search.setAttribute("aria-expanded", open);
    if (!open) return;
    const found = this.found();
    const listed = found.slice(0, FOUND_AT_ONCE);
    this.chosen = Math.min(Math.max(this.chosen, 0), listed.length - 1);
    matches.replaceChildren();
    listed.forEach((number, place) => {
      const item = element("li", matches, { textContent: this.names[number] },
        { role: "option", "aria-selected": place === this.chosen });
      element("span", item, { className: "soft", textContent: ` ${this.notes[number]}` });
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault(); // the search keeps the focus until the clip is open
        this.open(this.names[number]);
        this.page.root.focus();
      });
    });
    if (found.length > listed.length || !found.length) {
      const rest = found.length ? `and ${found.length - listed.length} more` : "no clip found";
      element("li", matches, { className: "soft", textContent: rest }, { role: "presentation" });
    }
    matches.children[this.chosen]?.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    event.stopPropagation(); // letters are letters here
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.chosen += event.key === "ArrowDown" ? 1 : -1;
      this.list(true);
    } else if (event.key === "Enter" && this.found().length) {
      this.open(this.names[this.found()[Math.max(0, this.chosen)]]);
      this.page.root.focus();
    } else if (event.key === "Escape") {
      this.page.root.focus(); // which closes the list
    }
  }
}
