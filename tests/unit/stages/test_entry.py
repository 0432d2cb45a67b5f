"""The entry point of a stage image, run as the runners run it."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from understudy.contract.entry_point import (
    INPUTS_ENV,
    OUTPUTS_ENV,
    REQUEST_ENV,
    RESULT_ENV,
    SECRETS_ENV,
    TIMEOUT_ENV,
    unmark,
)
from understudy.contract.stage import StageRequest, StageResult, artefact_of

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
CODE = """
import logging, sys, time, warnings
from pathlib import Path
from pydantic import BaseModel
from understudy.contract.errors import SpecProblem
from understudy.stages import Refused, StageOutput, stage

class Report(BaseModel):
    mean: float
    parts: list[float]

class Scalar:
    def item(self):
        return 7

@stage
def measure(context):
    (context.outputs / "a.txt").write_text("a")
    report = Report(mean=float("nan"), parts=[1.0, float("inf")])
    return StageOutput(report=report, outputs={"a": context.outputs / "a.txt"}, timings={"fit_s": 1})

@stage
def scalars(context):
    return StageOutput(report={"n": Scalar(), "seen": context.inputs["data"].read_text()})

@stage
def speak(context):
    logging.getLogger("x").warning("two\\nlines")
    warnings.warn("old")
    print("\\r10 %\\r20 %", file=sys.stderr)
    print("out")
    return StageOutput(report={"secret": len(context.secrets["token"])})

def unmarked(context):
    return StageOutput(report={})

@stage
def refuses(context):
    raise Refused("too few rows", "data.window")

@stage
def spec_is_wrong(context):
    raise SpecProblem(Path("model.yaml"), 3, "train.estimator", "is unknown")

@stage
def escapes(context):
    (context.outputs.parent / "elsewhere").write_text("x")
    return StageOutput(report={}, outputs={"x": context.outputs / ".." / "elsewhere"})

@stage
def forgets(context):
    return StageOutput(report={}, outputs={"x": context.outputs / "missing"})

@stage
def odd(context):
    return StageOutput(report={"x": object()})

@stage
def bulky(context):
    return StageOutput(report={"x": "x" * 2_000_001})

@stage
def returns_nothing(context):
    return None

@stage
def runs_out(context):
    raise MemoryError

@stage
def crashes(context):
    import no_such_library

@stage
def explains_at_length(context):
    raise ValueError("feature names should match those of the fit\\n- f\\n- g")

@stage
def waits(context):
    print("ready")
    sum(range(10**12))
"""


class Folder:
    """The files around one run of the entry point."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in ("inputs/code", "outputs"):
            (root / part).mkdir(parents=True)
        (root / "inputs/code/probe.py").write_text(CODE)
        (root / "inputs/data").write_text("content")

    def start(self, stage: str, **environment: str) -> "subprocess.Popen[str]":
        inputs = {name: artefact_of(self.root / "inputs" / name, self.root / "inputs") for name in ("code", "data")}
        request = StageRequest(
            stage=stage, model="m", run="r", as_of=datetime(2026, 1, 1, tzinfo=timezone.utc), inputs=inputs
        )
        if not (self.root / "request.json").exists():
            (self.root / "request.json").write_text(request.model_dump_json())
        paths = {REQUEST_ENV: "request.json", INPUTS_ENV: "inputs", OUTPUTS_ENV: "outputs", RESULT_ENV: "return.json"}
        return subprocess.Popen(
            [sys.executable, "-m", "understudy.stages"],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PLUGINS),
                "PYTHONDONTWRITEBYTECODE": "1",
                **{name: str(self.root / path) for name, path in paths.items()},
                **environment,
            },
        )

    def run(self, stage: str, said: str = "", **environment: str) -> tuple[int, list[tuple[int, str]], str]:
        with self.start(stage, **environment) as process:
            out, err = process.communicate(said, timeout=60)
        return process.returncode, [unmark(line, 0) for line in err.split("\n") if line], out

    def result(self) -> StageResult:
        return StageResult.model_validate_json((self.root / "return.json").read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_it_writes_the_report_without_nan_and_describes_the_outputs(folder: Folder) -> None:
    assert folder.run("probe:measure")[0] == 0
    result = folder.result()
    assert result.report == {"mean": None, "parts": [1.0, None]}
    assert result.outputs["a"] == artefact_of(folder.root / "outputs/a.txt", folder.root / "outputs")
    assert result.timings["fit_s"] == 1
    assert result.timings["stage_s"] >= 0
    assert result.peak_memory_mb
    assert "NaN" not in (folder.root / "return.json").read_text()


def test_it_gives_the_inputs_and_takes_numpy_like_scalars(folder: Folder) -> None:
    assert folder.run("probe:scalars")[0] == 0
    assert folder.result().report == {"n": 7, "seen": "content"}


def test_every_line_carries_its_level_and_secrets_come_by_standard_input(folder: Folder) -> None:
    code, log, out = folder.run("probe:speak", '{"token": "12345"}\n', **{SECRETS_ENV: "1"})
    assert code == 0
    assert log[:2] == [(30, "two"), (30, "lines")]
    assert any(level == 30 and "UserWarning: old" in text for level, text in log)
    assert [text for _, text in log if "%" in text] == ["10 %", "20 %"]
    assert out == "out\n"
    assert folder.result().report == {"secret": 5}


@pytest.mark.parametrize(
    ("function", "message", "field"),
    [
        ("probe:refuses", "too few rows", "data.window"),
        ("probe:spec_is_wrong", "model.yaml:3: train.estimator: is unknown", "train.estimator"),
        ("probe:unmarked", "put @stage above unmarked", "stage"),
        ("probe:nothing", "no function 'nothing'", "stage"),
        ("no_such_module:run", "neither in the image nor in the input", "stage"),
        ("evalute", "did you mean 'evaluate'?", "stage"),
    ],
)
def test_what_would_fail_again_is_refused_in_one_sentence(
    folder: Folder, function: str, message: str, field: str
) -> None:
    code, log, _ = folder.run(function)
    refusal = folder.result().refusal
    assert code == 65
    assert refusal is not None
    assert message in refusal.message
    assert refusal.field == field
    assert len(log) == 1
    assert log[0][0] == 40


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("probe:escapes", 1, "lies elsewhere"),
        ("probe:forgets", 1, "does not exist"),
        ("probe:odd", 1, "JSON cannot hold"),
        ("probe:bulky", 1, "2,000,000 are allowed"),
        ("probe:returns_nothing", 1, "instead of StageOutput"),
        ("probe:runs_out", 71, "ran out of memory"),
    ],
)
def test_what_a_team_gets_wrong_is_one_sentence(folder: Folder, function: str, code: int, words: str) -> None:
    ended, log, _ = folder.run(function)
    assert ended == code
    assert words in log[-1][1]
    assert len(log) == 1
    assert not (folder.root / "return.json").exists()


