"""Each page: wide and narrow, light and dark, under a strict policy, and as accessible as Django's admin."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By

from .chromium import LOOKS, NARROW, SCREENSHOTS, WIDE

pytestmark = pytest.mark.ci

OURS = re.compile(r"/admin/(django_at_jwt|oauth2_provider|auth/user)/")
STOCK = [
    "/stock/",
    "/stock/auth/",
    "/stock/admin/logentry/",
    "/stock/admin/logentry/add/",
    "/stock/auth/permission/",
    "/stock/auth/group/add/",
    "/stock/auth/group/1/change/",
    "/stock/auth/group/1/delete/",
    "/stock/auth/group/1/history/",
    "/stock/auth/user/add/",
    "/stock/auth/user/1/change/",
]


def shape(path: str) -> str:
    """Return a path without what names a row, so that one page of each kind is looked at."""
    return re.sub(r"/[A-Za-z0-9_-]{43}/|/\d+/", "/ROW/", path)


def links(window) -> list[str]:
    found = [link.get_attribute("href") for link in window.driver.find_elements(By.CSS_SELECTOR, "#content a[href]")]
    return [urlsplit(address).path for address in found if address and OURS.match(urlsplit(address).path)]


@pytest.fixture(scope="module")
def found(site):
    """The rules that Django's own pages break, and the paths of ours by their shape."""
    site.log_in("admin")
    site.open("/stock/auth/group/add/")
    site.window.fill(name="Editors")
    site.window.choose("permissions", "log entry")
    site.window.press("Save")
    stock = defaultdict(set)
    for path in STOCK:
        site.open(path)
        for look in LOOKS:
            site.window.look(look)
            for rule in site.window.accessibility():
                stock[rule].add(path)
    pages: dict[str, str] = {}
    queue = ["/admin/"]
    site.window.look(LOOKS[0])
    while queue:
        path = queue.pop(0)
        if path != "/admin/" and not OURS.match(path):
            continue
        site.open(path)
        for each in links(site.window):
            if shape(each) not in pages:
                pages[shape(each)] = each
                queue.append(each)
    return stock, pages


def test_pages_follow_the_policy_and_are_as_accessible_as_the_stock_admin(site, found):
    stock, pages = found
    assert {"/admin/django_at_jwt/signingkey/ROW/change/", "/admin/django_at_jwt/resourceserver/add/"} <= set(pages)
    problems, report = [], {}
    for name, path in sorted(pages.items()):
        site.open(path)
        for look in LOOKS:
            site.window.look(look)
            if look.width == NARROW and (parts := site.window.overflowing()):
                problems.append((name, str(look), "wider than the window", parts))
            site.window.screenshot(f"pages/{name.strip('/').replace('/', '-')}-{look}")
            site.window.look(look)
        if complaints := site.window.complaints():
            problems.append((name, complaints))
        for look in (each for each in LOOKS if each.width == WIDE):
            site.window.look(look)
            rules = site.window.accessibility()
            report.setdefault(name, {}).update(rules)
            problems += [(name, str(look), rule, parts) for rule, parts in rules.items() if rule not in stock]
    (SCREENSHOTS / "accessibility.json").write_text(
        json.dumps({"stock": {rule: sorted(paths) for rule, paths in stock.items()}, "ours": report}, indent=1)
    )
    assert problems == []


@pytest.mark.parametrize("path", ["/try/", "/o/device/", "/o/authorized_tokens/", "/o/authorize/"])
def test_page_for_users_is_accessible_and_fits_a_telephone(user, path):
    user.open(path)
    page = user.window.path.strip("/").replace("/", "-")
    for look in LOOKS:
        user.window.look(look)
        user.window.screenshot(f"pages/user-{page}-{look}")
        assert user.window.overflowing() == []
        assert user.window.accessibility() == {}
