// Follows what Airflow was asked for, from its queue to its end, and says why it waits where nothing takes it up.

import {askAgain, dagPage, dagPath, pause, runPage, taskPath} from "./airflow.js";

const PATIENCE_MS = 180000;
const FIRST_LOOK_MS = 2000;
const LOOK_EVERY_MS = 5000;
// A scheduler that has work to do takes a run up within this time.
const LONG_MS = 15000;
const ENDS = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);

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
export async function follow(path, dagId, run, taskId) {
  const until = Date.now() + PATIENCE_MS;
  while (Date.now() < until) {
    const {state} = await askAgain("GET", path);
    if (ENDS.has(state)) return {state, sentence: await sentenceOf(dagId, run, taskId)};
    await pause();
  }
  return {state: "running", sentence: "It has not ended yet."};
}

// Waits until the scheduler takes a run up; tells false where it does not, or whoever hears why has heard enough.
export async function isTakenUp(path, dagId, isEnough) {
  const begun = Date.now();
  let look = begun + FIRST_LOOK_MS;
  while ((await askAgain("GET", path)).state === "queued") {
    const now = Date.now();
    if (now - begun >= PATIENCE_MS) return false;
    if (now >= look) {
      const why = await whyQueued(dagId, now - begun >= LONG_MS);
      if (isEnough(why)) return false;
      look = now + LOOK_EVERY_MS;
    }
    await pause();
  }
  return true;
}

// Null where nothing is wrong so far.
async function whyQueued(dagId, isLong) {
  const api = `/api/v2${dagPath(dagId)}`;
  const {is_paused: isPaused, max_active_runs: most} = await askAgain("GET", api);
  if (isPaused) {
    return {sentence: `The DAG ${dagId} is paused. It begins once somebody unpauses that in Airflow.`,
      page: dagPage(dagId), title: "Open the DAG in Airflow", isAirflows: true};
  }
  const {scheduler} = isLong ? await askAgain("GET", "/api/v2/monitor/health") : {scheduler: null};
  if (scheduler && scheduler.status !== "healthy") {
    return {sentence: "Airflow's scheduler does not run, or hangs. It begins once somebody has started that again.",
      isAirflows: true};
  }
  const running = `${api}/dagRuns?state=running&order_by=run_after&limit=1`;
  const {dag_runs: [first], total_entries: busy} = await askAgain("GET", running);
  if (first && most && busy >= most) {
    const others = most === 1 ? `Another run of ${dagId} is under way, and only one` : `${busy} runs are under way, and no more`;
    return {sentence: `${others} at a time is allowed. It begins when that has ended.`,
      page: runPage(dagId, first.dag_run_id), title: "Open the run that is under way"};
  }
  if (!isLong) return null;
  return {sentence: "Nothing has taken it up yet. Probably Airflow's scheduler hangs, or has no slot free.",
    isAirflows: true};
}
