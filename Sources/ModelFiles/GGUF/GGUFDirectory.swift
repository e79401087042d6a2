/// Finds the bytes of a GGUF file's tensors and checks that each has its own.
enum GGUFDirectory {
    /// The tensors by name.
    ///
    /// Data begins at the first multiple of `general.alignment` after the header, so no tensor can lie
    /// over the header.
    ///
    /// - Throws: ``ModelFileError`` if a tensor reaches beyond the file, is not aligned, or overlaps
    ///   another.
    static func tensors(
        _ entries: [GGUFParser.Entry],
        headerEnd: Int,
        metadata: [String: GGUFFile.Value],
        file: MappedFile
    ) throws(ModelFileError) -> [String: GGUFFile.Tensor] {
        let alignment = try alignment(metadata, path: file.path)
        let start = (headerEnd + alignment - 1) / alignment * alignment
        var tensors: [String: GGUFFile.Tensor] = [:]
        var ranges: [(range: Range<Int>, name: String)] = []
        for entry in entries {
            let range = try range(entry, start: start, alignment: alignment, file: file)
            ranges.append((range, entry.name))
            let tensor = GGUFFile.Tensor(
                name: entry.name,
                shape: entry.shape,
                type: entry.type,
                bytes: UnsafeRawBufferPointer(rebasing: file.bytes[range])
            )
            guard tensors.updateValue(tensor, forKey: entry.name) == nil else {
                throw ModelFileError(
                    .malformed,
                    "\(file.path): tensor \(entry.name) stands twice"
                )
            }
        }
        ranges.sort { $0.range.lowerBound < $1.range.lowerBound }
        for (before, after) in zip(ranges, ranges.dropFirst())
        where after.range.lowerBound < before.range.upperBound {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): tensor \(after.name) begins at byte \(after.range.lowerBound), within \
                tensor \(before.name), which ends at \(before.range.upperBound)
                """
            )
        }
        return tensors
    }

    private static func alignment(
        _ metadata: [String: GGUFFile.Value],
        path: String
    ) throws(ModelFileError) -> Int {
        guard let value = metadata["general.alignment"] else { return 32 }
        guard case .integer(let alignment) = value, alignment > 0, alignment <= 1 << 20,
            alignment & (alignment - 1) == 0
        else {
            throw ModelFileError(
                .malformed,
                "\(path): general.alignment is no power of two up to \(1 << 20)"
            )
        }
        return alignment
    }

    private static func range(
        _ entry: GGUFParser.Entry,
        start: Int,
        alignment: Int,
        file: MappedFile
    ) throws(ModelFileError) -> Range<Int> {
        var elements = 1
        for size in entry.shape {
            let (product, overflow) = elements.multipliedReportingOverflow(by: size)
            guard !overflow, product <= 1 << 44 else {
                throw ModelFileError(.malformed, "\(file.path): tensor \(entry.name) is too large")
            }
            elements = product
        }
        let columns = entry.shape.last ?? 1
        guard columns % entry.type.blockSize == 0 else {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): tensor \(entry.name): \(columns) columns are no whole number of \
                \(entry.type) blocks of \(entry.type.blockSize)
                """
            )
        }
        guard entry.offset.isMultiple(of: UInt64(alignment)) else {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): tensor \(entry.name) lies at \(entry.offset), no multiple of \
                \(alignment)
                """
            )
        }
        let byteCount = elements / entry.type.blockSize * entry.type.blockByteCount
        let available = file.bytes.count - start
        guard available >= byteCount, entry.offset <= UInt64(available - byteCount) else {
            throw ModelFileError(
                .malformed,
                """
                \(file.path): truncated: tensor \(entry.name) takes \(byteCount) bytes from \
                \(entry.offset) on, but only \(max(available, 0)) follow the header
                """
            )
        }
        let lower = start + Int(entry.offset)
        return lower..<lower + byteCount
    }
}
