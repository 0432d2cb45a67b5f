"""What a gateway must not forget, on disk, so that a restart needs nobody's help."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from understudy.contract.declared import Fact
from understudy.gateway.confirm import confirm
from understudy.gateway.errors import RecordUnreadable

Kept = TypeVar("Kept", bound=Fact)


class RecordStore(Generic[Kept]):
    """Keep one fact a model, each in a file that is replaced as a whole or not at all."""

    def __init__(self, folder: Path, kind: type[Kept]) -> None:
        self._folder, self._kind = folder, kind

    def save(self, model: str, fact: Kept) -> None:
        """Write a fact so that it survives the machine's death; block until it does. Raise OSError if it cannot."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(model)
        draft = path.with_suffix(".draft")
        with draft.open("wb") as stream:
            stream.write(fact.model_dump_json().encode())
            stream.flush()
            confirm(stream.fileno())
        os.replace(draft, path)
        self._settle()

    def drop(self, model: str) -> None:
        """Forget a model's fact so that no restart finds it; repeating that is harmless. Raise OSError if it cannot."""
        if self._folder.is_dir():
            self._path(model).unlink(missing_ok=True)
            self._settle()

    def read(self, model: str) -> Kept | None:
        """Read a model's fact; None where there is none. Raise RecordUnreadable."""
        path = self._path(model)
        try:
            return self._kind.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as broken:
            raise RecordUnreadable(path, broken) from broken

    def models(self) -> Iterator[str]:
        """Name the models that there is a fact of."""
        yield from (path.stem for path in sorted(self._folder.glob("*.json")))

    def _path(self, model: str) -> Path:
        return self._folder / f"{model}.json"

    def _settle(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            confirm(folder)
        finally:
            os.close(folder)
