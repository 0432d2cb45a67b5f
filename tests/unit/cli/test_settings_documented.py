import re
from pathlib import Path

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


def test_every_setting_is_explained() -> None:
    assert all(field.description for field in Settings.model_fields.values())
