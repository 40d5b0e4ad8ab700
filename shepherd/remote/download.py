"""A file on its way to the controller, piece by piece, between the answers to other requests."""

import hashlib
import os
import stat

from shepherd.remote import wire
from shepherd.remote.task import expand


class Download:
    def __init__(self, helper, request, path, offset=0):
        self.helper = helper
        self.request = request
        self.size = 0
        self.digest = hashlib.sha1()
        path = expand(path)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a named pipe must not hold the helper up
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError("%s is not a regular file" % path)
        self.file = os.fdopen(fd, "rb", buffering=0)
        self.file.seek(offset)
        helper.streams.append(self)

    def advance(self):
        """Send the next piece, or the result after the last."""
        try:
            piece = self.file.read(wire.CHUNK)
        except OSError as error:
            self.cancel()
            self.helper.refuse(self.request, str(error))
            return
        if piece:
            self.size += len(piece)
            self.digest.update(piece)
            self.helper.send(wire.encode(wire.DATA, self.request, None, piece))
        else:
            self.cancel()
            self.helper.answer(self.request, {"size": self.size, "checksum": self.digest.hexdigest()})

    def cancel(self):
        self.helper.streams.remove(self)
        self.file.close()
