/// Writes the two notations for a place in a document.
public enum JSONPath {
    /// `path.key`, or `path["key"]` when the key is not a plain word.
    public static func appending(_ key: String, to path: String) -> String {
        let isWord =
            !key.isEmpty
            && key.utf8.allSatisfy {
                $0 == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            }
        return isWord ? "\(path).\(key)" : path + "[" + JSONValue.string(key).canonicalText + "]"
    }

    /// The path of an RFC 6901 pointer made of plain words and indices: `/data/train/0` is
    /// `$.data.train[0]`.
    public static func path(ofPointer pointer: String) -> String {
        pointer.split(separator: "/").reduce("$") { path, step in
            Int(step) == nil ? appending(String(step), to: path) : "\(path)[\(step)]"
        }
    }
}
