"""Starts compose.yaml and checks that it does what it says; scripts/check-compose calls it.

Within a network namespace of its own, and with podman configured and the image made.
usage: run.py WORK      (a folder for what is made on the way)
"""

import contextlib
import json
import os
import pathlib
import shutil
import sys
import time

import yaml

import controls
import hardening
from deployment import OUTSIDE, ROOT, Deployment, run, until

CLIENT = os.environ["QAT_BIN"] + "/qat-client"
DAEMONS = ["gateway", "quant", "train", "train-2", "eval"]
OPEN_FILES = 10_000
FIXTURES = ROOT / "Tests/ArchitectureTests/Fixtures"
TRAINING = {
    "model": "model",
    "quantization": {"algorithm": "mxfp4"},
    "distillation": {"teacher": "model", "loss": "kl"},
    "trainer": {"max_steps": 800, "micro_batch_size": 2, "checkpoint_every_steps": 50},
    "optim": {"lr": 1e-3},
    "data": {"train": ["train.txt"], "validation": ["validation.txt"], "seq_length": 32},
    "export": [{"format": "compressed-tensors"}],
}

passed = 0


@contextlib.contextmanager
def check(what):
    """Says whether what its block asserts is so, and ends the run where it is not."""
    global passed
    begin = time.monotonic()
    try:
        yield
    except Exception:
        print(f"FAIL  {what}", flush=True)
        raise
    passed += 1
    print(f"ok    {what} ({time.monotonic() - begin:.1f} s)", flush=True)


