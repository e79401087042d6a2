"""What a hostile worker tries, and what must come of it.

No worker ends, moves or writes what another holds, and nothing that it stores breaks an answer
for the rest.
"""

import hashlib
import json
import os
import time
from contextlib import contextmanager

import qatrpc
from expectations import (
    ALREADY_EXISTS, BAD_PATHS, FAILED_PRECONDITION, REFUSALS, RESOURCE_EXHAUSTED, fields_of,
    probe, refused, tolerate,
)
from qat.v1 import common_pb2, control_pb2, jobs_pb2, lease_pb2

SUCCEEDED = lease_pb2.CompleteLeaseRequest.OUTCOME_SUCCEEDED
FAILED = lease_pb2.CompleteLeaseRequest.OUTCOME_FAILED
LOST = lease_pb2.HeartbeatResponse.DIRECTIVE_LOST


@contextmanager
def own_lease(suite):
    """A lease that a worker made for it holds by right: (worker, job and epoch, itself)."""
    instance = f"python-{os.urandom(3).hex()}"
    worker = suite.connect(suite.issue("--service", f"quant/{instance}"))
    me = dict(instance=instance.encode(), boot_id=os.urandom(4).hex().encode())
    worker.call("Lease/Register", role=b"quant", kinds=[b"quantize"], cores=1,
                memory_bytes=2**30, version=b"1", address=b"127.0.0.1:1", **me)
    with suite.stopped("quant"):
        for attempt in range(20):
            if attempt % 5 == 0:  # the daemon that stands still may have been waiting for one
                suite.submit(suite.user)
            answer = worker.call("Lease/Acquire", wait_seconds=0, **me)
            if answer.HasField("lease"):
                break
            time.sleep(0.05)
        lease = answer.lease
        assert lease.job_id, "no lease came"
        held = dict(job_id=lease.job_id, epoch=lease.epoch)
        if "boot_id" in lease_pb2.CompleteLeaseRequest.DESCRIPTOR.fields_by_name:
            held["boot_id"] = me["boot_id"]
        try:
            yield worker, held, me
        finally:
            tolerate(lambda: worker.call("Lease/Complete", outcome=FAILED, reason=b"USER_ERROR",
                                         message=b"the test is over", **held))
            worker.close()


@probe
def a_lease_is_completed_by_its_holder_only(suite):
    data = b"forged"
    digest = hashlib.sha256(data).digest()
    suite.user.put(digest, data)
    with own_lease(suite) as (_, held, _):
        for name in ("eval-1", "train-1", "quant-1"):
            worker = suite.connect(name)
            for outcome in (SUCCEEDED, FAILED):
                try:
                    answer = worker.call(
                        "Lease/Complete", outcome=outcome, reason=b"USER_ERROR",
                        results_json=b'{"perplexity": 1.0}', **held,
                        outputs=[common_pb2.OutputFile(name=b"x", digest=digest, size=6)],
                    )
                except qatrpc.CallFailed:
                    continue
                assert not answer.accepted, f"{name} ended another's job"
        assert not suite.user.call("Jobs/Get", job_id=held["job_id"]).outputs


@probe
def a_log_is_written_by_its_holder_only(suite):
    with own_lease(suite) as (_, held, _):
        for name in ("eval-1", "train-1", "quant-1"):
            worker = suite.connect(name)
            refused(lambda: worker.call("Lease/AppendLog", offset=0, data=b"forged", **held))
        assert not list(suite.user.logs(held["job_id"]))


@probe
def a_heartbeat_comes_from_its_holder_only(suite):
    with own_lease(suite) as (_, held, me):
        worker = suite.connect("quant-1")
        for instance in (b"quant-1", me["instance"]):
            for boot in (b"", b"guessed", me["boot_id"]):
                try:
                    claim = dict(held, instance=instance, boot_id=boot)
                    answer = worker.call("Lease/Heartbeat", **claim, events=[
                        jobs_pb2.JobEvent(seq=1, type=4, message=b"forged")])
                except qatrpc.CallFailed:
                    continue
                assert answer.directive == LOST, f"{instance}, {boot}: {answer}"


@probe
def a_checkpoint_is_saved_by_its_holder_only(suite):
    digest = hashlib.sha256(b"out").digest()
    suite.user.put(digest, b"out")
    with own_lease(suite) as (worker, held, me):
        saved = dict(held, **me, checkpoint=lease_pb2.Checkpoint(
            step=2**63, files=[output(b"a", digest)]))
        for name in ("eval-1", "train-1", "quant-1"):
            for claim in (saved, dict(saved, instance=name.encode())):
                answer = tolerate(lambda: suite.connect(name).call("Lease/SaveCheckpoint", **claim))
                assert not (answer and answer.accepted), f"{name} saved another's checkpoint"
                ask = dict(claim, wait_seconds=0)
                del ask["checkpoint"]
                answer = tolerate(lambda: suite.connect(name).call("Lease/AwaitDirective", **ask))
                assert not answer or answer.directive == LOST, f"{name}: {answer}"


