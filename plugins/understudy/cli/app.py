"""Put the commands together."""

import typer

from understudy.cli import (
    access,
    act,
    alerts,
    approve,
    backup,
    check,
    conformance,
    data,
    declare,
    doctor,
    embedded,
    follow,
    gateway,
    ledger,
    metrics,
    monitor,
    predictions,
    replay,
    retrain,
    rollback,
    schema,
    status,
)
from understudy.cli.deployment import load_dotenv
from understudy.cli.errors import SentenceGroup
from understudy.cli.open_files import allow_open_files

app = typer.Typer(
    cls=SentenceGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Retrain models, prove every challenger against the champion, and take back what hurts.",
)
app.command("demo")(embedded.demo)
app.command("practice")(embedded.practice)
app.command("up")(embedded.up)
app.command("down")(embedded.down)
app.command("init")(declare.init)
app.command("check")(check.check)
app.command("status")(status.status)
app.command("retrain")(retrain.retrain)
app.command("monitor")(monitor.monitor)
app.command("replay")(replay.replay)
app.command("rollback")(rollback.rollback)
app.command("gateway")(gateway.gateway)
app.command("metrics")(metrics.metrics)
app.command("ledger")(ledger.ledger)
app.add_typer(alerts.app, name="alerts")
app.add_typer(data.app, name="data")
app.add_typer(predictions.app, name="predictions")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("doctor")(doctor.doctor)
app.command("check-operator")(conformance.check_operator)
app.command("check-target")(conformance.check_target)
app.command("hold")(act.hold)
app.command("release")(act.release)
app.command("lock")(act.lock)
app.command("unlock")(act.unlock)
app.command("stop-shadow")(act.stop_shadow)
app.command("approvals")(approve.approvals)
app.command("approve")(approve.approve)
app.command("reject")(approve.reject)
app.command("schema")(schema.schema)
app.command("gateway-follower", hidden=True)(follow.follow)
app.command("access", hidden=True)(access.access)


def run() -> None:
    """Run a command with the settings of the project's ``.env``."""
    load_dotenv()
    allow_open_files()
    app()
