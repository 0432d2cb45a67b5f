"use strict";
// The pages can be read without this script. It follows Airflow's theme, lets links leave the frame, and submits filters
// as they change.

const root = document.documentElement;
const framed = window.parent !== window;
root.classList.toggle("framed", framed);

function followTheme() {
  const shell = framed ? window.parent.document.documentElement : null;
  const chosen = shell?.dataset.theme || (shell?.classList.contains("dark") ? "dark" : "")
    || localStorage.getItem("theme") || "system";
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = chosen === "system" ? (dark ? "dark" : "light") : chosen;
}
followTheme();
addEventListener("storage", followTheme);
if (framed) {
  new MutationObserver(followTheme).observe(window.parent.document.documentElement, {attributes: true});
}

// Airflow shows us in a sandboxed frame, which may neither navigate the window nor open another one. The window around
// us is of the same origin, so its own router can be asked, and a link of its own can be followed.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-in-airflow], a[data-elsewhere]");
  if (!link || !framed || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.hasAttribute("data-in-airflow")) {
    window.parent.history.pushState({}, "", link.href);
    window.parent.dispatchEvent(new PopStateEvent("popstate", {state: {}}));
  } else {
    const outer = window.parent.document.createElement("a");
    Object.assign(outer, {href: link.href, target: "_blank", rel: "noopener"});
    outer.click();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
});
