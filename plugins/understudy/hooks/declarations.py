"""The declarations as a long-running process sees them: read again when they change, the last good one kept."""

from dataclasses import dataclass, field
from pathlib import Path

from understudy.contract.errors import SpecProblem, UnknownModel
from understudy.contract.load import read_model, spec_path
from understudy.contract.serving import ServingTerms
from understudy.hooks.places.serving_terms import terms_of


@dataclass
class _Read:
    mark: tuple[int, int]
    terms: ServingTerms | None
    problem: str | None


@dataclass
class Declarations:
    """Say under which terms gateways serve the models below a folder."""

    models_dir: Path
    _known: dict[str, _Read] = field(default_factory=dict)

    def terms(self, model: str) -> tuple[ServingTerms | None, str | None]:
        """Return the terms, None where no gateway serves the model; and what is wrong with its declaration.

        Of a declaration that is broken or gone, the last good terms go on.
        """
        try:
            stat = spec_path(self.models_dir, model).stat()
            mark = (stat.st_mtime_ns, stat.st_size)
        except (UnknownModel, OSError):
            known = self._known.get(model)
            return (known.terms, f"{model} is no longer declared") if known and known.terms else (None, None)
        known = self._known.get(model)
        if known is None or known.mark != mark:
            known = self._known[model] = self._read(model, mark, known.terms if known else None)
        return known.terms, known.problem

    def _read(self, model: str, mark: tuple[int, int], before: ServingTerms | None) -> _Read:
        try:
            spec = read_model(self.models_dir, model)
        except SpecProblem as broken:
            return _Read(mark, before, str(broken))
        is_ours = spec.serving is not None and spec.serving.target is None
        return _Read(mark, terms_of(spec) if is_ours else None, None)
