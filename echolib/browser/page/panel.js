// The editor's controls below the picture, made when the editor is first switched on.

const EDIT_KEYS = [
  ["tab", "next point; with shift the one before"],
  ["← → ↑ ↓", "move the point by 0.25 px (with shift: 1 px)"],
  ["a del", "add a point after this one, remove it"],
  ["ctrl z", "undo; with shift: redo"],
  ["enter", "take the outline as it is"], ["r", "back to the network's outline"],
  ["c", "copy to the next frame"], [", .", "one frame back, forward; the point stays chosen"],
  ["esc", "leave the points"], ["drag", "a point, by mouse or finger"],
  ["2 clicks", "on the curve: add a point"], ["click", "without outline: set its points in order"],
];
const CLIP_ANSWERS = [["", "clip readable"], ["not readable", "clip not readable"],
  ["other view", "other view"]];

function choice(parent, name, label, entries) {
  const select = element("select", parent, { className: name }, { "aria-label": label, ...OWN_KEYS });
  for (const [value, textContent] of entries) element("option", select, { value, textContent });
  return select;
}

function buildPanel(page) {
  const root = element("div", null, { className: "edit" }, { role: "group", "aria-label": "Editor" });
  page.pictures.after(root);
  const panel = { root };
  panel.alert = element("div", root, { className: "alert", hidden: true }, { role: "alert" });
  panel.state = element("div", root, { className: "state" }, { role: "status" });
  panel.blind = element("div", root, { className: "blind soft", hidden: true,
    textContent: "The expert's outlines are hidden while you correct; their check boxes show them." });
  panel.controls = element("div", root, { className: "controls" });
  const row = element("div", panel.controls, { className: "row" });
  panel.part = choice(row, "part", "What is edited", PARTS.map((name, part) => [part, name]));
  panel.widthBox = element("label", row, { className: "check" });
  element("span", panel.widthBox, { textContent: "width" });
  panel.width = element("input", panel.widthBox,
    { type: "number", className: "width", min: 0.5, max: 20, step: 0.5 },
    { "aria-label": "Width of the leaflet in px", ...OWN_KEYS });
  panel.buttons = {};
  for (const [action, text, label] of [
    ["begin", "ellipse", "Begin with an ellipse"], ["finish", "finish", "Finish the outline"],
    ["undo", "↶", "Undo"], ["redo", "↷", "Redo"],
    ["add-point", "+", "Add a point after the chosen one"],
    ["remove-point", "−", "Remove the chosen point"],
    ["accept", "accept", "Take the outline as it is"],
    ["reset", "reset", "Back to the network's outline"],
    ["copy", "copy ›", "Copy to the next frame"],
  ]) panel.buttons[action] = button(row, action, text, label);
  const answers = element("div", panel.controls, { className: "row" });
  for (const [action, text, label] of [
    ["set-ed", "set ED", "End-diastole is this frame"],
    ["set-es", "set ES", "End-systole is this frame"],
  ]) panel.buttons[action] = button(answers, action, text, label);
  panel.unreadable = checkbox(answers, "unreadable", "frame not readable");
  panel.answer = choice(answers, "answer", "Answer about the clip", CLIP_ANSWERS);
  panel.fills = checkbox(answers, "fills", "fill frames between");
  panel.annotator = element("input", answers, { type: "text", className: "annotator",
    placeholder: "your name", autocomplete: "off" }, { "aria-label": "Annotator", ...OWN_KEYS });
  panel.buttons.download = button(answers, "download", "download",
    "Save the corrections of this clip as a file");
  panel.kept = element("span", answers, { className: "kept soft" });
  element("div", page.keys, { textContent: "In the editor:" });
  keyList(page.keys, EDIT_KEYS);
  return panel;
}
