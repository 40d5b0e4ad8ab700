"""`shepherd-runtime builder prune`: forget what earlier builds have made for later ones."""

import argparse
import sys

HELP = "prune: forget what builds keep for later ones"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime builder", description=HELP)
    parser.add_argument("verb", choices=["prune"])
    parser.add_argument("-a", "--all", action="store_true", help="empty the caches that steps mount, too")
    parser.add_argument("-f", "--force", action="store_true", help="no difference: nothing is asked")
    parser.add_argument("--filter", metavar="until=TIME", help="only what no build has used for so long, such as 24h")
    options = parser.parse_args(arguments)

    from shepherd.runtime.build import cache, mounting
    from shepherd.runtime.cli import image_output
    from shepherd.runtime.images.collect import collect
    from shepherd.runtime.images.store import Store

    older = _seconds(options.filter)
    store = Store()
    steps = cache.expire(store, older)
    caches = mounting.forget_caches(store) if options.all else 0
    size = collect(store).size
    sys.stdout.write("Forgotten: %d steps, %d caches\n" % (steps, caches))
    sys.stdout.write("Total reclaimed space: %s\n" % image_output.size(size))
    return 0


def _seconds(text):
    from shepherd.runtime.build.instructions import duration
    from shepherd.runtime.build.problems import Wrong
    from shepherd.runtime.errors import RuntimeFailure

    if text is None:
        return 0
    key, _, value = text.partition("=")
    try:
        if key != "until":
            raise Wrong("--filter has the form until=TIME")
        return duration(value) // 10**9
    except Wrong as wrong:
        raise RuntimeFailure("%s" % wrong.message)
