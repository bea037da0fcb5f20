"""What administrators and users do, in a browser under a strict policy."""

from __future__ import annotations

import pytest
import requests

from tests.patience import PATIENCE_SECONDS

pytest.importorskip("selenium", reason="browser: selenium is not installed")

from selenium.webdriver.common.keys import Keys

from .chromium import LOOKS

pytestmark = pytest.mark.ci

KEYS = "/admin/django_at_jwt/signingkey/"
MAPPERS = "/admin/django_at_jwt/claimmapper/"
APIS = "/admin/django_at_jwt/resourceserver/"


@pytest.fixture(autouse=True)
def _usual_look(site):
    site.window.look(LOOKS[0])


class TestKeys:
    def test_early_rotation_says_when_the_next_key_takes_over(self, admin):
        window = admin.window
        admin.open(KEYS)
        window.follow("Schedule early rotation…")
        assert "takes over" in window.text
        window.fill(reason="The key was on a lost laptop")
        window.screenshot("flows/rotate")
        window.press("Schedule early rotation")
        assert window.path == KEYS
        assert "takes over" in window.find(".messagelist").text
        window.picture("key-timeline")

    def test_key_is_revoked(self, admin):
        window = admin.window
        admin.open(f"{KEYS}?state=announced")
        with window.another_page():
            window.click("#result_list tbody a")
        kid = window.find("#at-jwt-kid").text
        window.follow("Revoke…")
        window.fill(reason="In a public repository")
        window.screenshot("flows/revoke")
        window.press("Revoke the key")
        admin.open(f"{KEYS}?state=revoked")
        assert kid[:12] in window.find("#result_list").text

    def test_kid_is_copied(self, admin):
        window = admin.window
        admin.open(KEYS)
        with window.another_page():
            window.click("#result_list tbody a")
        window.click("button[data-copies]")
        window.wait_for_text("Copied")


class TestClaims:
    def test_mapper_is_previewed_reviewed_and_saved(self, admin):
        """The steps of docs/tutorials/claim-mapper.md, whose pictures these are."""
        window = admin.window
        admin.open(f"{MAPPERS}add/")
        window.fill(name="department", claim="department", source_kind="user")
        window.fill(source_user="profile.department.code")
        window.click('[name="scopes"][value="profile"]')
        window.picture("claim-mapper-form")
        window.press("Preview a token with this mapper…")
        window.choose("preview-user", "alice")
        window.choose("preview-client", "Example web")
        window.press("Preview")
        assert "department" in window.find(".at-jwt-preview").text
        window.picture("claim-mapper-preview", ".at-jwt-preview")
        window.press("Back to the form")
        assert window.find("[name=claim]").get_attribute("value") == "department"
        window.press("Save")
        window.wait_for_text("Review changes")
        window.picture("claim-mapper-confirm")
        window.press("Confirm and save")
        window.wait_for_text("was added successfully")
        window.picture("claim-mapper-list")

    def test_mapper_is_added_by_keyboard_alone(self, admin):
        window = admin.window
        admin.open(f"{MAPPERS}add/")
        window.tab_to("name")
        window.type("Plan")
        window.tab_to("claim")
        window.type("plan")
        window.tab_to("source_kind")
        window.type("fixed")
        window.tab_to("source_text")
        window.type("gold")
        window.tab_to("_save")
        with window.another_page():
            window.type(Keys.ENTER)
        window.wait_for_text("Review changes")
        window.tab_to("Confirm and save")
        with window.another_page():
            window.type(Keys.ENTER)
        window.wait_for_text("was added successfully")

    def test_mapper_is_limited_to_an_api_and_a_group_by_keyboard_alone(self, admin):
        window = admin.window
        admin.open("/admin/auth/group/add/")
        window.fill(name="Payroll")
        window.press("Save")
        admin.open(f"{MAPPERS}add/")
        window.fill(name="Grade", claim="grade", source_kind="text", source_text="7")
        window.tab_to("APIs:")
        window.search("Reports")
        window.tab_to("More conditions: clients, groups and grants")
        window.type(Keys.ENTER)
        window.tab_to("Groups:")
        window.search("Payroll")
        window.screenshot("flows/mapper-conditions")
        window.tab_to("_save")
        with window.another_page():
            window.type(Keys.ENTER)
        window.wait_for_text("Review changes")
        assert "For API Reports, for users in the group Payroll" in window.text

    def test_type_follows_the_source_until_it_is_chosen_and_never_silently(self, admin):
        window = admin.window
        admin.open(f"{MAPPERS}add/")

        def state():
            return window.find("[name=type]").get_attribute("value"), window.find(".at-jwt-notice").text

        window.fill(source_kind="groups")
        kind, notice = state()
        assert kind == "strings"
        assert notice.startswith("The type was set to")
        window.fill(source_kind="user")
        kind, notice = state()
        assert kind == "string"
        assert notice.startswith("The type was set back to")
        window.fill(type="boolean")
        window.fill(source_kind="groups")
        kind, notice = state()
        assert kind == "boolean"
        assert notice.startswith("The source returns")

    def test_preview_is_for_an_api_that_is_searched_for(self, admin):
        window = admin.window
        admin.open("/admin/django_at_jwt/tokenpreview/")
        window.choose("preview-user", "alice")
        window.choose("preview-client", "Example web")
        window.tab_to("APIs:")
        window.search("Reports")
        window.press("Preview")
        assert "/reports/" in window.find(".at-jwt-facts").text
        window.screenshot("flows/preview")

    def test_change_of_an_api_shows_what_it_breaks_before_it_is_saved(self, admin):
        window = admin.window
        admin.open(APIS)
        with window.another_page():
            window.click("#result_list [href*=resourceserver]")
        window.click('[name="scopes-chosen"][value="api:write"]')
        window.press("Save")
        window.wait_for_text("Review changes")
        window.picture("change-impact")
        assert "4 clients that name no resource get tokens for Notes without api:write" in window.text
        window.follow("Cancel")
        assert window.path == APIS


class TestUsers:
    def test_error_describes_the_field_of_a_wrong_device_code(self, user):
        window = user.window
        user.open("/o/device/")
        window.fill(user_code="WRONG")
        window.press("Continue")
        error = window.find("[name=user_code]").get_attribute("aria-describedby")
        assert window.find(f"#{error}").text == "Incorrect user code"
        assert window.accessibility() == {}

    def test_consent_names_the_api_and_leads_back(self, user):
        window = user.window
        user.open("/try/")
        window.wait_for_text("Authorize Example web application?")
        window.screenshot("flows/consent")
        assert window.accessibility() == {}
        window.press("Authorize")
        window.wait_for_text("Back at the client")
        assert window.path == "/callback/"

    def test_device_is_connected(self, user):
        window, base_url = user.window, user.server.base_url
        sent = {"client_id": "example-device", "scope": "api:read"}
        device = requests.post(f"{base_url}/o/device-authorization/", data=sent, timeout=PATIENCE_SECONDS).json()
        user.open("/o/device/")
        assert window.accessibility() == {}
        window.fill(user_code=device["user_code"].lower())
        window.press("Continue")
        window.wait_for_text("Example television")
        window.screenshot("flows/device")
        assert window.accessibility() == {}
        window.press("Connect")
        polled = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "client_id": "example-device",
            "device_code": device["device_code"],
        }
        answer = requests.post(f"{base_url}/o/token/", data=polled, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
