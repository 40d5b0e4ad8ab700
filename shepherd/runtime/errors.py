"""What went wrong, for the person who reads it."""


class RuntimeFailure(Exception):
    """The command cannot do what was asked. `message` says what and where, `hint` what to do about it."""

    def __init__(self, message, hint=None):
        super().__init__(message)
        self.message = message
        self.hint = hint


def nearest(word: str, known):
    """A hint for a word that is none of those known: `did you mean X?`, or None."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1, 0.6)
    return "did you mean %s?" % near[0] if near else None