def test_a_crash_leaves_its_traceback_for_engineers(folder: Folder) -> None:
    code, log, _ = folder.run("probe:crashes")
    assert code == 1
    assert log[0] == (40, "Traceback (most recent call last):")
    assert log[-1] == (40, "ModuleNotFoundError: No module named 'no_such_library'")


def test_the_last_line_of_a_crash_is_what_happened_however_long_the_message_goes_on(folder: Folder) -> None:
    code, log, _ = folder.run("probe:explains_at_length")
    assert code == 1
    assert log[-1] == (40, "ValueError: feature names should match those of the fit")
    assert any(text == "- g" for _, text in log)


def test_changed_and_missing_inputs_are_noticed_before_anything_runs(folder: Folder) -> None:
    folder.run("probe:measure")
    (folder.root / "return.json").unlink()
    (folder.root / "inputs/data").write_text("tampered")
    code, log, _ = folder.run("probe:measure")
    assert (code, "'data' was changed" in log[0][1]) == (1, True)
    (folder.root / "inputs/data").unlink()
    code, log, _ = folder.run("probe:measure")
    assert (code, "'data' is missing" in log[0][1]) == (1, True)
    assert not (folder.root / "return.json").exists()


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 2}', '{"stage": "train"}'])
def test_a_request_of_another_version_is_named(folder: Folder, text: str) -> None:
    (folder.root / "request.json").write_text(text)
    code, log, _ = folder.run("train")
    assert (code, len(log)) == (1, 1)
    assert "older or newer" in log[0][1]


def test_secrets_that_do_not_arrive_are_noticed(folder: Folder) -> None:
    code, log, _ = folder.run("probe:speak", "", **{SECRETS_ENV: "1"})
    assert code == 1
    assert "did not arrive" in log[0][1]


@pytest.mark.parametrize(("environment", "number"), [({}, signal.SIGTERM), ({TIMEOUT_ENV: "1.5"}, signal.SIGALRM)])
def test_a_signal_and_the_deadline_end_it_inside_native_code(
    folder: Folder, environment: dict[str, str], number: int
) -> None:
    with folder.start("probe:waits", **environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        begun = time.monotonic()
        if not environment:
            process.send_signal(number)
        process.wait(10)
    assert time.monotonic() - begun < 3
    assert process.returncode == -number


def test_it_is_ready_for_a_teams_code_in_half_a_second() -> None:
    heavy = ("airflow", "pandas", "numpy", "polars", "sklearn", "docker", "yaml")
    program = (
        f"import sys, json, understudy.stages.entry; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    )
    shown: Any = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(PLUGINS)}, capture_output=True, check=True
    ).stdout
    assert json.loads(shown) == []
