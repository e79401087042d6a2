internal import Devices
internal import Kernels

/// Where what a teacher says of a window is kept, so that it need not be asked again.
public protocol TeacherRecords: AnyObject {
    /// Fills in what is kept of a window: `tokens` `[length, k]` and `values` `[length, k + 1]`, as
    /// the most likely tokens and their log-probabilities; false if nothing is, and then they may hold
    /// anything.
    func read(
        _ window: UnsafeBufferPointer<Int32>,
        tokens: UnsafeMutableBufferPointer<Int32>,
        values: UnsafeMutableBufferPointer<Float>
    ) -> Bool

    /// Keeps what is said of a window that ``read(_:tokens:values:)`` did not know, if there is room.
    func write(
        _ window: UnsafeBufferPointer<Int32>,
        tokens: UnsafeBufferPointer<Int32>,
        values: UnsafeBufferPointer<Float>
    )
}

/// A micro-batch's most likely tokens on their way between a device and records.
///
/// What a window's record holds is what is learned from, in whichever step the teacher was asked: runs
/// that find records and runs that make them have the same results.
final class OutcomeExchange {
    /// Those of the current micro-batch.
    let outcomes: TopOutcomeTensors
    private let records: (any TeacherRecords)?
    private let tokens: AlignedBuffer<Int32>
    private let values: AlignedBuffer<Float>
    /// Whether a window's record was there.
    private let isKnown: AlignedBuffer<Int32>
    private let length: Int
    private let count: Int
    private let device: any ComputeDevice

    /// Outcomes of `windows` windows of `length` tokens, `count` a position.
    init(
        windows: Int,
        length: Int,
        count: Int,
        records: (any TeacherRecords)?,
        device: any ComputeDevice
    ) {
        outcomes = TopOutcomeTensors(rows: windows * length, count: count, device: device)
        let rows = records == nil ? 0 : windows * length
        tokens = AlignedBuffer(count: rows * count)
        values = AlignedBuffer(count: rows * (count + 1))
        isKnown = AlignedBuffer(count: windows)
        self.records = records
        self.length = length
        self.count = count
        self.device = device
    }

    /// Elements that outcomes of so many rows take, on the device and again beside it.
    static func elementCount(rows: Int, count: Int) -> Int { rows * (2 * count + 1) }

    /// Brings the records of a micro-batch to the device; false if there is one that is not kept.
    func recall(_ batch: UnsafePointer<Int32>) -> Bool {
        guard let records else { return false }
        var areAllKnown = true
        for window in 0..<isKnown.count {
            let known = records.read(
                self.window(window, of: batch),
                tokens: tokens(of: window),
                values: values(of: window)
            )
            isKnown.pointer[window] = known ? 1 : 0
            areAllKnown = areAllKnown && known
        }
        if areAllKnown { upload() }
        return areAllKnown
    }

    /// Records what the device found of the windows that were not known, and brings those that were.
    func keep(_ batch: UnsafePointer<Int32>) {
        guard let records else { return }
        var isAnyKnown = false
        for window in 0..<isKnown.count {
            guard isKnown.pointer[window] == 0 else {
                isAnyKnown = true
                continue
            }
            let found = outcomes.rows(window * length..<(window + 1) * length)
            device.download(found.tokens, into: tokens.pointer + window * length * count)
            device.download(found.values, into: values.pointer + window * length * (count + 1))
            records.write(
                self.window(window, of: batch),
                tokens: UnsafeBufferPointer(tokens(of: window)),
                values: UnsafeBufferPointer(values(of: window))
            )
        }
        if isAnyKnown { upload() }
    }

    private func upload() {
        device.upload(tokens.pointer, to: outcomes.tokens)
        device.upload(values.pointer, to: outcomes.values)
    }

    private func window(
        _ index: Int,
        of batch: UnsafePointer<Int32>
    ) -> UnsafeBufferPointer<Int32> {
        UnsafeBufferPointer(start: batch + index * length, count: length)
    }

    private func tokens(of window: Int) -> UnsafeMutableBufferPointer<Int32> {
        let width = length * count
        return UnsafeMutableBufferPointer(start: tokens.pointer + window * width, count: width)
    }

    private func values(of window: Int) -> UnsafeMutableBufferPointer<Float> {
        let width = length * (count + 1)
        return UnsafeMutableBufferPointer(start: values.pointer + window * width, count: width)
    }
}
