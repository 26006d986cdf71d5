// The list of clips: search by words, and step through the clips found.

// In lower case, with "ef 5" as one word, so that its number is not sought in names.
const searchable = (text) => text.toLowerCase().replace(/\bef\s+(?=\d)/g, "ef_");

const MAX_LISTED = 50; // names listed below the search field
const SLOW_OPENING = 5000; // ms after which a message says that a clip is still being opened

class ClipList {
  // page: from controls.js; keywords: text per clip that a search also matches; current():
  // returns the name of the open clip; open(name): is called with the name of the clip to open.
  constructor(page, names, keywords, current, open) {
    Object.assign(this, { page, names, keywords, current });
    this.texts = names.map((name, number) => searchable(`${name} ${keywords[number]}`));
    this.chosen = 0; // position in the list of clips found
    this.open = (name) => {
      this.showMatches(false);
      if (name === current()) return;
      this.showStatus(`opening ${name} …`);
      this.timer = setTimeout(
        () => this.showStatus(`still opening ${name}: Python is busy with it, or has ended`),
        SLOW_OPENING);
      open(name);
    };
    page.clips.hidden = page.place.hidden = names.length < 2;
    page.search.placeholder = `search ${names.length} clips`;
    page.search.addEventListener("focus", () => this.showMatches(true));
    page.search.addEventListener("blur", () => this.showMatches(false));
    page.search.addEventListener("input", () => this.changeSearch());
    page.search.addEventListener("keydown", (event) => this.key(event));
    page.clear.hidden = true;
    page.clear.addEventListener("pointerdown", (event) => event.preventDefault());
  }

  changeSearch() {
    const active = this.page.search.value.trim() !== "";
    this.page.clear.hidden = !active;
    this.page.search.classList.toggle("active", active);
    this.chosen = 0;
    this.showMatches(true);
    this.showPosition();
  }

  clear() {
    this.page.search.value = "";
    this.changeSearch();
    this.page.search.focus();
  }

  // Numbers of the clips whose name and keywords contain all words of the search.
  search() {
    const words = searchable(this.page.search.value).split(/\s+/).filter(Boolean);
    return this.texts.flatMap((text, number) =>
      (words.every((word) => text.includes(word)) ? [number] : []));
  }

  step(by) {
    const found = this.search();
    const current = this.names.indexOf(this.current());
    const position = found.indexOf(current);
    let next = found[(position + by + found.length) % found.length];
    if (position < 0) { // the open clip is not among those found: go on from its number
      next = by > 0 ? found.find((number) => number > current) ?? found[0]
        : found.filter((number) => number < current).at(-1) ?? found.at(-1);
    }
    if (next === undefined || next === current) {
      this.showStatus("the search finds no other clip: clear it to go on");
    } else {
      this.open(this.names[next]);
    }
  }

  showStatus(text) {
    clearTimeout(this.timer);
    this.page.place.textContent = text;
  }

  showPosition() {
    const found = this.search().length;
    this.showStatus(`${this.names.indexOf(this.current()) + 1} of ${this.names.length}`
      + (this.page.clear.hidden ? "" : `; the search finds ${found}`));
  }

  showMatches(open) {
    const { matches, search } = this.page;
    matches.hidden = !open;
    search.setAttribute("aria-expanded", open);
    if (!open) return;
    const found = this.search();
    const listed = found.slice(0, MAX_LISTED);
    this.chosen = Math.min(Math.max(this.chosen, 0), listed.length - 1);
    matches.replaceChildren();
    listed.forEach((number, position) => {
      const item = element("li", matches, { textContent: this.names[number] },
        { role: "option", "aria-selected": position === this.chosen });
      element("span", item, { className: "soft", textContent: ` ${this.keywords[number]}` });
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault(); // the search field keeps the focus until the clip is open
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
    event.stopPropagation(); // letters typed here are not keys of the browser
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.chosen += event.key === "ArrowDown" ? 1 : -1;
      this.showMatches(true);
    } else if (event.key === "Enter" && this.search().length) {
      this.open(this.names[this.search()[Math.max(0, this.chosen)]]);
      this.page.root.focus();
    } else if (event.key === "Escape") {
      if (!this.page.clear.hidden) this.clear();
      this.page.root.focus(); // the search field loses the focus, which closes the list
    }
  }
}
