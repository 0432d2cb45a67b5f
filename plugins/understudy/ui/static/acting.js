// What a person decides is sent to Airflow's own API, with that person's own login. One dialog serves all actions: its
// first press shows what would happen, its second one does it. A run's id is made once for what was asked, so that a
// double click, or a request that is sent again, is one run.

const POLL_MS = 1000;
const PATIENCE_MS = 180000;
const TRIES = 4;
const ENDS = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);

const airflow = document.documentElement.dataset.airflow;
const dialog = document.getElementById("act");
const part = (name) => document.getElementById(`act-${name}`);
const [dry, go, reason, answer, choice] = ["dry", "do", "reason", "answer", "choice"].map(part);
const select = choice.querySelector("select");
// Counts how often the dialog was opened: what comes late belongs to a dialog that is gone.
let opened = 0;
let isStale = false;

const pause = () => new Promise((done) => setTimeout(done, POLL_MS));
const isPassing = (problem) => problem.status === 0 || problem.status >= 500;
const runPath = (dag, run) => `/api/v2/dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(run)}`;
const taskPath = (dag, run, task) => `${runPath(dag, run)}/taskInstances/${encodeURIComponent(task)}`;

function refusal(status, message) {
  return Object.assign(new Error(message), {status});
}

async function ask(method, path, body) {
  const sent = {
    method, credentials: "same-origin", cache: "no-store",
    headers: body ? {"Content-Type": "application/json"} : {},
    body: body ? JSON.stringify(body) : undefined,
  };
  const answered = await fetch(airflow + path, sent).catch(() => { throw refusal(0, "Airflow does not answer."); });
  const text = await answered.text().catch(() => "");
  let told = null;
  try { told = JSON.parse(text); } catch { /* an error page of whatever stands in between */ }
  if (answered.ok) return told;
  const detail = told?.detail?.reason || told?.detail?.message || told?.detail;
  const said = Array.isArray(detail) ? detail.map((one) => one.msg).join("; ") : typeof detail === "string" ? detail : "";
  const meaning = {401: "You are not logged in any more. Log in again in Airflow.", 403: "Your role may not do this.",
    404: "That is gone: look again at what Airflow shows.", 409: "It was answered already; look at what was decided."};
  throw refusal(answered.status, meaning[answered.status] || said || `Airflow answered ${answered.status}.`);
}

// Only for what may be sent twice: a look, a run whose id is made already, an answer that is taken once.
async function askAgain(method, path, body) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask(method, path, body);
    } catch (problem) {
      if (!isPassing(problem) || tried === TRIES) throw problem;
      await pause();
    }
  }
}

async function sentenceOf(dagId, run, taskId) {
  for (const key of ["return_value", "problem", "held"]) {
    try {
      const path = `${taskPath(dagId, run, taskId)}/xcomEntries/${key}`;
      const {value} = await askAgain("GET", path);
      const read = typeof value === "string" && key === "return_value" ? JSON.parse(value) : value;
      if (read) return read.sentence || String(read);
    } catch (problem) {
      if (problem.status !== 404 && !(problem instanceof SyntaxError)) throw problem;
    }
  }
  return "";
}

// Waits for the end of what is at a path, a run or one of its tasks; what it did, the task says.
async function follow(path, dagId, run, taskId) {
  const until = Date.now() + PATIENCE_MS;
  while (Date.now() < until) {
    const {state} = await askAgain("GET", path);
    if (ENDS.has(state)) return {state, sentence: await sentenceOf(dagId, run, taskId)};
    await pause();
  }
  return {state: "running", sentence: "It has not ended yet."};
}

function say(tone, sentence, dagId, run) {
  const notice = document.createElement("div");
  notice.className = `notice ${tone}`;
  const line = document.createElement("p");
  line.textContent = sentence;
  notice.append(line);
  if (run) {
    const link = document.createElement("a");
    link.href = airflow + `/dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(run)}`;
    link.setAttribute("data-in-airflow", "");
    link.textContent = "Open the run in Airflow";
    notice.append(link);
  }
  answer.replaceChildren(notice);
}

function hasReason() {
  const limit = Number(reason.dataset.limit);
  const length = [...reason.value.trim()].length;
  if (length > 0 && length <= limit) return true;
  const counted = (count) => count.toLocaleString("en");
  say("wait", length ? `The reason has ${counted(length)} characters; ${counted(limit)} are allowed.`
    : "Say in a sentence why; the ledger keeps it.");
  reason.focus();
  return false;
}

function outdate() {
  isStale = true;
  if (!dialog.open) location.reload();
}

// Returns what tells whether the dialog is still the one that was opened here.
function open(button, name, promise, doing, tone) {
  opened += 1;
  const mine = opened;
  part("name").textContent = name;
  part("promise").textContent = promise;
  go.textContent = doing;
  go.className = `button ${tone}`;
  reason.value = "";
  answer.replaceChildren();
  dialog.onclose = () => {
    button.focus();
    if (isStale) location.reload();
  };
  part("close").onclick = () => dialog.close();
  dialog.showModal();
  reason.focus();
  return () => mine === opened && dialog.open;
}

