"""The last acknowledged order of each model, on disk, so that a restart needs nobody's help."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from understudy.contract.serving import ServingOrder
from understudy.gateway.confirm import confirm
from understudy.gateway.errors import RecordUnreadable


class RecordStore:
    """Keep one file a model; a file is replaced as a whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, order: ServingOrder) -> None:
        """Write an order so that it survives the machine's death; block until it does. Raise OSError if it cannot."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{order.record.model}.json"
        draft = path.with_suffix(".draft")
        with draft.open("wb") as stream:
            stream.write(order.model_dump_json().encode())
            stream.flush()
            confirm(stream.fileno())
        os.replace(draft, path)
        self._settle()

    def drop(self, model: str) -> None:
        """Forget a model's order so that no restart serves it; again is harmless. Raise OSError if it cannot."""
        if self._folder.is_dir():
            (self._folder / f"{model}.json").unlink(missing_ok=True)
            self._settle()

    def load(self) -> Iterator[tuple[str, ServingOrder | RecordUnreadable]]:
        """Read every model's order, or why it cannot be read."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                order = ServingOrder.model_validate_json(path.read_bytes())
            except (OSError, ValidationError) as broken:
                yield path.stem, RecordUnreadable(path, broken)
            else:
                yield path.stem, order

    def _settle(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            confirm(folder)
        finally:
            os.close(folder)
