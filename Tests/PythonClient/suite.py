"""The suite under test: where its gateway listens, and certificates to call it with."""

import json
import os
import resource
import shutil
import signal
import subprocess
from contextlib import contextmanager
from functools import cached_property

import qat_client
import qatrpc
import tiny_model
from gateway import UNARY, Gateway


class Suite:
    """`home` is the QAT_HOME of a suite that `qat-client local up` has started.

    Beside the certificates that are there, tests have others made: by the suite's own authority
    (`qat-client certs issue`), or by openssl with whatever fault a test needs.
    """

    def __init__(self, home, address, client, scratch):
        self.home = home
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.client = client
        self.scratch = scratch
        self.authority = os.path.join(home, "local", "ca")
        self.certificates = os.path.join(home, "local", "certs")
        self.ca = os.path.join(self.authority, "ca.pem")

    def files(self, name):
        """Certificate and key of `user`, a daemon such as `train-1`, or one that was made."""
        for folder in (self.certificates, self.scratch):
            path = os.path.join(folder, name)
            if os.path.exists(path + ".pem"):
                return path + ".pem", path + ".key"
        raise FileNotFoundError(f"no certificate named {name}")

    def issue(self, option, name):
        """A certificate of the suite's authority: `issue("--user", "eve")`; what to call it by."""
        folder = os.path.join(self.scratch, "issued")
        os.makedirs(folder, exist_ok=True)
        for file in ("ca.pem", "ca.key"):
            shutil.copy(os.path.join(self.authority, file), folder)
        command = [self.client, "certs", "issue", "--dir", folder, option, name, "--force"]
        subprocess.run(command, check=True, capture_output=True)
        alias = name.replace("/", "+")
        for ending in (".pem", ".key"):
            shutil.move(os.path.join(folder, name.rsplit("/", 1)[-1] + ending),
                        os.path.join(self.scratch, alias + ending))
        return alias

    def context(self, name="user", **options):
        certificate, key = self.files(name) if name else (None, None)
        return qatrpc.tls_context(self.ca, certificate, key, **options)

    def tls(self, name="user", *, context=None, timeout=10, source="127.0.0.1"):
        context = context or self.context(name)
        return qatrpc.connect_tls(self.host, self.port, context, timeout, source)

    def wire(self, name="user", **options):
        """TLS and nothing yet said."""
        return qatrpc.Wire(self.tls(name, **options))

    def connect(self, name="user", *, source="127.0.0.1", timeout=10, **hello):
        return Gateway(self.tls(name, source=source, timeout=timeout), **hello)

    def greet(self, name="user", **hello):
        """Bare frames after HELLO_ACK: for what a proper client would never send."""
        wire = self.wire(name)
        wire.send(qatrpc.PREFACE + qatrpc.frame(qatrpc.HELLO, 0, 0, qatrpc.hello(**hello)))
        type, *_ = wire.receive_frame()
        assert type == qatrpc.HELLO_ACK, f"type {type} instead of HELLO_ACK"
        return wire

    @cached_property
    def user(self):
        """One proper connection that tests share."""
        return self.connect()

    def store(self, gateway):
        """The tiny model's input, its files stored by whom `gateway` is."""
        return qat_client.upload(gateway, tiny_model.files())[0]

    def model(self):
        return self.store(self.user)

    def request(self, model, key=b""):
        """A submission that nothing is wrong with."""
        return UNARY["Jobs/Submit"][0](
            kind=b"quantize", name=b"tiny", key=key, inputs=[model],
            spec_json=json.dumps(qat_client.SPECIFICATION).encode(),
        )

    def state(self, job_id):
        return self.user.call("Jobs/Get", job_id=job_id).summary.state

    def response(self, stream):
        return UNARY["Jobs/Submit"][1].FromString(stream.messages[0])

    def pid(self, daemon):
        with open(os.path.join(self.home, "local", "run", f"{daemon}.pid")) as file:
            return json.load(file)["pid"]

    def resident_bytes(self, daemon):
        with open(f"/proc/{self.pid(daemon)}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    @contextmanager
    def stopped(self, daemon):
        """Lets a daemon of the suite, and none else, stand still for a while."""
        pid = self.pid(daemon)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def submit(self, gateway, **options):
        return qat_client.submit(gateway, self.model(), **options)[0]
