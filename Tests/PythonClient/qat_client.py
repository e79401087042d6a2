"""Submits a quantize job, follows it to its end, and fetches what it put out.

A client of a qat gateway that shares nothing with the product: see README.md beside this file.
"""

import hashlib
import json
import sys
import time
import uuid

import gateway as gateways
import qatrpc
import tiny_model
from qat.v1 import common_pb2, jobs_pb2

SPECIFICATION = {
    "name": "python-client",
    "model": "tiny",
    "quantization": {"algorithm": "mxfp4"},
    "export": [{"format": "compressed-tensors"}],
}
TERMINAL = (b"SUCCEEDED", b"FAILED", b"CANCELLED")


def sha256(data):
    return hashlib.sha256(data).digest()


def upload(gateway, files):
    """Stores what the gateway lacks; the job's input that names the files, and how many it was."""
    digests = {name: sha256(data) for name, data in files.items()}
    missing = set(gateway.call("Cas/FindMissing", digests=list(digests.values())).digests)
    for name, data in files.items():
        if digests[name] in missing:
            stored = gateway.put(digests[name], data)
            assert stored.size == len(data), f"{name}: {stored.size} bytes are stored"
    listed = [
        common_pb2.InputFile(path=name.encode(), digest=digests[name], size=len(data))
        for name, data in files.items()
    ]
    return common_pb2.Input(pointer=b"/model", source=b"tiny", files=listed), len(missing)


def submit(gateway, model, specification=SPECIFICATION, key=None):
    """The job's id, and whether this call created it."""
    answer = gateway.call(
        "Jobs/Submit",
        kind=b"quantize",
        name=specification["name"].encode(),
        key=key or str(uuid.uuid4()).encode(),
        spec_json=json.dumps(specification).encode(),
        inputs=[model],
    )
    return answer.job_id, answer.created


def follow(gateway, job_id, show=lambda event: None):
    """The job's events from the first to its end, which have no gaps."""
    events = []
    for event in gateway.watch(job_id):
        show(event)
        assert event.seq == len(events) + 1, f"event {event.seq} after {len(events)}"
        assert event.job_id == job_id
        events.append(event)
    assert events and events[-1].state in TERMINAL, "the stream ended before the job"
    return events


def download(gateway, output):
    """An output's bytes, checked against the digest that the job states."""
    (digest, size, offset), data = gateway.get(output.digest)
    assert (digest, size, offset) == (output.digest, output.size, 0)
    assert len(data) == output.size, f"{output.name.decode()}: {len(data)} of {output.size} bytes"
    assert sha256(data) == output.digest, f"{output.name.decode()}: the bytes are others"
    return data


def show(event):
    if event.type == jobs_pb2.JobEvent.EVENT_TYPE_PROGRESS:
        told = f"{event.progress.phase.decode()} {event.progress.step}/{event.progress.total_steps}"
    else:
        told = " ".join(filter(None, (event.reason.decode(), event.message.decode())))
    print(f"  {event.seq:3} {event.state.decode():10} {told}".rstrip())


def run(gateway):
    started = time.monotonic()
    print(f"gateway {qatrpc.peer_names(gateway.wire.tls)[0]} sees {gateway.ack.principal.decode()}")
    model, missing = upload(gateway, tiny_model.files())
    print(f"uploaded {missing} of {len(model.files)} files")
    key = str(uuid.uuid4()).encode()
    job_id, created = submit(gateway, model, key=key)
    assert created, "a new key found a job"
    print(f"job {job_id.decode()}")
    assert submit(gateway, model, key=key) == (job_id, False), "one key made two jobs"

    events = follow(gateway, job_id, show)
    detail = gateway.call("Jobs/Get", job_id=job_id)
    assert events[-1].state == b"SUCCEEDED", detail.summary.reason_message.decode()
    assert detail.last_seq == len(events)

    contents = {output.name: download(gateway, output) for output in detail.outputs}
    for output in detail.outputs:
        digest = output.digest.hex()[:16]
        print(f"  {output.name.decode():28} {output.size:8} bytes, sha256 {digest}…")
    weights = contents[b"model/model.safetensors"]
    _, part = gateway.get(sha256(weights), offset=100, length=1000)
    assert part == weights[100:1100], "a range is not that part of the whole"
    results = json.loads(detail.results_json)
    assert results["bits_per_weight"] == 4.25, results  # 32 values of 4 bits and a scale of 8
    print(
        f"{len(events)} events, {len(contents)} outputs, {results['layers']} layers at "
        f"{results['bits_per_weight']} bits, {time.monotonic() - started:.2f} s"
    )


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: qat_client.py PROFILE.json")
    with open(sys.argv[1]) as file:
        run(gateways.connect(json.load(file)))


if __name__ == "__main__":
    main()
