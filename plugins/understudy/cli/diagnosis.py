"""Look at each thing that the deployment stands on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from understudy.cli.airflow_diagnosis import find_airflow
from understudy.cli.alerts_diagnosis import find_receivers
from understudy.cli.engine_diagnosis import find_engine
from understudy.cli.finding import Finding, Severity
from understudy.cli.gateway_diagnosis import find_gateways
from understudy.contract.errors import UnderstudyError
from understudy.settings import Settings

ENOUGH_DISK_GB = 5
OLDEST, NEWEST = (3, 10), (3, 13)


def diagnose(settings: Settings) -> list[Finding]:
    """Look at everything; no check changes anything."""
    checks: list[Callable[[Settings], list[Finding]]] = [
        _python,
        _git,
        _disk,
        find_engine,
        find_airflow,
        _registry,
        _ledger,
        find_gateways,
        find_receivers,
        _declarations,
        _retrainings,
    ]
    return [finding for check in checks for finding in check(settings)]


def _python(_: Settings) -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return [Finding(about="python", severity=Severity.FINE, found=f"Python {version}")]
    return [
        Finding(
            about="python",
            severity=Severity.BROKEN,
            found=f"Python {version} is not supported",
            way_out="Install Python 3.10 to 3.13, name it with UNDERSTUDY_PYTHON, and run: make install",
        )
    ]


def _git(_: Settings) -> list[Finding]:
    # Asked, not looked for: macOS has a /usr/bin/git that only offers to install one.
    git = shutil.which("git")
    if git and subprocess.run([git, "--version"], capture_output=True, check=False).returncode == 0:
        return [Finding(about="git", severity=Severity.FINE, found="git is installed")]
    return [
        Finding(
            about="git",
            severity=Severity.BROKEN,
            found="git is not installed; data versions are recorded with it",
            way_out="Install it: apt-get install git on Debian, xcode-select --install on macOS",
        )
    ]


def _disk(settings: Settings) -> list[Finding]:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free_gb = shutil.disk_usage(folder).free / 1e9
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return [
            Finding(
                about="disk",
                severity=Severity.BROKEN,
                found=f"{folder} {'cannot be written to' if folder.is_dir() else 'is not a folder'}",
                way_out="Change its permissions, or point UNDERSTUDY_HOME elsewhere.",
            )
        ]
    if free_gb >= ENOUGH_DISK_GB:
        return [Finding(about="disk", severity=Severity.FINE, found=f"{free_gb:.0f} GB are free below {settings.home}")]
    return [
        Finding(
            about="disk",
            severity=Severity.BROKEN,
            found=f"only {free_gb:.1f} GB are free below {settings.home}",
            way_out="Free some space, or point UNDERSTUDY_HOME at a larger disk.",
        )
    ]


def _registry(settings: Settings) -> list[Finding]:
    from understudy.hooks.connect import Hooks

    local = settings.registry.removeprefix("sqlite:///")
    if settings.registry.startswith("sqlite:///") and not Path(local).is_file():
        return [
            Finding(about="mlflow", severity=Severity.FINE, found="the registry is empty; the first run creates it")
        ]
    try:
        Hooks(settings).registry.aliases("understudy-doctor")
    except UnderstudyError as problem:
        return [
            Finding(
                about="mlflow",
                severity=Severity.BROKEN,
                found=str(problem),
                way_out="Rollback works without it; promotion waits until it answers.",
            )
        ]
    return [Finding(about="mlflow", severity=Severity.FINE, found="the registry answers")]


def _ledger(settings: Settings) -> list[Finding]:
    from understudy.hooks.connect import Hooks

    try:
        chain = Hooks(settings).ledger.verify()
    except UnderstudyError as problem:
        return [Finding(about="ledger", severity=Severity.BROKEN, found=str(problem))]
    if chain.ok:
        return [Finding(about="ledger", severity=Severity.FINE, found=chain.sentence)]
    return [
        Finding(
            about="ledger",
            severity=Severity.BROKEN,
            found=chain.sentence,
            way_out="Somebody changed it. docs/runbooks.md, Ledger broken, says how to go back to the last backup.",
        )
    ]


def _declarations(settings: Settings) -> list[Finding]:
    from understudy.contract.errors import SpecProblem
    from understudy.contract.load import declared, load_model

    if not settings.models_dir.is_dir():
        return [
            Finding(
                about="models",
                severity=Severity.NOTE,
                found=f"{settings.models_dir} is not a folder, so no model is declared",
                way_out="`understudy init` makes it; or point AIRFLOW__UNDERSTUDY__MODELS_DIR at your declarations.",
            )
        ]
    paths = declared(settings.models_dir)
    found = []
    for path in paths:
        try:
            load_model(settings.models_dir, path.parent.name)
        except SpecProblem as problem:
            found.append(
                Finding(
                    about="models",
                    severity=Severity.BROKEN,
                    found=str(problem),
                    way_out="`understudy check` looks closer.",
                )
            )
    count = len(paths) - len(found)
    return [*found, Finding(about="models", severity=Severity.FINE, found=f"{count} declared in {settings.models_dir}")]


def _retrainings(settings: Settings) -> list[Finding]:
    """Look for retrainings that monitors asked for and that did not come: nothing else would ever say so."""
    from understudy.contract.load import declared
    from understudy.hooks.connect import Hooks
    from understudy.hooks.looks import retrainings, trouble_with

    ledger = Hooks(settings).ledger
    found = []
    for model in (path.parent.name for path in declared(settings.models_dir)):
        try:
            told = trouble_with(retrainings(ledger, model), model, settings)
        except UnderstudyError:
            return []  # the ledger is told about above
        found += [
            Finding(
                about="retraining",
                severity=Severity.BROKEN,
                found=f"{model}: {sentence}",
                way_out=f"`understudy ledger {model}` tells how its last run ended. Repair that, or unpause "
                f"retrain__{model}; then start one: understudy retrain {model}",
            )
            for sentence in told
        ]
    return found
