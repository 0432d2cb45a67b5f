// Airflow's own API, asked with the login of whoever sits before the page.

const TRIES = 4;
const AGAIN_MS = 1000;

export const airflow = document.documentElement.dataset.airflow;
// Where our own pages lie, below Airflow's.
export const own = document.documentElement.dataset.base.slice(airflow.length);
export const loginPage = `${airflow}/auth/login`;
export const pause = () => new Promise((done) => setTimeout(done, AGAIN_MS));
export const dagPath = (dag) => `/dags/${encodeURIComponent(dag)}`;
export const runPath = (dag, run) => `/api/v2${dagPath(dag)}/dagRuns/${encodeURIComponent(run)}`;
export const taskPath = (dag, run, task) => `${runPath(dag, run)}/taskInstances/${encodeURIComponent(task)}`;
export const dagPage = (dag) => airflow + dagPath(dag);
export const runPage = (dag, run) => `${dagPage(dag)}/runs/${encodeURIComponent(run)}`;

const isPassing = (problem) => problem.status === 0 || problem.status >= 500;

function refusal(status, message) {
  return Object.assign(new Error(message), {status});
}

export async function ask(method, path, body) {
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
  const meaning = {401: "You are not logged in any more. Log in in another tab, then press again.",
    403: "Your role may not do this.", 404: "That is gone: look again at what Airflow shows.",
    409: "It was answered already; look at what was decided."};
  throw refusal(answered.status, meaning[answered.status] || said || `Airflow answered ${answered.status}.`);
}

// Only for what may be sent twice: a look, a run whose id is made already, an answer that is taken once.
export async function askAgain(method, path, body) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask(method, path, body);
    } catch (problem) {
      if (!isPassing(problem) || tried === TRIES) throw problem;
      await pause();
    }
  }
}
