"""The health of the remote issuers whose tokens this project accepts. It sends no request to them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.health import Health, HealthStatus, Problem
from django_at_jwt.core.revocation import Revocation

from .remote.shared_cache import SharedCache
from .remote_issuers import remote_deny_list, remote_key_source, remote_options

if TYPE_CHECKING:
    from django_at_jwt.conf import IssuerSettings


def remote_issuers_health() -> Health:
    """Return the age of each issuer's keys: of this process's copy, or else of the copy that workers share.

    An issuer without a copy is not a problem: its keys are fetched with its first token. So are its revocations, whose
    age is that of this process's copy.
    """
    reports = [_report(issuer) for issuer in app_settings().issuers if issuer.issuer != local_issuer()]
    stale = [report for report in reports if report["failing"] and not _is_recent(report)]
    problems = [Problem(status=HealthStatus.WARNING, name="issuer_stale", text=_text(report)) for report in stale]
    for report in reports:
        revocations = report.get("revocations", {"failing": False})
        if revocations["failing"] and not revocations["usable"]:
            text = f"The revocations of {report['issuer']} cannot be fetched."
            problems.append(Problem(status=HealthStatus.WARNING, name="revocations_stale", text=text))
    return Health(problems=tuple(problems), facts={"issuers": reports})


def _report(issuer: IssuerSettings) -> dict[str, Any]:
    state = remote_key_source(issuer).state()
    confirmed_at, copy = state.confirmed_at, "process"
    if confirmed_at is None:
        shared = SharedCache(remote_options(issuer)).read()
        confirmed_at, copy = (shared.confirmed_at, "shared") if shared else (None, "none")
    return {
        "issuer": issuer.issuer,
        "copy": copy,
        "seconds_old": _age(confirmed_at),
        "usable": state.is_usable,
        "failing": state.is_failing,
        **_revocations(issuer),
    }


def _revocations(issuer: IssuerSettings) -> dict[str, Any]:
    if issuer.revocation is not Revocation.DENY_LIST:
        return {}
    state = remote_deny_list(issuer).state()
    report = {"seconds_old": _age(state.confirmed_at), "usable": state.is_usable, "failing": state.is_failing}
    return {"revocations": report}


def _age(confirmed_at: float | None) -> float | None:
    return None if confirmed_at is None else round(time.time() - confirmed_at, 1)


def _is_recent(report: dict[str, Any]) -> bool:
    return bool(report["usable"]) and report["seconds_old"] <= app_settings().issuer_max_age


def _text(report: dict[str, Any]) -> str:
    if report["usable"]:
        return f"{report['issuer']} has not confirmed its keys for {report['seconds_old']:.0f} seconds; it fails."
    return f"The keys of {report['issuer']} cannot be fetched, and its tokens are answered with 503."
