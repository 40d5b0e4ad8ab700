"""`shepherd-runtime build [OPTIONS] FOLDER`: make an image as a Containerfile says."""

import argparse
import os
import sys

from shepherd.runtime.cli import registry_options

HELP = "make an image as a Containerfile (or Dockerfile) says"


def run(arguments: list) -> int:
    parser = argparse.ArgumentParser("shepherd-runtime build", description=HELP)
    parser.add_argument("context", metavar="FOLDER", help="what can be copied from; - is a tar on standard input")
    parser.add_argument("-t", "--tag", metavar="NAME[:TAG]", action="append", default=[], help="what to call the image")
    parser.add_argument("-f", "--file", metavar="FILE", help="the Containerfile; - is standard input")
    parser.add_argument("--build-arg", metavar="NAME[=VALUE]", action="append", default=[], help="for an ARG")
    parser.add_argument("--target", metavar="STAGE", help="build this stage, and not the last")
    parser.add_argument("--label", metavar="NAME=VALUE", action="append", default=[], help="for the image")
    parser.add_argument("--no-cache", action="store_true", help="take nothing from earlier builds")
    parser.add_argument("--pull", action="store_true", help="ask the registries for bases that are here, too")
    parser.add_argument("--secret", metavar="id=NAME,src=FILE|env=NAME", action="append", default=[], help="for a step")
    parser.add_argument(
        "--network",
        metavar="none|host|NETWORK",
        default="none",
        help="of steps: none, or bridge, a network's name, host",
    )
    parser.add_argument("--allow", metavar="network.host", action="append", default=[], help="what a step may ask for")
    parser.add_argument("--iidfile", metavar="FILE", help="write the image's id there")
    parser.add_argument("--progress", metavar="plain|quiet", default="plain", help="how progress is shown")
    registry_options.add(parser)
    options = parser.parse_args(arguments)

    from shepherd.runtime.build import builder

    asked = _options(options, builder)
    result = builder.build(asked)
    if options.iidfile:
        from shepherd.runtime.images import files

        files.replace(os.path.abspath(options.iidfile), result["id"].encode())
    if asked.quiet:
        sys.stdout.write(result["id"] + "\n")
    return 0


def _options(options, builder):
    from shepherd.runtime.errors import RuntimeFailure

    asked = builder.Options(options.context)
    asked.file, asked.tags, asked.target = options.file, options.tag, options.target
    for text in options.build_arg:
        name, equals, value = text.partition("=")
        if not name:
            raise RuntimeFailure("--build-arg has the form NAME=VALUE")
        if equals or name in os.environ:  # without a value, it is this process's variable
            asked.arguments[name] = value if equals else os.environ[name]
    for text in options.label:
        name, _, value = text.partition("=")
        if not name:
            raise RuntimeFailure("--label has the form NAME=VALUE")
        asked.labels[name] = value
    if options.network not in ("none", "host", "default"):
        from shepherd.runtime.network import networks, records

        networks.find(records.Records(), options.network)
    unknown = set(options.allow) - {"network.host"}
    if unknown:
        raise RuntimeFailure("--allow: only network.host can be given to steps")
    if options.progress not in ("plain", "quiet", "auto", "tty"):
        raise RuntimeFailure("--progress is plain or quiet")
    asked.network = "none" if options.network == "default" else options.network
    asked.host_network = bool(options.allow)
    asked.cache, asked.pull = not options.no_cache, options.pull
    asked.secrets = dict(builder.secret_of(text) for text in options.secret)
    asked.quiet = options.quiet or options.progress == "quiet"
    asked.platform = registry_options.platform(options)
    asked.epoch = _epoch(asked.arguments.get("SOURCE_DATE_EPOCH", os.environ.get("SOURCE_DATE_EPOCH")), RuntimeFailure)
    asked.settings, asked.credentials = registry_options.settings(options), registry_options.credentials(options)
    return asked


def _epoch(text, failure):
    if not text:
        return None
    if not text.isdigit() or int(text) >= 1 << 33:
        raise failure("SOURCE_DATE_EPOCH is a number of seconds since 1970, and not %s" % ascii(text)[:40])
    return int(text)
