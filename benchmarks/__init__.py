"""CPU time of this package, as ratios to other packages in the same run: ``python -m benchmarks``.

Nothing fails because of a time. The groups are signing and verifying (:mod:`~benchmarks.signatures`), an API's requests
(:mod:`~benchmarks.drf`), the token endpoint (:mod:`~benchmarks.token_endpoint`), claim mappers
(:mod:`~benchmarks.mappers`), the deny list (:mod:`~benchmarks.deny_list`) and, if PostgreSQL is there, a small site
against a big one (:mod:`~benchmarks.big_sites`) and requests per second (:mod:`~benchmarks.throughput`).
"""
