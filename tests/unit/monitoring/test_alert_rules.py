"""Each alert fires when it should and is silent when it should be, as promtool plays it; each has its runbook."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.monitoring.rules import MONITORING, RULES, rules

PROJECT = Path(__file__).resolve().parents[3]
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed; Debian has it in `prometheus`")

AT = '{model="m",instance="g:8090"}'
OF = '{model="m"}'
WORKER = '{model="m",instance="g:8090",role="champion",version="2"}'
GATEWAY = {'up{job="understudy-gateway",instance="g:8090"}': "1x400"}
EXPORTER = {'up{job="understudy-exporter",instance="e:8091"}': "1x400"}
GATEWAY_METRIC, METRIC = "understudy_gateway_", "understudy_"
# What is there, one value a minute, and how many minutes later the alert is looked at.
FIRES: list[tuple[str, dict[str, str], int]] = [
    ("GatewayDown", {'up{job="understudy-gateway",instance="g:8090"}': "1 1 0x20"}, 5),
    ("GatewayUnknown", {'up{job="other"}': "1x20"}, 10),
    ("ModelNotServing", {f"{GATEWAY_METRIC}serving{AT}": "1 0x20"}, 5),
    (
        "ErrorShareHigh",
        {
            f'{GATEWAY_METRIC}requests_total{{model="m",code="200"}}': "0+900x30",
            f'{GATEWAY_METRIC}requests_total{{model="m",code="429"}}': "0+60x30",
        },
        20,
    ),
    (
        "LatencyHigh",
        {
            f'{GATEWAY_METRIC}answer_duration_seconds_bucket{{model="m",role="champion",le="0.5"}}': "0+90x40",
            f'{GATEWAY_METRIC}answer_duration_seconds_bucket{{model="m",role="champion",le="1.0"}}': "0+100x40",
            f'{GATEWAY_METRIC}answer_duration_seconds_bucket{{model="m",role="champion",le="+Inf"}}': "0+100x40",
        },
        30,
    ),
    (
        "QueueFilling",
        {f"{GATEWAY_METRIC}queued_requests{AT}": "90x20", f"{GATEWAY_METRIC}queue_limit_requests{AT}": "100x20"},
        10,
    ),
    ("ScoringProcessDies", {f"{GATEWAY_METRIC}worker_restarts_total{WORKER}": "0+1x30"}, 20),
    (
        "FollowerSilent",
        {
            f'{GATEWAY_METRIC}truth_read{{instance="g:8090"}}': "1x20",
            f'{GATEWAY_METRIC}truth_age_seconds{{instance="g:8090"}}': "0+60x20",
        },
        10,
    ),
    ("EpochBehind", {f"{METRIC}deployment_epoch{OF}": "4x20", f"{GATEWAY_METRIC}epoch{AT}": "3x20"}, 10),
    ("BreakGlassUnreported", {f"{GATEWAY_METRIC}broken_glass{AT}": "1x40"}, 20),
    ("PredictionLogFailing", {f"{GATEWAY_METRIC}log_failing{AT}": "0 1x20"}, 10),
    ("PredictionLogFailing", {f"{GATEWAY_METRIC}log_lost_rows_total{AT}": "0 5x20"}, 5),
    (
        "CopiesLost",
        {
            f'{GATEWAY_METRIC}answers_total{{model="m",role="shadow",version="3",code="200"}}': "0+90x60",
            f'{GATEWAY_METRIC}answers_lost_total{{model="m",role="shadow",version="3",reason="down"}}': "0+10x60",
        },
        50,
    ),
    (
        "LabelsUnused",
        {
            f'{GATEWAY_METRIC}labels{{model="m",instance="g:8090",fate="matched"}}': "500x90",
            f'{GATEWAY_METRIC}labels{{model="m",instance="g:8090",fate="unmatched"}}': "500x90",
        },
        80,
    ),
    ("ExporterDown", {'up{job="understudy-exporter",instance="e:8091"}': "0x20"}, 10),
    ("ExporterDown", {'up{job="other"}': "0x20"}, 10),
    ("LedgerUnreadable", {f"{METRIC}ledger_readable": "0x20"}, 5),
    ("LedgerBroken", {f"{METRIC}ledger_chain_intact": "0x20"}, 1),
    ("LedgerUnverified", {f"{METRIC}ledger_verified_timestamp_seconds": "0x2000"}, 1500),
    ("ChampionStale", {f"{METRIC}champion_stale{OF}": "1x100"}, 70),
    (
        "ChampionStale",
        {f"{METRIC}champion_since_timestamp_seconds{OF}": "0x200", f"{METRIC}model_max_age_seconds{OF}": "3600x200"},
        130,
    ),
    (
        "LookMissed",
        {f"{METRIC}look_timestamp_seconds{OF}": "0x300", f"{METRIC}look_interval_seconds{OF}": "3600x300"},
        200,
    ),
    (
        "LookMissed",
        {f'{METRIC}champion_info{{model="m",version="2"}}': "1x300", f"{METRIC}look_interval_seconds{OF}": "3600x300"},
        40,
    ),
    ("LookInconclusive", {f'{METRIC}look_verdict{{model="m",verdict="inconclusive"}}': "1x1500"}, 1470),
    ("RetrainingNotBegun", {f"{METRIC}retraining_due_since_timestamp_seconds{OF}": "0x200"}, 125),
    (
        "RetrainingHangs",
        {
            f"{METRIC}retraining_running_since_timestamp_seconds{OF}": "0x200",
            f"{METRIC}model_retraining_timeout_seconds{OF}": "3600x200",
        },
        65,
    ),
    ("RetrainingFailing", {f"{METRIC}retraining_failed{OF}": "1x40"}, 20),
    ("SpecBroken", {f"{METRIC}model_spec_broken{OF}": "1x40"}, 20),
    ("ChampionTakenBack", {f"{METRIC}rollbacks_total{OF}": "1 1 2x40"}, 10),
    ("ApprovalWaits", {f"{METRIC}approval_waiting_since_timestamp_seconds{OF}": "0x300"}, 250),
    ("PromotionsHeld", {f"{METRIC}promotions_held{OF}": "1x11000"}, 10200),
    ("DrillFailed", {f"{METRIC}drill_passed": "0x20"}, 1),
    ("AlertsNotSwept", {f"{METRIC}alerts_swept_timestamp_seconds": "0x60"}, 40),
    ("AlertsNotSwept", {f"{METRIC}ledger_readable": "1x60"}, 15),
    ("AlertsUndelivered", {f"{METRIC}alerts_oldest_waiting_timestamp_seconds": "0x60"}, 40),
    ("AlertingWorks", {}, 1),
]
SILENT: list[tuple[str, dict[str, str], int]] = [
    ("GatewayDown", {'up{job="understudy-gateway",instance="g:8090"}': "1 0 1x20"}, 10),
    (
        "ErrorShareHigh",  # bad requests are the callers'
        {
            f'{GATEWAY_METRIC}requests_total{{model="m",code="200"}}': "0+900x30",
            f'{GATEWAY_METRIC}requests_total{{model="m",code="400"}}': "0+900x30",
        },
        20,
    ),
    ("ErrorShareHigh", {f'{GATEWAY_METRIC}requests_total{{model="m",code="500"}}': "7x30"}, 20),
    ("LatencyHigh", {  # nobody waits for a mirror
        f'{GATEWAY_METRIC}answer_duration_seconds_bucket{{model="m",role="shadow",le="0.5"}}': "0+90x40",
        f'{GATEWAY_METRIC}answer_duration_seconds_bucket{{model="m",role="shadow",le="+Inf"}}': "0+100x40",
    }, 30),
    ("QueueFilling", {
        f"{GATEWAY_METRIC}queued_requests{AT}": "0x20", f"{GATEWAY_METRIC}queue_limit_requests{AT}": "0x20"
    }, 10),
    ("EpochBehind", {f"{METRIC}deployment_epoch{OF}": "4x20", f"{GATEWAY_METRIC}epoch{AT}": "3 3 4x20"}, 10),
    ("LabelsUnused", {  # each of two replicas was given all labels and uses those of its own rows
        f'{GATEWAY_METRIC}labels{{model="m",instance="g1",fate="matched"}}': "500x90",
        f'{GATEWAY_METRIC}labels{{model="m",instance="g1",fate="unmatched"}}': "500x90",
        f'{GATEWAY_METRIC}labels{{model="m",instance="g2",fate="matched"}}': "500x90",
        f'{GATEWAY_METRIC}labels{{model="m",instance="g2",fate="unmatched"}}': "500x90",
    }, 80),
    ("LookMissed", {  # no champion, nothing to look at
        f"{METRIC}look_interval_seconds{OF}": "3600x300"
    }, 200),
    ("LookMissed", {
        f"{METRIC}look_timestamp_seconds{OF}": "0+60x300", f"{METRIC}look_interval_seconds{OF}": "3600x300"
    }, 200),
    ("ChampionStale", {f"{METRIC}champion_since_timestamp_seconds{OF}": "0x200"}, 130),
    ("ChampionTakenBack", {f"{METRIC}rollbacks_total{OF}": "2x100"}, 70),
    ("AlertsNotSwept", {  # every five minutes
        f"{METRIC}alerts_swept_timestamp_seconds": "0x4 300x4 600x4 900x4 1200x4 1500x4 1800x4 2100x4 2400x4",
        f"{METRIC}ledger_readable": "1x60",
    }, 44),
    ("AlertsNotSwept", {  # that is an alert of its own
        f"{METRIC}ledger_readable": "0x60"
    }, 40),
    ("AlertsUndelivered", {f"{METRIC}alerts_waiting": "0x60"}, 40),
]  # fmt: skip


def played(
    folder: Path, series: dict[str, str], minutes: int, alert: str, count: int
) -> subprocess.CompletedProcess[str]:
    asked = {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
        "eval_time": f"{minutes}m",
        "exp_samples": [{"value": count, "labels": "{}"}],
    }
    there = [{"series": name, "values": values} for name, values in series.items()]
    played = {
        "rule_files": [str(path) for path in RULES],
        "evaluation_interval": "1m" if minutes < 300 else "30m",
        "tests": [{"interval": "1m", "input_series": there, "promql_expr_test": [asked]}],
    }
    path = folder / "test.yml"
    path.write_text(json.dumps(played), encoding="utf-8")  # JSON is YAML
    return subprocess.run([str(PROMTOOL), "test", "rules", str(path)], capture_output=True, text=True, check=False)


@needs_promtool
@pytest.mark.parametrize(("alert", "series", "minutes"), FIRES, ids=[case[0] for case in FIRES])
def test_it_fires(tmp_path: Path, alert: str, series: dict[str, str], minutes: int) -> None:
    done = played(
        tmp_path,
        {**({} if "Down" in alert or "Unknown" in alert else {**GATEWAY, **EXPORTER}), **series},
        minutes,
        alert,
        1,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize(("alert", "series", "minutes"), SILENT, ids=[case[0] for case in SILENT])
def test_it_is_silent(tmp_path: Path, alert: str, series: dict[str, str], minutes: int) -> None:
    done = played(tmp_path, {**GATEWAY, **EXPORTER, **series}, minutes, alert, 0)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_finds_nothing_wrong_with_rules_and_configuration() -> None:
    for what, paths in (("rules", RULES), ("config", [MONITORING / "prometheus.yml"])):
        done = subprocess.run(
            [str(PROMTOOL), "check", what, *map(str, paths)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_played() -> None:
    assert {rule["alert"] for rule in rules()} == {case[0] for case in FIRES}


def test_every_alert_says_what_is_wrong_and_how_soon_somebody_has_to_look() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
