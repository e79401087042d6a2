internal import Foundation
internal import Protocol

/// An input that the gateway does not have any more, or only damaged: trying again would find the same.
struct MissingInput: Error, CustomStringConvertible {
    /// Which input and file, what the gateway says, and what to do.
    let description: String

    /// Nil if the error is another one, which may pass.
    init?(_ input: Input, _ file: InputFile, _ error: any Error) {
        guard let error = error as? RPCError, [.notFound, .dataLoss].contains(error.code) else {
            return nil
        }
        let advice =
            if input.source.hasPrefix("job:") {
                """
                it is an output of \(input.source.prefix(80)): run that job again, and submit this one with \
                the new job's id
                """
            } else {
                """
                upload it again, which `qat-client submit` of a job that names the same file does, then \
                `qat-client retry` this job
                """
            }
        let name = (file.path as NSString).lastPathComponent
        description =
            "input \(input.pointer) (\(name.prefix(80))) cannot be had: \(error.message); \(advice)"
    }
}
