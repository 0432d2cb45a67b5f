"""Turn read models into pages: templates that escape every value, and headers that let nothing else in."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from understudy import __version__
from understudy.contract.cards.text import interval, limits
from understudy.contract.judgement import GateResult
from understudy.contract.moment import age, moment
from understudy.contract.printable import printable_line
from understudy.contract.words import Verdict
from understudy.ui.place import airflow_base, own_base

HEADERS = {
    # Our pages need no inline script, no inline style and nothing from elsewhere.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_URGENCY = (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED)


def page(request: Request, name: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """Render a template."""
    template = _templates().get_template(f"{name}.html.jinja")
    text = template.render(base=own_base(request), airflow=airflow_base(request), version=__version__, **shown)
    return HTMLResponse(text, status_code=status)


def number(value: float | None) -> str:
    """Write a measured number in four digits; a missing one is no number."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:,.4g}"


def spoken(word: str) -> str:
    """Write a word of ours as people write it."""
    return str(word).replace("_", " ")


def sentence(text: str) -> str:
    """Begin with a capital letter, and leave the names and words of people as they are."""
    return f"{text[:1].upper()}{text[1:]}"


def worst_first(answers: Iterable[GateResult]) -> list[GateResult]:
    """Put what failed before what nobody could say, and both before what passed."""
    return sorted(answers, key=lambda answer: _URGENCY.index(answer.verdict))


def _shown(value: object) -> object:
    """Keep what people wrote from turning the reading direction of the words around it; markup is ours."""
    return printable_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("understudy.ui", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "age": age,
        "interval": interval,
        "limits": limits,
        "moment": moment,
        "number": number,
        "sentence": sentence,
        "words": spoken,
        "worst_first": worst_first,
    }
    return environment
