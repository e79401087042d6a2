"""What docs/PROTOCOL.md promises to peers that break the rules of a connection."""

import hashlib
import os
import socket
import ssl
import struct
import subprocess
import time

import qatrpc
from expectations import (
    ABORT_UNIMPLEMENTED, DATA_LOSS, FLOW_CONTROL, FRAME_TOO_LARGE, HANDSHAKE_TIMEOUT,
    INVALID_ARGUMENT, MESSAGE_TOO_LARGE, NO, PERMISSION_DENIED, PROTOCOL_ERROR, RETRY_LATER,
    TOO_MANY_CONTROL, UNAVAILABLE, VERSION_MISMATCH, call, expect_abort, expect_alive,
    expect_no_connection, expect_status, fields_of, probe, read_status,
)
from gateway import UNARY
from qat.v1 import cas_pb2, control_pb2, jobs_service_pb2
from qatrpc import (
    BLOB, CALL, CANCEL, COMPRESSED, CREDIT, DATA, END_STREAM, GOAWAY, HELLO, HELLO_ACK, IGNORABLE,
    MORE, PING, PONG, PREFACE, STATUS, frame, hello,
)

# Transport


@probe
def tls_1_2_is_refused(suite):
    context = suite.context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    expect_no_connection(suite, context)


@probe
def another_alpn_is_refused(suite):
    for alpn in ("h2", "qatrpc/2", None):
        expect_no_connection(suite, suite.context(alpn=alpn))


@probe
def plaintext_is_refused(suite):
    with socket.create_connection((suite.host, suite.port), 10) as plain:
        plain.sendall(PREFACE + frame(HELLO, 0, 0, hello()))
        try:
            answer = b"".join(iter(lambda: plain.recv(4096), b""))
        except ConnectionError:
            answer = b""
    assert len(answer) < 64 and HELLO_ACK not in answer[3:4], answer


@probe
def a_client_without_certificate_is_refused(suite):
    expect_no_connection(suite, suite.context(None))


def certificate(suite, name, names, *, usage="critical,digitalSignature", ca="FALSE",
                extended="serverAuth,clientAuth", days=1, authority=None):
    """A certificate with a fault, by the suite's authority unless another is named."""
    at = os.path.join(suite.scratch, name)
    with open(at + ".ext", "w") as file:
        lines = [f"basicConstraints=critical,CA:{ca}", f"keyUsage={usage}",
                 f"extendedKeyUsage={extended}"]
        if names:
            lines.append("subjectAltName=" + ",".join(f"URI:{uri}" for uri in names))
        file.write("\n".join(lines))
    authority = authority or os.path.join(suite.authority, "ca")

    def openssl(*arguments):
        subprocess.run(("openssl",) + arguments, check=True, capture_output=True)

    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", at + ".key")
    openssl("req", "-new", "-key", at + ".key", "-subj", "/CN=user", "-out", at + ".csr")
    openssl("x509", "-req", "-in", at + ".csr", "-CA", authority + ".pem", "-CAkey",
            authority + ".key", "-set_serial", str(int.from_bytes(os.urandom(8)) >> 1),
            "-days", str(days), "-extfile", at + ".ext", "-out", at + ".pem")
    return name


@probe
def wrong_certificates_are_refused(suite):
    user = ["spiffe://local/user/ada"]
    # The faults are in what is changed: the same certificate without them is taken.
    suite.connect(certificate(suite, "good", user)).close()
    for name, changed in {
        "two-names": dict(names=user + ["spiffe://local/svc/gateway/gateway-1"]),
        "no-name": dict(names=[]),
        "other-name": dict(names=["https://local/user/ada"]),
        "unsigned": dict(names=user, usage="critical,keyEncipherment"),
        "authority": dict(names=user, ca="TRUE", usage="critical,digitalSignature,keyCertSign"),
        "half-service": dict(names=["spiffe://local/svc/train/train-2"], extended="clientAuth"),
        "server-only": dict(names=user, extended="serverAuth"),
        "expired": dict(names=user, days=-1),
    }.items():
        try:
            expect_no_connection(suite, suite.context(certificate(suite, name, **changed)))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@probe
def another_trust_domain_is_refused(suite):
    """A name of another domain is nobody here, though this authority has signed it."""
    for name in ("spiffe://elsewhere/user/local", "spiffe://elsewhere/svc/quant/quant-1"):
        expect_no_connection(suite, suite.context(certificate(suite, "elsewhere", [name])))


