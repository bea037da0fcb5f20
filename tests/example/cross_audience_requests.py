"""How a client may try to get a token for an API that is open to another client only.

Each way first does what is allowed, if it needs any of that, up to its ``yield``; what it gives then is the answer to
the request that must be refused.
"""

from __future__ import annotations

from urllib.parse import urlencode

from example_project.http_client import DEVICE_CODE_GRANT

from .wider_site import Answer

WAYS_TO_THE_NEIGHBOUR = {}


def a_way(function, error="invalid_target"):
    WAYS_TO_THE_NEIGHBOUR[function] = error
    return function


def a_way_that_is_no_request(function):
    """A way that the token endpoint refuses: it has a parameter in the query (RFC 6749 section 3.2)."""
    return a_way(function, error="invalid_request")


def query(site):
    return "?" + urlencode({"resource": site.identifiers["neighbour"]})


# At the authorization endpoint.


@a_way
def named_in_the_query(site):
    yield
    yield site.answer_to(site.begin("web", "neighbour", "api:read"))


@a_way
def named_after_an_allowed_one(site):
    yield
    yield site.answer_to(site.begin("web", "notes neighbour", "api:read"))


@a_way
def implied_by_a_scope(site):
    yield
    yield site.answer_to(site.begin("web", "-", "neighbour:read"))


@a_way
def implied_by_one_scope_of_two(site):
    yield
    yield site.answer_to(site.begin("web", "-", "openid neighbour:read"))


@a_way
def written_into_the_consent_page(site):
    authorization = site.begin("web", "notes", "api:read")
    yield
    yield site.answer_to(authorization, resource=site.identifiers["neighbour"])


@a_way
def added_to_the_consent_page(site):
    authorization = site.begin("web", "notes", "api:read")
    yield
    yield site.answer_to(authorization, resource=f"{site.identifiers['notes']} {site.identifiers['neighbour']}")


@a_way
def written_into_the_address_of_the_consent_page(site):
    authorization = site.begin("web", "-", "api:read")
    page = site.browser().open(authorization.address)
    page.url = f"{page.url}&{query(site)[1:]}"
    yield
    yield Answer.in_redirect(site.browser()._target_of_form(page, resource="", allow="Authorize"), authorization)


@a_way
def without_a_consent_page_since_the_user_has_agreed_before(site):
    site.authorization_code("notes", "api:read")
    yield
    yield site.answer_to(site.begin("web", "neighbour", "api:read", approval_prompt="auto"))


@a_way
def without_a_consent_page_at_the_wish_of_the_client(site):
    yield
    yield site.answer_to(site.begin("trusted", "neighbour", "api:read", prompt="none"))


@a_way
def without_a_consent_page_by_a_scope(site):
    yield
    yield site.answer_to(site.begin("trusted", "-", "neighbour:read", prompt="none"))


@a_way
def by_a_client_that_skips_the_consent_page(site):
    yield
    yield site.answer_to(site.begin("trusted", "neighbour", "-"))


@a_way
def in_an_implicit_grant(site):
    yield
    yield site.answer_to(site.begin("implicit", "neighbour", "-", response_type="token"))


@a_way
def in_the_consent_page_of_an_implicit_grant(site):
    authorization = site.begin("implicit", "notes", "-", response_type="token")
    yield
    yield site.answer_to(authorization, resource=site.identifiers["neighbour"])


@a_way
def in_the_consent_page_of_a_hybrid_grant(site):
    authorization = site.begin("hybrid", "notes", "-", response_type="code token")
    yield
    yield site.answer_to(authorization, resource=site.identifiers["neighbour"])


# At the token endpoint.


@a_way
def in_the_exchange_of_a_code(site):
    exchange = site.begin_code("notes", "api:read")
    yield
    yield exchange("neighbour")


@a_way_that_is_no_request
def in_the_query_of_the_exchange_of_a_code(site):
    authorization = site.begin("web", "notes", "api:read")
    answer = site.answer_to(authorization)
    yield
    yield site.exchange(authorization, answer, query=query(site))


@a_way
def in_a_refresh(site):
    tokens = site.authorization_code("notes", "api:read").values
    yield
    yield site.refresh(tokens, "neighbour", "-")


@a_way
def in_a_refresh_with_its_scope(site):
    tokens = site.authorization_code("notes", "api:read").values
    yield
    yield site.refresh(tokens, "neighbour", "neighbour:read")


@a_way
def in_the_exchange_of_a_code_with_its_scope(site):
    authorization = site.begin("web", "notes", "api:read")
    answer = site.answer_to(authorization)
    yield
    yield site.exchange(authorization, answer, **site.parameters("neighbour", "neighbour:read"))


@a_way
def repeated_in_a_refresh(site):
    tokens = site.authorization_code("notes", "api:read").values
    yield
    yield site.refresh(tokens, "notes neighbour", "-")


@a_way_that_is_no_request
def in_the_query_of_a_refresh(site):
    tokens = site.authorization_code("notes", "api:read").values
    yield
    yield site.ask("web", "refresh_token", query=query(site), refresh_token=tokens["refresh_token"])


@a_way
def as_a_machine(site):
    yield
    yield site.client_credentials("neighbour", "-")


@a_way
def as_a_machine_by_a_scope(site):
    yield
    yield site.client_credentials("-", "neighbour:read")


@a_way_that_is_no_request
def as_a_machine_in_the_query(site):
    yield
    yield site.ask("service", "client_credentials", query=query(site))


@a_way_that_is_no_request
def as_a_machine_in_the_query_beside_an_allowed_one_in_the_body(site):
    yield
    parameters = site.parameters("notes", "-")
    yield site.ask("service", "client_credentials", query=query(site), **parameters)


@a_way
def with_the_password_of_a_user(site):
    yield
    yield site.password("neighbour", "-")


# With a device.


@a_way
def asking_for_a_device_code(site):
    yield
    yield site.ask_for_device_code("neighbour", "-")


@a_way
def asking_for_a_device_code_by_a_scope(site):
    yield
    yield site.ask_for_device_code("-", "neighbour:read")


@a_way
def asking_for_a_device_code_in_the_query(site):
    yield
    yield site.post("device", f"{site.issuer}/device-authorization/{query(site)}")


@a_way
def polling_with_a_device_code(site):
    exchange = site.begin_device_code("notes", "api:read")
    yield
    yield exchange("neighbour")


@a_way_that_is_no_request
def polling_with_a_device_code_in_the_query(site):
    begun = site.ask_for_device_code("notes", "api:read")
    site.approved(begun)
    yield
    yield site.ask("device", DEVICE_CODE_GRANT, query=query(site), device_code=begun.values["device_code"])
