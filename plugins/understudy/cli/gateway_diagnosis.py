"""Ask each place that serves what it serves, and compare that with the ledger."""

from understudy.cli.finding import Finding, Severity
from understudy.contract.errors import SpecProblem, UnderstudyError
from understudy.contract.load import declared, read_model
from understudy.contract.serving import Lagging, ModelStatus, ServingTerms
from understudy.contract.words import Confinement
from understudy.hooks.connect import Hooks
from understudy.hooks.places.gateways import Gateways
from understudy.hooks.places.places import Places
from understudy.hooks.places.serving_terms import terms_of
from understudy.settings import Settings
from understudy.trust import trust_for

ASK_S = 5.0
ABOUT = "gateway"


def find_gateways(settings: Settings) -> list[Finding]:
    """Look at every place that serves; one that serves an older record is named with both epochs."""
    served, hooks = _served(settings), Hooks(settings)
    elsewhere = {model: terms for model, terms in served.items() if terms.serving.target is not None}
    ours = [model for model in served if model not in elsewhere]
    found = [finding for model, terms in elsewhere.items() for finding in _of_target(hooks, model, terms)]
    return found + _of_ours(hooks, ours) if ours or not elsewhere else found


def _of_ours(hooks: Hooks, served: list[str]) -> list[Finding]:
    settings = hooks.settings
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
    found += [finding for model in served for finding in _of_model(hooks, hooks.gateways, model)]
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


def _of_target(hooks: Hooks, model: str, terms: ServingTerms) -> list[Finding]:
    try:
        places = hooks.places(terms)
    except UnderstudyError as unusable:
        return [_broken(f"{model}: {unusable}", "Correct serving in its model.yaml, or what that names.")]
    nothing = f"{model} is served by {terms.serving.target} once it has a champion"
    found = _of_model(hooks, places, model) if places else []
    return found or [Finding(about=ABOUT, severity=Severity.FINE, found=nothing)]


def _of_model(hooks: Hooks, places: Places, model: str) -> list[Finding]:
    try:
        record = hooks.deployments.current(model)
    except UnderstudyError:
        return []  # told about the ledger itself
    if record is None:
        return []
    answers = zip(places.names, places.status(model, ASK_S), strict=True)
    return [
        found for name, answer in answers for found in (_of_answer(name, answer, record.epoch), *_unconfined(answer))
    ]


def _served(settings: Settings) -> dict[str, ServingTerms]:
    served = {}
    for path in declared(settings.models_dir):
        try:
            spec = read_model(settings.models_dir, path.parent.name)
        except SpecProblem:
            continue  # told among the models
        if spec.serving is not None:
            served[spec.model] = terms_of(spec)
    return served


def _of_answer(name: str, answer: ModelStatus | Lagging, epoch: int) -> Finding:
    if isinstance(answer, Lagging):
        return _broken(answer.problem, f"Look at {name}, for a gateway at /health and its follower's output.")
    if answer.epoch < epoch:
        told = f"{answer.gateway} serves epoch {answer.epoch} of {answer.model}, the ledger says {epoch}"
        return _broken(
            told,
            "A gateway follows by itself; another target gets the record when the task is tried again.",
        )
    ready = sum(worker.is_ready for worker in answer.workers)
    told = f"{answer.gateway} serves version {answer.version} of {answer.model}; warm processes: {ready}"
    problems = [worker.problem for worker in answer.workers if worker.problem]
    problems += [answer.lapse.sentence] if answer.lapse else []
    problems += [answer.log_problem] if answer.log_problem else []
    if problems:
        way_out = f"See {name}, for a gateway at /health."
        return Finding(about=ABOUT, severity=Severity.NOTE, found=f"{told}; {problems[0]}", way_out=way_out)
    return Finding(about=ABOUT, severity=Severity.FINE, found=told)


def _unconfined(answer: ModelStatus | Lagging) -> list[Finding]:
    if isinstance(answer, Lagging):
        return []
    lacking = {confinement for worker in answer.workers for confinement in worker.not_held}
    process = "as a user other than root" if lacking == {Confinement.NO_ROOT} else "on Linux"
    way_out = (
        f"Run the gateway {process}, or train in an image and score in containers of it "
        "(AIRFLOW__UNDERSTUDY__GATEWAY_ISOLATION=docker)."
    )
    return [
        Finding(about=ABOUT, severity=Severity.NOTE, found=f"{answer.gateway}, {answer.model}: {told}", way_out=way_out)
        for told in answer.unconfined
    ]


def _of_gateway(url: str) -> Finding:
    """Ask a gateway that has nothing to serve yet."""
    import httpx

    try:
        # A company's proxy knows no gateway of this deployment.
        with httpx.Client(base_url=url, timeout=ASK_S, trust_env=False, verify=trust_for(url)) as client:
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
