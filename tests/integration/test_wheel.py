"""The wheel as somebody installs it into an Airflow of their own, without this project around it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from understudy.settings import PROJECT

BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
LOOK = """
import json, sys
from airflow._shared import module_loading
# Of this project only the one that is asked about: the tests' own environment has it installed, too.
every = list(module_loading.metadata.distributions())
module_loading.metadata.distributions = lambda: [
    one for one in every if one.name != "understudy" or str(one.locate_file("")) == sys.argv[1]
]
module_loading._get_grouped_entry_points.cache_clear()
import understudy
from airflow import plugins_manager
plugins, problems = plugins_manager._get_plugins()
from understudy.ui.app import app
from understudy.ui.render import _templates
told = {
    "from": [understudy.__file__, sys.modules["understudy_plugin"].__file__],
    "views": [view["name"] for plugin in plugins if plugin.name == "understudy" for view in plugin.external_views],
    "apps": [one["url_prefix"] for plugin in plugins if plugin.name == "understudy" for one in plugin.fastapi_apps],
    "problems": problems,
    "pages": _templates().list_templates(),
}
print(json.dumps(told))
"""


def what_airflow_finds(folder: Path, library: Path, plugins: Path) -> dict[str, Any]:
    """Let a process of its own load the plugins, as each of Airflow's does."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(library),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "UNDERSTUDY_HOME": str(folder / "home"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
    }
    command = [sys.executable, "-c", LOOK, str(library)]
    look = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, env=environment)
    assert look.returncode == 0, look.stderr[-2000:]
    found: dict[str, Any] = json.loads(look.stdout.splitlines()[-1])
    return found


def test_the_project_that_is_installed_as_well_shows_its_pages_once(tmp_path: Path) -> None:
    told = what_airflow_finds(tmp_path, PROJECT / "plugins", PROJECT / "plugins")
    assert (told["views"], told["apps"]) == (["Models", "Model", "Decisions"], ["/understudy"])
    assert told["problems"] == {}


def test_an_installed_wheel_brings_its_pages_along(tmp_path: Path) -> None:
    source, wheels, installed = (tmp_path / name for name in ("source", "wheels", "installed"))
    shutil.copytree(PROJECT / "plugins", source / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(PROJECT / name, source)
    command = [sys.executable, "-c", BUILD, str(wheels)]
    build = subprocess.run(command, check=False, cwd=source, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr[-2000:]
    (wheel,) = wheels.iterdir()
    zipfile.ZipFile(wheel).extractall(installed)

    (tmp_path / "no-plugins").mkdir()
    told = what_airflow_finds(tmp_path, installed, tmp_path / "no-plugins")
    assert all(Path(file).is_relative_to(installed) for file in told["from"])
    assert (told["views"], told["apps"]) == (["Models", "Model", "Decisions"], ["/understudy"])
    assert told["problems"] == {}
    assert {"fleet.html.jinja", "model.html.jinja", "card.html.jinja"} <= set(told["pages"])
