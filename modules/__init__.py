"""Shepherd's modules: one file each, run on the target. Packaged as `shepherd.modules`."""
