#!/usr/bin/env python3
"""The example project's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - needs the settings' name first

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
