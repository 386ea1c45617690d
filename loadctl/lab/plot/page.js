"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const charts = [...document.querySelectorAll("svg[data-panel]")];
  const names = [...new Set(data.courses.flatMap(course => course.loads))];
  const watts = w => w === null ? "unknown" : `${Math.round(w).toLocaleString("en").replace(/,/g, "\u202f")} W`;

  function line(text, kind, colour) {
    const p = document.createElement("p");
    if (kind) p.className = kind;
    if (colour !== undefined) {
      const i = document.createElement("i");
      i.className = `c${colour}`;
      p.append(i);
    }
    p.append(text);
    return p;
  }

  // What was said last of each load by `at`.
  function saidBy(course, at) {
    let low = 0, high = course.said.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (course.said[middle][0] <= at) low = middle + 1; else high = middle;
    }
    const said = course.loads.map(() => "");
    let left = course.loads.length;
    for (let i = low - 1; i >= 0 && left; i--) {
      const [, load, sentence] = course.said[i];
      if (!said[load]) { said[load] = data.sentences[sentence]; left--; }
    }
    return said;
  }

  function show(svg, event) {
    const panel = data.panels[svg.dataset.panel], course = data.courses[svg.dataset.course];
    const bins = panel.bins[svg.dataset.course];
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * data.width;
    const share = (x - data.left) / (data.width - data.left - data.right);
    if (share < 0 || share >= 1) return hide();
    const at = panel.begin + share * (panel.end - panel.begin);
    const bin = Math.min(Math.floor((at - panel.begin) / panel.step), panel.clock.length - 1);
    for (const other of charts) {
      const cross = other.querySelector(".cross"), here = other.dataset.panel === svg.dataset.panel ? x : -9;
      cross.setAttribute("x1", here);
      cross.setAttribute("x2", here);
    }
    const grid = bins.grid[bin];
    const flow = grid === null ? "" : grid >= 0 ? `, bought ${watts(grid)}` : `, sold ${watts(-grid)}`;
    const title = data.courses.length > 1 ? `${panel.clock[bin]}, ${course.name}` : panel.clock[bin];
    const numbers = grid === null ? "nothing is known" : `sun ${watts(bins.sun[bin])}, house ${watts(bins.house[bin])}${flow}`;
    const parts = [line(title, "time"), line(numbers, "numbers")];
    parts[0].style.fontWeight = 600;
    const said = saidBy(course, panel.begin + (bin + 1) * panel.step - 1);
    course.loads.forEach((load, index) => {
      parts.push(line(`${load}: ${watts(bins.loads[index][bin])}`, "", names.indexOf(load) % 8));
      if (said[index]) parts.push(line(said[index], "why"));
    });
    tip.replaceChildren(...parts);
    tip.hidden = false;
    const room = tip.getBoundingClientRect(), margin = 14;
    let left = event.clientX + margin, top = event.clientY + margin;
    if (left + room.width > innerWidth - 4) left = Math.max(4, event.clientX - margin - room.width);
    if (top + room.height > innerHeight - 4) top = Math.max(4, innerHeight - room.height - 4);
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  }

  function hide() {
    tip.hidden = true;
    for (const cross of document.querySelectorAll(".cross")) {
      cross.setAttribute("x1", -9);
      cross.setAttribute("x2", -9);
    }
  }

  for (const svg of charts) {
    svg.addEventListener("pointermove", event => show(svg, event));
    svg.addEventListener("pointerdown", event => show(svg, event));
    svg.addEventListener("pointerleave", hide);
  }
})();
