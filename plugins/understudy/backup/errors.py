"""One exception for each way a backup or a restore can fail."""

from pathlib import Path

from understudy.contract.errors import UnderstudyError


class NotEmpty(UnderstudyError):
    """There is something where something is to be written."""

    def __init__(self, what: str, way_out: str) -> None:
        self.what = what
        super().__init__(f"{what} is not empty, and nothing is ever overwritten. {way_out}")


class NoBackup(UnderstudyError):
    """The folder holds no backup, or half of one."""

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        super().__init__(f"{folder} is no backup that could be restored: {problem}. Nothing was changed.")


class BackupDamaged(UnderstudyError):
    """A backup is not what was written."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        self.folder, self.problems = folder, problems
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        super().__init__(f"The backup {folder} was damaged: {'; '.join(problems[:3])}{more}. Take another one.")


class BackupIncomplete(UnderstudyError):
    """What the ledger names cannot be found."""

    def __init__(self, missing: list[str]) -> None:
        self.missing = missing
        super().__init__(
            f"Not everything that serves could be verified: {'; '.join(missing)}. `understudy doctor` tells more."
        )


class NotReachable(UnderstudyError):
    """A part of the deployment lies where this machine cannot copy it from or to."""

    def __init__(self, part: str, where: str, setting: str) -> None:
        super().__init__(
            f"{part} at {where} cannot be reached as files or as a database. Say where it is with {setting}."
        )


class ToolFailed(UnderstudyError):
    """A program that a backup needs is absent, or failed."""

    def __init__(self, tool: str, problem: str) -> None:
        super().__init__(f"{tool} failed: {problem}. Nothing that was there before was changed.")


class StackRuns(UnderstudyError):
    """Something could write while things are brought back."""

    def __init__(self, home: str) -> None:
        super().__init__(f"The stack in {home} is running. Stop it with `understudy down`, then restore.")


class OtherPlace(UnderstudyError):
    """The models' files were kept under another address than they would have here."""

    def __init__(self, recorded: str, here: str) -> None:
        super().__init__(
            f"MLflow's database names its artefacts by {recorded}, and here they are at {here}. Restore with the same "
            "UNDERSTUDY_HOME, or the same AIRFLOW__UNDERSTUDY__MLFLOW_ARTIFACTS."
        )