@probe
def a_service_of_no_known_role_may_do_nothing(suite):
    peer = suite.connect(certificate(suite, "admin", ["spiffe://local/svc/admin/admin-1"]))
    for method in UNARY:
        expect_status(PERMISSION_DENIED, lambda: peer.call(method), processed=NO)


@probe
def another_authority_is_refused(suite):
    foreign = os.path.join(suite.scratch, "foreign")
    subprocess.run(
        [suite.client, "certs", "init", "--dir", foreign, "--trust-domain", "local", "--force"],
        check=True, capture_output=True,
    )
    name = certificate(suite, "stranger", ["spiffe://local/user/local"],
                       authority=os.path.join(foreign, "ca"))
    expect_no_connection(suite, suite.context(name))


# Opening


@probe
def a_wrong_preface_is_answered_with_abort(suite):
    expect_abort(suite.wire(), PROTOCOL_ERROR, b"GET / HTTP/1.1\r\n\r\n")


@probe
def nothing_may_come_before_hello(suite):
    expect_abort(suite.wire(), PROTOCOL_ERROR, PREFACE + frame(CALL, END_STREAM, 1, call()))


@probe
def hello_comes_once(suite):
    expect_abort(suite.greet(), PROTOCOL_ERROR, frame(HELLO, 0, 0, hello()))


@probe
def a_malformed_hello_is_answered_with_abort(suite):
    for bad in (b"\xff" * 20, b"\x20", hello(boot_id=b"\xff\xfe"), hello(build=b"a\0b")):
        expect_abort(suite.wire(), PROTOCOL_ERROR, PREFACE + frame(HELLO, 0, 0, bad))


@probe
def limits_out_of_range_are_refused(suite):
    for changed in (
        dict(max_frame=16 * 1024 - 1), dict(max_frame=2**20 + 1), dict(max_message=0),
        dict(max_message=2**20 + 1), dict(stream_credit=32 * 1024 - 1),
        dict(connection_credit=2**24 + 1),
    ):
        expect_abort(suite.wire(), PROTOCOL_ERROR, PREFACE + frame(HELLO, 0, 0, hello(**changed)))


@probe
def a_later_version_is_refused(suite):
    opening = PREFACE + frame(HELLO, 0, 0, hello(minor_min=1, minor_max=3))
    expect_abort(suite.wire(), VERSION_MISMATCH, opening)


@probe
def the_smaller_limits_hold(suite):
    small = suite.connect(max_frame=16 * 1024, max_message=20 * 1024)
    assert (small.ack.max_frame, small.ack.max_message) == (16 * 1024, 20 * 1024), small.ack
    large = suite.connect(max_frame=2**20, max_message=2**20, connection_credit=2**24)
    assert (large.ack.max_frame, large.ack.max_message) == (64 * 1024, 256 * 1024), large.ack
    assert large.ack.stream_credit == 256 * 1024 and large.ack.connection_credit == 2**20


@probe(slow=True)
def an_opening_has_ten_seconds(suite):
    """TLS is done, HELLO comes byte by byte; slow: runs beside the others."""
    wire = suite.wire()
    started = time.monotonic()
    wire.tls.settimeout(20)
    wire.send(PREFACE[:3])
    expect_abort(wire, HANDSHAKE_TIMEOUT)
    assert 9 < time.monotonic() - started < 13


@probe(slow=True)
def a_silent_client_is_dropped_before_tls(suite):
    started = time.monotonic()
    with socket.create_connection((suite.host, suite.port), 20) as plain:
        try:
            assert plain.recv(1) == b""
        except ConnectionError:
            pass
    assert 9 < time.monotonic() - started < 13


# Frames


@probe
def headers_are_checked_before_any_body(suite):
    def header(length, type, flags=0, reserved=0, stream=1):
        return struct.pack(">IHHI", length << 8 | type, flags, reserved, stream)

    for code, bad in (
        (PROTOCOL_ERROR, header(10, DATA, flags=0x10)),
        (PROTOCOL_ERROR, header(10, DATA, reserved=1)),
        (FRAME_TOO_LARGE, header(64 * 1024 + 1, DATA)),
        (FRAME_TOO_LARGE, header(2**24 - 1, BLOB)),
        (FRAME_TOO_LARGE, header(2**24 - 1, 77, flags=IGNORABLE, stream=0)),
    ):
        expect_abort(suite.greet(), code, bad)


@probe
def control_frames_have_a_limit_of_their_own(suite):
    expect_abort(suite.greet(), FRAME_TOO_LARGE, frame(CALL, 0, 1, b"\0" * (16 * 1024 + 1)))


