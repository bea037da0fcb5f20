"""CPU time of this package, as ratios to other packages in the same run: ``python -m benchmarks``.

Nothing fails because of a time. The groups are signing and verifying (:mod:`~benchmarks.signatures`), an API's requests
(:mod:`~benchmarks.drf`), the token endpoint (:mod:`~benchmarks.token_endpoint`) and claim mappers
(:mod:`~benchmarks.mappers`).
"""
