"""A team's own code: loaded from its model's folder and from nowhere else."""

from pathlib import Path

import pytest

from understudy.stages import Refused
from understudy.stages.model.load_code import load_function


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_function_is_loaded_with_what_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "steps_beside_it.py", "FACTOR = 3\n")
    write(tmp_path, "prepare.py", "from steps_beside_it import FACTOR\ndef prepare(x):\n    return x * FACTOR\n")
    assert load_function(tmp_path, "prepare.py:prepare")(2) == 6


def test_two_models_with_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for answer in (1, 2):
        write(tmp_path / str(answer), "trainer.py", f"def train():\n    return {answer}\n")
    assert [load_function(tmp_path / str(answer), "trainer.py:train")() for answer in (1, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("../outside.py:f", "leads out of the model's folder"),
        ("trainr.py:train", r"there is no trainr.py in the model's folder; did you mean 'trainer.py'"),
        ("trainer.py:trian", r"trainer.py has no function 'trian'; did you mean 'train'"),
        ("broken.py:train", r"broken.py does not run: ZeroDivisionError"),
        ("garbled.py:train", r"garbled.py does not run: SyntaxError"),
        ("trainer.py:NUMBER", r"has no function 'NUMBER'"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_sentence(tmp_path: Path, reference: str, expected: str) -> None:
    write(tmp_path, "outside.py", "def f(): ...\n")
    for name, text in (
        ("trainer.py", "NUMBER = 1\ndef train(): ...\n"),
        ("broken.py", "1 / 0\n"),
        ("garbled.py", "def (\n"),
    ):
        write(tmp_path / "model", name, text)
    with pytest.raises(Refused, match=expected):
        load_function(tmp_path / "model", reference)
