"""What the issuer's keys are needed for: ``python -m tests.consumers.site_operations invalid|replace``.

``invalid`` reads ``{algorithm: token}`` as JSON, and writes ``{algorithm: {defect: token}}``: the same tokens with one
defect each, signed by the issuer's key. ``replace ALGORITHM`` waits for a line, revokes the signing and the announced
key, so that a key that no consumer has seen signs at once, and writes the instant.
"""

from __future__ import annotations

import json
import sys
import time

import django

from .catalog import ANY_TYP


def invalid_tokens(algorithm: str, token: str) -> dict[str, str]:
    from django_at_jwt.authorization_server.keys.local import local_keys
    from django_at_jwt.core.errors import RejectionReason
    from django_at_jwt.core.jose.jws import decode_object, decode_segment, encode_segment, sign_compact

    header, payload, signature = token.encode().split(b".")
    read = {part: decode_object(decode_segment(part), RejectionReason.MALFORMED) for part in (header, payload)}
    key = local_keys().current().signing_key(algorithm)

    def signed(new_header=(), **claims):
        head, body = read[header] | dict(new_header), read[payload] | claims
        return sign_compact(key, encode_segment(json.dumps(head).encode()), json.dumps(body).encode())

    other = b"A" if signature[:1] != b"A" else b"B"
    now = int(time.time())
    return {
        "expired": signed(iat=now - 7200, exp=now - 3600),
        "for another audience": signed(aud="https://other.example.com/"),
        "of another issuer": signed(iss="https://other.example.com/o"),
        ANY_TYP: signed({"typ": "JWT"}),
        "tampered with": b".".join([header, payload, other + signature[1:]]).decode(),
    }


def replace_keys(algorithm: str) -> float:
    from django_at_jwt.authorization_server.keys.local import local_keys
    from django_at_jwt.authorization_server.keys.revocation import revoke_signing_key

    for _ in ("the signing key", "the announced key, which signs now"):
        revoke_signing_key(local_keys().current().signing_key(algorithm).kid, reason="measured")
    return time.time()


if __name__ == "__main__":
    django.setup()
    operation, *arguments = sys.argv[1:]
    if operation == "invalid":
        tokens = json.load(sys.stdin)
        answer = {algorithm: invalid_tokens(algorithm, token) for algorithm, token in tokens.items()}
    else:
        sys.stdin.readline()
        answer = replace_keys(*arguments)
    sys.stdout.write(json.dumps(answer) + "\n")