class Client:
    """The client on the host, as a user of the deployment."""

    def __init__(self, home):
        self.environment = os.environ | {"QAT_HOME": str(home)}
        self.environment.pop("QAT_GATEWAY", None)

    def __call__(self, *arguments, **options):
        return run(CLIENT, *arguments, env=self.environment, **options).stdout

    def json(self, *arguments, **options):
        return json.loads(self(*arguments, "--json", **options).splitlines()[-1])

    def status(self):
        """What status says, or nothing while no gateway answers."""
        done = run(CLIENT, "status", "--json", env=self.environment, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {"services": [], "jobs": []}

    def workers(self):
        """The instances that wait for work or do it."""
        services = self.status()["services"]
        return {one["instance"] for one in services if one["state"] in ("ready", "busy")}

    def are_training(self, jobs, step):
        """Whether all of these are past a step, and both trainers busy."""
        status = self.status()
        by_id = {job["job_id"]: job for job in status["jobs"]}
        found = [by_id[job] for job in jobs if job in by_id]
        assert all(job["state"] != "SUCCEEDED" for job in found), "too short a training"
        busy = {one["instance"] for one in status["services"] if one["state"] == "busy"}
        return busy == {"train-1", "train-2"} and len(found) == len(jobs) and all(
            job["state"] == "RUNNING" and job["progress"]["step"] >= step for job in found
        )

    def submit(self, kind, file):
        return self.json("submit", kind, file)["job_id"]


def make_certificates(folder):
    """As the README says: the daemons' keys are theirs, the authority's and the user's are not."""
    run(CLIENT, "certs", "init", "--dir", folder)
    for daemon in DAEMONS:
        issue(folder, daemon)
    run(CLIENT, "certs", "issue", "--dir", folder, "--user", "ada")


def issue(folder, daemon, *options):
    role = daemon.split("-")[0]
    instance = daemon if daemon[-1].isdigit() else f"{daemon}-1"
    run(CLIENT, "certs", "issue", "--dir", folder, "--service", f"{role}/{instance}",
        "--host", daemon, *options)
    os.chown(folder / f"{instance}.key", int(hardening.USER), int(hardening.USER))


def make_client(folder, certificates):
    folder.mkdir()
    (folder / "profile.json").write_text(json.dumps({
        "gateway": "localhost:7443",
        "certificate": str(certificates / "ada.pem"),
        "key": str(certificates / "ada.key"),
        "ca": str(certificates / "ca.pem"),
    }))
    return Client(folder)


def make_jobs(folder):
    """A model of 60 kB with its tokenizer, texts, and jobs about them."""
    shutil.copytree(FIXTURES / "llama-tied", folder / "model")
    for file in (FIXTURES / "tokenizers/bytelevel").glob("tokenizer*.json"):
        shutil.copy(file, folder / "model")
    lines = [f"line {i}: the quick brown fox jumps over {i * 7 % 13}\n" for i in range(400)]
    (folder / "train.txt").write_text("".join(lines))
    (folder / "validation.txt").write_text("".join(reversed(lines)))
    jobs = {"quantize": {
        "name": "rounded", "model": "model",
        "quantization": {"algorithm": "mxfp4"}, "export": [{"format": "compressed-tensors"}],
    }}
    for name in ("first", "second"):
        jobs[name] = TRAINING | {"name": name}
    for name, job in jobs.items():
        (folder / f"{name}.json").write_text(json.dumps(job))


def verify(client, job, to, *options):
    """Downloads the model that a job put out, and has it checked."""
    client("download", job, "--to", to)
    assert (to / "model/model.safetensors").stat().st_size > 0
    client("artifacts", "verify", to / "model", *options)


def check_jobs(client, deployment, work, jobs):
    with check("a quantize job from outside, followed, downloaded and verified"):
        job = client.submit("quantize", jobs / "quantize.json")
        events = [json.loads(line) for line in client("watch", job, "--json").splitlines()]
        assert events[-1]["state"] == "SUCCEEDED", events[-1]
        # The last line is the job itself.
        assert [event["seq"] for event in events[:-1]] == list(range(1, len(events)))
        verify(client, job, work / "rounded", "--source", jobs / "model")

    with check("two train jobs run at once, on two trainers"):
        trained = [client.submit("train", jobs / f"{name}.json") for name in ("first", "second")]
        until("both are past a checkpoint", lambda: client.are_training(trained, step=60))

    with check("the gateway is killed, and comes back at another address; so do its workers"):
        gateway = deployment.container("gateway")
        address = gateway.addresses()
        gateway.kill()
        gateway.podman("start")
        assert not address & gateway.addresses(), address
        await_workers(client, deployment)

    with check("both jobs complete, and their results verify"):
        ended = [client.json("wait", job, "--timeout", "90") for job in trained]
        assert all(job["state"] == "SUCCEEDED" for job in ended), ended
        # A lease may be lost, where podman's names come back later than it lasts: its server keeps a name that is
        # gone waiting for as long.
        assert all(job["attempt"] <= 2 for job in ended), ended
        for job in trained:
            verify(client, job, work / job)


def await_workers(client, deployment):
    """The gateway may remember workers, so they are asked, too, whether they are registered."""
    for service in hardening.WORKERS:
        # Podman 4.3's DNS server is at times mute for half a minute after a change.
        until(f"{service} registers", deployment.container(service).is_healthy, seconds=60)
    until("four workers", lambda: len(client.workers()) == 4)


def check_services(client, deployment):
    for service in DAEMONS:
        with check(f"{service} gets healthy"):
            until("healthy", deployment.container(service).is_healthy)
    with check("four workers are registered under their own names"):
        until("four workers", lambda: client.workers() == {"quant-1", "train-1", "train-2", "eval-1"})
    with check("every hardening key has done its work, in every daemon"):
        found = hardening.faults(deployment, DAEMONS, OPEN_FILES)
        assert not found, found
    with check("the gateway answers on loopback only"):
        address = {"QAT_GATEWAY": f"{OUTSIDE}:7443"}
        done = run(CLIENT, "status", env=client.environment | address, check=False)
        assert done.returncode == 4, (done.returncode, done.stdout, done.stderr)


def remove_containers():
    # Twice, for podman refuses to remove a container before those that depend on it.
    for _ in range(2):
        run("podman", "rm", "--all", "--force", "--time=0", check=False)


def check_stop(deployment):
    # The gateway last, as compose does: it waits for the calls of workers that still ask for work.
    for service in reversed(DAEMONS):
        with check(f"{service} stops by itself, with 0"):
            container = deployment.container(service)
            container.podman("stop", "--time=20")
            assert container.state()["ExitCode"] == 0, container.state()


def check_renewal(client, deployment, certificates):
    with check("a renewed certificate is in use after a restart"):
        trainer = deployment.container("train")
        issue(certificates, "train", "--force")
        for verb in ("stop", "start"):
            deployment(verb, "train")
        used = pathlib.Path(f"/proc/{trainer.first.id}/root/run/secrets/train_cert")
        assert used.read_bytes() == (certificates / "train-1.pem").read_bytes()
        until("healthy", trainer.is_healthy)


def check_policy(deployment):
    with check("a policy is in force without a restart"):
        deployment("exec", "-T", "gateway", "bash", "-c",
                   "cat >/state/policy.new && mv /state/policy.{new,json}",
                   input='{"operators": ["olga"]}')
        gateway = deployment.container("gateway")
        until("the gateway says so", lambda: "policy.json is in force" in gateway.log())


def check_backup(client, deployment, work):
    """What docs/OPERATIONS.md says of backup and restore, with all volumes lost in between."""
    archive, volume = work / "backup", "qat_gateway-state"
    run("install", "-d", "-o", hardening.USER, "-g", hardening.USER, archive)
    container = ["podman", "run", "--rm", "--network", "none", "--ulimit=nofile=1024:1024"]
    container += ["--ulimit=nproc=64:64", "-v", f"{volume}:/state"]
    image = "localhost/qat:check"
    before = client.status()["jobs"]
    with check("the gateway is backed up while it is at work, and once more what is new"):
        for _ in range(2):
            run(*container, "-v", f"{archive}:/backup", image,
                "qat-gateway", "backup", "--state", "/state", "--to", "/backup")
        assert client.status()["jobs"], "the gateway is gone"
        deployment("down")
        remove_containers()
        run("podman", "volume", "rm", "--all", "--force")
    with check("restored into a new volume, it has its jobs and their files"):
        run("podman", "volume", "create", volume)
        run(*container, "--user", "0:0", image,
            "chown", f"{hardening.USER}:{hardening.USER}", "/state")
        run(*container, "-v", f"{archive}:/backup:ro", image,
            "qat-gateway", "restore", "--from", "/backup", "--state", "/state")
        deployment("up", "--detach", "--no-build")
        await_workers(client, deployment)
        after = client.status()["jobs"]
        assert [job["job_id"] for job in after] == [job["job_id"] for job in before], after
        assert all(job["state"] == "SUCCEEDED" for job in after), after
        verify(client, after[0]["job_id"], work / "restored")


def check_controls(work, environment):
    """Each key that is taken away must be noticed, where it was taken away and nowhere else."""
    document = yaml.safe_load((ROOT / "compose.yaml").read_text().replace(
        "${QAT_BIND:-127.0.0.1}:${QAT_PORT:-7443}", "127.0.0.1:7443"
    ))
    for number, changes in enumerate(controls.ROUNDS):
        expected = {place for _, places in changes for place in places}
        with check(f"control {number + 1}: noticed, and nothing else: "
                   + ", ".join(sorted({f"{key} of {service}" for service, key in expected}))):
            file = work / f"control-{number}.yaml"
            file.write_text(yaml.safe_dump(
                controls.changed(document, [change for change, _ in changes])
            ))
            deployment = Deployment(file, f"control{number}", environment)
            deployment("up", "--detach", "--no-build")
            found = hardening.faults(deployment, controls.SERVICES, OPEN_FILES)
            assert set(found) == expected, found
        remove_containers()


def main(work):
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo")
    hardening.Outside.serve()
    environment = {
        "QAT_CERTS": str(work / "certs"),
        "QAT_IMAGE": "localhost/qat:check",
        "QAT_NOFILE": str(OPEN_FILES),
    }
    make_certificates(work / "certs")
    client = make_client(work / "home", work / "certs")
    jobs = work / "jobs"
    jobs.mkdir()
    make_jobs(jobs)
    deployment = Deployment(ROOT / "compose.yaml", "qat", environment, profiles=["train-2"])
    with check("compose.yaml, as it stands, starts with its second trainer"):
        deployment("up", "--detach", "--no-build")
    check_services(client, deployment)
    check_jobs(client, deployment, work, jobs)
    check_renewal(client, deployment, work / "certs")
    check_policy(deployment)
    check_backup(client, deployment, work)
    check_stop(deployment)
    remove_containers()
    check_controls(work, environment)
    print(f"compose.yaml: {passed} checks passed", flush=True)


def show_logs():
    """The last lines of every daemon, for whoever must find out why a check failed."""
    for name in run("podman", "ps", "--all", "--format={{.Names}}").stdout.split():
        done = run("podman", "logs", "--tail=12", name, check=False)
        print(f"-- {name}\n{done.stdout}{done.stderr}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main(pathlib.Path(sys.argv[1]))
    except AssertionError as error:
        show_logs()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        # Their namespaces end with this process anyway; this way their control groups go, too.
        remove_containers()
