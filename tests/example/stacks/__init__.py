"""One API in every supported framework, in projects that know the issuer by its URL only."""
