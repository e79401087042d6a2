"""The gateway's methods over a qatrpc/1 connection, by docs/PROTOCOL.md's table."""

import qatrpc
from qat.v1 import admin_pb2, cas_pb2, jobs_pb2, jobs_service_pb2, lease_pb2

# The unary methods of docs/PROTOCOL.md's table: what each is asked with, and what it answers.
UNARY = {
    "Jobs/Submit": (jobs_service_pb2.SubmitJobRequest, jobs_service_pb2.SubmitJobResponse),
    "Jobs/SubmitPipeline": (
        jobs_service_pb2.SubmitPipelineRequest, jobs_service_pb2.SubmitPipelineResponse),
    "Jobs/GetPipeline": (jobs_service_pb2.GetPipelineRequest, jobs_pb2.PipelineDetail),
    "Jobs/CancelPipeline": (jobs_service_pb2.CancelPipelineRequest, jobs_pb2.PipelineDetail),
    "Jobs/PausePipeline": (jobs_service_pb2.PausePipelineRequest, jobs_pb2.PipelineDetail),
    "Jobs/ResumePipeline": (jobs_service_pb2.ResumePipelineRequest, jobs_pb2.PipelineDetail),
    "Jobs/RetryPipeline": (jobs_service_pb2.RetryPipelineRequest, jobs_pb2.PipelineDetail),
    "Jobs/Get": (jobs_service_pb2.GetJobRequest, jobs_pb2.JobDetail),
    "Jobs/List": (jobs_service_pb2.ListJobsRequest, jobs_service_pb2.ListJobsResponse),
    "Jobs/Cancel": (jobs_service_pb2.CancelJobRequest, jobs_pb2.JobSummary),
    "Jobs/Pause": (jobs_service_pb2.PauseJobRequest, jobs_pb2.JobSummary),
    "Jobs/Resume": (jobs_service_pb2.ResumeJobRequest, jobs_pb2.JobSummary),
    "Jobs/Retry": (jobs_service_pb2.RetryJobRequest, jobs_pb2.JobSummary),
    "Jobs/Remove": (jobs_service_pb2.RemoveJobRequest, jobs_service_pb2.RemoveJobResponse),
    "Admin/Status": (admin_pb2.StatusRequest, admin_pb2.StatusResponse),
    "Cas/FindMissing": (cas_pb2.FindMissingRequest, cas_pb2.FindMissingResponse),
    "Cas/Remove": (cas_pb2.RemoveBlobsRequest, cas_pb2.RemoveBlobsResponse),
    "Lease/Register": (lease_pb2.RegisterWorkerRequest, lease_pb2.RegisterWorkerResponse),
    "Lease/Acquire": (lease_pb2.AcquireLeaseRequest, lease_pb2.AcquireLeaseResponse),
    "Lease/Heartbeat": (lease_pb2.HeartbeatRequest, lease_pb2.HeartbeatResponse),
    "Lease/AwaitDirective": (lease_pb2.AwaitDirectiveRequest, lease_pb2.HeartbeatResponse),
    "Lease/SaveCheckpoint": (lease_pb2.SaveCheckpointRequest, lease_pb2.SaveCheckpointResponse),
    "Lease/AppendLog": (lease_pb2.AppendLogRequest, lease_pb2.AppendLogResponse),
    "Lease/Complete": (lease_pb2.CompleteLeaseRequest, lease_pb2.CompleteLeaseResponse),
    "Lease/ReviewKept": (lease_pb2.ReviewKeptRequest, lease_pb2.ReviewKeptResponse),
    "Health/Check": (admin_pb2.HealthCheckRequest, admin_pb2.HealthCheckResponse),
}


class Gateway(qatrpc.Connection):
    """A connection with the suite's methods."""

    def call(self, method, *, timeout_ms=30_000, **fields):
        """Calls a unary method of the table with the request's fields."""
        request, response = UNARY[method]
        message = request(**fields)
        return self.unary(f"qat.v1.{method}", message, response, timeout_ms=timeout_ms)

    def watch(self, job_id, from_seq=0):
        request = jobs_service_pb2.WatchJobRequest(job_id=job_id, from_seq=from_seq)
        return self.server_stream("qat.v1.Jobs/Watch", request, jobs_pb2.JobEvent)

    def logs(self, job_id):
        request = jobs_service_pb2.JobLogsRequest(job_id=job_id)
        return self.server_stream("qat.v1.Jobs/Logs", request, jobs_service_pb2.LogChunk)

    def collect_garbage(self, **fields):
        request = cas_pb2.CollectGarbageRequest(**fields)
        return self.server_stream("qat.v1.Cas/CollectGarbage", request, cas_pb2.CollectedBlob)

    def verify_artifacts(self):
        request = admin_pb2.VerifyArtifactsRequest()
        return self.server_stream("qat.v1.Admin/VerifyArtifacts", request,
                                  admin_pb2.VerifyArtifactsReport)

    def put(self, digest, data):
        request = cas_pb2.PutBlobRequest(digest=digest, size=len(data))
        return self.put_blob("qat.v1.Cas/Put", request, digest, data, cas_pb2.PutBlobResponse)

    def get(self, digest, offset=0, length=0):
        request = cas_pb2.GetBlobRequest(digest=digest, offset=offset, length=length)
        return self.get_blob("qat.v1.Cas/Get", request)


def connect(profile):
    """Connects as the client's profile says: gateway, certificate, key and authority."""
    host, port = profile["gateway"].rsplit(":", 1)
    context = qatrpc.tls_context(profile["ca"], profile["certificate"], profile["key"])
    tls = qatrpc.connect_tls(host, int(port), context)
    # Any daemon of the deployment has a certificate of the same authority.
    (name,) = qatrpc.peer_names(tls)
    if name.split("/")[3:5] != ["svc", "gateway"]:
        raise qatrpc.ConnectionEnded(f"{name} is no gateway")
    return Gateway(tls)
