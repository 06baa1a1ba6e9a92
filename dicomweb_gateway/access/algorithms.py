"""The signature algorithms that are ever taken (RFC 7518 3.1): none of them can be forged by a public key."""

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EC_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
"""By curve (RFC 7518 3.4)."""
ALGORITHMS = (*RSA_ALGORITHMS, *EC_ALGORITHMS.values())
