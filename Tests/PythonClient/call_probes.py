"""What docs/PROTOCOL.md promises to callers: calls, messages, blobs, jobs."""

import hashlib
import os
import time

import qatrpc
from expectations import (
    ALREADY_EXISTS, CATEGORY_UNIMPLEMENTED, DATA_LOSS, DEADLINE_EXCEEDED, INVALID_ARGUMENT, NO,
    NOT_FOUND, PERMANENT, PERMISSION_DENIED, RETRY_LATER, UNIMPLEMENTED, call, expect_alive,
    expect_status, probe, read_status,
)
from gateway import UNARY
from qat.v1 import cas_pb2, common_pb2, control_pb2
from qatrpc import BLOB, CALL, END_STREAM, frame

# Calls


@probe
def an_unknown_method_is_unimplemented(suite):
    for method in ("qat.v1.Jobs/Destroy", "Jobs/Get", "qat.v1.jobs/get", "/"):
        expect_status(
            UNIMPLEMENTED,
            lambda: suite.user.finish(suite.user.open(method, cas_pb2.PutBlobRequest())),
            category=CATEGORY_UNIMPLEMENTED, processed=NO,
        )


@probe
def users_may_not_call_workers_methods(suite):
    for method in UNARY:
        if method.startswith("Lease/"):
            expect_status(PERMISSION_DENIED, lambda: suite.user.call(method),
                          category=PERMANENT, processed=NO)


@probe
def workers_may_not_call_users_methods(suite):
    worker = suite.connect("eval-1")
    for method in ("Jobs/Submit", "Jobs/Get", "Jobs/List", "Jobs/Cancel", "Jobs/Pause",
                   "Jobs/Resume", "Jobs/Retry", "Admin/Status"):
        expect_status(PERMISSION_DENIED, lambda: worker.call(method), processed=NO)
    expect_status(PERMISSION_DENIED, lambda: list(worker.watch(b"x")), processed=NO)


@probe
def nobody_but_a_gateway_acts_for_others(suite):
    for name in ("user", "train-1"):
        gateway = suite.connect(name)
        expect_status(PERMISSION_DENIED, lambda: gateway.finish(
            gateway.open("qat.v1.Health/Check", UNARY["Health/Check"][0](),
                         on_behalf_of=b"spiffe://local/user/ada")), processed=NO)


@probe
def an_envelope_has_limits(suite):
    entry = control_pb2.CallMetadata(key=b"k", value=b"v")
    for stream, bad in enumerate((
        call(metadata=[entry] * 33),
        call(metadata=[control_pb2.CallMetadata(key=b"k", value=b"v" * 8192)]),
        call("x" * 129), call(""), call(call_id=b"short"), call(idempotency_key=b"k" * 65),
    )):
        wire = suite.greet()
        wire.send(frame(CALL, END_STREAM, 2 * stream + 1, bad))
        status = read_status(wire, 2 * stream + 1)
        assert (status.code, status.processed) == (INVALID_ARGUMENT, NO), status
        expect_alive(wire, 2 * stream + 3)


@probe
def a_deadline_ends_a_call(suite):
    started = time.monotonic()
    gateway = suite.connect()
    stream = gateway.open("qat.v1.Jobs/Get", None, end=False, timeout_ms=300)
    expect_status(DEADLINE_EXCEEDED, lambda: gateway.finish(stream), category=RETRY_LATER)
    assert 0.25 < time.monotonic() - started < 3


@probe
def a_unary_call_needs_a_deadline(suite):
    expect_status(INVALID_ARGUMENT, lambda: suite.user.call("Health/Check", timeout_ms=0))


@probe
def a_request_is_there_once(suite):
    gateway = suite.connect()
    expect_status(INVALID_ARGUMENT, lambda: gateway.finish(
        gateway.open("qat.v1.Health/Check", None)))


# Decoding


@probe
def hostile_messages_are_refused(suite):
    """A failed request does not end the connection."""
    digest = b"\x0a\x20" + b"d" * 32
    many = {
        "not protobuf": b"\xff" * 40,
        "truncated": b"\x0a\x7fabc",
        "a list of 4,097": digest * 4097,
        "65 unknown fields": b"\xf8\x07\x01" * 65,
        "group": b"\x0b" * 1000,
    }
    for name, data in many.items():
        stream = suite.user.open("qat.v1.Cas/FindMissing", Raw(data))
        try:
            expect_status(INVALID_ARGUMENT, lambda: suite.user.finish(stream))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
    # The limits themselves are still in.
    suite.user.finish(suite.user.open("qat.v1.Cas/FindMissing", Raw(digest * 4096)))
    suite.user.finish(suite.user.open("qat.v1.Cas/FindMissing", Raw(b"\xf8\x07\x01" * 64)))


