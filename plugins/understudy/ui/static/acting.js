// What a person decides is sent to Airflow's own API, with that person's own login. One dialog serves all actions: its
// first press shows what would happen, its second one does it. A run's id is made once for what was asked, so that a
// double click, or a request that is sent again, is one run.

import {ask, askAgain, dagPath, loginPage, own, runPage, runPath, taskPath} from "./airflow.js";
import {follow, isTakenUp} from "./following.js";

// Airflow takes notes of a thousand characters.
const NOTE_LIMIT = 900;
// Not a space, a control, a mark without a letter, or a letter that is drawn as nothing.
const SEEN = /[^\p{Z}\p{C}\p{M}\u115f\u1160\u2800\u3164\uffa0]/u;
// Controls and turns of the reading direction, which would show the words around them in another order.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const dialog = document.getElementById("act");
const part = (name) => document.getElementById(`act-${name}`);
const [dry, go, reason, answer, choice] = ["dry", "do", "reason", "answer", "choice"].map(part);
const select = choice.querySelector("select");
// Counts how often the dialog was opened: what comes late belongs to a dialog that is gone.
let opened = 0;
let isStale = false;

function say(tone, sentence, dagId, run) {
  const notice = document.createElement("div");
  notice.className = `notice ${tone}`;
  const line = document.createElement("p");
  line.textContent = sentence.replace(UNSEEN, " ");
  notice.append(line);
  if (run) addLink(notice, runPage(dagId, run), "Open the run in Airflow");
  answer.replaceChildren(notice);
  return notice;
}

function addLink(notice, page, text) {
  const link = Object.assign(document.createElement("a"), {href: page, textContent: text});
  link.setAttribute("data-in-airflow", "");
  const line = document.createElement("p");
  line.append(link);
  notice.append(line);
}

// Whoever has to log in again does so beside the dialog: what was typed stays.
function sayProblem(problem) {
  const notice = say("bad", problem.message);
  if (problem.status !== 401) return;
  const link = Object.assign(document.createElement("a"), {href: loginPage, target: "_blank", textContent: "Log in"});
  link.setAttribute("data-elsewhere", "");
  notice.firstElementChild.append(" ", link);
}

// What is queued begins later, unless somebody withdraws it; a person who cannot wait has the command line.
function sayWhyItWaits(why, command, dagId, run) {
  const notice = say("wait", `It is queued. ${why.sentence}`, dagId, run);
  if (why.page) addLink(notice, why.page, why.title);
  if (!why.isAirflows || !command) return;
  const line = document.createElement("p");
  const typed = document.createElement("code");
  typed.textContent = command;
  line.append("The command line does it without Airflow: ", typed);
  notice.append(line);
}

function hasReason() {
  const limit = Number(reason.dataset.limit);
  const length = SEEN.test(reason.value) ? [...reason.value.trim()].length : 0;
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
    // By whole characters: half of one is no text, and Airflow fails on it.
    const note = [...(conf.dry_run ? "Dry run: " : "") + conf.reason].slice(0, NOTE_LIMIT).join("");
    const run = {dag_run_id: runs[key], logical_date: null, conf, note};
    await askAgain("POST", `/api/v2${dagPath(offer.dag_id)}/dagRuns`, run).catch((problem) => {
      if (problem.status !== 409) throw problem;
    });
    return {run: runs[key], forget: () => { delete runs[key]; }};
  }

  const command = () => [offer.command, ...(offer.chosen ? [offer.chosen_option, select.value] : []), '--reason "…"'];

  // A dry run that nothing took up, and that nobody waits for any more, is taken out of the queue: it would tell nobody.
  async function isBegun(run, isDry) {
    let isTold = false;
    const isUp = await isTakenUp(runPath(offer.dag_id, run), offer.dag_id, (why) => {
      if (!isShown()) {
        if (why && isTold && isDry) ask("DELETE", runPath(offer.dag_id, run)).catch(() => {});
        return Boolean(why) && isDry;
      }
      if (why) sayWhyItWaits(why, command().join(" "), offer.dag_id, run);
      isTold ||= Boolean(why);
      return isTold && !offer.says_at_once;
    });
    if (isUp && isTold && isShown()) say("", "It has begun…", offer.dag_id, run);
    return isUp;
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
      const {run, forget} = await begin({...offer.conf, ...chosen, reason: reason.value.trim(), dry_run: isDry});
      if (!offer.says_at_once) outdate();
      const isUp = await isBegun(run, isDry);
      if (offer.says_at_once && isUp) {
        await end(run, isDry);
        forget();
      } else if (offer.says_at_once && isShown()) {
        select.disabled = dry.disabled = false;
      } else if (isUp && isShown()) {
        say("good", isDry ? "The dry run has begun." : "The run has begun.", offer.dag_id, run);
      }
    } catch (problem) {
      if (!isShown()) return;
      sayProblem(problem);
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
  choice.hidden = true;
  dry.hidden = dry.disabled = go.disabled = false;
  dry.onclick = async () => {
    dry.disabled = true;
    say("", "Asking what would happen…");
    try {
      const query = new URLSearchParams({run: asked.run_id, option: asked.option});
      const path = `/api/models/${encodeURIComponent(asked.model)}/answers/${encodeURIComponent(asked.task_id)}?${query}`;
      const foretold = await askAgain("GET", own + path);
      if (isShown()) say(foretold.is_refused ? "bad" : "", `This would happen: ${foretold.sentence}`);
    } catch (problem) {
      if (isShown()) sayProblem(problem);
    }
    if (isShown()) dry.disabled = false;
  };
  go.onclick = async () => {
    if (!hasReason()) return;
    dry.disabled = go.disabled = true;
    const params = asked.reason_param ? {[asked.reason_param]: reason.value.trim()} : {};
    const path = `${taskPath(asked.dag_id, asked.run_id, asked.task_id)}/${asked.map_index}/hitlDetails`;
    try {
      await askAgain("PATCH", path, {chosen_options: [asked.option], params_input: params});
    } catch (problem) {
      const isAnswered = problem.status === 409 || problem.status === 404;
      if (isAnswered) outdate();
      if (!isShown()) return;
      sayProblem(problem);
      dry.disabled = go.disabled = isAnswered;
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