@probe
def unknown_types_are_skipped_if_ignorable(suite):
    wire = suite.greet()
    wire.send(frame(99, IGNORABLE, 0, b"from the future"))
    wire.send(frame(200, IGNORABLE, 12345, b""))
    expect_alive(wire, 1)
    expect_abort(wire, ABORT_UNIMPLEMENTED, frame(99, 0, 0, b"from the future"))


@probe
def compression_was_not_negotiated(suite):
    expect_abort(suite.greet(), ABORT_UNIMPLEMENTED,
                 frame(CALL, END_STREAM | COMPRESSED, 1, call()))


# Streams


@probe
def stream_numbers_are_odd_and_rise(suite):
    for number in (0, 2, 2**32 - 2):
        expect_abort(suite.greet(), PROTOCOL_ERROR, frame(CALL, END_STREAM, number, call()))
    for again in (5, 3):
        wire = suite.greet()
        expect_alive(wire, 5)
        expect_abort(wire, PROTOCOL_ERROR, frame(CALL, END_STREAM, again, call()))


@probe
def the_last_stream_number_is_served(suite):
    expect_alive(suite.greet(), 2**32 - 1)


@probe
def frames_for_a_stream_that_never_was_end_the_connection(suite):
    cancelled = struct.pack(">I", qatrpc.CANCELLED)
    for bad in (frame(DATA, END_STREAM, 7, b"x"), frame(BLOB, END_STREAM, 7, b"x"),
                frame(CANCEL, 0, 7, cancelled), frame(CREDIT, 0, 7, struct.pack(">I", 2000))):
        wire = suite.greet()
        expect_alive(wire, 5)
        expect_abort(wire, PROTOCOL_ERROR, bad)


@probe
def frames_for_a_closed_stream_are_dropped_and_credited(suite):
    wire = suite.greet()
    expect_alive(wire, 1)
    # More than the connection's credit in all: without credit for what is dropped, a violation.
    credit = 2**20
    for _ in range(40):
        while credit < 64 * 1024 + 12:
            type, _, stream, payload = wire.receive_frame()
            assert (type, stream) == (CREDIT, 0), f"type {type} on stream {stream}"
            credit += struct.unpack(">I", payload)[0]
        wire.send(frame(DATA, MORE, 1, b"\0" * 64 * 1024))
        credit -= 64 * 1024 + 12
    wire.send(frame(CANCEL, 0, 1, struct.pack(">I", qatrpc.CANCELLED)))
    expect_alive(wire, 3)


def put_call(number, data, flags=0, **fields):
    """Opens a Put by hand, up to and with the blob's header."""
    digest = hashlib.sha256(data).digest()
    request = cas_pb2.PutBlobRequest(digest=digest, size=len(data)).SerializeToString()
    envelope = call("qat.v1.Cas/Put", request, expects_blob=True, timeout_ms=10_000, **fields)
    header = qatrpc.BLOB_HEADER.pack(digest, len(data), 0)
    return frame(CALL, 0, number, envelope) + frame(BLOB, flags, number, header)


@probe
def a_short_upload_fails_alone(suite):
    wire = suite.greet()
    data = os.urandom(200_000)
    wire.send(put_call(1, data) + frame(BLOB, END_STREAM, 1, data[:50_000]))
    assert read_status(wire, 1).code == DATA_LOSS
    expect_alive(wire, 3)


def watch_call(suite, flags):
    """Opens a watch that lasts as long as a job, which has only begun."""
    request = jobs_service_pb2.WatchJobRequest(job_id=suite.submit(suite.user), from_seq=1000)
    envelope = call("qat.v1.Jobs/Watch", request.SerializeToString())
    return frame(CALL, flags, 1, envelope)


@probe
def nothing_follows_the_end_of_a_stream(suite):
    wire = suite.greet()
    expect_abort(wire, PROTOCOL_ERROR, watch_call(suite, END_STREAM) + frame(DATA, 0, 1, b"more"))


@probe
def more_is_for_data_only(suite):
    expect_abort(suite.greet(), PROTOCOL_ERROR, put_call(1, b"four", flags=MORE))


@probe
def more_and_end_exclude_each_other(suite):
    wire = suite.greet()
    # A call that waits for its blob; one that is answered at once is over when the frame comes.
    wire.send(frame(CALL, 0, 1, call("qat.v1.Cas/Put")))
    expect_abort(wire, PROTOCOL_ERROR, frame(DATA, MORE | END_STREAM, 1, b""))


