"""SHA-256 of what is small, by Python's own code: OpenSSL, which `hashlib` brings, takes longer to load than that."""

import sys

try:
    _sha256 = __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256
except ImportError:  # a Python built without it
    from hashlib import sha256 as _sha256

_BLOCK = 64  # bytes (FIPS 180-4, table 1)
_INNER = bytes(one ^ 0x36 for one in range(256))
_OUTER = bytes(one ^ 0x5C for one in range(256))


def sha256(data: bytes) -> str:
    """As hexadecimal digits."""
    return _sha256(data).hexdigest()


def keyed(key: bytes, data: bytes) -> str:
    """HMAC-SHA-256 (RFC 2104), as hexadecimal digits."""
    key = (_sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner = _sha256(key.translate(_INNER) + data).digest()
    return _sha256(key.translate(_OUTER) + inner).hexdigest()
