"""A declaration is closed: whatever is wrong is named with file, line, field and the nearest valid name."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.contract.declaration.search_space import FloatRange, IntRange
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import RuntimeSpec
from understudy.contract.errors import SpecProblem, UnknownModel
from understudy.contract.load import declared, load_model, load_spec, parse_spec, read_model
from understudy.contract.words import MlTask, StageName

SIX_LINES = """\
model: electricity
owner: market-ml
task: binary_classification
data: {source: data/electricity.csv.gz, time: timestamp, target: up}
retrain: {schedule: "0 3 * * 1"}
gates: [{metric: roc_auc, floor: 0.75, min_gain: 0.0}]
"""
GATES = "gates: [{metric: roc_auc, floor: 0.75, min_gain: 0.0}]"


def problem_of(text: str) -> SpecProblem:
    with pytest.raises(SpecProblem) as caught:
        parse_spec(text, Path("model.yaml"))
    return caught.value


def with_line(old: str, new: str) -> str:
    assert old in SIX_LINES
    return SIX_LINES.replace(old, new)


def test_six_lines_are_enough() -> None:
    spec = parse_spec(SIX_LINES, Path("model.yaml"))
    assert spec.task is MlTask.BINARY
    assert spec.primary == "roc_auc"


def test_a_gateway_keeps_its_log_until_labels_are_final() -> None:
    delayed = with_line("target: up", "target: up, label_delay: 30d") + "monitor: {window: 7d}\n"
    told = problem_of(f"{delayed}serving: {{}}\n")
    assert "serving.keep_log: 30d is too short: a look needs 37d" in str(told)
    for reaching in ("serving: {keep_log: 37d}\n", ""):
        assert parse_spec(delayed + reaching, Path("model.yaml")).monitor is not None


def test_a_declaration_survives_json_with_the_same_digest() -> None:
    spec = parse_spec(
        SIX_LINES + "train: {search: {learning_rate: {low: 0.01, high: 0.3, log: true}, depth: {low: 2, high: 8}}}\n",
        Path("model.yaml"),
    )
    again = ModelSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert again.digest() == spec.digest()
    assert isinstance(spec.train.search["learning_rate"], FloatRange)
    assert isinstance(spec.train.search["depth"], IntRange)


def with_data(fields: str) -> str:
    return with_line("target: up", f"target: up, {fields}")


PERSONAL = with_data("classes: {pii: [mail]}")


@pytest.mark.parametrize(
    ("text", "line", "field", "says"),
    [
        (with_line("owner: market-ml", "ownr: market-ml"), 2, "ownr", "did you mean 'owner'"),
        (with_line("target: up", "targt: up"), 4, "data.targt", "did you mean 'target'"),
        (with_line("min_gain: 0.0", "min_gian: 0.0"), 6, "gates[0].min_gian", "did you mean 'min_gain'"),
        (with_line("binary_classification", "binary_clasification"), 3, "task", "did you mean 'binary_classification'"),
        (with_line("roc_auc", "roc_acu"), 6, "gates[0]", "did you mean 'roc_auc'"),
        (with_line("roc_auc", "mae"), 6, "gates[0].metric", "does not fit binary_classification"),
        (with_line("floor: 0.75", "floor: 1.5"), 6, "gates[0]", "can never be passed"),
        (with_line("floor: 0.75", "floor: .nan"), 6, "gates[0].floor", "finite"),
        (with_line("floor: 0.75", "floor: 0.9, ceiling: 0.2"), 6, "gates[0]", "no model could pass"),
        (with_line('"0 3 * * 1"', '"every monday"'), 5, "retrain.schedule", "five fields"),
        (
            with_line("gates: [{metric: roc_auc, floor: 0.75, min_gain: 0.0}]", "gates: []"),
            6,
            "gates",
            "1 entry at least",
        ),
        (with_line("data/electricity.csv.gz", "../../etc/passwd"), 4, "data.source", "climbs out"),
        (SIX_LINES + "train: {trainer: ../evil.py:train}\n", 7, "train.trainer", "climbs out"),
        (SIX_LINES + "train: {trainer: /etc/evil.py:train}\n", 7, "train.trainer", "relative to the model's folder"),
        (
            SIX_LINES + "train: {estimator: hist_gradient_bosting}\n",
            7,
            "train.estimator",
            "did you mean 'hist_gradient_boosting'",
        ),
        (SIX_LINES + "split: {method: random}\n", 7, "split.method", "test with future data"),
        (SIX_LINES + "split: {holdout: 80%}\n", 7, "split.holdout", "at most 50%"),
        (SIX_LINES + "split: {embargo: 3 days}\n", 7, "split.embargo", "12h or 30d"),
        (SIX_LINES + "runtime: {memory: lots}\n", 7, "runtime.memory", "512m or 4g"),
        (SIX_LINES + "owner: again\n", 7, "owner", "written twice"),
        ("model: [\n", 2, "", "not valid YAML"),
        ("", 1, "", "holds no declaration"),
        ("- a\n- b\n", 1, "", "holds no declaration"),
        ("model: &a [1]\nowner: *a\n", 2, "", "alias"),
        ("when: 2026-13-45\n", None, "", "impossible value"),
        (
            with_data("classes: {pii: [mail, up]}"),
            4,
            "data.classes.pii[1]",
            "also data.target",
        ),
        (
            with_data("classes: {pii: [timestamp]}"),
            4,
            "data.classes.pii[0]",
            "also data.time",
        ),
        (with_data("classes: {forbidden: [up]}"), 4, "data.classes.forbidden[0]", "target"),
        (with_data("key: [id], classes: {forbidden: [id]}"), 4, None, "also data.key"),
        (with_data("drop: [id], classes: {forbidden: [id]}"), 4, None, "also data.drop"),
        (with_data("classes: {pii: [a], forbidden: [a]}"), 4, None, "data.classes.pii"),
        (PERSONAL + "evaluate: {slices: [area, mail]}\n", 7, "evaluate.slices[1]", "data.classes.sensitive"),
        (PERSONAL + "evaluate: {fairness: [mail]}\n", 7, "evaluate.fairness[0]", "also in data.classes.pii"),
    ],
    ids=lambda value: value[-40:].strip() if isinstance(value, str) and "\n" in value else None,
)
def test_what_is_wrong_is_named(text: str, line: int | None, field: str | None, says: str) -> None:
    problem = problem_of(text)
    assert says in str(problem)
    assert field is None or problem.field == field
    if line is not None:
        assert problem.line == line
    assert "\n" not in str(problem)


def test_a_yaml_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    assert "alias" in str(problem_of(bomb))


def test_a_merged_mapping_is_refused_by_its_line() -> None:
    problem = problem_of(with_line("owner: market-ml", "<<: {owner: market-ml}"))
    assert str(problem) == "model.yaml:2: uses the YAML merge key <<. Write the fields out"


def test_deep_nesting_and_size_are_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in str(problem_of("a: " + "[" * 5000))
    large = tmp_path / "model.yaml"
    large.write_text("#" * 1_100_000, encoding="utf-8")
    with pytest.raises(SpecProblem, match="bytes"):
        load_spec(large)


def test_text_that_is_not_utf8_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_bytes(b"model: a\nowner: M\xfcller\n")
    with pytest.raises(SpecProblem) as caught:
        load_spec(path)
    assert caught.value.line == 2


def test_the_folder_and_the_name_agree(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.yaml").write_text(SIX_LINES, encoding="utf-8")
    with pytest.raises(SpecProblem, match="folder is called 'other'"):
        load_model(tmp_path, "other")
    with pytest.raises(UnknownModel, match="other"):
        load_model(tmp_path, "electricity")
    with pytest.raises(UnknownModel):
        load_model(tmp_path, "../other")


def test_a_stage_falls_back_to_the_model_then_to_the_deployment() -> None:
    spec = parse_spec(SIX_LINES + "runtime: {memory: 3g, cpus: 2}\nstages: {train: {memory: 8g}}\n", Path("model.yaml"))
    deployment = RuntimeSpec(image="stage:1", memory="1g", cpus=1.0)
    train, check = spec.runtime_of(StageName.TRAIN, deployment), spec.runtime_of(StageName.DATA_CHECK, deployment)
    assert (train.memory, train.cpus, train.image) == ("8g", 2, "stage:1")
    assert (check.memory, check.image) == ("3g", "stage:1")


def test_every_field_is_documented_in_the_json_schema() -> None:
    schema = ModelSpec.model_json_schema()
    bare = [
        f"{name}.{field}"
        for name, part in {"ModelSpec": schema, **schema["$defs"]}.items()
        for field, facts in part.get("properties", {}).items()
        if not facts.get("description")
    ]
    assert bare == []
    json.dumps(schema)


def test_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    text = (
        "model: m\nowner: a\ntask: regression\nsplit: {method: random}\n"
        "data: {source: 'https://ann:geheim@host/x.csv', target: y}\ngates: [{metric: mae, ceiling: 3}]\n"
    )
    with pytest.raises(SpecProblem, match="user or password") as refused:
        parse_spec(text, Path("model.yaml"))
    assert "geheim" not in str(refused.value)


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    (tmp_path / "models" / "electricity").mkdir(parents=True)
    return tmp_path / "models"


@pytest.mark.parametrize("load", [load_model, read_model])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_declaration_that_a_link_takes_from_elsewhere_is_refused_unread(
    models_dir: Path, load: Callable[[Path, str], ModelSpec], *, is_there: bool
) -> None:
    outside = models_dir.parent / "secret.yaml"
    if is_there:
        outside.write_text(SIX_LINES, encoding="utf-8")
    (models_dir / "electricity" / "hop.yaml").symlink_to(outside)
    link = models_dir / "electricity" / "model.yaml"
    link.symlink_to("hop.yaml")
    with pytest.raises(SpecProblem) as caught:
        load(models_dir, "electricity")
    assert str(caught.value) == (
        f"{link}: is a link that leads out of {models_dir}, to hop.yaml. Put a copy of what it leads to there"
    )


def mounted_whole(models_dir: Path) -> None:
    """Mount one ConfigMap as the models folder, as Kubernetes does."""
    models_dir.joinpath("electricity").rmdir()
    version = models_dir / "..2026_11_28"
    (version / "electricity").mkdir(parents=True)
    (version / "electricity" / "model.yaml").write_text(SIX_LINES, encoding="utf-8")
    (models_dir / "..data").symlink_to(version.name)
    (models_dir / "electricity").symlink_to("..data/electricity")


def mounted_for_one_model(models_dir: Path) -> None:
    """Mount a ConfigMap as one model's folder, as Kubernetes does."""
    version = models_dir / "electricity" / "..2026_11_28"
    version.mkdir()
    (version / "model.yaml").write_text(SIX_LINES, encoding="utf-8")
    (models_dir / "electricity" / "..data").symlink_to(version.name)
    (models_dir / "electricity" / "model.yaml").symlink_to("..data/model.yaml")


