"""compose.yaml under podman, and what the kernel says of the processes in its containers."""

import functools
import json
import os
import pathlib
import resource
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# An address that is none of the containers' networks: what lies outside of the machine, to them.
OUTSIDE = "192.0.2.1"


def run(*command, timeout=120, check=True, **options):
    """Runs a command to its end and returns it; a failure shows what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=timeout,
        **options,
    )
    if check and done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines()
        raise AssertionError(
            f"{' '.join(map(str, command))}: exit {done.returncode}: " + "\n".join(lines[-40:])
        )
    return done


def until(what, condition, seconds=30):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


class Deployment:
    """One start of a compose file, as a project of its own."""

    def __init__(self, file, project, environment, profiles=()):
        self.project = project
        self.environment = os.environ | environment
        options = [f"--profile={profile}" for profile in profiles]
        # podman's own limits are higher than a machine without CAP_SYS_RESOURCE may set; the file's
        # come later on the command line, and win.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limits = f"--ulimit=nproc=4096:4096 --ulimit=nofile={hard}:{hard}"
        options += ["--in-pod=false", f"--podman-run-args={limits}"]
        self.compose = [
            str(ROOT / ".build-check/bin/podman-compose"), *options, "-p", project, "-f", str(file)
        ]

    def __call__(self, *arguments, **options):
        return run(*self.compose, *arguments, env=self.environment, **options)

    def container(self, service):
        """The container of a service's only instance."""
        return Container(f"{self.project}_{service}_1")


class Container:
    """A running container."""

    def __init__(self, name):
        self.name = name

    def podman(self, *arguments, **options):
        return run("podman", *arguments, self.name, **options)

    def state(self):
        return json.loads(self.podman("inspect").stdout)[0]["State"]

    def log(self):
        """What its daemon wrote since it was made."""
        return self.podman("logs").stderr

    def addresses(self):
        """Its addresses in all of its networks."""
        networks = json.loads(self.podman("inspect").stdout)[0]["NetworkSettings"]["Networks"]
        return {network["IPAddress"] for network in networks.values()}

    def is_healthy(self):
        return self.podman("healthcheck", "run", check=False).returncode == 0

    def kill(self):
        """SIGKILL to all of it; returns when podman has taken its network apart, too.

        Podman's DNS server says nothing for half a minute when a start comes in between.
        """
        self.podman("kill", "--signal=KILL", check=False)
        until(f"{self.name} is gone", lambda: self.addresses() == {""})

    @functools.cached_property
    def first(self):
        """The process that is number 1 inside."""
        process = self.state()["Pid"]
        assert process > 0, f"{self.name} does not run"
        return Process(process)

    def processes(self):
        """All of its processes."""
        space = self.first.namespace("pid")
        found = [Process(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()]
        return [process for process in found if process.namespace("pid") == space]

    def limit(self, controller, names):
        """A limit of its control group, or None where there is none."""
        groups = {}
        for line in self.first.text("cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            for one in controllers.split(","):
                groups[one] = path
        old = pathlib.Path(f"/sys/fs/cgroup/{controller}{groups.get(controller)}")
        new = pathlib.Path(f"/sys/fs/cgroup{groups.get('')}")
        for folder, name in zip([old, new], names):
            if (folder / name).exists():
                value = (folder / name).read_text().strip()
                return None if value == "max" else int(value)
        raise AssertionError(f"{self.name}: no {names} under {old} or {new}")

    def reaches(self, address, port):
        """Whether a process in its network gets a connection."""
        probe = f"import socket; socket.create_connection(({address!r}, {port}), 2)"
        network = f"--net=/proc/{self.first.id}/ns/net"
        return run("nsenter", network, "python3", "-c", probe, check=False).returncode == 0


class Process:
    """What /proc says."""

    def __init__(self, id):
        self.id = id

    def text(self, name):
        return pathlib.Path(f"/proc/{self.id}/{name}").read_text()

    def namespace(self, kind):
        try:
            return os.readlink(f"/proc/{self.id}/ns/{kind}")
        except FileNotFoundError:
            return None

    def status(self):
        """The lines of its status by key."""
        pairs = (line.split(":", 1) for line in self.text("status").splitlines())
        return {key: value.split() for key, value in pairs}

    def mount(self, point):
        """Type and options of what is mounted there, or None."""
        found = None
        for line in self.text("mountinfo").splitlines():
            before, after = line.split(" - ")
            place, options = before.split()[4:6]
            if place == point:
                kind, _, more = after.split()[:3]
                found = kind, options.split(",") + more.split(",")
        return found


def listeners():
    """Addresses on which this network's TCP sockets wait, as (host, port)."""
    found = set()
    for name, size in [("tcp", 4), ("tcp6", 16)]:
        for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if state != "0A":
                continue
            digits, port = local.split(":")
            words = [bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, 2 * size, 8)]
            family = socket.AF_INET if size == 4 else socket.AF_INET6
            found.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return found
