"""Plays on hosts: strategies, one state machine per host, results, handlers, delegation, loops, retries."""
