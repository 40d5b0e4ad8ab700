"""What dpkg has of the packages of our own, and where they come from."""

REPOSITORY = "/srv/repository"


def version(host, name):
    """The version that dpkg has; "" for none."""
    told = host.exec(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name], check=False).stdout
    return told.partition(" ")[2] if told.startswith("installed") else ""
