"""What a hostile user tries, and what must come of it."""

import hashlib
import os
import threading
import time

import qatrpc
from expectations import (
    BAD_PATHS, DATA_LOSS, NOT_FOUND, OUT_OF_RANGE, PERMISSION_DENIED, REFUSALS,
    RESOURCE_EXHAUSTED, fields_of, probe, refused,
)
from qat.v1 import cas_pb2, common_pb2, jobs_service_pb2

# Authority


@probe
def jobs_are_their_owners(suite):
    eve = suite.connect(suite.issue("--user", "eve"))
    job_id = suite.submit(suite.user)
    for event in suite.user.watch(job_id):
        pass
    for method in ("Jobs/Get", "Jobs/Cancel", "Jobs/Pause", "Jobs/Resume", "Jobs/Retry",
                   "Jobs/Remove"):
        refused(lambda: eve.call(method, job_id=job_id), (NOT_FOUND, PERMISSION_DENIED))
    refused(lambda: list(eve.watch(job_id)), (NOT_FOUND, PERMISSION_DENIED))
    refused(lambda: list(eve.logs(job_id)), (NOT_FOUND, PERMISSION_DENIED))
    assert job_id not in [job.job_id for job in eve.call("Jobs/List", page_size=100).jobs]
    assert job_id not in [job.job_id for job in eve.call("Admin/Status", page_size=100).jobs]
    refused(lambda: submit_after(eve, job_id), (NOT_FOUND, PERMISSION_DENIED))


@probe
def a_digest_alone_opens_nothing(suite):
    eve = suite.connect(suite.issue("--user", "eve"))
    secret = os.urandom(64)
    digest = hashlib.sha256(secret).digest()
    suite.user.put(digest, secret)
    refused(lambda: eve.get(digest), (NOT_FOUND, PERMISSION_DENIED))
    # Not even whether it is there may be told, or uploads could be guessed.
    assert list(eve.call("Cas/FindMissing", digests=[digest]).digests) == [digest]
    stolen = common_pb2.Input(pointer=b"/model", source=b"x", files=[
        common_pb2.InputFile(path=b"config.json", digest=digest, size=64)])
    refused(lambda: submit(eve, [stolen]))


@probe
def nobody_removes_what_is_anothers_or_needed(suite):
    eve = suite.connect(suite.issue("--user", "eve"))
    loose = os.urandom(64)
    digest = hashlib.sha256(loose).digest()
    suite.user.put(digest, loose)
    job_id = suite.submit(suite.user)
    for event in suite.user.watch(job_id):
        pass
    outputs = suite.user.call("Jobs/Get", job_id=job_id).outputs
    needed = outputs[0].digest
    # Another's blob is answered as one that is not there, and stays.
    for blob in eve.call("Cas/Remove", digests=[digest, needed]).blobs:
        assert blob.outcome == cas_pb2.RemovedBlob.OUTCOME_REFUSED, str(blob)
        assert job_id not in blob.message, "a job of another's is named"
    assert not list(eve.collect_garbage(older_than_seconds=0))
    refused(lambda: list(eve.verify_artifacts()), (PERMISSION_DENIED,))
    # The owner's own, while a job refers to it (others made the same): refused, with a job's id.
    (blob,) = suite.user.call("Cas/Remove", digests=[needed]).blobs
    assert blob.outcome == cas_pb2.RemovedBlob.OUTCOME_REFUSED, str(blob)
    assert b"refers to it" in blob.message, str(blob)
    assert suite.user.get(digest)[1] == loose
    (blob,) = suite.user.call("Cas/Remove", digests=[digest]).blobs
    assert blob.outcome == cas_pb2.RemovedBlob.OUTCOME_REMOVED and blob.size == 64
    refused(lambda: suite.user.get(digest), (NOT_FOUND,))
    suite.user.call("Jobs/Remove", job_id=job_id)
    refused(lambda: suite.user.call("Jobs/Get", job_id=job_id), (NOT_FOUND,))


@probe
def one_users_key_does_not_block_anothers(suite):
    eve = suite.connect(suite.issue("--user", "eve"))
    key = os.urandom(8).hex().encode()
    first = submit(eve, [suite.store(eve)], key=key, name=b"eve's")
    second = submit(suite.user, [suite.model()], key=key, name=b"mine")
    assert second.created and second.job_id != first.job_id, "a key found another user's job"


