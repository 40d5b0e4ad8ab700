"""Files that ADD takes from elsewhere, by HTTP."""

import os

from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.images.digest import CHUNK, Digest

_LARGEST = 1 << 38
_PATIENCE = 60.0  # seconds without anything coming


def is_url(text) -> bool:
    return text.lower().startswith(("http://", "https://"))


def check(text) -> None:
    """Raise Wrong for what Docker would fetch and we do not."""
    if text.startswith(("git@", "git://", "ssh://")) or ("://" in text and text.split("#")[0].endswith(".git")):
        raise Wrong("repositories are not fetched here: fetch %s before the build" % text, text)
    if text.lower().startswith(("ftp://", "file://", "s3://")):
        raise Wrong("only http and https are fetched from: %s" % text, text)


def name_of(text):
    """The last part of the path, which a file from there is called; "" where there is none."""
    from urllib.parse import unquote, urlsplit

    name = unquote(urlsplit(text).path).rpartition("/")[2]
    return "" if name in (".", "..") or "\0" in name else name


def fetch(url, folder, name, checksum=None) -> None:
    """Into the file `name`, mode 0600, of the folder of this descriptor. Raises Wrong.

    `checksum`: a digest that the content has to have; the time is what the server says it was modified.
    """
    import http.client
    import urllib.error
    import urllib.request

    opener = urllib.request.build_opener(_OnlyHttp())
    expected = Digest(checksum) if checksum else None
    hasher = expected.hasher() if expected else None
    try:
        with opener.open(urllib.request.Request(url, headers={"User-Agent": "shepherd"}), timeout=_PATIENCE) as answer:
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
            with os.fdopen(file, "wb") as target:
                _copy(answer, target, hasher, url)
                target.flush()
                _set_time(file, answer.headers.get("Last-Modified"))
    except urllib.error.HTTPError as error:
        raise Wrong("%s: %d %s" % (url, error.code, error.reason), url)
    except urllib.error.URLError as error:
        raise Wrong("%s: %s" % (url, error.reason), url)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Wrong("%s: %s" % (url, error), url)
    if expected and hasher.hexdigest() != expected.hex:
        raise Wrong("%s has other content: %s:%s" % (url, expected.algorithm, hasher.hexdigest()), url)


def _copy(answer, target, hasher, url):
    total = 0
    length = answer.headers.get("Content-Length")
    while True:
        data = answer.read(CHUNK)
        if not data:
            break
        total += len(data)
        if total > _LARGEST:
            raise Wrong("%s is larger than %d bytes" % (url, _LARGEST), url)
        if hasher:
            hasher.update(data)
        target.write(data)
    if length and length.isdigit() and int(length) != total:
        raise Wrong("%s is cut short: %d of %s bytes" % (url, total, length), url)


def _set_time(file, modified):
    from email.utils import parsedate_tz

    parts = parsedate_tz(modified) if modified else None
    if parts:
        import calendar

        seconds = calendar.timegm(parts[:6] + (0, 1, 0)) - (parts[9] or 0)
        if 0 <= seconds < 1 << 33:
            os.utime(file, (seconds, seconds))


def _OnlyHttp():  # noqa: N802 - a class that is made late, with urllib
    import urllib.error
    import urllib.request

    class Redirects(urllib.request.HTTPRedirectHandler):
        """A redirection leads to no other scheme, and not from https to http."""

        def redirect_request(self, request, file, code, message, headers, url):
            before, after = request.full_url.split(":")[0].lower(), url.split(":")[0].lower()
            if after not in ("http", "https") or (before == "https" and after == "http"):
                raise urllib.error.URLError("it redirects to %s, which is not followed" % url[:200])
            return urllib.request.HTTPRedirectHandler.redirect_request(self, request, file, code, message, headers, url)

    return Redirects()
