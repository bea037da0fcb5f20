"""The schedules of the documentation: tasks without their task queue, units by systemd's own check, jobs by ``sh``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from django.core.management import call_command
from django.utils.module_loading import import_string

from django_at_jwt.authorization_server.keys.rotation_run import read_last_run
from django_at_jwt.models import SigningKey
from tests.patience import PATIENCE_SECONDS

from .blocks import KEYS, SCHEDULED_TASKS, blocks_of

BLOCKS = blocks_of(SCHEDULED_TASKS)


def block_with(text):
    [found] = [block.text for block in BLOCKS if text in block.text]
    return found


def assert_rotates_and_purges(names):
    for _ in range(2):
        names["rotate_signing_keys"]()
    assert SigningKey.objects.count() == 2
    assert read_last_run().problem == ""
    names["purge_tokens"]()


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly")
class TestTaskQueues:
    def test_celery(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "celery", SimpleNamespace(shared_task=lambda function: function))
        monkeypatch.setitem(sys.modules, "celery.schedules", SimpleNamespace(crontab=lambda **when: when))
        tasks, settings = {}, {}
        exec(block_with("@shared_task"), tasks)
        assert_rotates_and_purges(tasks)
        exec(block_with("CELERY_BEAT_SCHEDULE ="), settings)
        entries = settings["CELERY_BEAT_SCHEDULE"].values()
        assert [entry["task"].removeprefix("mysite.tasks.") in tasks for entry in entries] == [True, True]
        # At a time of the day, whenever beat was started.
        assert [entry["schedule"].keys() for entry in entries] == [{"hour", "minute"}] * 2

    def test_huey(self, monkeypatch):
        scheduled = []

        def db_periodic_task(when):
            return lambda function: scheduled.append(when) or function

        monkeypatch.setitem(sys.modules, "huey", SimpleNamespace(crontab=lambda **when: when))
        monkeypatch.setitem(sys.modules, "huey.contrib.djhuey", SimpleNamespace(db_periodic_task=db_periodic_task))
        tasks = {}
        exec(block_with("@db_periodic_task"), tasks)
        assert_rotates_and_purges(tasks)
        assert [when.keys() for when in scheduled] == [{"hour", "minute"}] * 2

    def test_django_q2(self, monkeypatch):
        schedules = {}

        def update_or_create(*, name, defaults):
            schedules[name] = defaults

        schedule = SimpleNamespace(CRON="C", objects=SimpleNamespace(update_or_create=update_or_create))
        monkeypatch.setitem(sys.modules, "django_q.models", SimpleNamespace(Schedule=schedule))
        exec(block_with("Schedule.objects"), {})
        for entry in schedules.values():
            assert import_string(entry["func"]) is call_command
            assert re.fullmatch(r"\d+ 4 \* \* \*", entry["cron"])
            call_command(eval(entry["args"]))
        assert len(schedules) == 2
        assert SigningKey.objects.count() == 2


class TestKubernetes:
    job = yaml.safe_load(block_with("kind: CronJob"))

    @pytest.mark.parametrize(("status", "ends_with"), [(0, 0), (3, 0), (1, 1)])
    def test_nothing_to_do_is_not_a_failure(self, status, ends_with, tmp_path):
        [container] = self.job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\necho "$@"\nexit {status}\n')
        python.chmod(0o755)
        path = f"{tmp_path}:/usr/bin:/bin"
        done = subprocess.run(container["command"], env={"PATH": path}, capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == ("manage.py rotate_signing_keys\n", ends_with)

    def test_schedule_of_the_job_is_daily(self):
        assert re.fullmatch(r"\d+ \d+ \* \* \*", self.job["spec"]["schedule"])


def test_systemd_takes_the_units(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd: systemd-analyze is not installed")
    texts = [block.text for block in blocks_of(KEYS) if block.language == "ini"]
    units = [unit for text in texts for unit in re.split(r"(?m)^(?=# /etc/systemd/system/)", text) if unit.strip()]
    assert len(units) == 3
    paths = []
    for unit in units:
        path = tmp_path / unit.partition("\n")[0].rpartition("/")[2]
        # The site is not on this machine.
        path.write_text(unit.replace("/srv/mysite/.venv/bin/python", "/bin/sh"))
        paths.append(path)
    command = ["systemd-analyze", "verify", "--man=no", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
