"""How Sphinx builds these pages: ``make docs``."""

import os
import sys
from pathlib import Path

import django
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
django.setup()

import django_at_jwt  # noqa: E402 - autodoc imports the models
from docs.commands import commands_as_markdown  # noqa: E402
from docs.monitoring import events_as_markdown, metrics_as_markdown  # noqa: E402

project = "django-at-jwt"
author = "django-at-jwt contributors"
copyright = author  # noqa: A001 - Sphinx's own name
release = version = django_at_jwt.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
# Those in docstrings are run by the tests.
doctest_test_doctest_blocks = ""
nitpicky = True
# Docstrings refer to types that are not on these pages.
nitpick_ignore_regex = [("py:.*", ".*")]
autodoc_typehints_format = "short"
autodoc_member_order = "groupwise"

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False
html_copy_source = False


FROM_CODE = {
    "reference/commands": commands_as_markdown,
    "reference/events": events_as_markdown,
    "reference/metrics": metrics_as_markdown,
}


def _add_sections(_app: Sphinx, name: str, source: list[str]) -> None:
    if name in FROM_CODE:
        source[0] += f"\n{FROM_CODE[name]()}\n"


def setup(app: Sphinx) -> None:
    app.connect("source-read", _add_sections)
