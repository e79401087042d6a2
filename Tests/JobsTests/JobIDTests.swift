internal import Jobs
internal import Testing

struct JobIDTests {
    @Test func idsAreSixteenDigitsAndAPipelinesHaveAPrefix() {
        let id = "0001b209c85f11b9"
        #expect(JobID.isWhole(id) && !PipelineID.isWhole(id) && !PipelineID.isPipeline(id))
        let pipeline = PipelineID.make(id)
        #expect(PipelineID.isWhole(pipeline) && PipelineID.isPipeline(pipeline))
        #expect(!JobID.isWhole(pipeline))
        for odd in ["", "0001b209c85f11b", "0001b209c85f11b99", "0001B209C85F11B9", "p-"] {
            #expect(!JobID.isWhole(odd) && !PipelineID.isWhole(odd))
            #expect(!PipelineID.isWhole(PipelineID.make(odd)))
        }
    }
}
