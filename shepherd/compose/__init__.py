"""Compose files as the Compose specification has them (compose-spec.io), read on the controller.

project.load    files → a Project: merged, interpolated, every field checked; what is not supported is an error
declare         a Project → what the container modules converge, as plain data
"""
