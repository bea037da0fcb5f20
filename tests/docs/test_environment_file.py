"""The crontab lines of the page, run by sh as cron does: the values of the environment file arrive unchanged."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.core.management.utils import get_random_secret_key

from tests.patience import PATIENCE_SECONDS

from .blocks import KEYS, blocks_of

FILE = "# /etc/mysite.env"
CRONTAB = "# /etc/cron.d/mysite"
# Stands where the site's own Python does, and writes what it was called with.
RECORDER = """#!{python}
import json, os, sys
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
"""
VALUES = {
    "a query": "postgres://mysite@db.example.com/mysite?connect_timeout=5&sslmode=require",
    "dollars": "pa$$word$HOME${HOME}$(id)`id`",
    "brackets": "a(b)c{d}e[f]<g>h|i;j!k*l?m~n^o",
    "hash": "a#b #c",
    "spaces": "two  words\tand more",
    "quotation marks within": """it's "so" 'and' not so\"""",
    "quotation mark alone": '"',
    "equals signs": "a==b=",
    "per cent": "%s 100%",
    "not ASCII": "p\u00e4ss\u2026",
    "empty": "",
}
QUOTED = {
    "backslashes": r"a\b\nc\$d",
    "a quotation mark first": '"x',
    "quotation marks around": '"x"',
    "spaces around": "  x ",
    "hash first": "#x",
}


def block(start):
    [found] = [block.text for block in blocks_of(KEYS) if block.text.startswith(start)]
    return found


class Site:
    """The page's files in a temporary folder, with a Python that records how it is called."""

    def __init__(self, folder):
        self.folder = folder
        self.file, self.calls = folder / "mysite.env", folder / "calls"
        (folder / "srv/.venv/bin").mkdir(parents=True)
        recorder = RECORDER.format(python=sys.executable, calls=str(self.calls))
        for name, text in {".venv/bin/python": recorder, "with-env": block("#!/bin/sh")}.items():
            path = folder / "srv" / name
            path.write_text(text)
            path.chmod(0o755)

    def run(self, environment_file, line):
        """Run a line of the crontab; return how it ended, and the arguments and the environment of each call."""
        self.file.write_text(environment_file)
        command = line.split(maxsplit=6)[6]
        # cron would take a per cent sign for the end of the line.
        assert "%" not in command
        command = command.replace("/srv/mysite", str(self.folder / "srv")).replace("/etc/mysite.env", str(self.file))
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env={"PATH": "/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh", "LOGNAME": "www-data", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return done, [json.loads(call) for call in calls]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def crontab_lines():
    blocks = [block.text for block in blocks_of(KEYS) if block.text.startswith(CRONTAB)]
    return [line for text in blocks for line in text.splitlines() if not line.startswith("#")]


def test_lines_run_the_commands_with_the_pages_file(site):
    text = block(FILE)
    expected = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert expected.keys() == {"SECRET_KEY", "DATABASE_URL", "KEY_ENCRYPTION_KEYS"}
    for line in crontab_lines():
        done, calls = site.run(text, line)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [" ".join(arguments) for arguments, _ in calls] == [
        "manage.py rotate_signing_keys",
        "manage.py purge_tokens",
    ]
    for _, environment in calls:
        assert environment.items() >= expected.items()


def arriving(site, environment_file):
    done, [(_, environment)] = site.run(environment_file, crontab_lines()[0])
    assert (done.returncode, done.stderr) == (0, "")
    return environment


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_value_arrives_as_it_was_written(value, site):
    # The last line may lack its end.
    environment = arriving(site, f"# A comment\n\nBEFORE=1\nVALUE={value}\nAFTER=2")
    assert [environment[name] for name in ("BEFORE", "VALUE", "AFTER")] == ["1", value, "2"]


@pytest.mark.parametrize("value", QUOTED.values(), ids=QUOTED)
def test_value_in_single_quotes_arrives_without_them(value, site):
    assert arriving(site, f"VALUE='{value}'\n")["VALUE"] == value


def test_secret_keys_that_django_makes(site):
    keys = {f"KEY_{number}": get_random_secret_key() for number in range(200)}
    assert arriving(site, "".join(f"{name}={value}\n" for name, value in keys.items())).items() >= keys.items()


@pytest.mark.parametrize("line", ["SECRET_KEY", "export SECRET_KEY=x", "=x", "SECRET-KEY=x"])
def test_line_that_sets_no_variable_stops_it_and_cron_sends_why(line, site):
    done, calls = site.run(f"BEFORE=1\n{line}\n", crontab_lines()[0])
    assert (done.returncode != 0, calls) == (True, [])
    assert done.stderr


def test_file_that_cannot_be_read_stops_it(site):
    line = crontab_lines()[0].replace("/etc/mysite.env", "/etc/missing.env")
    done, calls = site.run("", line)
    assert (done.returncode != 0, calls) == (True, [])
    assert "/etc/missing.env" in done.stderr
