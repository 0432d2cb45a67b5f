"""Check that a serving target does what promotions and rollbacks rely on, against the real place."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from understudy.contract.complaint import Complaint
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import PrepareOrder, ServingOrder, ServingTerms
from understudy.contract.serving_target import ServingTarget
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change
from understudy.hooks.places.errors import TargetIsAhead, TargetRefused
from understudy.hooks.places.probe import example_in

CHECK_MODEL = "understudy_check"
"""The name under which versions are served for the check, and forgotten after it."""
STEP_S = 180.0
NOTE = "understudy_check.txt"
Serves = tuple[int | None, int]
"""A version and an epoch."""


@dataclass
class _Examiner:
    """Serve copies of one model as several versions; note what does not go as it must."""

    build: Callable[[], ServingTarget]
    """Makes the target anew for each step, as each task and each command does."""
    terms: ServingTerms
    bundles: Path
    found: list[Complaint] = field(default_factory=list)

    def copy(self, source: Path, version: int, *, spoiled: bool = False) -> Bundle:
        """Lay down a version with files of its own, or one that cannot be loaded."""
        folder = self.bundles / CHECK_MODEL / str(version)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / NOTE).write_text(str(version), encoding="utf-8")
        if spoiled:
            for file in [path for path in folder.rglob("*") if path.is_file()]:
                file.write_text("nonsense", encoding="utf-8")  # which of them a place reads is its own affair
        return Bundle(
            model=CHECK_MODEL,
            version=version,
            model_sha256=artefact_of(folder, folder.parent).sha256,
            image_digest="",
            code_commit="",
            spec_sha256="",
            data_version="",
            run="check",
            reference_data="",
        )

    def prepare(self, bundle: Bundle) -> None:
        self.build().prepare(PrepareOrder(bundle=bundle, terms=self.terms), STEP_S)

    def serve(self, champion: Bundle, epoch: int, previous: Bundle | None = None) -> Serves:
        """Order a record; return what the acknowledgement says."""
        record = Deployment(
            model=CHECK_MODEL, epoch=epoch, change=Change.PROMOTION, champion=champion, previous=previous
        )
        ack = self.build().serve(ServingOrder(record=record, terms=self.terms), STEP_S)
        return ack.version, ack.epoch

    def status(self) -> Serves:
        told = self.build().status(CHECK_MODEL, STEP_S)
        return told.version, told.epoch

    def probe(self, bundle: Bundle) -> Serves:
        """Ask as a caller does, with the version's own example."""
        example = example_in(self.bundles / CHECK_MODEL / str(bundle.version))
        answered = self.build().probe(CHECK_MODEL, example, STEP_S)
        return answered.version, answered.epoch

    def expect(self, check: str, seen: Serves, wanted: Serves, way_out: str) -> None:
        if seen != wanted:
            told = "version {}, epoch {}"
            problem = f"{told.format(*seen)} instead of {told.format(*wanted)}"
            self.found.append(Complaint(check=check, problem=problem, way_out=way_out))

    def expect_refusal(self, check: str, act: Callable[[], object], kind: type[UnderstudyError], why: str) -> None:
        try:
            act()
        except kind:
            return
        except Exception as other:  # noqa: BLE001 - a team's code may raise anything, and that is the finding
            problem = f"{why} raises {type(other).__name__} ({other})"
        else:
            problem = f"{why} is accepted"
        self.found.append(Complaint(check=check, problem=problem, way_out=f"Raise {kind.__name__}."))


def check_target(
    build: Callable[[], ServingTarget], terms: ServingTerms, model_files: Path, bundles: Path
) -> list[Complaint]:
    """Promote, probe, repeat, refuse, come late and roll back at a real place; nothing is wrong when empty.

    Ends at the first step that breaks, because the next ones stand on it. What it served there is forgotten again.

    :param model_files: the files of a version that the place can serve; it is served under another name.
    """
    examiner = _Examiner(build, terms, bundles)
    try:
        _course(examiner, model_files)
    except Exception as broken:  # noqa: BLE001 - a team's code may raise anything, and that is the finding
        way_out = "A version that can be served has to be served; look at the place's own log."
        examiner.found.append(Complaint(check="works", problem=_told(broken), way_out=way_out))
    finally:
        shutil.rmtree(bundles / CHECK_MODEL, ignore_errors=True)
    try:
        build().forget(CHECK_MODEL, STEP_S)
        examiner.expect("forgets", examiner.status(), (None, 0), "Serve nothing for a model that was forgotten.")
    except Exception as broken:  # noqa: BLE001 - as above
        way_out = f"Look whether the place still serves {CHECK_MODEL}, and end that by hand."
        examiner.found.append(Complaint(check="forgets", problem=_told(broken), way_out=way_out))
    return examiner.found


def _told(broken: Exception) -> str:
    return str(broken) if isinstance(broken, UnderstudyError) else f"{type(broken).__name__}: {broken}"


def _course(at: _Examiner, model_files: Path) -> None:
    one, other = at.copy(model_files, 1), at.copy(model_files, 2)
    spoiled = at.copy(model_files, 3, spoiled=True)
    at.build().forget(CHECK_MODEL, STEP_S)  # what a check that was killed may have left
    at.prepare(one)
    at.expect("prepares", at.status(), (None, 0), "A version that is only prepared must answer nobody.")
    at.expect("promotes", at.serve(one, 1), (1, 1), "Acknowledge the record that was ordered.")
    at.expect("promotes", at.status(), (1, 1), "Remember the record's epoch with what serves.")
    at.expect("probes", at.probe(one), (1, 1), "Say which version answered a caller's request.")
    at.expect("repeats", at.serve(one, 1), (1, 1), "Acknowledge a record again that is served already.")
    at.prepare(other)
    at.expect("prepares", at.probe(one), (1, 1), "A version that is only prepared must answer nobody.")
    at.expect("promotes", at.serve(other, 2, one), (2, 2), "Acknowledge the record that was ordered.")
    at.expect("promotes", at.probe(other), (2, 2), "Acknowledge only once all new answers are the new version's.")
    at.expect_refusal("refuses", lambda: at.prepare(spoiled), TargetRefused, "preparing what cannot be loaded")
    at.expect_refusal("refuses", lambda: at.serve(spoiled, 3, other), TargetRefused, "serving what cannot be loaded")
    at.expect("refuses", at.probe(other), (2, 2), "What served must go on serving when a version is refused.")
    at.expect_refusal("stale", lambda: at.serve(one, 1), TargetIsAhead, "a record of an older epoch")
    at.expect("stale", at.probe(other), (2, 2), "A record of an older epoch must change nothing.")
    at.expect("rolls_back", at.serve(one, 4, None), (1, 4), "Serve an earlier version under a newer epoch.")
    at.expect("rolls_back", at.probe(one), (1, 4), "Serve an earlier version under a newer epoch.")
