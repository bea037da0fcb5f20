"""The demonstration, run as its users run it."""

import os
import re
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from example_project import demo
from example_project.narration import Narration, UnexpectedResult
from example_project.server_process import ROOT
from tests.patience import PATIENCE_SECONDS

ENVIRONMENT = {**os.environ, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
DEMO = [sys.executable, "-m", "example_project.demo"]


def is_listening(base_url):
    address = urlsplit(base_url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) == 0


@pytest.mark.ci
def test_the_demonstration_ends_well():
    done = subprocess.run(
        DEMO, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    *_, last = done.stdout.splitlines()
    told = re.fullmatch(r" *All (\d+) checks passed in \d+ seconds. The servers are stopped.", last)
    assert told, last
    assert int(told[1]) == done.stdout.count("\n   ok  ") == 43
    titles = re.findall(r"^\d\. ([\w ]+)", done.stdout, re.MULTILINE)
    assert titles == [
        "Discovery",
        "Authorization code with PKCE",
        "Refresh token",
        "Client credentials",
        "Device code",
        "Tokens that an API rejects",
        "Key rotation",
        "Expiry",
        "Summary",
    ]
    [base_url] = re.findall(r"A server runs at (\S+)\. ", done.stdout)
    assert not is_listening(base_url)


@pytest.mark.ci
def test_an_interrupted_demonstration_stops_its_server():
    process = subprocess.Popen(
        DEMO, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        base_url = re.search(r"A server runs at (\S+)\. ", process.stdout.readline())[1]
        assert is_listening(base_url)
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, complaint) == (1, "\nInterrupted.\n")
    assert not is_listening(base_url)


def test_an_unexpected_result_ends_it_with_a_message(monkeypatch, capsys):
    def tell(story, directory):
        (directory / "server.log").write_text("Something went wrong here\n")
        story.check("two and two", holds=False, found=5)

    monkeypatch.setattr(demo, "tell", tell)
    assert demo.main() == 1
    complaint = capsys.readouterr().err
    assert "A check failed: two and two: 5\n" in complaint
    assert "The server's log ends with:\nSomething went wrong here\n" in complaint


def test_only_what_holds_is_counted(capsys):
    story = Narration()
    story.check("one", holds=True)
    with pytest.raises(UnexpectedResult, match="two: nothing"):
        story.check("two", holds=False, found="nothing")
    assert story.checks == 1
    assert capsys.readouterr().out == "   ok  one\n"
