"""What stands at the far end of a test of modules: this machine over a link, or a process that answers lines."""

import asyncio
import json
import subprocess

from shepherd import sources
from shepherd.link import Link
from shepherd.spec import load_spec
from shepherd.transport import Endpoint
from shepherd.transport.local import LocalTransport


class Target:
    """This machine at the far end of a link, for code that is not asynchronous."""

    def __init__(self, python=None):
        self.runner = asyncio.Runner()
        self.transport = LocalTransport(Endpoint("here", "localhost", kind="local"))
        self.link = self.runner.run(self._open(python))

    async def _open(self, python):
        await self.transport.connect()
        return await Link.open(self.transport, interpreter=python)

    def run(self, module, args, check=False, diff=False, upload=None, **more):
        spec = load_spec(module)
        private = {name: value for name, value in args.items() if name.startswith("_")}
        plain = {name: value for name, value in args.items() if name not in private}
        given = {**spec.normalise(plain), **private}
        source = sources.module(spec.path, module)
        return self.runner.run(self.link.run(source, given, check=check, diff=diff, upload=upload, **more))

    def close(self):
        async def close():
            self.link.close()
            self.transport.close()

        self.runner.run(close())
        self.runner.close()


class Lines:
    """A process that answers each JSON line with one."""

    def __init__(self, argv, env):
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)
