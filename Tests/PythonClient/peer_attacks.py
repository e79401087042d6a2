"""What one peer costs the others: openings, memory, floods, and queues of a hostile shape.

Most of it takes long, or what everybody needs, and is run by name only: see README.md.
"""

import hashlib
import os
import random
import resource
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress

import qatrpc
from expectations import REFUSALS, RESOURCE_EXHAUSTED, call, probe
from qat.v1 import cas_pb2, common_pb2, control_pb2
from qatrpc import CALL, DATA, END_STREAM, MORE, STATUS, frame, hello
from user_attacks import submit, submit_after


@contextmanager
def silent_openings(suite, count, source):
    """TCP connections from one address, on which nothing is ever said."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    sockets = []
    try:
        for _ in range(count):
            with suppress(ConnectionError):
                sockets.append(socket.create_connection((suite.host, suite.port), 5, (source, 0)))
        yield
    finally:
        for each in sockets:
            each.close()


def expect_service(suite, source):
    """Somebody with a certificate is served within a few seconds."""
    try:
        gateway = suite.connect(source=source, timeout=5)
        assert gateway.call("Health/Check").status == 1
        gateway.close()
    except (OSError, qatrpc.ConnectionEnded) as error:
        raise AssertionError(f"a user at {source} is not served: {error}") from error


@probe
def silent_openings_harm_no_other_address(suite):
    with silent_openings(suite, 300, "127.0.0.9"):
        expect_service(suite, "127.0.0.1")


@probe
def silent_openings_do_not_lock_their_address_out(suite):
    with silent_openings(suite, 300, "127.0.0.10"):
        expect_service(suite, "127.0.0.10")


@probe(alone=True)
def silent_openings_from_many_addresses_lock_nobody_out(suite):
    with ExitStack() as stack:
        for last in range(11, 17):
            stack.enter_context(silent_openings(suite, 260, f"127.0.0.{last}"))
        expect_service(suite, "127.0.0.1")


@probe
def loops_of_calls_and_cancels_gain_nothing(suite):
    """Opening and cancelling at once: as many as the rate of control frames admits, then ABORT."""
    wire = suite.greet()
    job_id = suite.submit(suite.user)
    request = b"\x0a" + bytes([len(job_id)]) + job_id
    envelope = call("qat.v1.Jobs/Watch", request)
    cancel = b"\0\0\0\1"
    try:
        for number in range(1, 2001, 2):
            wire.send(frame(CALL, END_STREAM, number, envelope)
                      + frame(qatrpc.CANCEL, 0, number, cancel))
        while True:
            type, *_, payload = wire.receive_frame()
            if type == qatrpc.ABORT:
                abort = control_pb2.Abort.FromString(payload)
                assert abort.code == 9, abort
                return
    except qatrpc.ConnectionEnded:
        pass
    finally:
        assert suite.user.call("Health/Check").status == 1


@probe
def every_call_has_one_status(suite):
    """20,000 calls in a row, and only then the first look at the answers."""
    wire, count = suite.greet(), 20_000
    envelope = call("qat.v1.No/Such")
    for first in range(1, 2 * count, 2000):
        wire.send(b"".join(frame(CALL, END_STREAM, number, envelope)
                           for number in range(first, first + 2000, 2)))
    time.sleep(0.3)
    answers = Counter()
    while len(answers) < count:
        type, _, number, _ = wire.receive_frame()
        if type == STATUS:
            answers[number] += 1
            time.sleep(0.00001)
    double = [number for number, times in answers.items() if times > 1]
    assert not double, f"{len(double)} streams have two, from stream {double[0]} on"


@probe
def random_frames_end_their_connection_at_most(suite):
    """Frames of every type, most of them nearly right, on sixty connections."""
    seed = int.from_bytes(os.urandom(4))
    numbers = random.Random(seed)
    boot = suite.user.ack.boot_id
    payloads = [b"", b"\0\0\0\1", b"12345678", hello(), call(), call("qat.v1.Jobs/List"),
                call("qat.v1.Cas/Put", expects_blob=True), b"\x0a\x02\xff", bytes(48)]
    for _ in range(60):
        wire = suite.greet()
        with suppress(qatrpc.ConnectionEnded, OSError):
            for _ in range(30):
                payload = bytearray(numbers.choice(payloads))
                if payload and numbers.random() < 0.5:
                    payload[numbers.randrange(len(payload))] = numbers.randrange(256)
                type = numbers.choice((3, 3, 3, 4, 4, 5, 5, 7, 8, 9, 10, numbers.randrange(256)))
                flags = numbers.choice((0, 1, 2, 3, 0x8000))
                stream = numbers.choice((0, 1, 1, 3, 3, 5, 2**31 + 1))
                wire.send(frame(type, flags, stream, bytes(payload)))
        wire.close()
    assert suite.connect().ack.boot_id == boot, f"the gateway has died of seed {seed}"


# Memory: what one certificate may cost, of the 256 connections that an address may have

MEBIBYTE = 2**20


@contextmanager
def bounded_memory(suite, bound):
    """The gateway's resident memory may grow by that much."""
    before = suite.resident_bytes("gateway")
    yield
    grown = suite.resident_bytes("gateway") - before
    assert grown < bound, f"{grown / MEBIBYTE:.0f} MiB more"


