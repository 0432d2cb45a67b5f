"use strict";
// The pages work without this script. It follows Airflow's theme, lets links leave the frame, submits filters as they
// change, and sends what a person decides to Airflow's own API, with that person's own login.

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

// One dialog for all actions. Its first press shows what would happen, its second one does it; a run's id is made once
// for each press that means something, so that a double click, or a request that is sent again, is one run.

const POLL_MS = 1000;
const PATIENCE_MS = 180000;

async function ask(method, path, body) {
  const answer = await fetch(root.dataset.airflow + path, {
    method, credentials: "same-origin", cache: "no-store",
    headers: body ? {"Content-Type": "application/json"} : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const text = await answer.text();
  let told = null;
  try { told = JSON.parse(text); } catch { /* an error page of whatever stands in between */ }
  if (answer.ok) return told;
  const detail = told?.detail?.reason || told?.detail?.message || told?.detail;
  const said = Array.isArray(detail) ? detail.map((one) => one.msg).join("; ") : typeof detail === "string" ? detail : "";
  const meaning = {401: "You are not logged in any more. Log in again in Airflow.", 403: "Your role may not do this.",
    404: "That is gone: look again at what Airflow shows.", 409: "Somebody was faster; look at what was decided."};
  throw Object.assign(new Error(meaning[answer.status] || said || `Airflow answered ${answer.status}.`), {status: answer.status});
}

const runPath = (dag, run) => `/api/v2/dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(run)}`;

async function sentenceOf(offer, run) {
  for (const key of ["return_value", "problem"]) {
    try {
      const path = `${runPath(offer.dag_id, run)}/taskInstances/${encodeURIComponent(offer.task_id)}/xcomEntries/${key}`;
      const value = (await ask("GET", `${path}?deserialize=true`)).value;
      const read = typeof value === "string" && key === "return_value" ? JSON.parse(value) : value;
      if (read) return read.sentence || String(read);
    } catch (problem) {
      if (problem.status !== 404 && !(problem instanceof SyntaxError)) throw problem;
    }
  }
  return "";
}

async function follow(offer, run) {
  const until = Date.now() + PATIENCE_MS;
  while (Date.now() < until) {
    const {state} = await ask("GET", runPath(offer.dag_id, run));
    if (state === "success" || state === "failed") return {state, sentence: await sentenceOf(offer, run)};
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  return {state: "running", sentence: "It has not ended yet."};
}

function actOn(button, start) {
  const dialog = document.getElementById("act");
  const part = (name) => document.getElementById(`act-${name}`);
  const [dry, go, reason, answer] = ["dry", "do", "reason", "answer"].map(part);
  const choice = part("choice");
  const runs = {};

  function say(tone, sentence, run) {
    answer.replaceChildren();
    const notice = document.createElement("div");
    notice.className = `notice ${tone}`;
    const line = document.createElement("p");
    line.textContent = sentence;
    notice.append(line);
    if (run) {
      const link = document.createElement("a");
      link.href = `${root.dataset.airflow}/dags/${encodeURIComponent(start.dag_id)}/runs/${encodeURIComponent(run)}`;
      link.setAttribute("data-in-airflow", "");
      link.textContent = "Open the run in Airflow";
      notice.append(link);
    }
    answer.append(notice);
  }

  function said() {
    if (reason.value.trim()) return true;
    say("wait", "Say in a sentence why; the ledger keeps it.");
    reason.focus();
    return false;
  }

  async function press(isDry) {
    if (!said()) return;
    const chosen = start.chosen ? {[start.chosen]: choice.querySelector("select").value} : {};
    const conf = {...start.conf, ...chosen, reason: reason.value.trim(), dry_run: isDry};
    // The same words again mean the same press.
    const key = JSON.stringify(conf);
    runs[key] ??= `cockpit__${new Date().toISOString()}__${crypto.getRandomValues(new Uint32Array(1))[0].toString(16)}`;
    const run = runs[key];
    dry.disabled = go.disabled = true;
    say("", isDry ? "Asking what would happen…" : "On its way…");
    try {
      await ask("POST", `/api/v2/dags/${encodeURIComponent(start.dag_id)}/dagRuns`,
        {dag_run_id: run, logical_date: null, conf, note: conf.reason.slice(0, 900)}).catch((problem) => {
        if (problem.status !== 409) throw problem;
      });
      if (!start.says_at_once) {
        say("good", isDry ? "The dry run has begun." : "The run has begun.", run);
        dialog.dataset.changed = "yes";
        return;
      }
      const ended = await follow(start, run);
      const tone = ended.state === "success" ? (isDry ? "" : "good") : ended.state === "failed" ? "bad" : "wait";
      const ending = ended.sentence || {success: "It is done.", failed: "It was refused, or it broke; its log says why."}[ended.state];
      say(tone, (isDry && ended.state === "success" ? "This would happen: " : "") + ending, run);
      delete runs[key];
      if (isDry) go.disabled = ended.state !== "success";
      else dialog.dataset.changed = "yes";
      dry.disabled = !isDry;
      if (isDry && !go.disabled) go.focus();
      if (isDry) dry.disabled = false;
    } catch (problem) {
      say("bad", problem.message);
      dry.disabled = false;
      delete runs[key];
    }
  }

  part("name").textContent = `${start.name}: ${document.querySelector("h1").textContent}`;
  part("promise").textContent = start.promise;
  choice.hidden = !start.choices.length;
  choice.style.display = "";
  choice.querySelector("select").replaceChildren(...start.choices.map((one) => new Option(one.label, one.value)));
  reason.value = "";
  answer.replaceChildren();
  go.textContent = start.name;
  go.className = `button ${start.is_grave ? "danger" : "solid"}`;
  go.disabled = start.says_at_once;
  dry.disabled = false;
  dry.hidden = false;
  const changed = () => { if (start.says_at_once) go.disabled = true; };
  // What was shown was shown for other words.
  choice.querySelector("select").onchange = changed;
  dry.onclick = () => press(true);
  go.onclick = () => press(false);
  part("close").onclick = () => dialog.close();
  dialog.onclose = () => {
    button.focus();
    if (dialog.dataset.changed) location.reload();
  };
  dialog.showModal();
  reason.focus();
}

function answerTo(button, asked) {
  const dialog = document.getElementById("act");
  const part = (name) => document.getElementById(`act-${name}`);
  const [dry, go, reason, answer] = ["dry", "do", "reason", "answer"].map(part);
  part("name").textContent = `${asked.option}: ${asked.subject}`;
  part("promise").textContent = "Your answer is final, and the ledger keeps it with your name.";
  part("choice").hidden = true;
  dry.hidden = true;
  reason.value = "";
  answer.replaceChildren();
  go.textContent = asked.option;
  go.className = "button solid";
  go.disabled = false;
  go.onclick = async () => {
    if (!reason.value.trim()) { answer.textContent = "Say in a sentence why; the ledger keeps it."; reason.focus(); return; }
    go.disabled = true;
    const params = asked.reason_param ? {[asked.reason_param]: reason.value.trim()} : {};
    const task = `${runPath(asked.dag_id, asked.run_id)}/taskInstances/${encodeURIComponent(asked.task_id)}/${asked.map_index}`;
    try {
      await ask("PATCH", `${task}/hitlDetails`, {chosen_options: [asked.option], params_input: params});
      answer.textContent = `${asked.option}: it was received.`;
      dialog.dataset.changed = "yes";
    } catch (problem) {
      answer.textContent = problem.message;
      go.disabled = problem.status === 409;
    }
  };
  part("close").onclick = () => dialog.close();
  dialog.onclose = () => { button.focus(); if (dialog.dataset.changed) location.reload(); };
  dialog.showModal();
  reason.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-offer], button[data-answer]");
  if (!button || button.disabled) return;
  if (button.dataset.offer) actOn(button, JSON.parse(button.dataset.offer));
  else answerTo(button, JSON.parse(button.dataset.answer));
});
