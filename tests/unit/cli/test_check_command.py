import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from understudy.cli.app import app
from understudy.contract.load import load_model
from understudy.settings import settings

SPEC = """
model: tides
owner: sea-team
task: regression
data: {{source: {source}, target: height, time: at{data}}}
gates: [{{metric: mae, ceiling: 3}}]
{rest}
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "models"
    settings.cache_clear()


def declare(
    models: Path,
    *,
    data: str = "",
    rest: str = "",
    name: str = "tides.csv",
    content: bytes = b"at,height,moon\n2024-01-01,3,full\n",
) -> Path:
    source = models.parent / name
    source.write_bytes(content)
    folder = models / "tides"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(SPEC.format(source=source, data=data, rest=rest), encoding="utf-8")
    return folder


def problems() -> list[str]:
    answer = CliRunner().invoke(app, ["check", "--json"])
    found = [problem for one in json.loads(answer.stdout) for problem in one["problems"]]
    assert answer.exit_code == (1 if found else 0)
    return found


def test_a_declaration_whose_files_and_columns_are_there_is_fine(models: Path) -> None:
    declare(models)
    assert problems() == []


def test_a_column_that_the_data_lack_is_named_with_its_field(models: Path) -> None:
    declare(models, data=", drop: [mooon]", rest="evaluate: {slices: [harbour]}")
    assert [problem.split(": ", 1)[1] for problem in problems()] == [
        "data.drop: the data have no column 'mooon'; did you mean 'moon'?",
        "evaluate.slices: the data have no column 'harbour'; known: at, height, moon",
    ]


def test_what_is_wrong_with_the_data_has_its_line_too(models: Path) -> None:
    folder = declare(models, data=", drop: [mooon]", rest="checks:\n  columns:\n    wave: {type: number}\n")
    text = (folder / "model.yaml").read_text(encoding="utf-8").splitlines()
    at = {what: next(i for i, line in enumerate(text, 1) if what in line) for what in ("drop:", "wave:")}
    assert [problem.split(": the data")[0] for problem in problems()] == [
        f"{folder / 'model.yaml'}:{at['drop:']}: data.drop",
        f"{folder / 'model.yaml'}:{at['wave:']}: checks.columns.wave",
    ]


def test_a_semicolon_and_a_byte_order_mark_do_not_hide_columns(models: Path) -> None:
    declare(models, content="\ufeffat;height\n2024-01-01;3\n".encode())
    assert problems() == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (", encoding: utf-99", "data.encoding: encoding 'utf-99' is unknown"),
        (", format: parquet", "data.source"),
    ],
)
def test_a_file_that_is_not_what_was_declared_is_said_in_a_sentence(models: Path, data: str, said: str) -> None:
    declare(models, data=data)
    assert said in problems()[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tides.parquet", b"PAR1", "data.source: tides.parquet is not a readable Parquet file"),
        ("tides.csv", b"", "data.source: tides.csv is empty (0 bytes); export it again"),
        ("tides.csv.gz", gzip.compress(b"", mtime=0), "data.source: tides.csv.gz is empty inside its gzip wrapper"),
        ("tides.csv.gz", gzip.compress(b"at,height\n" * 99, mtime=0)[:20], "tides.csv.gz is a damaged gzip file"),
        ("tides.csv.gz", b"at,height\n", "tides.csv.gz ends in .gz but is not a gzip file"),
        ("tides.csv", b"at,h\xf6he\n", "data.encoding: tides.csv is not UTF-8 text: line 1, byte 4"),
        ("tides.csv", b"<html>\n", "data.source: tides.csv is a web page"),
        ("tides.csv", b"at,height,at\n", "tides.csv has the column 'at' more than once"),
        ("tides.csv", ",".join(f"c{n}" for n in range(2001)).encode(), "2,001 columns; at most 2,000 are read"),
        ("tides.csv", b'a,"' + b"x" * 300_000, "data.source: tides.csv has no header line"),
    ],
)
def test_what_the_stage_will_refuse_is_refused_in_its_words(models: Path, name: str, content: bytes, said: str) -> None:
    declare(models, name=name, content=content)
    [problem] = problems()
    assert said in problem
    assert len(problem) < 400


def test_a_parquet_file_inside_gzip_is_read_as_the_stage_reads_it(models: Path) -> None:
    body = io.BytesIO()
    pl.DataFrame({"at": [1], "height": [2]}).write_parquet(body)
    declare(models, data=", drop: [moon]", name="tides.parquet.gz", content=gzip.compress(body.getvalue()))
    assert [problem.split(": ", 1)[1] for problem in problems()] == [
        "data.drop: the data have no column 'moon'; known: at, height"
    ]


def test_a_name_with_quotes_is_the_one_that_init_writes(models: Path) -> None:
    header = b'at,height,"\xc3\xbc: # ""x"""\n'
    rows = b"".join(b"2024-01-%02d,%d,%d\n" % (day, day % 2, day % 3) for day in range(1, 29))
    (models.parent / "tides.csv").write_bytes(header + rows)
    told = CliRunner().invoke(app, ["init", "--data", str(models.parent / "tides.csv"), "--target", "height"])
    assert told.exit_code == 0, told.output
    assert 'ü: # "x"' in load_model(models, "tides").checks.columns
    assert problems() == []


