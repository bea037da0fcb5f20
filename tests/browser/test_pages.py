"""Each page: wide and narrow, light and dark, under a strict policy, and as accessible as Django's admin."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest

pytest.importorskip("selenium", reason="browser: selenium is not installed")

from selenium.webdriver.common.by import By

from .chromium import LOOKS, SCREENSHOTS

pytestmark = pytest.mark.ci

OURS = re.compile(r"/admin/(django_at_jwt|oauth2_provider|auth/user)/")
STOCK = [
    "/stock/",
    "/stock/auth/",
    "/stock/admin/logentry/",
    "/stock/admin/logentry/add/",
    "/stock/auth/permission/",
    "/stock/auth/group/add/",
    "/stock/auth/user/1/change/",
    "/stock/auth/user/1/delete/",
]


def shape(path: str) -> str:
    """Return a path without what names a row, so that one page of each kind is looked at."""
    return re.sub(r"/[A-Za-z0-9_-]{43}/|/\d+/", "/ROW/", path)


def links(window) -> list[str]:
    found = [link.get_attribute("href") for link in window.driver.find_elements(By.CSS_SELECTOR, "#content a[href]")]
    return [urlsplit(address).path for address in found if address and OURS.match(urlsplit(address).path)]


def look_at(window, name: str = "") -> tuple[list[str], dict[str, list[str]]]:
    """Return the elements that are wider than the window, and those that break each rule of axe-core, in all looks.

    With a name, pictures are stored.
    """
    overflowing: list[str] = []
    broken: dict[str, list[str]] = {}
    for look in LOOKS:
        window.look(look)
        if name:
            window.screenshot(f"pages/{name}-{look}")
        overflowing += [f"{look}: {part}" for part in window.overflowing()]
        broken |= window.accessibility()
    return overflowing, broken


@pytest.fixture(scope="session")
def stock(site):
    """The rules that Django's own pages break, each with the paths of these pages."""
    site.log_in("admin")
    site.open("/stock/auth/group/add/")
    site.window.fill(name="Editors")
    site.window.choose("permissions", "log entry")
    site.window.press("Save and continue editing")
    # Other tests may have made a group before.
    group = site.window.path
    rules: dict[str, list[str]] = {}
    for path in [*STOCK, group, group.replace("change", "history")]:
        site.open(path)
        _, broken = look_at(site.window)
        for rule in broken:
            rules.setdefault(rule, []).append(path)
    return rules


def test_pages_of_the_admin_follow_the_policy_and_are_as_accessible_as_stock_pages(site, stock):
    site.log_in("admin")
    pages, problems, report = {"/admin/": "/admin/"}, [], {}
    queue = list(pages)
    while queue:
        path = queue.pop()
        site.open(path)
        for each in links(site.window):
            if shape(each) not in pages:
                pages[shape(each)] = each
                queue.append(each)
        overflowing, report[path] = look_at(site.window, shape(path).strip("/").replace("/", "-"))
        problems += [(path, "wider than the window", part) for part in overflowing]
        problems += [(path, rule, parts) for rule, parts in report[path].items() if rule not in stock]
        problems += [(path, complaint) for complaint in site.window.complaints()]
    (SCREENSHOTS / "accessibility.json").write_text(json.dumps({"stock": stock, "ours": report}, indent=1))
    assert not problems, "\n".join(map(str, problems))
    assert {"/admin/django_at_jwt/signingkey/ROW/change/", "/admin/django_at_jwt/resourceserver/add/"} <= set(pages)


def list_fits(window) -> bool:
    results = window.find("#changelist-form .results")
    return results.get_property("scrollWidth") <= results.get_property("clientWidth")


@pytest.mark.parametrize("model", ["signingkey", "resourceserver"])
def test_list_fits_a_wide_window(admin, model):
    window = admin.window
    window.look(LOOKS[0])
    admin.open(f"/admin/django_at_jwt/{model}/")
    assert list_fits(window)
    width = window.find("#content").size["width"]
    for overview in window.driver.find_elements(By.CSS_SELECTOR, ".at-jwt-overview"):
        assert overview.size["width"] > 0.9 * width


def test_list_of_mappers_with_long_names_fits_a_wide_window(admin):
    window = admin.window
    window.look(LOOKS[0])
    admin.open("/admin/django_at_jwt/claimmapper/add/")
    window.fill(name="Department of the user", claim=r"https://api\.example\.com/claims/department_code")
    window.fill(source_kind="user", source_user="profile.department.code")
    for scope in ("profile", "reports:read"):
        window.click(f'[name="scopes"][value="{scope}"]')
    window.press("Save")
    window.press("Confirm and save")
    assert window.find("#result_list .field-claim")
    assert list_fits(window)


@pytest.mark.parametrize("page", ["authorize", "accept_deny"])
def test_own_consent_page_follows_the_preferred_colours(user, page):
    user.open(f"/own/{page}/")
    shades = {}
    overflowing, broken = look_at(user.window, f"own-{page}")
    assert overflowing == []
    for look in LOOKS:
        user.window.look(look)
        for element in ("body", ".block-center", "button, input[type=submit]"):
            colour = user.window.find(element).value_of_css_property("background-color")
            shades.setdefault(look.scheme, []).append(sum(map(int, re.findall(r"\d+", colour)[:3])))
    assert min(shades["light"]) > 600
    assert max(shades["dark"]) < 200
    # DOT's base template has neither landmarks nor a heading of level 1.
    known = {"landmark-one-main", "page-has-heading-one", "region"}
    assert {rule: parts for rule, parts in broken.items() if rule not in known} == {}


# The template of the list of tokens is django-oauth-toolkit's, with a list directly in another.
@pytest.mark.parametrize(
    ("path", "known"), [("/try/", set()), ("/o/device/", set()), ("/o/authorized_tokens/", {"list"})]
)
def test_page_for_users_is_accessible_and_fits_a_telephone(user, path, known):
    user.open(path)
    overflowing, broken = look_at(user.window, f"user-{user.window.path.strip('/').replace('/', '-')}")
    assert overflowing == []
    assert {rule: parts for rule, parts in broken.items() if rule not in known} == {}
