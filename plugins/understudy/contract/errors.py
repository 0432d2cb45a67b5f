"""One exception for each way a declaration can be wrong."""

from pathlib import Path

from understudy.contract.suggest import nearest


class UnderstudyError(Exception):
    """Be the base of every error that a user may see: one clear sentence with a way out."""


class SpecProblem(UnderstudyError):
    """A ``model.yaml`` cannot be used."""

    def __init__(self, path: Path, line: int | None, field: str, problem: str, way_out: str = "") -> None:
        self.path, self.line, self.field, self.problem, self.way_out = path, line, field, problem, way_out
        where = f"{path}:{line}" if line else str(path)
        named = f" {field}:" if field else ""
        super().__init__(f"{where}:{named} {problem}{'. ' + way_out if way_out else ''}")


class UnknownModel(UnderstudyError):
    """No ``model.yaml`` declares the name."""

    def __init__(self, model: str, known: list[str], models_dir: Path) -> None:
        self.model, self.known = model, known
        listing = ", ".join(sorted(known)[:8]) or "none yet; `understudy init` writes one"
        hint = nearest(model, known)
        meant = f"{hint[2].upper()}{hint[3:]} " if hint.startswith("; did") else ""
        super().__init__(f"No model {model!r} in {models_dir}. {meant}Known models: {listing}.")
