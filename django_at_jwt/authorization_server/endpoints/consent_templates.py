"""Which template a consent page is made of."""

from __future__ import annotations

from pathlib import Path

import oauth2_provider
from django.template.loader import select_template


def own_or_ours(toolkit_name: str, our_name: str) -> str:
    """Give the name of a template: the toolkit's if the site has one of its own under it, else ours."""
    found = select_template([toolkit_name]).template.origin.name
    return our_name if found.startswith(_TOOLKIT_FOLDER) else toolkit_name


_TOOLKIT_FOLDER = str(Path(oauth2_provider.__file__).parent)
