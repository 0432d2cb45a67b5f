"""One API server for all that is asked of the cockpit's pages."""

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.fleet_ledger import write_fleet
from tests.integration.cockpit.api_server import api_server, forget_plugins, forget_what_was_read
from understudy.settings import settings


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("cockpit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_HOME", str(home))
        patch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(home / "models"))
        settings.cache_clear()
        forget_what_was_read()
        write_fleet(home / "ledger.db", 4, 20, until=datetime.now(timezone.utc))
        forget_plugins()
        yield api_server(home)
        forget_plugins()
        settings.cache_clear()
        forget_what_was_read()
