#!/usr/bin/env python3
"""A web server as small as they come: it serves one folder, as /srv/site/shared/server.ini says."""

import configparser
import functools
import http.server

settings = configparser.ConfigParser()
settings.read("/srv/site/shared/server.ini")
server = settings["server"]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=server["root"])
http.server.ThreadingHTTPServer(("", server.getint("port")), handler).serve_forever()
