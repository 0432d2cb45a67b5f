"""Ask each gateway what it serves, and compare that with the ledger."""

from understudy.cli.finding import Finding, Severity
from understudy.contract.errors import SpecProblem, UnderstudyError
from understudy.contract.load import declared, load_model
from understudy.contract.serving import Lagging, ModelStatus
from understudy.hooks.connect import Hooks
from understudy.hooks.gateways import Gateways
from understudy.settings import Settings

ASK_S = 5.0
ABOUT = "gateway"


def find_gateways(settings: Settings) -> list[Finding]:
    """Look at every gateway; one that serves an older record is named with both epochs."""
    served = _served(settings)
    hooks = Hooks(settings)
    if hooks.gateways is None:
        return [_none(served)]
    if settings.gateway_secret is None:
        return [
            _broken(
                "no token opens the admin API of the gateways",
                "Set AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN to the gateways' token.",
            )
        ]
    found = _broken_glass(hooks.gateways, served)
    try:
        epochs = {model: hooks.deployments.current(model) for model in served}
    except UnderstudyError:
        epochs = {}  # told about the ledger itself
    for model, record in epochs.items():
        if record is not None:
            answers = hooks.gateways.status(model, ASK_S)
            pairs = zip(settings.gateway_urls, answers, strict=True)
            found += [_of_model(url, answer, record.epoch) for url, answer in pairs]
    return found or [_of_gateway(url) for url in settings.gateway_urls]


def _broken_glass(gateways: Gateways, served: list[str]) -> list[Finding]:
    """Ask what was taken back and is not in the ledger, which need not answer for that."""
    statuses = (status for model in served for status in gateways.status(model, ASK_S))
    broken = [s.broken_glass for s in statuses if isinstance(s, ModelStatus) and s.broken_glass is not None]
    return [
        Finding(
            about=ABOUT,
            severity=Severity.NOTE,
            found=f"{glass.gateway}: {glass.notice}",
            way_out="Its follower reports it as soon as it reaches the ledger.",
        )
        for glass in broken
    ]


def _served(settings: Settings) -> list[str]:
    served = []
    for path in declared(settings.models_dir):
        try:
            spec = load_model(settings.models_dir, path.parent.name)
        except SpecProblem:
            continue  # told among the models
        if spec.serving is not None:
            served.append(spec.model)
    return served


def _of_model(url: str, answer: ModelStatus | Lagging, epoch: int) -> Finding:
    if isinstance(answer, Lagging):
        return _broken(answer.problem, f"Look at {url}/health, and at the output of the gateway and its follower.")
    if answer.epoch < epoch:
        told = f"{answer.gateway} serves epoch {answer.epoch} of {answer.model}, the ledger says {epoch}"
        return _broken(told, f"Its follower brings it the newest record; {url}/health says what keeps it.")
    ready = sum(worker.is_ready for worker in answer.workers)
    told = f"{answer.gateway} serves version {answer.version} of {answer.model}; warm processes: {ready}"
    problems = [worker.problem for worker in answer.workers if worker.problem]
    problems += [answer.log_problem] if answer.log_problem else []
    if problems:
        return Finding(
            about=ABOUT, severity=Severity.NOTE, found=f"{told}; {problems[0]}", way_out=f"See {url}/health."
        )
    return Finding(about=ABOUT, severity=Severity.FINE, found=told)


def _of_gateway(url: str) -> Finding:
    """Ask a gateway that has nothing to serve yet."""
    import httpx

    try:
        # A company's proxy knows no gateway of this deployment.
        with httpx.Client(base_url=url, timeout=ASK_S, trust_env=False) as client:
            answer = client.get("/health").raise_for_status().json()
        problem = answer["truth"]["problem"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as silent:
        told = f"{url} does not answer as a gateway does ({str(silent) or type(silent).__name__})"
        return _broken(told, "Start it with `make up` or `understudy gateway`; AIRFLOW__UNDERSTUDY__GATEWAYS names it.")
    if problem:
        return Finding(about=ABOUT, severity=Severity.NOTE, found=f"{url} answers; {problem}")
    return Finding(about=ABOUT, severity=Severity.FINE, found=f"{url} answers, nothing to serve yet")


def _none(served: list[str]) -> Finding:
    if served:
        told = f"no gateway runs, so nobody can ask {', '.join(served)}"
        way_out = "Start it with `make up` or `understudy gateway`; AIRFLOW__UNDERSTUDY__GATEWAYS names others."
        return Finding(about=ABOUT, severity=Severity.NOTE, found=told, way_out=way_out)
    return Finding(about=ABOUT, severity=Severity.FINE, found="not needed: no declared model is served")


def _broken(found: str, way_out: str) -> Finding:
    return Finding(about=ABOUT, severity=Severity.BROKEN, found=found, way_out=way_out)
