"""How Sphinx builds these pages: ``make docs``."""

import django_at_jwt

project = "django-at-jwt"
author = "django-at-jwt contributors"
copyright = author  # noqa: A001 - Sphinx's own name
release = version = django_at_jwt.__version__

extensions = ["myst_parser", "sphinx.ext.doctest"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False
html_copy_source = False