class Raw:
    """Bytes where a message is expected."""

    def __init__(self, data):
        self.data = data

    def SerializeToString(self):
        return self.data


@probe
def text_is_utf8_without_nul(suite):
    for bad in (b"a\0b", b"\xff\xfe", b"\xed\xa0\x80"):
        expect_status(INVALID_ARGUMENT, lambda: suite.user.call("Jobs/Get", job_id=bad))


@probe
def merged_messages_cost_no_memory(suite):
    """Each occurrence of a singular sub-message is merged into a new copy of it in protobuf-c."""
    inner = b"\x0a\x02ab" * 100
    event = b"\x42" + bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7]) + inner
    body = event * 90
    length = bytes([len(body) & 0x7F | 0x80, (len(body) >> 7) & 0x7F | 0x80, len(body) >> 14])
    worker = suite.connect("eval-1")
    stream = worker.open("qat.v1.Lease/Heartbeat", Raw((b"\x2a" + length + body) * 6))
    expect_status(INVALID_ARGUMENT, lambda: worker.finish(stream))


# Blobs


@probe
def a_blob_is_what_its_digest_says(suite):
    digest = hashlib.sha256(os.urandom(8)).digest()
    expect_status(DATA_LOSS, lambda: suite.user.put(digest, b"something else"),
                  category=PERMANENT)
    missing = suite.user.call("Cas/FindMissing", digests=[digest]).digests
    assert list(missing) == [digest], "a blob that failed its check is stored"


@probe
def a_blob_has_the_announced_length(suite):
    for announced in (999, 1001):
        data = os.urandom(1000)
        request = cas_pb2.PutBlobRequest(digest=hashlib.sha256(data).digest(), size=announced)
        wire = suite.greet()
        wire.send(frame(CALL, 0, 1, call("qat.v1.Cas/Put", request.SerializeToString(),
                                         expects_blob=True)))
        header = qatrpc.BLOB_HEADER.pack(request.digest, announced, 0)
        wire.send(frame(BLOB, 0, 1, header) + frame(BLOB, END_STREAM, 1, data))
        status = read_status(wire, 1)
        assert status.code == DATA_LOSS, status
        expect_alive(wire, 3)


@probe
def what_is_not_stored_is_not_found(suite):
    expect_status(NOT_FOUND, lambda: suite.user.get(b"\1" * 32))
    expect_status(INVALID_ARGUMENT, lambda: suite.user.get(b"short"))


@probe
def empty_blobs_and_ranges_work(suite):
    empty = hashlib.sha256(b"").digest()
    assert suite.user.put(empty, b"").size == 0
    assert suite.user.get(empty) == ((empty, 0, 0), b"")
    data = bytes(range(256)) * 1000
    digest = hashlib.sha256(data).digest()
    suite.user.put(digest, data)
    for offset, length in ((0, 0), (1, 1), (255_999, 1), (256_000, 0), (100_000, 150_000)):
        told, part = suite.user.get(digest, offset, length)
        end = offset + length if length else len(data)
        assert part == data[offset:end] and told == (digest, len(data), offset), (offset, length)
    expect_status(INVALID_ARGUMENT, lambda: suite.user.get(digest, 256_001, 0))


# Jobs


@probe
def one_key_names_one_specification(suite):
    model = suite.model()
    key = os.urandom(8).hex().encode()

    def submit(algorithm, inputs=(model,)):
        spec = '{"model": "tiny", "quantization": {"algorithm": "%s"}}' % algorithm
        return suite.user.call("Jobs/Submit", kind=b"quantize", name=b"key", key=key,
                               spec_json=spec.encode(), inputs=inputs)

    first = submit("mxfp4")
    assert first.created
    again = submit("mxfp4")
    assert (again.job_id, again.created) == (first.job_id, False)
    expect_status(ALREADY_EXISTS, lambda: submit("nvfp4"), category=PERMANENT)
    other = common_pb2.Input()
    other.CopyFrom(model)
    other.files[0].path = b"other.json"
    expect_status(ALREADY_EXISTS, lambda: submit("mxfp4", [other]))


@probe
def a_cancelled_watch_cancels_no_job(suite):
    gateway = suite.connect()
    job_id = suite.submit(gateway)
    events = gateway.watch(job_id)
    next(events)
    events.close()
    for event in gateway.watch(job_id):
        last = event
    assert last.state == b"SUCCEEDED", last
