"""Starts a suite on loopback, runs the client, the probes and the attacks against it, and stops it.

usage: run.py CLIENT [NAME…]
CLIENT is the qat-client to test; with names, only the probes so named are run.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import call_probes
import connection_probes
import gateway
import peer_attacks
import pipeline_probes
import qat_client
import user_attacks
import worker_attacks
from expectations import PROBES
from suite import Suite

# The probes in these enter themselves in PROBES; run in this order.
MODULES = (connection_probes, call_probes, peer_attacks, worker_attacks, user_attacks,
           pipeline_probes)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Report:
    """What held and what did not."""

    def __init__(self):
        self.held, self.failed, self.known, self.mended = [], [], [], []

    def run(self, probe, suite):
        name = probe.__name__
        started = time.monotonic()
        known = probe.marks.get("known")
        try:
            probe(suite)
        except Exception as error:
            what = f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if known:
                self.known.append(f"{what}\n    known: {known}")
            else:
                self.failed.append(what + "\n" + "".join(traceback.format_tb(error.__traceback__)))
            return
        (self.mended if known else self.held).append(name)
        if time.monotonic() - started > 1.5:
            print(f"  {name} took {time.monotonic() - started:.1f} s")

    def finish(self):
        for title, lines in (
            ("known fault", self.known),
            ("holds now; unmark it if that is on purpose", self.mended),
            ("FAILED", self.failed),
        ):
            for line in lines:
                print(f"{title}: {line}")
        print(f"{len(self.held)} rules hold, {len(self.known)} known faults, "
              f"{len(self.failed)} fail")
        return 1 if self.failed else 0


def run_all(suite, names):
    report = Report()
    unknown = set(names) - {probe.__name__ for probe in PROBES}
    if unknown:
        sys.exit(f"no probe is named {', '.join(sorted(unknown))}")
    order = [module.__name__ for module in MODULES]
    PROBES.sort(key=lambda probe: order.index(probe.__module__))
    chosen = [probe for probe in PROBES if probe.__name__ in names] if names else [
        probe for probe in PROBES if not probe.marks.get("alone")]
    waiting = [threading.Thread(target=report.run, args=(probe, suite))
               for probe in chosen if probe.marks.get("slow")]
    for thread in waiting:
        thread.start()
    for probe in chosen:
        if not probe.marks.get("slow"):
            report.run(probe, suite)
    for thread in waiting:
        thread.join()
    return report.finish()


def main():
    client, names = os.path.abspath(sys.argv[1]), sys.argv[2:]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qat-python-") as folder:
        home = os.path.join(folder, "home")
        environment = {**os.environ, "QAT_HOME": home}
        environment.pop("QAT_GATEWAY", None)

        def local(*arguments):
            subprocess.run([client, "local", *arguments], check=True, env=environment)

        try:
            local("up", "--detach", "--port", str(free_port()))
            with open(os.path.join(home, "profile.json")) as file:
                profile = json.load(file)
            if not names:
                qat_client.run(gateway.connect(profile))
            status = run_all(Suite(home, profile["gateway"], client, folder), names)
        finally:
            local("down")
    print(f"{time.monotonic() - started:.1f} s")
    sys.exit(status)


if __name__ == "__main__":
    main()
