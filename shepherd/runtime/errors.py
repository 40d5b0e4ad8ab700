"""What went wrong, for the person who reads it."""


class RuntimeFailure(Exception):
    """The command cannot do what was asked. `message` says what and where, `hint` what to do about it."""

    def __init__(self, message, hint=None):
        super().__init__(message)
        self.message = message
        self.hint = hint
