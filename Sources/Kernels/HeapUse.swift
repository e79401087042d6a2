internal import CKernels

/// How much of the heap is in use.
public enum HeapUse {
    /// Bytes, in all arenas; 0 where the C library does not tell.
    public static var byteCount: Int { Int(qat_heap_byte_count()) }
}