PLAIN = b'{"model": "tiny", "quantization": {"algorithm": "mxfp4"}}'


def submit_after(gateway, job_id):
    """A job whose model is another job's output: the reference stands in the specification, too."""
    source = b"job:" + job_id
    reference = common_pb2.Input(pointer=b"/model", source=source)
    return submit(gateway, [reference], spec=PLAIN.replace(b"tiny", source))


def submit(gateway, inputs, *, key=None, name=b"attack", spec=PLAIN, kind=b"quantize"):
    key = key or os.urandom(8).hex().encode()
    return gateway.call("Jobs/Submit", kind=kind, name=name, key=key, spec_json=spec,
                        inputs=inputs)


# Shape


@probe
def names_are_printable(suite):
    model = suite.model()
    for name in (b"a\nb", b"a\x1b[2Jb", b"a\x7f", b"\xc2\x9b2J", "a\u202eb".encode(), b"n" * 201):
        refused(lambda: submit(suite.user, [model], name=name))
    for key in (b"", b"k" * 65, b"k\x1b[2J", b"k\n"):
        refused(lambda: submit(suite.user, [model], key=key or b"\n"))


@probe
def sources_are_short_and_printable(suite):
    for source in (b"s" * 200_000, b"\x1b[2J", b"a\nb", "a\u202eb".encode()):
        changed = common_pb2.Input()
        changed.CopyFrom(suite.model())
        changed.source = source
        refused(lambda: submit(suite.user, [changed]))


@probe
def a_references_output_is_a_plain_path(suite):
    job_id = suite.submit(suite.user)
    for tail in (b"/../../etc", b"/" + b"x" * 200_000, b"/\x1b[2J", b"//", b"/a/../b"):
        reference = common_pb2.Input(pointer=b"/model", source=b"job:" + job_id + tail)
        refused(lambda: submit(suite.user, [reference]))
    suite.user.call("Admin/Status")


@probe
def a_reference_carries_no_files(suite):
    job_id = suite.submit(suite.user)
    both = common_pb2.Input()
    both.CopyFrom(suite.model())
    both.source = b"job:" + job_id
    refused(lambda: submit(suite.user, [both]))


@probe
def input_paths_are_plain_and_unique(suite):
    for path in BAD_PATHS:
        changed = common_pb2.Input()
        changed.CopyFrom(suite.model())
        changed.files[0].path = path
        refused(lambda: submit(suite.user, [changed]))
    double = common_pb2.Input()
    double.CopyFrom(suite.model())
    double.files[0].path = double.files[1].path
    refused(lambda: submit(suite.user, [double]))


@probe
def what_is_accepted_can_be_leased(suite):
    """A submission of 256 KiB, a key of 2 bytes in it: refused, or run to an end, and shown."""
    gateway = suite.connect()
    large = suite.request(suite.model(), os.urandom(1).hex().encode())
    one = large.inputs[0].files[0]
    for number in range(3000):
        large.inputs[0].files.add(path=b"%06d" % number, digest=one.digest, size=one.size)
    while (room := 256 * 1024 - 5 - large.ByteSize()) > 0:
        for file in large.inputs[0].files[2 : 2 + min(room, 3000)]:
            file.path += b"p"
    try:
        job_id = gateway.call("Jobs/Submit", **fields_of(large)).job_id
    except qatrpc.CallFailed as failure:
        assert failure.code in REFUSALS + (RESOURCE_EXHAUSTED,), str(failure)
        return
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if suite.state(job_id) in (b"SUCCEEDED", b"FAILED"):
            return
        time.sleep(0.2)
    now = suite.state(job_id).decode()
    suite.user.call("Jobs/Cancel", job_id=job_id, now=True)
    raise AssertionError(f"the job was accepted and stays {now}")


