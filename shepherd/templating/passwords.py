"""Hashes of passwords for /etc/shadow."""

from __future__ import annotations


def crypted(
    password: str, scheme: str, *, salt: str | None, salt_size: int | None, rounds: int | None, ident: str | None
) -> str:
    raise NotImplementedError
