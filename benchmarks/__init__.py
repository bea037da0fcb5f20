"""How much CPU time this package needs, as ratios to its peers in one run: ``python -m benchmarks``.

It is no test: nothing in it fails because of a time. It reads from top to bottom in the order of the work: signing and
verifying (:mod:`~benchmarks.signatures`), an API's requests (:mod:`~benchmarks.drf`), the token endpoint
(:mod:`~benchmarks.token_endpoint`).
"""
