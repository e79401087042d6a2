"""qatrpc/1 as docs/PROTOCOL.md says it, with Python's ssl and the public protobuf runtime.

One thread, blocking: whoever waits for a stream reads the connection and hands every frame to the
stream that it names. Nothing here is shared with the product but the .proto files.
"""

import os
import socket
import ssl
import struct
import time
import uuid
from collections import deque

from qat.v1 import control_pb2

PREFACE = b"QATRPC1\n"
ALPN = "qatrpc/1"

HELLO, HELLO_ACK, CALL, DATA, BLOB, STATUS = 1, 2, 3, 4, 5, 6
CANCEL, CREDIT, PING, PONG, GOAWAY, ABORT = 7, 8, 9, 10, 11, 12
END_STREAM, MORE, COMPRESSED, IGNORABLE = 0x1, 0x2, 0x4, 0x8000

# A CALL carries its first message only up to here; longer ones follow as DATA.
INLINE_MESSAGE = 8 * 1024
BLOB_HEADER = struct.Struct(">32sQQ")
FRAME_HEADER = 12
CANCELLED = 1  # gRPC's number

# What this side takes before it must grant more.
CONNECTION_CREDIT = 1024 * 1024
STREAM_CREDIT = 256 * 1024


class ConnectionAborted(Exception):
    """The server sent ABORT: a rule of the protocol was broken."""

    def __init__(self, abort):
        self.code = abort.code
        self.message = abort.message.decode()
        super().__init__(f"ABORT {self.code}: {self.message}")


class ConnectionEnded(Exception):
    """The server closed the connection, or refused it in TLS, without ABORT."""


class CallFailed(Exception):
    """A call ended with a STATUS other than 0."""

    def __init__(self, status):
        self.status = status
        self.code = status.code
        self.message = status.message.decode()
        fields = "; ".join(
            f"{v.path.decode()}: {v.description.decode()}" for v in status.violations
        )
        super().__init__(
            f"STATUS {status.code}, category {status.category}, processed {status.processed}: "
            f"{self.message}" + (f" ({fields})" if fields else "")
        )


def frame(type, flags, stream, payload=b""):
    """One frame: length u24, type u8, flags u16, reserved u16 = 0, stream u32; big-endian."""
    return struct.pack(">IHHI", len(payload) << 8 | type, flags, 0, stream) + payload


def tls_context(ca, certificate=None, key=None, alpn=ALPN):
    """TLS 1.3 only, the deployment's authority only, our own certificate, the protocol's ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(ca)
    if certificate:
        context.load_cert_chain(certificate, key)
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


def connect_tls(host, port, context, timeout=10, source=""):
    """A TLS connection; its other side has proved nothing but its chain and its host so far."""
    plain = socket.create_connection((host, port), timeout, (source, 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def peer_names(tls):
    """The URI names in the other side's certificate."""
    names = tls.getpeercert().get("subjectAltName", ())
    return [value for kind, value in names if kind == "URI"]


class Wire:
    """Frames over a TLS connection, before any rule of streams and credits."""

    def __init__(self, tls):
        self.tls = tls
        self.buffer = bytearray()

    def send(self, data):
        try:
            self.tls.sendall(data)
        except OSError as error:
            # What the server said before it closed is still there to be read.
            raise ConnectionEnded(f"sending: {error}") from error

    def receive(self, count):
        while len(self.buffer) < count:
            try:
                part = self.tls.recv(65536)
            except TimeoutError:
                raise
            except OSError as error:
                raise ConnectionEnded(f"receiving: {error}") from error
            if not part:
                raise ConnectionEnded("the server closed the connection")
            self.buffer += part
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def receive_frame(self):
        """(type, flags, stream, payload)."""
        word, flags, reserved, stream = struct.unpack(">IHHI", self.receive(12))
        if reserved:
            raise ConnectionEnded(f"the server sent a reserved field of {reserved}")
        return word & 0xFF, flags, stream, self.receive(word >> 8)

    def close(self):
        self.tls.close()


