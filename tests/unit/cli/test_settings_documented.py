import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from understudy.contract.declared import format_duration
from understudy.settings import Settings

PROJECT = Path(__file__).resolve().parents[3]
VARIABLE = re.compile(r"^# ([A-Z_]+)=", re.MULTILINE)


def test_env_example_lists_exactly_what_the_code_reads() -> None:
    documented = set(VARIABLE.findall((PROJECT / ".env.example").read_text(encoding="utf-8")))
    settings = {
        str(field.validation_alias or f"AIRFLOW__UNDERSTUDY__{name.upper()}")
        for name, field in Settings.model_fields.items()
    }
    scripts = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "scripts").glob("*.sh"))
    read_by_make = {name for name in documented - settings if f"{{{name}:-" in scripts}
    assert documented == settings | read_by_make


def test_env_example_shows_every_default_that_there_is() -> None:
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", text, re.MULTILINE))
    defaults = {
        str(field.validation_alias or f"AIRFLOW__UNDERSTUDY__{name.upper()}"): in_words(
            field.get_default(call_default_factory=True, validated_data={})
        )
        for name, field in Settings.model_fields.items()
    }
    assert {name: shown[name] for name, default in defaults.items() if default and shown[name] != default} == {}


def in_words(default: Any) -> str:
    """Write a default as somebody sets it."""
    if isinstance(default, timedelta):
        return format_duration(default)
    if isinstance(default, Path):
        return default.relative_to(PROJECT).as_posix()
    return "" if default is None else str(default)


def test_every_setting_is_explained() -> None:
    assert all(field.description for field in Settings.model_fields.values())
