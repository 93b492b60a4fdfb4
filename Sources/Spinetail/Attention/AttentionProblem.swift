import CSpinetail

/// One of the arrays (batch, heads, rows, width) with a contiguous last axis; strides in elements.
struct HeadRows<E: Real> {
    var base: UnsafeMutablePointer<E>
    var batch: Int
    var head: Int
    var row: Int

    /// `fallback` stands in for an array without elements, which is never read.
    init(_ array: Descriptor, _ type: E.Type, fallback: UnsafeMutablePointer<E>) {
        base = array.pointer(E.self) ?? fallback
        batch = array.stride(0, of: E.self)
        head = array.stride(1, of: E.self)
        row = array.stride(2, of: E.self)
    }

    @inline(__always) func rows(_ batch: Int, _ head: Int) -> UnsafeMutablePointer<E> {
        base + (batch &* self.batch &+ head &* self.head)
    }
}

/// What is added to the scores, or which of them count; strides in bytes.
struct AttentionMask {
    enum Kind { case none, boolean, additive }
    var kind = Kind.none
    var base: UnsafeRawPointer? = nil
    var batch = 0
    var head = 0
    var query = 0
    var key = 0

    init() {}

    init(_ array: Descriptor) {
        kind = Int(array.dtype) == Int(SPINETAIL_BOOL) ? .boolean : .additive
        base = array.pointee.data.map { UnsafeRawPointer($0) }
        batch = array.byteStride(0)
        head = array.byteStride(1)
        query = array.byteStride(2)
        key = array.byteStride(3)
    }
}

/// Sizes and operands of one call. Letters: queries × width · width × keys, then keys × valueWidth.
struct AttentionProblem<E: Real> {
    var batches: Int
    var heads: Int
    var headsPerKey: Int
    var queries: Int
    var keys: Int
    var width: Int
    var valueWidth: Int
    var query: HeadRows<E>
    var key: HeadRows<E>
    var value: HeadRows<E>
    var mask = AttentionMask()
    var dropout: AttentionDropout
    var scale: Double
    var causal: Bool

    init(
        _ query: Descriptor, _ key: Descriptor, _ value: Descriptor, _ mask: Descriptor?, scale: Double, causal: Bool,
        dropout: AttentionDropout, anything: UnsafeMutablePointer<E>
    ) {
        batches = query.extent(0)
        heads = query.extent(1)
        headsPerKey = divide(query.extent(1), by: key.extent(1))
        queries = query.extent(2)
        keys = key.extent(2)
        width = query.extent(3)
        valueWidth = value.extent(3)
        self.query = HeadRows(query, E.self, fallback: anything)
        self.key = HeadRows(key, E.self, fallback: anything)
        self.value = HeadRows(value, E.self, fallback: anything)
        if let mask { self.mask = AttentionMask(mask) }
        self.dropout = dropout
        self.scale = scale
        self.causal = causal
    }

    /// Roughly what one block of queries costs.
    var blockNanoseconds: Int {
        let rows = Swift.min(queries, AttentionBlock<E>.queries)
        let work = rows &* keys &* (width &+ valueWidth &+ 8) / (causal ? 2 : 1)
        return 100 &+ work / (32 &* E.Lanes.width / 16)
    }

    /// Keys that query `row` or an earlier one may see.
    @inline(__always) func keysSeen(through row: Int) -> Int { causal ? Swift.min(keys, row &+ 1) : keys }
}

/// The sizes that kernels cut problems into.
enum AttentionBlock<E: Real> {
    @inline(__always) static var isWide: Bool { MemoryLayout<E.Lanes>.size == 64 }
    /// A block of queries is three vectors: scores are kept with the queries along the lanes, key after key.
    @inline(__always) static var queries: Int { 3 &* E.Lanes.width }
    @inline(__always) static var keys: Int { 128 }
    /// Keys in a register tile of scores, and queries in a register tile of outputs.
    @inline(__always) static var scoreRows: Int { isWide ? 8 : 4 }
    @inline(__always) static var outputRows: Int { isWide ? 12 : 6 }
}

/// Checks what both directions share; `arguments` are the positions of query, key, value and mask. Status.ok or what is
/// wrong.
func checkAttention(
    _ query: Descriptor, _ key: Descriptor, _ value: Descriptor, _ mask: Descriptor?, output: Descriptor,
    at outputPosition: Int32, first: Int32
) -> Int32 {
    if query.rank != 4 { return Status.rank(first) }
    if key.rank != 4 { return Status.rank(first &+ 1) }
    if value.rank != 4 { return Status.rank(first &+ 2) }
    if output.rank != 4 { return Status.rank(outputPosition) }
    if key.dtype != query.dtype { return Status.dtype(first &+ 1) }
    if value.dtype != query.dtype { return Status.dtype(first &+ 2) }
    if output.dtype != query.dtype { return Status.dtype(outputPosition) }
    let batches = query.extent(0)
    let heads = query.extent(1)
    let keyHeads = key.extent(1)
    if key.extent(0) != batches || key.extent(3) != query.extent(3) { return Status.shape(first &+ 1) }
    if keyHeads == 0 ? heads != 0 : remainder(heads, by: keyHeads) != 0 { return Status.shape(first &+ 1) }
    if value.extent(0) != batches || value.extent(1) != keyHeads || value.extent(2) != key.extent(2) {
        return Status.shape(first &+ 2)
    }
    if !sameRows(output, batches, heads, query.extent(2), value.extent(3)) { return Status.shape(outputPosition) }
    if !hasContiguousRows(query) { return Status.layout(first) }
    if !hasContiguousRows(key) { return Status.layout(first &+ 1) }
    if !hasContiguousRows(value) { return Status.layout(first &+ 2) }
    if !hasContiguousRows(output) { return Status.layout(outputPosition) }
    if let mask {
        if !sameRows(mask, batches, heads, query.extent(2), key.extent(2)) { return Status.shape(first &+ 3) }
        if mask.dtype != query.dtype && Int(mask.dtype) != Int(SPINETAIL_BOOL) { return Status.dtype(first &+ 3) }
    }
    return Status.ok
}

func sameRows(_ array: Descriptor, _ a: Int, _ b: Int, _ c: Int, _ d: Int) -> Bool {
    array.rank == 4 && array.extent(0) == a && array.extent(1) == b && array.extent(2) == c && array.extent(3) == d
}

func hasContiguousRows(_ array: Descriptor) -> Bool {
    array.extent(3) <= 1 || array.byteStride(3) == array.itemSize || array.pointee.data == nil
}
