from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from example_project.server_process import environment_for, run_manage, running_server

if TYPE_CHECKING:
    from example_project.server_process import RunningServer

    from .chromium import Chromium

SETTINGS = "tests.browser.settings"


@dataclass(frozen=True)
class Site:
    """The running example with a strict policy, and a window in which somebody is logged in."""

    server: RunningServer
    window: Chromium
    description: dict[str, Any]

    def open(self, path: str) -> None:
        self.window.open(self.server.base_url + path)

    def log_in(self, name: str) -> None:
        [user] = [each for each in self.description["users"] if each["username"] == name]
        self.window.driver.delete_all_cookies()
        self.open("/login/?next=/")
        self.window.fill(username=name, password=user["password"])
        self.window.press("Log in")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    from .chromium import AXE, CHROMIUM, DRIVER, chromium

    for path in (CHROMIUM, DRIVER):
        if not path.exists():
            pytest.skip(f"browser: there is no {path}")
    if not AXE.exists():
        pytest.skip("browser: axe-core is not installed (npm install --prefix .cache/npm axe-core@4)")
    folder = tmp_path_factory.mktemp("site")
    migrated = run_manage(environment_for(folder, DJANGO_SETTINGS_MODULE=SETTINGS), "migrate", "--verbosity=0")
    assert migrated.returncode == 0, migrated.stderr
    with running_server(folder, DJANGO_SETTINGS_MODULE=SETTINGS) as server, chromium() as window:
        yield Site(server, window, server.description())


@pytest.fixture
def admin(site):
    """The site, with the administrator logged in."""
    site.log_in("admin")
    yield site
    assert site.window.complaints() == []


@pytest.fixture
def user(site):
    """The site, with an ordinary user logged in."""
    site.log_in("alice")
    yield site
    assert site.window.complaints() == []
