
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  // Colour scheme: automatic, light, dark. It is remembered where the browser lets a file do so.
  const button = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  const memory = {
    get() { try { return localStorage.getItem("mmseg-fix-theme"); } catch { return null; } },
    set(theme) { try { localStorage.setItem("mmseg-fix-theme", theme); } catch { /* not here */ } },
  };
  const show = (theme) => {
    root.dataset.theme = theme;
    button.querySelector("span").textContent = theme;
    button.setAttribute("aria-label", `Colour scheme: ${theme === "auto" ? "automatic" : theme}`);
  };
  show(themes.includes(memory.get()) ? memory.get() : "auto");
  button.addEventListener("click", () => {
    const theme = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
    memory.set(theme);
    show(theme);
  });

  // Order of the rows: they are written by share.
  const bodies = [...document.querySelectorAll(".split tbody")];
  const written = bodies.map((body) => [...body.rows]);
  for (const input of document.querySelectorAll("input[name=order]")) {
    input.addEventListener("change", () => bodies.forEach((body, n) => {
      const byLabel = (a, b) => a.dataset.label - b.dataset.label;
      body.append(...(input.value === "label" ? [...written[n]].sort(byLabel) : written[n]));
    }));
  }

  // The matrix says what a cell means, for the mouse and for the keyboard.
  const cells = document.querySelector("svg.cells");
  if (cells) {
    const { names, files, together } = JSON.parse(cells.dataset.matrix);
    const readout = document.querySelector(".readout");
    const cursor = cells.querySelector(".cursor");
    const count = names.length;
    const at = { row: -1, column: 0 };
    const number = (n) => n.toLocaleString("en");
    const both = (a, b) => {
      if (a === b) return files[a];
      const [low, high] = a < b ? [a, b] : [b, a];
      return together[low * count - (low * (low + 1)) / 2 + high - low - 1];
    };
    const part = (n, all) => `${((n / all) * 100).toFixed(n && n < all / 100 ? 2 : 0)} %`;
    const isolated = (name) => `\u2068${name}\u2069`;
    const tell = (row, column) => {
      if (row === at.row && column === at.column) return;
      Object.assign(at, { row, column });
      cursor.setAttribute("x", column);
      cursor.setAttribute("y", row);
      const [a, b] = [isolated(names[row]), isolated(names[column])];
      const n = both(row, column);
      readout.textContent = row === column
        ? `${a} is in ${number(files[row])} files.`
        : `${a} and ${b} are both in ${number(n)} files: ${part(n, files[row])} of those with `
          + `${a}, ${part(n, files[column])} of those with ${b}.`;
    };
    const clamp = (n) => Math.max(0, Math.min(count - 1, n));
    cells.addEventListener("pointermove", (event) => {
      const box = cells.getBoundingClientRect();
      tell(clamp(Math.floor(((event.clientY - box.top) / box.height) * count)),
           clamp(Math.floor(((event.clientX - box.left) / box.width) * count)));
    });
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    cells.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      tell(clamp(at.row + step[0]), clamp(at.column + step[1]));
      cursor.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
  }

  // Images are enlarged on a click.
  const dialog = document.getElementById("enlarged");
  for (const zoom of document.querySelectorAll(".zoom")) {
    zoom.addEventListener("click", () => {
      const [from, to] = [zoom.querySelector("img"), dialog.querySelector("img")];
      to.src = from.src;
      to.alt = from.alt;
      dialog.querySelector("p").textContent = zoom.closest("figure").querySelector(".path").textContent;
      dialog.showModal();
    });
  }
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // Paper cannot be opened.
  const folded = [...document.querySelectorAll(".finding details")];
  addEventListener("beforeprint", () => folded.forEach((each) => { each.open = true; }));
})();
