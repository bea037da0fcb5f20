"""Where consumers are installed: a virtual environment, an npm prefix and unpacked Debian packages in ``.cache``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from example_project.server_process import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .catalog import Consumer

FOLDER: Final = ROOT / ".cache/consumers"
DEBIAN: Final = FOLDER / "debian/root"
NODE_PACKAGES: Final = FOLDER / "npm/node_modules"
_VENV_PYTHON: Final = FOLDER / "venv/bin/python"
_PROGRAMS: Final = Path(__file__).parent


def install(consumers: Sequence[Consumer]) -> None:
    """Install or upgrade the packages with the clients of their registries. A failure is reported, and tolerated."""
    wanted = {
        registry: sorted({package for each in consumers if each.registry == registry for package in each.packages})
        for registry in ("PyPI", "npm", "Debian")
    }
    if wanted["PyPI"]:
        _run(sys.executable, "-m", "venv", FOLDER / "venv")
        _run(_VENV_PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", *wanted["PyPI"])
    if wanted["npm"]:
        _run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", FOLDER / "npm", *wanted["npm"])
    if wanted["Debian"]:
        # Unpacked without installing, so that the system does not change.
        archives = FOLDER / "debian/archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        options = ["-y", "-qq", "--download-only", "--no-install-recommends", "-o", f"Dir::Cache::archives={archives}"]
        _run("apt-get", "install", *options, *wanted["Debian"])
        for archive in archives.glob("*.deb"):
            _run("dpkg", "-x", archive, DEBIAN)


def _run(*command: str | os.PathLike[str]) -> None:
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"Could not install: {error}\n")


def command_of(consumer: Consumer, *, python: str | None = None) -> list[str]:
    """Return the command that runs a consumer, with another Python than the one with all packages if it is given."""
    if consumer.registry == "npm":
        return ["node", str(_PROGRAMS / "node_programs.mjs"), consumer.program]
    return [python or str(_VENV_PYTHON), str(_PROGRAMS / "python_programs.py"), consumer.program]


def version_of(consumer: Consumer, *, python: str | None = None) -> str | None:
    """Return the installed version of a consumer's package, or ``None``."""
    if consumer.registry == "npm":
        manifest = NODE_PACKAGES / consumer.package / "package.json"
        return json.loads(manifest.read_text())["version"] if manifest.exists() else None
    if consumer.registry == "Debian":
        archives = sorted((FOLDER / "debian/archives").glob(f"{consumer.package}_*.deb"))
        return archives[-1].name.split("_")[1].replace("%3a", ":") if archives and DEBIAN.exists() else None
    read = f"from importlib.metadata import version; print(version({consumer.package!r}))"
    try:
        done = subprocess.run([python or _VENV_PYTHON, "-c", read], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
