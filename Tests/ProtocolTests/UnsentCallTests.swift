internal import NIOCore
internal import Protocol
internal import Testing

/// A client that gives calls up before, while and after they are written, in every order.
///
/// Seen in trainers' logs: CANCEL for a call that was still held back, for which the gateway ended the whole
/// connection.
struct UnsentCallTests {
    /// What happens to the calls of one connection.
    private enum Step {
        case open
        case write(Int)
        /// The caller cancels, or the call's time runs out.
        case stop(Int, RPCError.Code)
    }

    private struct Call {
        let stream: UInt32
        var frames: ByteBuffer
        var written = 0
        var isStopped = false
    }

    private struct Course {
        var client: ConnectionStateMachine
        var server: ConnectionStateMachine
        var calls: [Call] = []
        var output = ByteBuffer()
        var opened: [UInt32] = []
        var cancelled: [UInt32] = []
        var fault: String?
    }

    private static let callCount = 3
    private let now = ContinuousClock.now

    @Test(arguments: [false, true]) func nothingIsSaidOfThem(isFlushedAtOnce: Bool) throws {
        var courses = 0
        try follow(try course(), isFlushedAtOnce) { course in
            courses += 1
            let written = course.calls.filter { $0.written > 0 }
            #expect(course.fault == nil)
            #expect(course.opened == written.map(\.stream))
            #expect(course.cancelled == course.cancelled.filter(course.opened.contains))
            #expect(Set(course.cancelled) == Set(written.filter(\.isStopped).map(\.stream)))
            #expect(course.client.openStreamCount == course.calls.count { !$0.isStopped })
            #expect(course.server.openStreamCount == written.count { !$0.isStopped })
        }
        #expect(courses > 1_000)
    }

    /// The same over a real connection: what else it carries goes on.
    @Test func aConnectionOutlivesThem() async throws {
        let authority = try TestAuthority()
        let began = Signal()
        let isOver = Signal()
        try await withServer(authority: authority) { router in
            router.unary(QatMethods.healthCheck, allow: .users) { _, _ in HealthCheckResponse() }
            router.serverStream(QatMethods.watchJob, allow: .users) { _, _, _ in
                began.fire()
                await isOver.wait()
            }
        } _: { _, address in
            try await withClient(address, authority.user(), attempts: 1) { client in
                let watch = Task {
                    try await client.stream(QatMethods.watchJob, WatchJobRequest()) { _ in }
                }
                await began.wait()
                for _ in 0..<1_000 {
                    let call = Task {
                        try await client.call(QatMethods.healthCheck, HealthCheckRequest())
                    }
                    call.cancel()
                    _ = try? await call.value
                }
                isOver.fire()
                try await watch.value
            }
        }
    }

    private func course() throws -> Course {
        let local = LocalEndpoint(
            build: "b",
            instanceID: "i",
            bootID: "t",
            peer: "spiffe://d/user/u"
        )
        func machine(_ side: ConnectionStateMachine.Side) -> ConnectionStateMachine {
            ConnectionStateMachine(side: side, limits: ConnectionLimits(), local: local, now: now)
        }
        var course = Course(client: machine(.client), server: machine(.server))
        course.server.receive(try course.client.opening())
        guard case .ready(_, let answer?) = course.server.next(now: now) else {
            throw RPCError(.internal, "the server did not become ready")
        }
        course.client.receive(answer)
        _ = course.client.next(now: now)
        return course
    }

    /// Goes on in every way, and checks each that is at its end.
    private func follow(
        _ course: Course,
        _ isFlushedAtOnce: Bool,
        _ check: (Course) -> Void
    ) throws {
        let steps = steps(of: course)
        for step in steps {
            var next = course
            try take(step, &next)
            if isFlushedAtOnce { flush(&next) }
            try follow(next, isFlushedAtOnce, check)
        }
        var end = course
        flush(&end)
        if course.calls.count == Self.callCount { check(end) }
    }

    private func steps(of course: Course) -> [Step] {
        var steps: [Step] = course.calls.count < Self.callCount ? [.open] : []
        // Calls are written in the order of their numbers, as the handler's line has it.
        var isNext = true
        for (index, call) in course.calls.enumerated() where !call.isStopped {
            if call.written < 2, isNext || call.written > 0 { steps.append(.write(index)) }
            if call.written == 0 { isNext = false }
            steps.append(.stop(index, index.isMultiple(of: 2) ? .cancelled : .deadlineExceeded))
        }
        return steps
    }

    private func take(_ step: Step, _ course: inout Course) throws {
        switch step {
        case .open:
            let opened = course.client.openStream()
            let stream = try #require(opened)
            let envelope = CallEnvelope(
                method: "qat.v1.Jobs/Submit",
                timeoutMs: 1_000,
                message: []
            )
            var payload = ByteBuffer()
            try MessageCodec.encode(envelope, into: &payload)
            var frames = ByteBuffer()
            frames.writeFrame(.call, payload: payload)
            frames.writeFrame(.data, payload: ByteBuffer(repeating: 0, count: 10))
            course.calls.append(Call(stream: stream, frames: frames))
        case .write(let index):
            // One frame at a time.
            _ = try course.client.write(
                &course.calls[index].frames,
                stream: course.calls[index].stream,
                quantum: 1,
                into: &course.output
            )
            course.calls[index].written += 1
        case .stop(let index, let reason):
            course.client.cancel(
                stream: course.calls[index].stream,
                reason: reason,
                into: &course.output
            )
            course.calls[index].isStopped = true
            // What is still in line for it goes nowhere.
            var rest = course.calls[index].frames
            _ = try course.client.write(
                &rest,
                stream: course.calls[index].stream,
                quantum: 1 << 20,
                into: &course.output
            )
        }
    }

    private func flush(_ course: inout Course) {
        course.server.receive(course.output)
        course.output = ByteBuffer()
        while let action = course.server.next(now: now) {
            switch action {
            case .open(let stream, _, _): course.opened.append(stream)
            case .cancel(let stream): course.cancelled.append(stream)
            case .message, .send: break
            default: course.fault = "\(action)"
            }
        }
    }
}
