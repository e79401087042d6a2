internal import Foundation
public import Jobs
public import Serving

/// One line that a compute child prints: a JSON object.
public struct ComputeEvent: Codable, Sendable, Equatable {
    /// Kinds of line.
    public enum Kind: String, Codable, Sendable {
        /// Progress of the run.
        case progress
        /// Measured values, as JSON text.
        case metric
        /// A line for the job's log.
        case log
        /// A checkpoint is complete on disk: its step, and its folder's name as the message.
        case checkpoint
        /// The job's results, as JSON text; the last line of a success.
        case result
        /// The job's failure; the last line.
        case error
        /// Nothing but that work is being done; for the stall limit alone.
        case alive
        /// What a replica answers, and how it stands.
        case replica
    }

    /// The kind.
    public var type: Kind
    /// Steps finished.
    public var step: Int?
    /// Steps of the whole run.
    public var totalSteps: Int?
    /// Loss of the latest step.
    public var loss: Double?
    /// Learning rate of the latest step.
    public var learningRate: Double?
    /// Tokens per second lately.
    public var tokensPerSecond: Double?
    /// Seconds to go.
    public var etaSeconds: Double?
    /// The format in use.
    public var precision: String?
    /// What the child is doing.
    public var phase: String?
    /// A JSON object, of a metric or a result.
    public var json: String?
    /// A sentence.
    public var message: String?
    /// What a replica answers, and how it stands.
    public var replica: ReplicaNews?
    /// A failure's reason; a word that is none of them makes the line one that cannot be read.
    public var reason: JobReason?

    /// An event of a kind.
    public init(_ type: Kind) {
        self.type = type
    }

    /// The longest line that is accepted.
    static let maximumLineByteCount = 4 << 20

    /// Reads a line.
    ///
    /// - Throws: ``ServiceError`` (`childProtocol`).
    init(line: String) throws {
        do {
            self = try JSONDecoder().decode(ComputeEvent.self, from: Data(line.utf8))
        } catch {
            throw ServiceError(.childProtocol, "the compute child printed: \(line.prefix(200))")
        }
    }
}
