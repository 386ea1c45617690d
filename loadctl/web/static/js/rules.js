// The rule file: an editor that says what is wrong on the line where it is wrong, and tries the rules on a day that was.

import {getOwn, post, put} from "./api.js";
import {askSure} from "./ask.js";
import {h, setText, show, tell} from "./dom.js";
import {whatIf} from "./whatif.js";

const PAUSE_MS = 350; // after the last key

/** Make the view; returns `{open(argument, state)}`. */
export function view(root) {
  const heading = h("h1", {id: "rules-title"}, "Rules"), path = h("p.hint"), verdict = h("p.verdict", {role: "status"});
  const gutter = h("ol.gutter", {"aria-hidden": "true"}), shadow = h("div.shadow", {"aria-hidden": "true"});
  const text = h("textarea", {"aria-label": "The rule file", "aria-describedby": "rules-keys", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", rows: 12});
  const faults = h("ul.faults"), save = h("button.main", {type: "button"}, "Save"), again = h("button", {type: "button"}, "Read the file again");
  const trial = h("section.trial", {"aria-labelledby": "trial-title"});
  root.replaceChildren(h("div.bar.days", {}, h("div", {}, heading, path), h("div.choices", {}, again, save)), verdict,
    h("div.editor", {}, gutter, h("div.sheet", {}, shadow, text)), faults,
    h("p.hint", {id: "rules-keys"}, "Ctrl+S saves. Faults are listed below the file; each leads to its line."), trial);
  text.readOnly = true;
  let file = null, timer = 0, asked = 0, found = [];
  const trying = whatIf(trial, () => text.value);
  const changed = () => file !== null && text.value !== file.text;

  async function load() {
    try {
      file = await getOwn("rules");
      text.value = file.text;
      setText(path, file.writable ? file.path : `${file.path}: loadctl may not write this file, so it cannot be saved here`);
      text.readOnly = false;
      draw(file.warnings ?? []);
      check();
    } catch (problem) {
      setText(verdict, problem.status === 401 ? "The rule file is shown to its owner only: “Read the file again” asks for the login." : `The rule file cannot be shown: ${problem.message}`);
    }
  }

  function draw(list) {
    found = list;
    const lines = text.value.split("\n");
    text.rows = Math.max(12, lines.length + 1);
    text.cols = Math.max(20, ...lines.map((line) => line.length + 2));
    gutter.replaceChildren(...lines.map((_, index) => h("li", {}, marked(index + 1) ? h("span", {}, worst(index + 1) === "error" ? "✕" : "!") : null, h("span", {}, String(index + 1)))));
    shadow.replaceChildren(...lines.map((line, index) => {
      const here = found.filter((fault) => fault.line === index + 1);
      const kind = here.length ? worst(index + 1) : null;
      return h(kind ? `div.${kind}` : "div", {"data-line": index + 1}, h("span.ghost", {}, line || "\u200b"), here.length ? h("span.inline", {}, here.map((fault) => fault.hint ? `${fault.message}; ${fault.hint}` : fault.message).join("; ")) : null);
    }));
    [...gutter.children].forEach((item, index) => { if (marked(index + 1)) item.className = worst(index + 1); });
    faults.replaceChildren(...found.map((fault) => h("li", {}, h(`button.${fault.severity}`, {type: "button", on: {click: () => jump(fault)}},
      h("b", {}, `${fault.severity === "error" ? "✕ " : "! "}${fault.line ? `line ${fault.line}` : "the file"}`), h("span", {}, `${fault.where ? `${fault.where}: ` : ""}${fault.message}`), fault.hint ? h("span.hint", {}, fault.hint) : null))));
  }

  const marked = (line) => found.some((fault) => fault.line === line);
  const worst = (line) => (found.some((fault) => fault.line === line && fault.severity === "error") ? "error" : "warning");

  async function check() {
    const turn = ++asked, checked = text.value;
    try {
      const answer = await post("rules/check", {text: checked});
      if (turn !== asked) return;
      draw(answer.faults);
      const errors = answer.faults.filter((fault) => fault.severity === "error").length, warnings = answer.faults.length - errors;
      const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
      setText(verdict, errors ? `${count(errors, "fault")}${warnings ? ` and ${count(warnings, "warning")}` : ""}` : warnings ? `Good, with ${count(warnings, "warning")}` : "No faults");
      verdict.className = `verdict ${errors ? "bad" : "good"}`;
      save.disabled = errors > 0 || !changed() || !file.writable;
      trying.allow(errors === 0);
    } catch (problem) {
      if (turn === asked) setText(verdict, `Not checked: ${problem.message}`);
    }
  }

  function jump(fault) {
    const lines = text.value.split("\n"), line = Math.max(1, fault.line ?? 1);
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + Math.max(0, (fault.column ?? 1) - 1);
    text.focus({preventScroll: true});
    text.setSelectionRange(start, start);
    shadow.children[line - 1]?.scrollIntoView({block: "center", inline: "start"});
  }

  async function keep() {
    if (save.disabled) return;
    save.disabled = true;
    try {
      const answer = await put("rules", {text: text.value, revision: file.revision});
      file = {...file, text: text.value, revision: answer.revision};
      tell(`Saved; loadctl works by the new rules now.${answer.backup ? ` The former file is kept as ${answer.backup}.` : ""}`);
    } catch (problem) {
      if (problem.status === 422) draw(problem.faults);
      tell(problem.status === 409 ? "Not saved: the file was changed elsewhere meanwhile. Read the file again, then put your changes in." : `Not saved: ${problem.message}`);
    }
    check();
  }

  text.addEventListener("input", () => {
    draw(found.filter((fault) => fault.line <= text.value.split("\n").length));
    clearTimeout(timer);
    save.disabled = true;
    timer = setTimeout(check, PAUSE_MS);
  });
  text.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") { event.preventDefault(); keep(); }
    if (event.key !== "Enter" || event.isComposing) return;
    const before = text.value.slice(0, text.selectionStart).split("\n").pop(), indent = /^ */.exec(before)[0] + (/:\s*(#.*)?$/.test(before) ? "  " : "");
    if (!indent) return;
    event.preventDefault();
    document.execCommand("insertText", false, `\n${indent}`); // the one way that the browser's undo knows
  });
  save.addEventListener("click", keep);
  again.addEventListener("click", async () => {
    if (!changed() || await askSure("Read the file again?", "What you changed here and did not save is lost.", "Read it again")) load();
  });
  addEventListener("beforeunload", (event) => { if (changed()) event.preventDefault(); });
  save.disabled = true;

  return {open: (_, state) => { trying.open(state); if (file === null) load(); show(root, true); }};
}