def test_what_is_wrong_with_one_model_hides_no_other(models: Path) -> None:
    declare(models, name="tides.csv", content=b'a,"' + b"x" * 300_000)
    code = models / "waves"
    code.mkdir()
    text = SPEC.format(source=models.parent / "waves.csv", data="", rest="train: {trainer: 'trainer.py:train'}")
    (code / "model.yaml").write_text(text.replace("tides", "waves"), encoding="utf-8")
    (code / "trainer.py").write_bytes(b"\0" + b"(" * 100_000)
    (models.parent / "waves.csv").write_text("at,height\n", encoding="utf-8")
    assert ["no header line" in problems()[0], "is not valid Python" in problems()[1]] == [True, True]


def test_a_missing_source_is_named(models: Path) -> None:
    declare(models)
    (models.parent / "tides.csv").unlink()
    assert "matches no file" in problems()[0]


def test_a_missing_reference_file_is_named_by_its_own_field(models: Path) -> None:
    declare(models, rest="checks: {references: [{column: moon, file: moons.csv, known: moon}]}")
    assert "checks.references[0].file 'moons.csv' matches no file" in problems()[0]


def test_every_link_out_of_the_models_own_folder_is_named(models: Path) -> None:
    folder = declare(models, rest="train: {trainer: 'outside.py:train'}")
    elsewhere = models.parent / "elsewhere.py"
    elsewhere.write_text("def train(): ...\n", encoding="utf-8")
    (folder / "more").mkdir()
    (folder / "inside.py").symlink_to("more")
    for link in ("outside.py", "more/note.txt"):
        (folder / link).symlink_to(elsewhere)
    way_out = f"in {folder} leads out of that folder, to {elsewhere}; put a copy of what it leads to there."
    assert problems() == [f"The link {link!r} {way_out}" for link in ("outside.py", "more/note.txt")]


def test_a_link_is_named_beside_a_declaration_that_is_broken(models: Path) -> None:
    folder = declare(models, rest="gate: 1")
    (folder / "note.txt").symlink_to("/etc/hostname")
    assert ["note.txt" in problem for problem in problems()] == [True, False]


def test_a_declaration_that_a_link_takes_from_elsewhere_is_named_once(models: Path) -> None:
    link = declare(models) / "model.yaml"
    elsewhere = link.rename(models.parent / "elsewhere.yaml")
    link.symlink_to(elsewhere)
    way_out = "Put a copy of what it leads to there"
    assert problems() == [f"{link}: is a link that leads out of {models}, to {elsewhere}. {way_out}"]


def test_a_declaration_shared_by_a_link_is_fine_until_a_stage_is_given_its_folder(models: Path) -> None:
    folder = declare(models)
    (folder / "model.yaml").rename(models / "shared.yaml")
    (folder / "model.yaml").symlink_to("../shared.yaml")
    assert problems() == []
    (folder / "trainer.py").write_text("def train(): ...\n", encoding="utf-8")
    with (models / "shared.yaml").open("a", encoding="utf-8") as shared:
        shared.write("train: {trainer: 'trainer.py:train'}\n")
    [problem] = problems()
    assert f"The link 'model.yaml' in {folder} leads out of that folder" in problem


def test_a_path_that_climbs_out_is_refused_by_file_line_and_field(models: Path) -> None:
    folder = declare(models, rest="train: {trainer: '../other/trainer.py:train'}")
    assert f"{folder / 'model.yaml'}:7: train.trainer:" in problems()[0]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def trian(): ...\n", "defines no function train; did you mean 'trian'?"),
        ("def train(:\n", "is not valid Python"),
        (None, "there is no file trainer.py"),
    ],
)
def test_code_that_cannot_be_called_is_named(models: Path, code: str | None, said: str) -> None:
    folder = declare(models, rest="train: {trainer: 'trainer.py:train'}")
    if code is not None:
        (folder / "trainer.py").write_text(code, encoding="utf-8")
    assert said in problems()[0]


def test_an_unknown_model_is_an_error_with_the_known_names(models: Path) -> None:
    declare(models)
    answer = CliRunner().invoke(app, ["check", "tide", "--json"])
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["kind"] == "UnknownModel"
    assert "Known models: tides" in answer.stderr


def test_a_source_that_nothing_fetches_is_named_with_what_is(models: Path) -> None:
    folder = declare(models)
    path = folder / "model.yaml"
    path.write_text(path.read_text().replace(str(models.parent / "tides.csv"), "s3://b/k.csv"), encoding="utf-8")
    [problem] = problems()
    assert "data.source 's3://b/k.csv': s3:// is not supported; give a path, a glob, or an http, https" in problem


def test_init_writes_no_declaration_that_the_deployment_would_refuse(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__DATA_ROOTS", str(models))
    settings.cache_clear()
    (models.parent / "tides.csv").write_text("at,height\n2024-01-01,3\n", encoding="utf-8")
    told = CliRunner().invoke(app, ["init", "--data", str(models.parent / "tides.csv"), "--target", "height"])
    assert told.exit_code == 1
    assert f"outside of {models}; move the file, or let the platform team extend" in told.stderr
    assert not models.exists()
