"""The fenced blocks of the documentation, as text that can be run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
INSTALLATION = DOCS / "installation.md"
OWN_VIEWS = DOCS / "own-views.md"
PROTECT = DOCS / "protect-an-api.md"
AUTHENTICATION = DOCS / "authentication.md"
REMOTE_ISSUER = DOCS / "remote-issuer.md"
PLAIN_VIEWS = DOCS / "plain-views.md"
MCP = DOCS / "mcp.md"
RESOURCE_SERVERS = DOCS / "resource-servers.md"
SUBJECTS = DOCS / "subjects.md"
CLAIM_MAPPERS = DOCS / "claim-mappers.md"
KEYS = DOCS / "keys.md"
KEY_LEAKED = DOCS / "key-leaked.md"
PREVIEW = DOCS / "preview.md"
SETTINGS = DOCS / "settings.md"
TESTING = DOCS / "testing.md"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CHANGELOG = ROOT / "CHANGELOG.md"
# Their blocks are run in a brand-new project.
RUN_IN_A_PROJECT = {INSTALLATION, OWN_VIEWS, PROTECT, PLAIN_VIEWS, MCP, REMOTE_ISSUER, README, TESTING}
# compliance.md is written from the tests, and changelog.md includes CHANGELOG.md.
PAGES = sorted(page for page in DOCS.glob("*.md") if page.name not in {"compliance.md", "changelog.md"})

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
        """The file that a block of Python belongs in: its first line names it."""
        match = _FILE.match(self.text.partition("\n")[0])
        assert match, f"{self}: the first line of a block of Python is '# path/of/the/file.py'"
        return match[1]

    @property
    def commands(self) -> list[str]:
        """The commands of a block of console: what stands after each ``$``, and the indented lines below it."""
        assert re.fullmatch(r"(\$ .*\n(    .*\n)*)+", self.text), (
            f"{self}: a command begins with '$ ' and goes on indented"
        )
        return [command.rstrip("\n") for command in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]]


def blocks_of(page: Path) -> list[Block]:
    """Give the fenced blocks of a page in their order."""
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


def table_rows(page: Path, *, columns: int) -> list[list[str]]:
    """Give the cells of all tables of a page that have so many columns, without their heads."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    # A table's second line is made of dashes; the line before it is the head.
    heads = {index - 1 for index, line in enumerate(lines) if set(line) <= set("| -")}
    return [
        row for index, row in enumerate(rows) if index not in heads and index - 1 not in heads and len(row) == columns
    ]
