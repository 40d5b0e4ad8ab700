"""Shepherd: machines brought to a declared state over SSH."""

__version__ = "0.1.0"
