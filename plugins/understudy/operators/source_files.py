"""What a stage needs to read a declared source: its files, its addresses, its secrets."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue, SecretStr

from understudy.contract.declaration.data import DataSpec
from understudy.contract.declaration.monitor import LabelsSpec
from understudy.hooks.data.database_url import database_url
from understudy.hooks.data.sources import SourceNotFound, SourceUnusable, find_sources, is_url
from understudy.operators.decisions import REFUSAL_KEY
from understudy.settings import PROJECT, settings

if TYPE_CHECKING:
    from airflow.sdk import Context


def mounted_sources(context: "Context", data: DataSpec) -> tuple[dict[str, Path], dict[str, JsonValue]]:
    """Find the files behind a source; give them by input name, and the parameters by which the stage knows them.

    A file that is absent is tried again, because it may be late, and a refusal if it stays away.

    :raises SourceUnusable: where there is none.
    """
    source = data.source
    if source is None or is_url(source):
        return {}, {"urls": [source] if source else [], "sources": {}}
    try:
        files = find_sources(source, PROJECT, settings().data_roots)
    except SourceUnusable as absent:
        context["ti"].xcom_push(key=REFUSAL_KEY, value=str(absent))
        raise
    return files, {"urls": [], "sources": {name: path.name for name, path in files.items()}}


def reaches_out(data: DataSpec) -> bool:
    """Tell whether rows are read over a network."""
    return data.query is not None or (data.source is not None and is_url(data.source))


def source_secrets(data: DataSpec) -> Mapping[str, SecretStr]:
    """Give the database's URL where there is one, for standard input and nothing else."""
    if data.connection is None:
        return {}
    from airflow.sdk import BaseHook

    return {"connection_url": database_url(BaseHook.get_connection(data.connection))}


def label_files(declared: LabelsSpec | None) -> dict[str, Path]:
    """Find the files in which labels arrive; none yet is no reason not to look."""
    if declared is None or declared.source is None:
        return {}
    try:
        found = find_sources(declared.source, PROJECT, settings().data_roots, "monitor.labels.source")
    except SourceNotFound:
        return {}
    return {name.replace("source-", "labels-", 1): path for name, path in found.items()}


def label_secrets(declared: LabelsSpec | None) -> Mapping[str, SecretStr]:
    """Give the URL of the database in which labels arrive."""
    if declared is None or declared.connection is None:
        return {}
    from airflow.sdk import BaseHook

    return {"labels_url": database_url(BaseHook.get_connection(declared.connection))}
