"""The server that ``make serve`` leaves running."""

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from example_project.id_token_key import id_token_key
from example_project.serve import READY, listen, main
from example_project.server_process import ROOT, ServerFailed, environment_for, running_server
from tests.patience import PATIENCE_SECONDS

SERVE = [sys.executable, "-m", "example_project.serve"]


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.ci
def test_serves_at_the_next_free_port_until_it_is_interrupted(tmp_path, taken_port):
    wanted = f"http://127.0.0.1:{taken_port}"
    environment = environment_for(tmp_path, EXAMPLE_BASE_URL=wanted)
    process = subprocess.Popen(
        SERVE, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        lines = []
        while not lines or not lines[-1].startswith("Stop it with"):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        [base_url] = [line.removeprefix(READY).strip() for line in lines if line.startswith(READY)]
        assert base_url != wanted
        assert f"The port of {wanted} is in use; using another one.\n" in lines
        try:
            address = f"{base_url}/.well-known/oauth-authorization-server/o"
            metadata = requests.get(address, timeout=PATIENCE_SECONDS).json()
        finally:
            process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, rest) == (0, "\nStopped.\n")
    assert metadata["issuer"] == f"{base_url}/o"
    said = "".join(lines)
    for address in ("login/", "admin/", "api/notes/", "reports/summary/", "o/.well-known/jwks.json"):
        assert f" {base_url}/{address}" in said
    assert "alice, password alice-example-password\n" in said


@pytest.mark.parametrize(
    ("base_url", "complaint"),
    [
        ("https://127.0.0.1", "for https, use a reverse proxy"),
        ("http://127.0.0.1:8000/path", "it must look like http://127.0.0.1:8000"),
        ("http://127.0.0.1:no", "Port could not be cast"),
        ("http://192.0.2.1:8000", "Cannot assign requested address"),
    ],
)
def test_says_what_is_wrong_with_a_base_url(base_url, complaint, monkeypatch, capsys):
    monkeypatch.setenv("EXAMPLE_BASE_URL", base_url)
    assert main([]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"EXAMPLE_BASE_URL={base_url}" in said.err
    assert complaint in said.err


def test_any_port_will_do_if_the_port_is_0():
    with listen("http://127.0.0.1:0") as first, listen("http://127.0.0.1:0") as second:
        assert first.server_port != second.server_port


@pytest.mark.ci
@pytest.mark.parametrize(
    ("key_file", "complaint"),
    [
        ("missing/key.pem", "The key for ID tokens cannot be stored in .*missing/key.pem: No such file or directory"),
        ("key.pem", "The example cannot be served: unable to open database file"),
    ],
)
def test_a_server_that_cannot_start_says_why(tmp_path, key_file, complaint):
    variables = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'missing' / 'example.sqlite3'}",
        "EXAMPLE_ID_TOKEN_KEY_FILE": tmp_path / key_file,
    }
    with pytest.raises(ServerFailed, match=complaint) as failed, running_server(tmp_path, **variables):
        pass
    assert "Traceback" not in str(failed.value)


def test_processes_that_start_together_keep_one_key_for_id_tokens(tmp_path):
    path = tmp_path / "key.pem"
    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(id_token_key, [path] * 4))
    assert keys == {path.read_text()}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["key.pem"]
