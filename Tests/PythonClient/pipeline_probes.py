"""What docs/PROTOCOL.md promises of pipelines and of when jobs run."""

import json
import os
import time

import qat_client
from expectations import (
    ALREADY_EXISTS, FAILED_PRECONDITION, NOT_FOUND, PERMISSION_DENIED, probe, refused)
from qat.v1 import common_pb2, jobs_service_pb2

AGAIN = {"model": "job:first/model", "quantization": {"algorithm": "mxfp8"}}


def job(specification, model, **fields):
    return jobs_service_pb2.SubmitJobRequest(
        kind=b"quantize", spec_json=json.dumps(specification).encode(), inputs=[model], **fields)


def pipeline(suite, **fields):
    """Two jobs; the second rounds what the first made. The later one stands first."""
    reference = common_pb2.Input(pointer=b"/model", source=b"job:first/model")
    return [
        jobs_service_pb2.PipelineJob(name=b"second", job=job(AGAIN, reference, **fields)),
        jobs_service_pb2.PipelineJob(
            name=b"first", job=job(qat_client.SPECIFICATION, suite.model(), **fields)),
    ]


def submit(gateway, jobs, key=None):
    key = key or os.urandom(8).hex().encode()
    return gateway.call("Jobs/SubmitPipeline", name=b"two", key=key, jobs=jobs)


@probe
def a_pipeline_runs_in_the_order_of_its_references(suite):
    key = os.urandom(8).hex().encode()
    made = submit(suite.user, pipeline(suite), key)
    assert made.created and made.pipeline_id.startswith(b"p-")
    assert [part.part for part in made.jobs] == [b"first", b"second"]
    again = submit(suite.user, pipeline(suite), key)
    assert again.pipeline_id == made.pipeline_id and not again.created
    for part in made.jobs:
        assert qat_client.follow(suite.user, part.job_id)[-1].state == b"SUCCEEDED"
    whole = suite.user.call("Jobs/GetPipeline", pipeline_id=made.pipeline_id)
    assert whole.summary.state == b"SUCCEEDED" and whole.summary.succeeded == 2
    # The name has become the id.
    detail = suite.user.call("Jobs/Get", job_id=made.jobs[1].job_id)
    source = "job:" + made.jobs[0].job_id.decode() + "/model"
    assert json.loads(detail.spec_json)["model"] == source
    listed = suite.user.call("Admin/Status", page_size=100).pipelines
    assert made.pipeline_id in [item.pipeline_id for item in listed]
    # The same once more need not run.
    reused = submit(suite.user, pipeline(suite, reuse=True))
    assert [part.state for part in reused.jobs] == [b"SUCCEEDED"] * 2
    assert [part.reused_from for part in reused.jobs] == [part.job_id for part in made.jobs]


@probe
def a_pipeline_is_taken_whole_or_not_at_all(suite):
    before = suite.user.call("Jobs/List", page_size=1).jobs[0].job_id
    for change in (
        lambda jobs: jobs.pop(), lambda jobs: jobs.append(jobs[0]), lambda jobs: jobs.clear(),
        lambda jobs: jobs[1].job.after.append(b"second"),
        lambda jobs: jobs[1].job.after.append(b"third"),
        lambda jobs: setattr(jobs[1], "name", b"../x"),
        lambda jobs: setattr(jobs[1], "name", b"0123456789abcdef"),
        lambda jobs: setattr(jobs[1].job, "priority", 101),
        lambda jobs: setattr(jobs[1].job, "deadline_unix_ms", 1),
        lambda jobs: setattr(jobs[1].job, "deadline_ms", -1),
        lambda jobs: setattr(jobs[0].job.inputs[0], "source", b"job:first/logits"),
        lambda jobs: setattr(jobs[1].job, "spec_json", b"{}"),
    ):
        jobs = pipeline(suite)
        change(jobs)
        refused(lambda: submit(suite.user, jobs))
    assert suite.user.call("Jobs/List", page_size=1).jobs[0].job_id == before
    key = os.urandom(8).hex().encode()
    submit(suite.user, pipeline(suite), key)
    refused(lambda: submit(suite.user, pipeline(suite, priority=1), key), (ALREADY_EXISTS,))


@probe
def pipelines_are_their_owners(suite):
    eve = suite.connect(suite.issue("--user", "eve"))
    made = submit(suite.user, pipeline(suite))
    for method in ("Jobs/GetPipeline", "Jobs/CancelPipeline", "Jobs/PausePipeline",
                   "Jobs/ResumePipeline", "Jobs/RetryPipeline"):
        refused(lambda: eve.call(method, pipeline_id=made.pipeline_id),
                (NOT_FOUND, PERMISSION_DENIED))
    assert not eve.call("Admin/Status").pipelines
    ended = suite.user.call("Jobs/CancelPipeline", pipeline_id=made.pipeline_id, now=True)
    assert ended.summary.jobs == 2


@probe
def a_pipeline_rests_until_it_is_resumed(suite):
    with suite.stopped("quant"):
        made = submit(suite.user, pipeline(suite))
        for _ in range(2):
            paused = suite.user.call("Jobs/PausePipeline", pipeline_id=made.pipeline_id)
            # A worker may have been given the first one before it stood still.
            assert {job.state for job in paused.jobs} <= {b"PAUSED", b"PAUSING"}
        assert suite.user.call("Jobs/Pause", job_id=made.jobs[1].job_id).state == b"PAUSED"
    deadline = time.monotonic() + 60
    while b"PAUSING" in (states := {suite.state(job.job_id) for job in made.jobs}):
        assert time.monotonic() < deadline, states
        time.sleep(0.05)
    assert b"PAUSED" in states, states
    for _ in range(2):
        resumed = suite.user.call("Jobs/ResumePipeline", pipeline_id=made.pipeline_id)
        assert not {job.state for job in resumed.jobs} & {b"PAUSED", b"PAUSING"}
    for part in made.jobs:
        assert qat_client.follow(suite.user, part.job_id)[-1].state == b"SUCCEEDED"
    for method in ("Jobs/PausePipeline", "Jobs/ResumePipeline"):
        refused(lambda: suite.user.call(method, pipeline_id=made.pipeline_id),
                (FAILED_PRECONDITION,))
