"""OCI bundles: from a config.json to a process, and back to nothing (OCI runtime specification 1.2)."""
