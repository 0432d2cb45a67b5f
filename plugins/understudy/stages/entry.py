"""Run one stage: read the request, verify the inputs, call the function, write the result.

Imports stay light (half a second at most before a team's code runs): a stage imports its own libraries.
"""

import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from understudy.contract import entry_point as env
from understudy.contract.entry_point import mark
from understudy.contract.errors import SpecProblem, UnderstudyError
from understudy.contract.stage import RESULT_LIMIT_BYTES, Artefact, Refusal, StageRequest, StageResult, artefact_of
from understudy.contract.words import ExitCode
from understudy.stages.context import Refused, StageContext, StageOutput
from understudy.stages.errors import (
    BadOutput,
    BadReport,
    InputMissing,
    InputTampered,
    ReportTooLarge,
    RequestUnreadable,
    SecretsLost,
)
from understudy.stages.resolve import CODE_INPUT, resolve
from understudy.stages.voice import start_speaking

BROKEN = 1


def main() -> int:
    """Run the stage that the environment describes and return its exit code."""
    start_speaking()
    _end_promptly()
    try:
        return _answer()
    except MemoryError as full:
        _say(f"The stage ran out of memory: {full or 'an allocation failed'}. Raise runtime.memory.")
        return ExitCode.OUT_OF_MEMORY
    except UnderstudyError as known:
        _say(str(known))
        return BROKEN
    except Exception as unexpected:  # noqa: BLE001 - whatever a team's code raises: engineers read the traceback
        _say(traceback.format_exc().rstrip())
        _say(_headline(unexpected))  # the last line is what others quote; a message of many lines often ends in a link
        return BROKEN


def _answer() -> int:
    request = _read_request(_path(env.REQUEST_ENV, "/understudy/request.json"))
    result_path = _path(env.RESULT_ENV, "/airflow/xcom/return.json")
    started = time.perf_counter()
    try:
        output = _call(request)
    except (Refused, SpecProblem) as refused:
        refusal = Refusal(message=str(refused), field=refused.field)
        _write(result_path, StageResult(stage=request.stage, refusal=refusal))
        _say(f"Refused: {refused}")
        return ExitCode.REFUSED
    seconds = time.perf_counter() - started
    _write(result_path, _result(request, output, seconds))
    return ExitCode.DONE


def _call(request: StageRequest) -> StageOutput:
    secrets = _read_secrets()
    inputs = _verified(request.inputs, _path(env.INPUTS_ENV, "/understudy/inputs"))
    function = resolve(request.stage, inputs.get(CODE_INPUT))
    output = function(StageContext(request=request, inputs=inputs, outputs=_outputs(), secrets=secrets))
    if not isinstance(output, StageOutput):
        raise BadReport(request.stage, f"it returned {type(output).__name__} instead of StageOutput")
    return output


def _read_request(path: Path) -> StageRequest:
    try:
        return StageRequest.model_validate_json(path.read_bytes())
    except OSError as missing:
        raise RequestUnreadable(path, missing.strerror or str(missing)) from missing
    except ValidationError as invalid:
        first = invalid.errors()[0]
        raise RequestUnreadable(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from invalid


def _read_secrets() -> dict[str, str]:
    if env.SECRETS_ENV not in os.environ:
        return {}
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        raise SecretsLost
    return {name: str(value) for name, value in json.loads(line).items()}


def _verified(inputs: Mapping[str, Artefact], root: Path) -> dict[str, Path]:
    paths = {name: root / name for name in inputs}
    for name, expected in inputs.items():
        if not paths[name].exists():
            raise InputMissing(name, paths[name])
        found = artefact_of(paths[name], root)
        if found.sha256 != expected.sha256:
            raise InputTampered(name, expected.sha256, found.sha256)
    return paths


def _result(request: StageRequest, output: StageOutput, seconds: float) -> StageResult:
    outputs = {name: _artefact(request.stage, name, path) for name, path in output.outputs.items()}
    timings = {name: float(value) for name, value in {**output.timings, "stage_s": seconds}.items()}
    return StageResult(
        stage=request.stage,
        report=_plain(request.stage, output.report),
        outputs=outputs,
        timings=timings,
        peak_memory_mb=_peak_memory_mb(),
    )


def _plain(stage: str, report: BaseModel | dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Turn a report into JSON values; NaN and infinities become null, numpy's scalars plain numbers."""
    try:
        body = json.loads(to_json(report, inf_nan_mode="null", fallback=lambda value: value.item()))
    except (PydanticSerializationError, AttributeError, TypeError, ValueError) as unfit:
        raise BadReport(stage, str(unfit)) from unfit
    if not isinstance(body, dict):
        raise BadReport(stage, f"the report is {type(report).__name__}, not an object")
    return body


def _artefact(stage: str, name: str, path: Path) -> Artefact:
    root = _outputs().resolve()
    real = path.resolve()
    if real == root or not real.is_relative_to(root):
        raise BadOutput(stage, name, path, "lies elsewhere")
    if not real.exists():
        raise BadOutput(stage, name, path, "does not exist")
    return artefact_of(real, root)


def _write(path: Path, result: StageResult) -> None:
    body = result.model_dump_json().encode()
    if len(body) > RESULT_LIMIT_BYTES:
        raise ReportTooLarge(result.stage, len(body), RESULT_LIMIT_BYTES)
    draft = path.with_suffix(".draft")
    draft.write_bytes(body)
    draft.replace(path)


def _path(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, default))


def _outputs() -> Path:
    return _path(env.OUTPUTS_ENV, "/understudy/outputs")


def _peak_memory_mb() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # macOS counts bytes, Linux KiB
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return round(max(resource.getrusage(w).ru_maxrss for w in who) / unit, 1)


def _headline(error: Exception) -> str:
    first_line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _say(sentence: str) -> None:
    sys.stderr.write(mark(logging.ERROR, sentence) + "\n")


def _end_promptly() -> None:
    """Let SIGTERM and the deadline end the process at once, in the middle of native code, too."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if os.getpid() == 1:  # the kernel spares process 1 (an image started without an init) unless it has a handler
        signal.signal(signal.SIGTERM, lambda number, _frame: os._exit(128 + number))
        signal.signal(signal.SIGALRM, lambda number, _frame: os._exit(128 + number))
    if env.TIMEOUT_ENV in os.environ:
        signal.setitimer(signal.ITIMER_REAL, float(os.environ[env.TIMEOUT_ENV]))
