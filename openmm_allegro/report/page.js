// SPDX-License-Identifier: MIT
// What saves figures and tables of the page, and copies texts. Without it tables can be
// saved all the same, under names that say less.
(() => {
  "use strict";
  const page = document.querySelector("h1").textContent;
  const plain = (text) => text.normalize("NFKD").replace(/[^A-Za-z0-9.+]+/g, "-").replace(/^-+|-+$/g, "");
  const taken = {};
  let heading = "";
  for (const element of document.querySelectorAll("h2, h3, a.download")) {
    if (element.tagName !== "A") {
      heading = element.textContent;
      continue;
    }
    const figure = element.closest("figure");
    if (element.matches(".svg")) element.href = figure.querySelector("img").src;
    const ending = element.matches(".svg") ? "svg" : element.download.split(".").pop();
    const name = plain(`${page} ${heading}`).toLowerCase();
    const key = `${name}.${ending}`;
    taken[key] = (taken[key] || 0) + 1;
    element.download = taken[key] > 1 ? `${name}-${taken[key]}.${ending}` : key;
  }

  for (const button of document.querySelectorAll("button.copy")) {
    const source = document.getElementById(button.dataset.of);
    button.hidden = false;
    button.addEventListener("click", async () => {
      const words = button.textContent;
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        // Browsers that give a file no clipboard copy what is selected.
        const details = source.closest("details");
        if (details) details.open = true;
        getSelection().selectAllChildren(source);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = words; }, 1500);
    });
  }

  // What is folded away is printed.
  const folded = [];
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open]):not(.screen)")) {
      details.open = true;
      folded.push(details);
    }
  });
  addEventListener("afterprint", () => {
    while (folded.length) folded.pop().open = false;
  });
})();
