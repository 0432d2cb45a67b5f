from pathlib import Path

from understudy.cli.declared_dags import declared_dags
from understudy.overview.glance import Health, Recorded, glance
from understudy.settings import Settings

SPEC = """
model: {name}
owner: market-ml
task: regression
data: {{source: prices.csv, target: price, time: at}}
gates: [{{metric: mae, ceiling: 3}}]
"""


def test_a_declaration_that_cannot_be_used_needs_attention_without_any_airflow(tmp_path: Path) -> None:
    for name, written in {"good": SPEC, "broken": SPEC.replace("owner", "ower")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.yaml").write_text(written.format(name=name))
    airflow = declared_dags(["broken", "good"], Settings(models_dir=tmp_path))
    broken, good = (glance(model, Recorded(newest={}), airflow) for model in ("broken", "good"))
    assert (good.health, good.owner) == (Health.EMPTY, "market-ml")
    assert broken.health is Health.ATTENTION
    assert "did you mean 'owner'" in broken.troubles[0].told


def test_a_model_that_is_watched_and_was_never_looked_at_is_not_called_well(tmp_path: Path) -> None:
    (tmp_path / "watched").mkdir()
    (tmp_path / "watched" / "model.yaml").write_text(SPEC.format(name="watched") + "monitor: {window: 7d}\n")
    airflow = declared_dags(["watched"], Settings(models_dir=tmp_path))
    assert set(airflow.dags) == {"retrain__watched", "monitor__watched"}
