"""The alert rules as they are shipped."""

from pathlib import Path
from typing import Any

import yaml

MONITORING = Path(__file__).parents[3] / "include" / "monitoring" / "prometheus"
RULES = sorted((MONITORING / "rules").glob("*.yml"))


def rules() -> list[dict[str, Any]]:
    groups = (yaml.safe_load(path.read_text(encoding="utf-8"))["groups"] for path in RULES)
    return [rule for group in groups for part in group for rule in part["rules"]]