def shared_by_models(models_dir: Path) -> None:
    (models_dir / "shared.yaml").write_text(SIX_LINES, encoding="utf-8")
    (models_dir / "electricity" / "model.yaml").symlink_to("../shared.yaml")


def models_folder_elsewhere(models_dir: Path) -> None:
    """Check out the whole project elsewhere, as git-sync does."""
    checkout = models_dir.parent / "checkout"
    models_dir.rename(checkout)
    shared_by_models(checkout)
    models_dir.symlink_to("checkout")


def model_folder_elsewhere(models_dir: Path) -> None:
    team = models_dir.parent / "team"
    (models_dir / "electricity").rename(team)
    (models_dir / "electricity").symlink_to(team)
    (team / "spec.yaml").write_text(SIX_LINES, encoding="utf-8")
    (team / "model.yaml").symlink_to("spec.yaml")


@pytest.mark.parametrize(
    "lay_out",
    [mounted_whole, mounted_for_one_model, shared_by_models, models_folder_elsewhere, model_folder_elsewhere],
)
def test_links_between_places_of_the_models_folder_are_followed(
    models_dir: Path, lay_out: Callable[[Path], None]
) -> None:
    lay_out(models_dir)
    assert load_model(models_dir, "electricity").owner == "market-ml"
    assert [path.parent.name for path in declared(models_dir)] == ["electricity"]


@pytest.mark.parametrize("target", ["gone.yaml", "model.yaml", "/nowhere/gone.yaml"])
def test_a_link_that_leads_nowhere_is_still_a_declaration_and_cannot_be_read(models_dir: Path, target: str) -> None:
    (models_dir / "electricity" / "model.yaml").symlink_to(target)
    (models_dir / "notes.txt").touch()
    assert [path.parent.name for path in declared(models_dir)] == ["electricity"]
    with pytest.raises(SpecProblem, match=r"cannot be read|leads out of"):
        load_model(models_dir, "electricity")


def test_a_pipe_is_not_waited_for_and_a_huge_file_not_read(models_dir: Path) -> None:
    path = models_dir / "electricity" / "model.yaml"
    os.mkfifo(path)
    with pytest.raises(SpecProblem, match="is no file"):
        load_model(models_dir, "electricity")
    path.unlink()
    with path.open("wb") as huge:
        huge.truncate(2**40)
    with pytest.raises(SpecProblem, match="bytes; a declaration may have 1,000,000"):
        load_model(models_dir, "electricity")
