"""What each hardening key of compose.yaml must have done, as the kernel shows it.

Every rule takes a container and returns what is wrong, or None. A rule looks at the processes that
run, not at what podman was asked for; and only at what its own key does, so that a file without that
key breaks this rule and no other.
"""

import socket
import threading

from deployment import OUTSIDE, listeners

USER = "10001"
CAPABILITIES = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
MOST_MEMORY = 8 << 30
WORKERS = ["quant", "train", "train-2", "eval"]


def each_process(question):
    """A rule that every process of a container must keep."""

    def rule(container):
        for process in container.processes():
            fault = question(process.status())
            if fault:
                return f"{process.text('comm').strip()}: {fault}"
        return None

    return rule


def user(status):
    ids = set(status["Uid"] + status["Gid"] + status["Groups"])
    return None if ids == {USER} else f"runs as {' '.join(sorted(ids))}"


def cap_drop(status):
    held = [key for key in CAPABILITIES if int(status[key][0], 16)]
    return f"has capabilities in {', '.join(held)}" if held else None


def security_opt(status):
    return None if status["NoNewPrivs"] == ["1"] else "could get new privileges"


def seccomp(status):
    return None if status["Seccomp"] == ["2"] else "has no filter of system calls"


def read_only(container):
    _, options = container.first.mount("/")
    return None if "ro" in options else "its root can be written"


def tmpfs(container):
    kind, options = container.first.mount("/tmp") or ("nothing", [])
    bounded = kind == "tmpfs" and "size=65536k" in options
    return None if bounded else f"/tmp is {kind} with {','.join(options)}"


def init(container):
    name = container.first.text("comm").strip()
    return None if name in ("podman-init", "docker-init", "tini") else f"its first process is {name}"


def pids_limit(container):
    limit = container.limit("pids", ["pids.max", "pids.max"])
    return None if limit == 256 else f"may have {limit} processes"


def mem_limit(container):
    limit = container.limit("memory", ["memory.limit_in_bytes", "memory.max"])
    return None if limit and limit <= MOST_MEMORY else f"may take {limit} bytes of memory"


def ulimits(open_files):
    def rule(container):
        for line in container.first.text("limits").splitlines():
            if line.startswith("Max open files"):
                limits = line.split()[3:5]
                return None if limits == [str(open_files)] * 2 else f"open files: {limits}"
        return "no limit of open files"

    return rule


def internal(container):
    if container.name.rsplit("_", 2)[-2] not in WORKERS:
        # The gateway's second network must lead out, or the workers' silence would prove nothing.
        return None if container.reaches(OUTSIDE, Outside.port) else "cannot get out"
    routes = [line.split() for line in container.first.text("net/route").splitlines()[1:]]
    if any(route[1] == "00000000" for route in routes):
        return "has a way out"
    return "gets out" if container.reaches(OUTSIDE, Outside.port) else None


def rules(open_files):
    """The rules by the key that they are about."""
    return {
        "user": each_process(user),
        "read_only": read_only,
        "tmpfs": tmpfs,
        "cap_drop": each_process(cap_drop),
        "security_opt": each_process(security_opt),
        "seccomp": each_process(seccomp),
        "init": init,
        "pids_limit": pids_limit,
        "mem_limit": mem_limit,
        "ulimits": ulimits(open_files),
        "internal": internal,
    }


def faults(deployment, services, open_files):
    """Every broken rule, as {(service, key): what is wrong}."""
    found = {}
    for service in services:
        container = deployment.container(service)
        for key, rule in rules(open_files).items():
            fault = rule(container)
            if fault:
                found[service, key] = fault
    # What is not on a container's bridge (its DNS server) is published.
    extra = {at for at in listeners() if at[1] != 53} - {("127.0.0.1", 7443), Outside.address()}
    for host, port in extra:
        found["gateway", "ports"] = f"{host}:{port} is published"
    return found


class Outside:
    """A server that containers reach only through a network that leads out, and a name server."""

    port = 9

    @classmethod
    def address(cls):
        return OUTSIDE, cls.port

    @classmethod
    def serve(cls):
        server = socket.create_server(cls.address())
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names.bind((OUTSIDE, 53))

        def accept():
            while True:
                server.accept()[0].close()

        def answer():
            # "There is no such name", to any question: flags of RFC 1035, then the question again.
            while True:
                question, sender = names.recvfrom(512)
                names.sendto(question[:2] + b"\x81\x83\0\1" + bytes(6) + question[12:], sender)

        for work in (accept, answer):
            threading.Thread(target=work, daemon=True).start()