function actOn(button, offer) {
  const name = `${offer.name}: ${document.querySelector("h1").textContent}`;
  const isShown = open(button, name, offer.promise, offer.name, offer.is_grave ? "danger" : "solid");
  const runs = {};
  choice.hidden = !offer.choices.length;
  select.replaceChildren(...offer.choices.map((one) => new Option(one.label, one.value)));
  select.disabled = dry.disabled = dry.hidden = false;
  go.disabled = offer.says_at_once;
  // What was shown was shown for another version.
  select.onchange = () => { if (offer.says_at_once) go.disabled = true; };

  async function begin(conf) {
    // The same words again mean the same press.
    const key = JSON.stringify(conf);
    runs[key] ??= `cockpit__${new Date().toISOString()}__${crypto.getRandomValues(new Uint32Array(1))[0].toString(16)}`;
    const run = {dag_run_id: runs[key], logical_date: null, conf, note: conf.reason.slice(0, 900)};
    await askAgain("POST", `/api/v2/dags/${encodeURIComponent(offer.dag_id)}/dagRuns`, run).catch((problem) => {
      if (problem.status !== 409) throw problem;
    });
    return {run: runs[key], forget: () => { delete runs[key]; }};
  }

  async function end(run, isDry) {
    const ended = await follow(runPath(offer.dag_id, run), offer.dag_id, run, offer.task_id);
    const isDone = ended.state === "success";
    const sentence = ended.sentence
      || {success: "It is done.", failed: "It was refused, or it broke; its log says why."}[ended.state];
    if (!isDry) outdate();
    if (!isShown()) return;
    const tone = isDone ? (isDry ? "" : "good") : ended.state === "failed" ? "bad" : "wait";
    say(tone, (isDry && isDone ? "This would happen: " : "") + sentence, offer.dag_id, run);
    select.disabled = dry.disabled = false;
    go.disabled = !(isDry && isDone);
    // Not while somebody types: the next key would press it.
    if (!go.disabled && document.activeElement !== reason) go.focus();
  }

  async function press(isDry) {
    if (!hasReason()) return;
    const chosen = offer.chosen ? {[offer.chosen]: select.value} : {};
    select.disabled = dry.disabled = go.disabled = true;
    say("", isDry ? "Asking what would happen…" : "On its way…");
    try {
      const begun = await begin({...offer.conf, ...chosen, reason: reason.value.trim(), dry_run: isDry});
      if (offer.says_at_once) {
        await end(begun.run, isDry);
        begun.forget();
      } else {
        outdate();
        if (isShown()) say("good", isDry ? "The dry run has begun." : "The run has begun.", offer.dag_id, begun.run);
      }
    } catch (problem) {
      if (!isShown()) return;
      say("bad", problem.message);
      select.disabled = dry.disabled = false;
      go.disabled = offer.says_at_once;
    }
  }

  dry.onclick = () => press(true);
  go.onclick = () => press(false);
}

// What was approved may be refused all the same: another champion serves by now, or the model is held.
async function tellWhatCame(asked, received, isShown) {
  const path = taskPath(asked.dag_id, asked.run_id, asked.acts);
  const ended = await follow(path, asked.dag_id, asked.run_id, asked.acts)
    .catch((problem) => ({state: "running", sentence: problem.message}));
  if (!isShown()) return;
  const tone = {success: "good", running: "wait"}[ended.state] || "bad";
  say(tone, `${received} ${ended.sentence || "Nothing came of it; the run says why."}`, asked.dag_id, asked.run_id);
}

function answerTo(button, asked) {
  const promise = "Your answer is final, and the ledger keeps it with your name.";
  const isShown = open(button, `${asked.option}: ${asked.subject}`, promise, asked.option, "solid");
  choice.hidden = dry.hidden = true;
  go.disabled = false;
  go.onclick = async () => {
    if (!hasReason()) return;
    go.disabled = true;
    const params = asked.reason_param ? {[asked.reason_param]: reason.value.trim()} : {};
    const path = `${taskPath(asked.dag_id, asked.run_id, asked.task_id)}/${asked.map_index}/hitlDetails`;
    try {
      await askAgain("PATCH", path, {chosen_options: [asked.option], params_input: params});
    } catch (problem) {
      const isAnswered = problem.status === 409 || problem.status === 404;
      if (isAnswered) outdate();
      if (!isShown()) return;
      say("bad", problem.message);
      go.disabled = isAnswered;
      return;
    }
    outdate();
    const received = `${asked.option}: it was received.`;
    if (isShown()) say(asked.acts ? "" : "good", received, asked.dag_id, asked.run_id);
    if (asked.acts) await tellWhatCame(asked, received, isShown);
  };
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-offer], button[data-answer]");
  if (!button || button.disabled) return;
  if (button.dataset.offer) actOn(button, JSON.parse(button.dataset.offer));
  else answerTo(button, JSON.parse(button.dataset.answer));
});