@probe
def a_checkpoint_holds_plain_relative_paths(suite):
    digest = hashlib.sha256(b"out").digest()
    suite.user.put(digest, b"out")
    with own_lease(suite) as (worker, held, me):
        def save(*files, step=1):
            answer = worker.call("Lease/SaveCheckpoint", **{**held, **me}, checkpoint=(
                lease_pb2.Checkpoint(step=step, files=files)))
            if not answer.accepted:
                raise qatrpc.CallFailed(control_pb2.CallStatus(code=FAILED_PRECONDITION))

        for name in BAD_PATHS:
            refused(lambda: save(output(name, digest)), what=name)
        refused(lambda: save(output(b"a", digest), output(b"a", digest)), what="a double")
        refused(lambda: save(output(b"a", b"9" * 32)), what="what is not stored")
        refused(lambda: save(output(b"a", digest, size=4)), what="another size")
        refused(lambda: save(), what="nothing")


@probe
def an_older_epoch_is_answered_lost(suite):
    with own_lease(suite) as (worker, held, me):
        for epoch in (held["epoch"] - 1, held["epoch"] + 1, 2**64 - 1):
            wrong = dict(held, epoch=epoch)
            assert worker.call("Lease/Heartbeat", **{**wrong, **me}).directive == LOST
            assert not worker.call("Lease/Complete", outcome=FAILED, **wrong).accepted
            refused(lambda: worker.call("Lease/AppendLog", offset=0, data=b"x", **wrong))
        assert worker.call("Lease/Heartbeat", **{**held, **me}).directive != LOST


@probe
def a_worker_speaks_for_its_certificate_only(suite):
    worker = suite.connect("eval-1")
    for role, instance in ((b"eval", b"quant-1"), (b"quant", b"eval-1"), (b"gateway", b"eval-1"),
                           (b"quant", b"quant-1"), (b"", b"eval-1")):
        refused(lambda: worker.call("Lease/Register", role=role, instance=instance, boot_id=b"b",
                                    kinds=[b"quantize"]))
    refused(lambda: worker.call("Lease/Acquire", instance=b"quant-1", boot_id=b"b",
                                wait_seconds=0))


@probe
def a_role_registers_for_its_own_kinds(suite):
    name = f"kinds-{os.urandom(3).hex()}"
    worker = suite.connect(suite.issue("--service", f"eval/{name}"))
    for kinds in ([b"quantize"], [b"evaluate", b"train"], [b"x"], [b""]):
        refused(lambda: worker.call("Lease/Register", role=b"eval", instance=name.encode(),
                                    boot_id=b"b", kinds=kinds, cores=1, memory_bytes=1))


@probe
def the_same_instance_of_another_role_is_another(suite):
    """A trainer registers under an instance's name that a quantizer bears, too."""
    with own_lease(suite) as (_, held, me):
        instance = me["instance"].decode()
        worker = suite.connect(suite.issue("--service", f"train/{instance}"))
        tolerate(lambda: worker.call("Lease/Register", role=b"train", kinds=[b"train"], cores=1,
                                     memory_bytes=1, instance=me["instance"], boot_id=b"other"))
        try:
            answer = worker.call("Lease/Heartbeat", **{**held, **me})
            assert answer.directive == LOST, f"train/{instance} holds the lease, too"
        except qatrpc.CallFailed:
            pass
        time.sleep(0.3)
        now = suite.state(held["job_id"])
        assert now in (b"STARTING", b"RUNNING"), f"quant/{instance} has lost its job: {now}"


@probe
def two_processes_under_one_identity_do_not_fight(suite):
    """The second is refused while the first lives; a progressing job stays where it is."""
    with own_lease(suite) as (worker, held, me):
        second = dict(me, boot_id=b"second")
        sentence = refused(lambda: worker.call("Lease/Register", role=b"quant", cores=1,
                                               kinds=[b"quantize"], memory_bytes=1, **second),
                           REFUSALS + (ALREADY_EXISTS,))
        assert me["instance"].decode() in sentence, sentence
        assert suite.state(held["job_id"]) in (b"STARTING", b"RUNNING")