@probe(alone=True)
def unfinished_messages_are_bounded_per_connection(suite):
    wires = [suite.greet() for _ in range(4)]
    for wire in wires:
        threading.Thread(target=drain, args=(wire,), daemon=True).start()
    envelope = control_pb2.CallEnvelope(method=b"qat.v1.Jobs/Submit").SerializeToString()
    with bounded_memory(suite, len(wires) * 8 * MEBIBYTE):
        for wire in wires:
            for number in range(1, 257, 2):
                wire.send(frame(CALL, 0, number, envelope))
                for _ in range(4):
                    wire.send(frame(DATA, MORE, number, b"\x22" * 65_000))
        time.sleep(1)
    for wire in wires:
        wire.close()


def drain(wire):
    with suppress(Exception):
        while True:
            wire.receive_frame()


@probe(alone=True)
def unread_answers_are_bounded_per_connection(suite):
    blob = os.urandom(4 * MEBIBYTE)
    digest = hashlib.sha256(blob).digest()
    suite.user.put(digest, blob)
    request = cas_pb2.GetBlobRequest(digest=digest).SerializeToString()
    wires = [suite.greet(stream_credit=2**24, connection_credit=2**24) for _ in range(4)]
    with bounded_memory(suite, len(wires) * 8 * MEBIBYTE):
        for wire in wires:
            for number in range(1, 257, 2):
                wire.send(frame(CALL, END_STREAM, number, call("qat.v1.Cas/Get", request)))
        time.sleep(3)
    for wire in wires:
        wire.close()


@probe(alone=True)
def a_peer_that_reads_nothing_is_dropped(suite):
    """Bytes that do not move for ten seconds end the connection."""
    blob = os.urandom(16 * MEBIBYTE)
    digest = hashlib.sha256(blob).digest()
    suite.user.put(digest, blob)
    wire = suite.greet(stream_credit=2**24, connection_credit=2**24)
    request = cas_pb2.GetBlobRequest(digest=digest).SerializeToString()
    wire.send(frame(CALL, END_STREAM, 1, call("qat.v1.Cas/Get", request)))
    time.sleep(13)
    with suppress(qatrpc.ConnectionEnded):
        while wire.receive_frame()[0] != qatrpc.STATUS:
            pass
        raise AssertionError("the download went on after 13 seconds")


# Queues


@probe(known="a failure runs down a chain of dependents by recursion", alone=True)
def a_chain_of_dependents_ends_with_its_first(suite):
    """6,000 jobs, each waiting for the one before: limits at submission, or an end for all."""
    broken = common_pb2.Input()
    broken.CopyFrom(suite.model())
    broken.files[0].path = b"no-config.json"
    boot = suite.user.ack.boot_id
    with suite.stopped("quant"):
        submit(suite.user, [suite.model()])  # for the worker that stands still
        ids = [submit(suite.user, [broken]).job_id]
        for _ in range(6000):
            try:
                ids.append(submit_after(suite.user, ids[-1]).job_id)
            except qatrpc.CallFailed as failure:
                assert failure.code in REFUSALS + (RESOURCE_EXHAUSTED,), str(failure)
                break
    assert len(ids) > 32, f"a chain of {len(ids)} jobs is no chain"
    print(f"  a chain of {len(ids)} jobs")
    deadline = time.monotonic() + 60
    told = None
    while told != b"FAILED":
        assert time.monotonic() < deadline, f"the last is {told}"
        time.sleep(1)
        gateway = suite.connect()
        assert gateway.ack.boot_id == boot, "the gateway has died of it"
        told = gateway.call("Jobs/Get", job_id=ids[-1]).summary.state


GPU = b"""{"model": "tiny", "quantization": {"algorithm": "mxfp4"}, "optim": {"lr": 1e-4},
"trainer": {"max_steps": 1, "accelerator": "gpu"}, "data": {"train": ["t"], "seq_length": 8}}"""
CPU = GPU.replace(b'"gpu"', b'"cpu"')


@probe(known="the queue's head is looked at, whatever workers offer", alone=True)
def jobs_that_fit_nobody_stand_before_nobody(suite):
    text = b"to be or not to be, " * 400
    digest = hashlib.sha256(text).digest()
    suite.user.put(digest, text)
    inputs = [suite.model(), common_pb2.Input(pointer=b"/data/train/0", source=b"t", files=[
        common_pb2.InputFile(path=b"t", digest=digest, size=len(text))])]
    for _ in range(150):
        submit(suite.user, inputs, kind=b"train", spec=GPU)
    job_id = submit(suite.user, inputs, kind=b"train", spec=CPU).job_id
    for event in suite.user.watch(job_id):  # a read that times out fails the probe
        if event.state == b"STARTING":
            return