def hello(**changed):
    """A HELLO with the document's defaults as our limits."""
    fields = dict(
        minor_min=0, minor_max=0, features=0,
        max_frame=64 * 1024, max_message=256 * 1024,
        connection_credit=CONNECTION_CREDIT, stream_credit=STREAM_CREDIT, max_streams=128,
        ping_min_ms=10_000, ping_timeout_ms=10_000,
        build=b"qat-python-client", instance_id=b"python", boot_id=str(uuid.uuid4()).encode(),
    )
    fields.update(changed)
    return control_pb2.Hello(**fields).SerializeToString()


class Stream:
    """What the connection knows of one call."""

    def __init__(self, number, send_credit):
        self.number = number
        self.send_credit = send_credit
        self.owed_credit = 0
        self.messages = deque()
        self.partial = b""
        self.blob = None  # (digest, size, offset) once its first frame is there
        self.blob_parts = deque()
        self.status = None


class Connection:
    """An established connection: HELLO_ACK has come, so calls may be sent."""

    def __init__(self, tls, **hello_fields):
        self.wire = Wire(tls)
        self.wire.send(PREFACE + frame(HELLO, 0, 0, hello(**hello_fields)))
        type, _, stream, payload = self.wire.receive_frame()
        if type == ABORT:
            raise ConnectionAborted(control_pb2.Abort.FromString(payload))
        if type != HELLO_ACK or stream != 0:
            raise ConnectionEnded(f"type {type} came instead of HELLO_ACK")
        self.ack = control_pb2.HelloAck.FromString(payload)
        self.max_frame = self.ack.max_frame
        self.send_credit = self.ack.connection_credit
        self.owed_credit = 0
        self.streams = {}
        self.next_stream = 1
        self.goaway = None

    # Receiving

    def pump(self):
        """Takes one frame from the wire to where it belongs."""
        type, flags, number, payload = self.wire.receive_frame()
        if type == PING:
            self.wire.send(frame(PONG, 0, 0, payload))
        elif type == ABORT:
            raise ConnectionAborted(control_pb2.Abort.FromString(payload))
        elif type == GOAWAY:
            self.goaway = control_pb2.GoAway.FromString(payload)
        elif type == CREDIT:
            (granted,) = struct.unpack(">I", payload)
            if number == 0:
                self.send_credit += granted
            elif number in self.streams:
                self.streams[number].send_credit += granted
        elif type in (DATA, BLOB):
            # Taken and dropped bytes are credited alike, or the connection would run dry.
            self.owed_credit = self.grant(0, self.owed_credit + FRAME_HEADER + len(payload))
            stream = self.streams.get(number)
            if stream is None:
                return
            stream.owed_credit = self.grant(
                number, stream.owed_credit + FRAME_HEADER + len(payload)
            )
            if type == DATA:
                stream.partial += payload
                if not flags & MORE:
                    stream.messages.append(stream.partial)
                    stream.partial = b""
            else:
                if stream.blob is None:
                    stream.blob = BLOB_HEADER.unpack_from(payload)
                    payload = payload[BLOB_HEADER.size :]
                stream.blob_parts.append(payload)
        elif type == STATUS:
            stream = self.streams.get(number)
            if stream is not None:
                stream.status = control_pb2.CallStatus.FromString(payload)
        elif type == PONG or flags & IGNORABLE:
            pass
        else:
            raise ConnectionEnded(f"the server sent type {type}")

    def grant(self, number, owed):
        """Gives credit back in lots: small grants count as control frames, which have a rate."""
        window = CONNECTION_CREDIT if number == 0 else STREAM_CREDIT
        if owed < window // 4:
            return owed
        self.wire.send(frame(CREDIT, 0, number, struct.pack(">I", owed)))
        return 0

    def pump_until(self, condition):
        while not condition():
            self.pump()

    # Sending

    def open(
        self, method, message=None, *, timeout_ms=30_000, end=True, expects_blob=False, **more
    ):
        """Sends a CALL; a message that is too long for it follows as DATA."""
        stream = Stream(self.next_stream, self.ack.stream_credit)
        self.next_stream += 2
        self.streams[stream.number] = stream
        envelope = control_pb2.CallEnvelope(
            method=method.encode(), timeout_ms=timeout_ms, call_id=os.urandom(16), attempt=1, **more
        )
        if expects_blob:
            envelope.expects_blob = True
        encoded = None if message is None else message.SerializeToString()
        inline = encoded is not None and len(encoded) <= INLINE_MESSAGE
        if inline:
            envelope.message = encoded
        flags = END_STREAM if end and (inline or encoded is None) else 0
        self.wire.send(frame(CALL, flags, stream.number, envelope.SerializeToString()))
        if encoded is not None and not inline:
            self.send_parts(stream, DATA, encoded, end)
        return stream

    def send_parts(self, stream, type, data, end):
        """One message or blob in frames, each paid for with credit before it goes."""
        view = memoryview(data)
        while True:
            self.pump_until(
                lambda: stream.status is not None
                or min(stream.send_credit, self.send_credit) > FRAME_HEADER
            )
            if stream.status is not None:
                return  # the server has ended the call: it will read no more
            credit = min(stream.send_credit, self.send_credit) - FRAME_HEADER
            count = min(len(view), self.max_frame, credit)
            part, view = view[:count], view[count:]
            stream.send_credit -= FRAME_HEADER + count
            self.send_credit -= FRAME_HEADER + count
            last = not len(view)
            flags = (MORE if type == DATA and not last else 0) | (END_STREAM if end and last else 0)
            self.wire.send(frame(type, flags, stream.number, bytes(part)))
            if last:
                return

    def finish(self, stream):
        """Waits for the call's STATUS and forgets the stream."""
        self.pump_until(lambda: stream.status is not None)
        del self.streams[stream.number]
        if stream.status.code != 0:
            raise CallFailed(stream.status)

    def cancel(self, stream):
        """Nobody waits any more; no STATUS follows."""
        self.streams.pop(stream.number, None)
        self.wire.send(frame(CANCEL, 0, stream.number, struct.pack(">I", CANCELLED)))

    # Calls

    def unary(self, method, request, response_type, **options):
        stream = self.open(method, request, **options)
        self.finish(stream)
        if len(stream.messages) != 1:
            raise ConnectionEnded(f"{method} answered with {len(stream.messages)} messages")
        return response_type.FromString(stream.messages[0])

    def server_stream(self, method, request, response_type):
        """Yields messages as they come; 0 as timeout: a stream may go on for hours."""
        stream = self.open(method, request, timeout_ms=0)
        try:
            while True:
                self.pump_until(lambda: stream.messages or stream.status is not None)
                while stream.messages:
                    yield response_type.FromString(stream.messages.popleft())
                if stream.status is not None:
                    break
        finally:
            if stream.status is None:
                self.cancel(stream)
        self.finish(stream)

    def put_blob(self, method, request, digest, data, response_type):
        stream = self.open(method, request, end=False, expects_blob=True)
        header = BLOB_HEADER.pack(digest, len(data), 0)
        self.send_parts(stream, BLOB, header, end=False)
        self.send_parts(stream, BLOB, data, end=True)
        self.finish(stream)
        return response_type.FromString(stream.messages[0])

    def get_blob(self, method, request):
        """The announced (digest, size, offset) and the bytes."""
        stream = self.open(method, request)
        self.finish(stream)
        return stream.blob, b"".join(stream.blob_parts)

    def ping(self):
        """Seconds from PING to its PONG."""
        opaque = os.urandom(8)
        start = time.monotonic()
        self.wire.send(frame(PING, 0, 0, opaque))
        while True:
            type, flags, number, payload = self.wire.receive_frame()
            if type == PONG and payload == opaque:
                return time.monotonic() - start

    def close(self):
        self.wire.close()