@probe
def output_names_are_plain_relative_paths(suite):
    digest = hashlib.sha256(b"out").digest()
    suite.user.put(digest, b"out")
    with own_lease(suite) as (worker, held, _):
        for name in BAD_PATHS:
            refused(lambda: worker.call("Lease/Complete", outcome=SUCCEEDED, results_json=b"{}",
                                        outputs=[output(name, digest)], **held))
        refused(lambda: worker.call("Lease/Complete", outcome=SUCCEEDED, results_json=b"{}",
                                    outputs=[output(b"a", digest)] * 2, **held))
        refused(lambda: worker.call("Lease/Complete", outcome=SUCCEEDED, results_json=b"{}",
                                    outputs=[output(b"a", digest), output(b"a/b", digest)], **held))


def output(name, digest, size=3):
    return common_pb2.OutputFile(name=name, digest=digest, size=size)


@probe
def results_are_a_json_object_of_bounded_depth(suite):
    with own_lease(suite) as (worker, held, _):
        for results in (b"[" * 100_000, b"[]", b"{", b"no", b'{"a":' * 5000 + b"1" + b"}" * 5000):
            refused(lambda: worker.call("Lease/Complete", outcome=SUCCEEDED, results_json=results,
                                        **held))


@probe
def a_finished_job_can_be_shown(suite):
    """A result that fills one request comes back in one JobDetail, with the rest beside it."""
    digest = hashlib.sha256(b"out").digest()
    suite.user.put(digest, b"out")
    with own_lease(suite) as (worker, held, _):
        request = lease_pb2.CompleteLeaseRequest(outcome=SUCCEEDED, results_json=b"{}", **held)
        request.outputs.extend(output(b"%04d" % number, digest) for number in range(3000))
        room = 256 * 1024 - request.ByteSize() - 20
        request.results_json = json.dumps({"table": "x" * room}).encode()
        assert 256 * 1024 - 20 < request.ByteSize() <= 256 * 1024, request.ByteSize()
        try:
            worker.call("Lease/Complete", **fields_of(request))
        except qatrpc.CallFailed as failure:
            assert failure.code in REFUSALS + (RESOURCE_EXHAUSTED,), str(failure)
        suite.user.call("Jobs/Get", job_id=held["job_id"])


@probe
def numbers_at_their_limits_do_no_harm(suite):
    """Each is the largest that its field can carry; the gateway neither traps nor forgets."""
    most = 2**64 - 1
    progress = jobs_pb2.JobProgress
    with own_lease(suite) as (worker, held, me):
        for number, event in enumerate((
            jobs_pb2.JobEvent(type=2, progress=progress(step=most, total_steps=most)),
            jobs_pb2.JobEvent(type=2, progress=progress(step=1, loss=float("nan"),
                                                        learning_rate=float("inf"),
                                                        eta_seconds=-float("inf"))),
            jobs_pb2.JobEvent(type=4, time_unix_ms=-(2**63), message=b"log"),
            jobs_pb2.JobEvent(type=3, metrics_json=b"[" * 50_000),
            jobs_pb2.JobEvent(type=1, state=b"SUCCEEDED", message=b"forged"),
            jobs_pb2.JobEvent(seq=most, type=2, progress=progress(step=5)),
        )):
            event.seq = event.seq or number + 1
            tolerate(lambda: worker.call("Lease/Heartbeat", events=[event],
                                        **{**held, **me}))
        for offset in (2**63 - 1, 2**63, most):
            tolerate(lambda: worker.call("Lease/AppendLog", offset=offset, data=b"x", **held))
        detail = suite.user.call("Jobs/Get", job_id=held["job_id"])
        assert detail.summary.state in (b"STARTING", b"RUNNING"), "an event ended the job"
        for first in (2**63 - 1, 2**63, most):
            stream = suite.user.watch(held["job_id"], from_seq=first)
            stream.close()
    job_id = suite.submit(suite.user)
    blob = suite.model().files[0].digest
    for offset, length in ((most, 1), (1, most), (most, most), (2**63, 2**63)):
        tolerate(lambda: suite.user.get(blob, offset, length))
    tolerate(lambda: suite.user.call("Jobs/List", page_size=2**32 - 1))
    tolerate(lambda: suite.user.call("Admin/Status", page_size=2**32 - 1))
    assert suite.user.call("Jobs/Get", job_id=job_id).summary.job_id == job_id


@probe
def a_worker_cannot_break_status(suite):
    name = f"long-{os.urandom(3).hex()}"
    worker = suite.connect(suite.issue("--service", f"eval/{name}"))
    for fields in (dict(address=b"a" * 200_000), dict(address=b"\x1b[2J"),
                   dict(version=b"v" * 200_000), dict(version=b"\x1b[2J", address=b"h:1")):
        refused(lambda: worker.call("Lease/Register", role=b"eval", instance=name.encode(),
                                    boot_id=b"b", kinds=[b"evaluate"], cores=1, memory_bytes=1,
                                    **fields))
    suite.user.call("Admin/Status")