@probe
def only_the_server_sends_these(suite):
    for type, message in ((STATUS, control_pb2.CallStatus()), (GOAWAY, control_pb2.GoAway()),
                          (HELLO_ACK, control_pb2.HelloAck())):
        wire = suite.greet()
        expect_abort(wire, PROTOCOL_ERROR, frame(type, 0, 0, message.SerializeToString()))


# Limits


@probe
def an_overrun_stream_ends_the_connection(suite):
    """The handler of a watch takes one message; nothing gives credit back for a second."""
    part = frame(DATA, 0, 1, b"\0" * 64 * 1024)
    wire = suite.greet()
    expect_abort(wire, FLOW_CONTROL, watch_call(suite, 0) + part * 4)


@probe
def credit_counts_headers(suite):
    """Four parts of 65,524 bytes and their headers are 256 KiB: one more is too many."""
    wire = suite.greet()
    part = frame(DATA, 0, 1, b"\0" * (64 * 1024 - 12))
    wire.send(watch_call(suite, 0) + part * 4)
    expect_abort(wire, FLOW_CONTROL, frame(DATA, 0, 1, b""))


@probe
def credit_is_positive_and_bounded(suite):
    for grant in (b"", b"\0\0\0", struct.pack(">I", 0), struct.pack(">I", 2**24 + 1)):
        expect_abort(suite.greet(), PROTOCOL_ERROR, frame(CREDIT, 0, 0, grant))
    expect_abort(suite.greet(), FLOW_CONTROL, frame(CREDIT, 0, 0, struct.pack(">I", 2**24)))


@probe
def a_message_has_a_limit(suite):
    wire = suite.greet()
    wire.send(frame(CALL, 0, 1, control_pb2.CallEnvelope(
        method=b"qat.v1.Jobs/Submit", timeout_ms=30_000).SerializeToString()))
    part = frame(DATA, MORE, 1, b"\x22" * 50_000)
    expect_abort(wire, MESSAGE_TOO_LARGE, *[part] * 6)


@probe
def a_message_at_the_limit_is_taken(suite):
    """Just under 256 KiB in two dozen parts: no ABORT, whatever the method says to it."""
    gateway = suite.connect()
    request = jobs_service_pb2.SubmitJobRequest(kind=b"no such kind", key=b"k", spec_json=b"{}")
    request.name = b"n" * (256 * 1024 - request.ByteSize() - 5)
    assert 256 * 1024 - 4 <= request.ByteSize() <= 256 * 1024
    gateway.max_frame = 11_000
    expect_status(INVALID_ARGUMENT, lambda: gateway.call("Jobs/Submit", **fields_of(request)))


@probe
def running_handlers_have_a_limit(suite):
    """The 129th call is refused as not processed; the place of a cancelled one is free again."""
    wire = suite.greet()
    waiting = control_pb2.CallEnvelope(
        method=b"qat.v1.Jobs/Get", timeout_ms=30_000).SerializeToString()
    numbers = range(1, 257, 2)
    wire.send(b"".join(frame(CALL, 0, number, waiting) for number in numbers))
    wire.send(frame(CALL, END_STREAM, 301, call()))
    status = read_status(wire, 301)
    told = (status.code, status.category, status.processed)
    assert told == (UNAVAILABLE, RETRY_LATER, NO), status
    wire.send(frame(CANCEL, 0, 1, struct.pack(">I", qatrpc.CANCELLED)))
    time.sleep(0.2)  # no STATUS follows a CANCEL that would tell when the handler is gone
    expect_alive(wire, 303)


@probe
def control_frames_have_a_rate(suite):
    pong = frame(PONG, 0, 0, b"12345678")
    expect_abort(suite.greet(), TOO_MANY_CONTROL, pong * 400)


@probe
def pings_are_answered_and_have_a_rate(suite):
    wire = suite.greet()
    wire.send(frame(PING, 0, 0, b"\0\1opaque"))
    type, _, stream, payload = wire.receive_frame()
    assert (type, stream, payload) == (PONG, 0, b"\0\1opaque")
    for _ in range(3):
        wire.send(frame(PING, 0, 0, b"too soon"))
    while type == PONG:
        type, _, _, payload = wire.receive_frame()
    assert type == GOAWAY, type
    assert control_pb2.GoAway.FromString(payload).reason == 2
    try:
        wire.receive_frame()
    except qatrpc.ConnectionEnded:
        return
    raise AssertionError("the connection goes on")
