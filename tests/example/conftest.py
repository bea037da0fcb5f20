import pytest

from example_project.http_client import DEVICE_CODE_GRANT, AuthorizationServer, Browser, OAuthClient
from example_project.server_process import running_mcp_server
from tests.ports import reserved_port


class Site:
    """The running example, for a program that has only the document of seed_example."""

    def __init__(self, server):
        self.server = server
        self.base_url = server.base_url
        self.description = server.description()
        self.issuer = self.description["issuer"]
        self.authorization_server = AuthorizationServer.discover(self.issuer)
        self.notes, self.reports = self.description["resource_servers"]
        self._browsers = {}
        self.users = {user["username"]: user for user in self.description["users"]}

    def client(self, name):
        return OAuthClient.of(self.authorization_server, self.description["clients"][name])

    def browser(self, username="alice"):
        """A browser that stays logged in from one test to the next, since each login takes a password hash."""
        if username not in self._browsers:
            self._browsers[username] = Browser(username=username, password=self.users[username]["password"])
        return self._browsers[username]

    def code_flow(self, name="web", username="alice", **parameters):
        authorization = self.client(name).begin_authorization(**parameters)
        return authorization.exchange(self.browser(username).authorize(authorization))

    def refreshed(self, **parameters):
        tokens = self.code_flow(**parameters)
        return self.client("web").token("refresh_token", refresh_token=tokens["refresh_token"])

    def device_flow(self, username="alice", **parameters):
        client = self.client("device")
        asked = client.ask_for_device_code(**parameters)
        self.browser(username).connect_device(asked["verification_uri_complete"], asked["user_code"])
        return client.token(DEVICE_CODE_GRANT, device_code=asked["device_code"])

    def service_token(self, resource_server, scope=None):
        scope = scope or resource_server["scopes"][0]
        resource = resource_server["identifier"]
        return self.client("service").token("client_credentials", resource=resource, scope=scope)["access_token"]


@pytest.fixture(scope="session")
def site(running_example, tmp_path_factory):
    with reserved_port() as port:
        variables = {"EXAMPLE_MCP_URL": f"http://127.0.0.1:{port}/mcp"}
        with running_example(tmp_path_factory.mktemp("example"), **variables) as server:
            yield Site(server)


@pytest.fixture(scope="session")
def mcp_server(site):
    """The URL of the example's MCP server, which runs together with the site."""
    pytest.importorskip("mcp", reason="the SDK of MCP is not installed")
    with running_mcp_server(site.server) as url:
        yield url
