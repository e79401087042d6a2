"""How probes are told, and what they expect of a peer."""

import ssl

import qatrpc
from qat.v1 import control_pb2
from qatrpc import CALL, END_STREAM, HELLO, PREFACE, STATUS, frame, hello

# The codes of ABORT.
PROTOCOL_ERROR, FRAME_TOO_LARGE, ABORT_UNIMPLEMENTED, FLOW_CONTROL, MESSAGE_TOO_LARGE = range(1, 6)
HANDSHAKE_TIMEOUT, VERSION_MISMATCH, KEEPALIVE_TIMEOUT = 6, 7, 8
TOO_MANY_CONTROL, UNAUTHORIZED = 9, 10
# The codes, categories and kinds of processing of STATUS.
INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED = 3, 4, 5, 6, 7
RESOURCE_EXHAUSTED, FAILED_PRECONDITION = 8, 9
OUT_OF_RANGE, UNIMPLEMENTED, UNAVAILABLE, DATA_LOSS = 11, 12, 14, 15
PERMANENT, RETRY_LATER, RECONNECT, CATEGORY_UNIMPLEMENTED = range(1, 5)
NO, MAYBE, YES = range(1, 4)

# A request that may not be done, whichever of these is said.
REFUSALS = (INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION)

# Names that no input, output or reference may have.
BAD_PATHS = (b"../../x", b"/etc/passwd", b"a/../../b", b"", b".", b"a//b", b"a/", b"a\nb",
             b"a\x1b[2Jb", b"a\x7fb", "a\u202eb".encode(), b"\xc2\x9b2J", b"n" * 5000)

PROBES = []


def probe(function=None, **marks):
    """Has a function of a suite run with the others.

    `known="why"`: the product is known to break the rule; reported, and no failure of the run.
    `slow=True`: it waits more than it works; run beside the others.
    `alone=True`: it takes what the others need, or long; run by name only.
    """
    if function is None:
        return lambda function: probe(function, **marks)
    function.marks = marks
    PROBES.append(function)
    return function


def expect_abort(wire, code, *sent):
    """Sends, and reads until the ABORT after which the connection ends; its sentence."""
    for data in sent:
        wire.send(data)
    while True:
        type, flags, stream, payload = wire.receive_frame()
        if type == qatrpc.ABORT:
            break
    abort = control_pb2.Abort.FromString(payload)
    assert abort.code == code, f"ABORT {abort.code} ({abort.message.decode()}), not {code}"
    assert abort.message, "an ABORT without a sentence"
    try:
        more = wire.tls.recv(1)
    except OSError:
        more = b""
    assert not more, "bytes after ABORT"
    return abort.message.decode()


def expect_status(code, action, *, category=None, processed=None, says=None):
    """Runs a call that must fail with this code."""
    try:
        result = action()
    except qatrpc.CallFailed as failure:
        assert failure.code == code, f"{failure}; code {code} was expected"
        assert failure.message, "a failure without a sentence"
        if category is not None:
            assert failure.status.category == category, str(failure)
        if processed is not None:
            assert failure.status.processed == processed, str(failure)
        if says is not None:
            assert says in failure.message, str(failure)
        return failure
    raise AssertionError(f"the call succeeded: {result}")


def expect_no_connection(suite, context):
    """TLS, or the opening right after it, must fail, by whatever alert; no HELLO_ACK may come."""
    try:
        suite.wire(context=context).close()
    except (ssl.SSLError, ConnectionError):
        return
    try:
        wire = suite.wire(context=context)
        wire.send(PREFACE + frame(HELLO, 0, 0, hello()))
        type, *_, payload = wire.receive_frame()
    except (ssl.SSLError, ConnectionError, qatrpc.ConnectionEnded):
        return
    # A certificate that the chain admits and the rules do not is told why.
    assert type == qatrpc.ABORT, f"type {type} instead of a refusal"
    abort = control_pb2.Abort.FromString(payload)
    assert abort.code == UNAUTHORIZED, str(abort)


def call(method="qat.v1.Health/Check", message=b"", **fields):
    # A unary call needs a time; a stream's may be none.
    fields.setdefault("timeout_ms", 30_000)
    return control_pb2.CallEnvelope(
        method=method.encode(), message=message, **fields
    ).SerializeToString()


def read_status(wire, stream):
    """The STATUS of a stream, whatever comes before it."""
    while True:
        type, _, number, payload = wire.receive_frame()
        assert type != qatrpc.ABORT, control_pb2.Abort.FromString(payload)
        if type == STATUS and number == stream:
            return control_pb2.CallStatus.FromString(payload)


def expect_alive(wire, stream):
    """The connection still serves."""
    wire.send(frame(CALL, END_STREAM, stream, call()))
    assert read_status(wire, stream).code == 0


def refused(action, codes=REFUSALS, what=None):
    """The call must fail, and permanently; its sentence."""
    try:
        answer = action()
    except qatrpc.CallFailed as failure:
        assert failure.code in codes, str(failure)
        return failure.message
    told = " ".join(str(answer).split())[:120]
    raise AssertionError(f"{what or 'it'} was taken: {told}")


def tolerate(action):
    """Success or a STATUS; anything else is passed on."""
    try:
        return action()
    except qatrpc.CallFailed:
        return None


def fields_of(message):
    return {field.name: value for field, value in message.ListFields()}
