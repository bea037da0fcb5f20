"""``python -m tests.consumers``: run other packages against the example, and write ``docs/reference/works-with.md``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from example_project.server_process import ROOT

from .catalog import CONSUMERS
from .installation import install, version_of
from .issuer import running_issuer
from .page import page
from .runs import Result, measure_new_key, try_tokens

_AT_ONCE = 3
PAGE = ROOT / "docs/reference/works-with.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.consumers", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="a package; prints its row, and writes nothing")
    parser.add_argument("--installed", action="store_true", help="install nothing")
    options = parser.parse_args()
    wanted = [each for each in CONSUMERS if not options.only or each.package in options.only]
    if not wanted:
        parser.error(f"known packages are {', '.join(each.package for each in CONSUMERS)}")
    if not options.installed:
        install(wanted)
    results = []
    for consumer in wanted:
        if version := version_of(consumer):
            results.append(Result(consumer=consumer, version=version))
        else:
            say(f"{consumer.package}: skipped, because it is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Apache's workers have no rights.
        folder.chmod(0o755)
        with running_issuer(folder) as issuer:
            tokens = issuer.tokens()
            invalid = issuer.invalid_tokens(tokens)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(lambda result: try_tokens(result, issuer, tokens, invalid, folder), results))
            for result in results:
                say(f"{result.consumer.package} {result.version}: {result.accepts}, {result.wrongly_accepts}")
            fetched_before = measure_new_key(results, issuer, folder)
    text = page(results, fetched_before)
    if options.only:
        say(text[text.index("## ") :])
    else:
        PAGE.write_text(text)
        say(f"Wrote {PAGE}.")
    return 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
