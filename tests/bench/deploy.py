"""The bench's play, as pyinfra says it."""

import io

from pyinfra import host
from pyinfra.facts.hardware import Cpus, Memory
from pyinfra.facts.server import Command, Kernel, LinuxDistribution
from pyinfra.operations import files, server

ROOT = "/srv/bench"
PEOPLE = ["ann", "ben", "cid"]
SETTINGS = {"listen": 8080, "workers": 4, "log_level": "info", "timeout": 30, "retries": 3}
memory = host.get_fact(Memory)
distribution = host.get_fact(LinuxDistribution)

for name in ("etc", "etc/conf.d", "log", "bin", "data"):
    files.directory(path=f"{ROOT}/{name}", mode="755")
server.group(group="bench")
for person in PEOPLE:
    server.user(user=f"bench-{person}", group="bench", shell="/usr/sbin/nologin", create_home=False, ensure_home=False)
changed = [
    files.template(
        src="templates/main.conf.j2",
        dest=f"{ROOT}/etc/main.conf",
        mode="644",
        inventory_hostname=host.name,
        settings=[{"name": name, "value": value} for name, value in SETTINGS.items()],
        people=PEOPLE,
        ansible_facts={"memtotal_mb": memory},
    )
]
for person in PEOPLE:
    changed.append(
        files.template(
            src="templates/site.conf.j2",
            dest=f"{ROOT}/etc/conf.d/{person}.conf",
            mode="640",
            group="bench",
            item=person,
            root=ROOT,
        )
    )
files.put(src="files/program.sh", dest=f"{ROOT}/bin/program", mode="755")
files.put(src=io.StringIO("managed\n"), dest=f"{ROOT}/data/note", mode="644")
files.file(path=f"{ROOT}/etc/settings.ini", mode="644")
for name, value in SETTINGS.items():
    files.line(path=f"{ROOT}/etc/settings.ini", line=f"^{name}=.*$", replace=f"{name}={value}")
files.block(path=f"{ROOT}/etc/settings.ini", content=f"[extra]\nhost={host.name}", try_prevent_shell_expansion=True)
files.link(path=f"{ROOT}/bin/run", target=f"{ROOT}/bin/program")
kernel = host.get_fact(Kernel)
release = host.get_fact(Command, "uname -r")
files.put(src=io.StringIO(f"{release}\n"), dest=f"{ROOT}/data/kernel", mode="644")
count = host.get_fact(Command, f"ls {ROOT}/etc 2>/dev/null | wc -l")
found = host.get_fact(Command, f"find {ROOT}/etc -name '*.conf' 2>/dev/null || true")
files.replace(path=f"{ROOT}/etc/main.conf", text="unset", replace="set")
files.file(path=f"{ROOT}/log/app.log", mode="640", user="bench-ann", group="bench")
files.put(
    src=io.StringIO(f"{distribution['name']} {distribution['major']}\n{host.get_fact(Cpus)} processors\n"),
    dest=f"{ROOT}/data/facts",
    mode="644",
)
for name in ("etc/main.conf", "etc", "log", "bin", "data", "etc/main.conf"):
    host.get_fact(Command, f"test -e {ROOT}/{name}; echo $?")
server.shell(commands=[f"touch {ROOT}/data/reloaded"], _if=lambda: any(each.did_change() for each in changed))
