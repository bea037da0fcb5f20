"""Settings with which django-oauth-toolkit issues ID tokens."""

from __future__ import annotations

from jwcrypto.jwk import JWK

OIDC_KEY = JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()
OPENID_CONNECT = {"OIDC_ENABLED": True, "OIDC_RSA_PRIVATE_KEY": OIDC_KEY}
