"""JSON Web Signature, Key and Key Set: compact and strict (RFC 7515, RFC 7517, RFC 7518, RFC 7638)."""
