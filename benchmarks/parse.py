"""How long Airflow takes to parse the DAGs of 1, 100 and 1,000 models, and a task to parse just its own.

Each row is its own process. Run: ``python benchmarks/parse.py``
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
FLEETS = (1, 100, 1000)
RUNS = 3

SPEC = """\
model: {name}
owner: market-ml
task: binary_classification
data: {{source: data/electricity.csv.gz, time: timestamp, target: up}}
train: {{search: {{learning_rate: {{low: 0.01, high: 0.3, log: true}}}}, budget: 8, parallelism: 4}}
retrain: {{schedule: "0 3 * * 1"}}
gates: [{{metric: roc_auc, floor: 0.75, min_gain: 0.0}}]
"""

MEASURE = """
import runpy, sys, time
started = time.perf_counter()
import understudy.dag_factory
imported = time.perf_counter()
names = runpy.run_path(sys.argv[1], run_name="unusual_prefix_benchmark_retraining")
print(imported - started, time.perf_counter() - imported, len(names["paths"]))
"""


def measure(models: Path, dag_id: str | None) -> tuple[float, float, int]:
    """Return the seconds of the imports, the seconds of the parse, and the number of DAGs, as medians of three."""
    environment = {
        **os.environ,
        "AIRFLOW__UNDERSTUDY__MODELS_DIR": str(models),
        "AIRFLOW_HOME": str(models.parent / "airflow"),
        "PYTHONPATH": str(PROJECT / "plugins"),
    }
    if dag_id:
        # How Airflow tells a task's process which DAG it needs.
        environment |= {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "train"}
    runs = []
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(PROJECT / "dags" / "retraining.py")],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        imports, parse, dags = done.stdout.splitlines()[-1].split()
        runs.append((float(parse), float(imports), int(dags)))
    parse_s, imports_s, dags_count = sorted(runs)[RUNS // 2]
    return imports_s, parse_s, dags_count


def main() -> None:
    """Print the table."""
    table = Table(title="Parsing retrain__* DAGs (seconds, median of 3 processes)")
    for column in ("models", "what", "DAGs built", "imports", "parse", "ms per DAG"):
        table.add_column(column, justify="left" if column == "what" else "right")
    with tempfile.TemporaryDirectory() as folder:
        for fleet in FLEETS:
            models = Path(folder) / str(fleet) / "models"
            for number in range(fleet):
                home = models / f"m{number:04d}"
                home.mkdir(parents=True)
                (home / "model.yaml").write_text(SPEC.format(name=home.name), encoding="utf-8")
            for what, dag_id in (("all, as the DAG processor", None), ("its own, as a task", "retrain__m0000")):
                imports_s, parse_s, dags = measure(models, dag_id)
                table.add_row(
                    f"{fleet:,}",
                    what,
                    f"{dags:,}",
                    f"{imports_s:.2f}",
                    f"{parse_s:.3f}",
                    f"{1000 * parse_s / dags:.1f}",
                )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