@probe
def hostile_specifications_are_refused(suite):
    model = suite.model()
    for spec in (b"", b"[" * 100_000, b'{"a":' * 30_000 + b"1" + b"}" * 30_000, b"[]", b"null",
                 b'{"model": "tiny", "model": "b", "quantization": {"algorithm": "mxfp4"}}',
                 b'{"model": "tiny", "quantization": {"algorithm": "mxfp4"}, "seed": 1e999}',
                 b'{"model": "tiny", "quantization": {"algorithm": "\\ud800"}}',
                 b'{"model": "tiny\\u0000", "quantization": {"algorithm": "mxfp4"}}'):
        refused(lambda: submit(suite.user, [model], spec=spec), what=spec[:100])
    for inputs in ([], [model, model], [model] * 1000):
        refused(lambda: submit(suite.user, inputs))


@probe
def one_key_under_load_makes_one_job(suite):
    """100 submissions at once under one key, and 100 under as many: 128 calls of a name may run."""
    model = suite.model()
    for keys in ([b"one-" + os.urandom(4).hex().encode()] * 100,
                 [b"many-" + os.urandom(4).hex().encode() for _ in range(100)]):
        answers = []
        gateways = [suite.connect() for _ in range(8)]

        def work(gateway, part):
            streams = [(gateway.open("qat.v1.Jobs/Submit", suite.request(model, key)))
                       for key in part]
            for stream in streams:
                gateway.finish(stream)
                answers.append(suite.response(stream))
            gateway.close()

        threads = [threading.Thread(target=work, args=(gateway, keys[at::8]))
                   for at, gateway in enumerate(gateways)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 100, f"{len(answers)} of 100 were answered"
        created = sum(answer.created for answer in answers)
        distinct = len({answer.job_id for answer in answers})
        assert created == distinct == len(set(keys)), (created, distinct)
        for job_id in {answer.job_id for answer in answers}:
            suite.user.call("Jobs/Cancel", job_id=job_id, now=True)


@probe
def a_watch_starts_where_it_is_told(suite):
    job_id = suite.submit(suite.user)
    count = len(list(suite.user.watch(job_id)))
    for first in (0, 1, 2, count, count + 1):
        told = [event.seq for event in suite.user.watch(job_id, from_seq=first)]
        assert told == list(range(max(first, 1), count + 1)), f"from {first}: {told}"


@probe
def dependents_of_a_cancelled_job_end(suite):
    with suite.stopped("quant"):
        suite.submit(suite.user)  # taken by the stopped worker, if it was waiting
        first = suite.submit(suite.user)
        second = submit_after(suite.user, first).job_id
        suite.user.call("Jobs/Cancel", job_id=first, now=True)
        time.sleep(0.5)
        now = suite.state(second)
        assert now in (b"FAILED", b"CANCELLED"), f"its dependent is {now.decode()}"


@probe
def a_put_proves_possession(suite):
    """Whoever names a digest that is stored already still has to send its bytes."""
    secret = os.urandom(64)
    digest = hashlib.sha256(secret).digest()
    suite.user.put(digest, secret)
    eve = suite.connect(suite.issue("--user", "eve"))
    refused(lambda: eve.put(digest, os.urandom(64)), (DATA_LOSS, PERMISSION_DENIED))


@probe
def any_offset_into_a_log_is_answered(suite):
    job_id = suite.submit(suite.user)
    list(suite.user.watch(job_id))
    for offset in (1, 2**31, 2**63 - 1, 2**63, 2**64 - 1):
        request = jobs_service_pb2.JobLogsRequest(job_id=job_id, offset=offset)
        stream = suite.user.open("qat.v1.Jobs/Logs", request)
        try:
            suite.user.finish(stream)
        except qatrpc.CallFailed as failure:
            assert failure.code in REFUSALS + (OUT_OF_RANGE,), str(failure)


@probe
def what_one_user_stores_breaks_no_page(suite):
    """The last of this file: where it succeeds, status is broken for good."""
    eve = suite.connect(suite.issue("--user", "eve"))
    model = suite.store(eve)
    job_id = submit(eve, [model]).job_id
    list(eve.watch(job_id))
    for number in range(3):
        source = b"job:" + job_id + b"/" + b"x" * 200_000
        reference = common_pb2.Input(pointer=b"/model", source=source)
        try:
            submit(eve, [reference])
        except qatrpc.CallFailed as failure:
            assert failure.code in REFUSALS, str(failure)
    suite.user.call("Admin/Status")
    suite.user.call("Jobs/List", page_size=200)
    eve.call("Jobs/List", page_size=200)
