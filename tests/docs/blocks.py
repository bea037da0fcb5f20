"""The pages of the documentation and their fenced blocks, as text that can be run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CHANGELOG = ROOT / "CHANGELOG.md"


@dataclass(frozen=True)
class Topic:
    """The pages on one subject, in an order in which their blocks can be run."""

    names: tuple[str, ...]

    @property
    def pages(self) -> list[Path]:
        return [DOCS / f"{name}.md" for name in self.names]

    def read_text(self) -> str:
        return "\n".join(page.read_text() for page in self.pages)


def topic(*names: str) -> Topic:
    return Topic(names)


NEW_PROJECT = topic("tutorials/new-project")
INSTALLATION = topic("tutorials/existing-site")
EXISTING_CLIENTS = topic("explanation/existing-clients")
UNINSTALL = topic("how-to/uninstall")
OWN_VIEWS = topic("how-to/own-views")
PROTECT = topic(
    "how-to/protect-an-api",
    "how-to/users",
    "how-to/log-refusals",
    "how-to/revocation",
    "how-to/old-tokens",
    "how-to/permissions",
    "how-to/openapi",
    "reference/responses",
    "explanation/verification",
)
PLAIN_VIEWS = topic("how-to/plain-views")
OTHER_FRAMEWORKS = topic("how-to/other-frameworks", "how-to/websockets")
MCP = topic("how-to/mcp")
ADDRESSES = topic(
    "how-to/move-an-api",
    "how-to/several-addresses",
    "how-to/other-bearer-tokens",
    "how-to/own-metadata",
)
MCP_SERVERS = topic("how-to/mcp-servers")
RESOURCE_METADATA = topic("how-to/resource-metadata")
CLIENT_METADATA = topic("how-to/client-metadata")
TESTING = topic("how-to/testing")
TESTING_AN_ISSUER = topic("how-to/testing-an-issuer")
REMOTE_ISSUER = topic(
    "how-to/remote-issuer",
    "how-to/two-projects",
    "how-to/several-issuers",
    "how-to/issuer-problems",
    "explanation/remote-keys",
)
RESOURCE_SERVERS = topic(
    "how-to/register-an-api",
    "how-to/add-scopes",
    "how-to/tokens-of-one-api",
    "how-to/consent-page",
    "explanation/audience",
    "reference/audience-errors",
)
SUBJECTS = topic("how-to/subjects", "how-to/pairwise-subjects", "how-to/other-user-model")
CLAIM_MAPPERS = topic(
    "tutorials/claim-mapper",
    "reference/claim-mappers",
    "how-to/claim-functions",
    "how-to/claim-mapper-files",
    "how-to/claim-problems",
)
AUTHENTICATION = topic("how-to/authentication")
CLIENT_SECRETS = topic("how-to/client-secrets")
THROTTLING = topic("how-to/throttle-endpoints")
TOOLKIT_TESTS = topic("reference/toolkit-tests")
INTROSPECTION = topic("how-to/introspection")
PREVIEW = topic("how-to/preview")
REVOCATION_DOCUMENT = topic("reference/revocation-document")
CLIENT_REGISTRATION = topic("how-to/client-registration")
BROWSER_APPS_AND_DEVICES = topic("how-to/browser-apps-and-devices")
WITHOUT_ROWS = topic("how-to/without-rows")
HAND_MADE_JWTS = topic(
    "how-to/jwts-of-another-generator",
    "how-to/from-simplejwt",
    "how-to/from-open-edx",
    "how-to/from-jwts-in-code",
)
OLD_TOKENS = topic("how-to/old-tokens")
ISSUE_FROM_CODE = topic("how-to/issue-from-code")
MONITORING = topic("how-to/monitor")
REVOKE_TOKENS = topic("how-to/revoke-tokens")
KEYS = topic(
    "how-to/rotate-keys",
    "how-to/scheduled-commands",
    "how-to/algorithms",
    "how-to/import-a-key",
    "how-to/encrypt-keys",
    "how-to/backups",
    "how-to/database-outages",
    "explanation/key-lifecycle",
)
SCHEDULED_TASKS = topic("how-to/scheduled-tasks")
ROLLING_DEPLOYS = topic("how-to/rolling-deploys")
DATABASES = topic("how-to/databases")
HEALTH = topic("how-to/health")
RFC9700 = topic("how-to/rfc9700")
KEY_LEAKED = topic("how-to/key-leaked")
SEVERAL_KEYS_LEAKED = topic("how-to/several-keys-leaked")
SETTINGS = topic("reference/settings")
SYSTEM_CHECKS = topic("reference/system-checks")
# Their blocks are run in a new project.
RUN_IN_A_PROJECT = (
    NEW_PROJECT,
    INSTALLATION,
    UNINSTALL,
    OWN_VIEWS,
    CLIENT_SECRETS,
    PROTECT,
    PLAIN_VIEWS,
    MCP,
    RESOURCE_METADATA,
    REMOTE_ISSUER,
    TESTING,
    TESTING_AN_ISSUER,
)
# compliance.md is written from the tests, and changelog.md includes CHANGELOG.md.
PAGES = sorted(
    page
    for page in DOCS.rglob("*.md")
    if page.name not in {"compliance.md", "changelog.md"} and "_build" not in page.parts
)

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\S+)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_FILE = re.compile(r"# (\S+\.py)$")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block, without its indentation."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The file that a Python block belongs to, named by its first line."""
        match = _FILE.match(self.text.partition("\n")[0])
        assert match, f"{self}: the first line of a block of Python is '# path/of/the/file.py'"
        return match[1]

    @property
    def commands(self) -> list[str]:
        """The commands of a console block: the text after each ``$``, with the indented lines below it."""
        assert re.fullmatch(r"(\$ .*\n(    .*\n)*)+", self.text), (
            f"{self}: a command begins with '$ ' and goes on indented"
        )
        return [command.rstrip("\n") for command in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]]


def blocks_of(page: Path | Topic) -> list[Block]:
    """Return the fenced blocks of a page, or of the pages of a topic, in their order."""
    if isinstance(page, Topic):
        return [block for each in page.pages for block in blocks_of(each)]
    text = page.read_text()
    return [
        Block(
            page=page.name,
            line=text.count("\n", 0, match.start()) + 1,
            language=match["language"],
            text=re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
        )
        for match in _FENCE.finditer(text)
    ]


def table_rows(page: Path | Topic, *, columns: int) -> list[list[str]]:
    """Return the cells of all tables with this number of columns, without the heads."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    # A table's second line is made of dashes; the line before it is the head.
    heads = {index - 1 for index, line in enumerate(lines) if set(line) <= set("| -")}
    return [
        row for index, row in enumerate(rows) if index not in heads and index - 1 not in heads and len(row) == columns
    ]
