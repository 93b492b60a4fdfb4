import CSpinetail

/// One of the arrays (batch, heads, rows, width) with a contiguous last axis; strides in elements.
struct HeadRows<E: Real> {
    var base: UnsafeMutablePointer<E>
    var batch: Int
    var head: Int
    var row: Int
    var storage = AttentionStorage.own
    /// Bytes of one number, where they are not those of E.
    private(set) var size = MemoryLayout<E>.size
    /// What each row's whole numbers are multiples of.
    var scales = RowScales<E>()
    /// Where the rows of a sequence are pages, `pageRows` each, of any batches: which ones.
    var pages: UnsafePointer<Int32>? = nil
    private var pageRows = Int.max

    /// `fallback` stands in for an array without elements, which is never read.
    init(_ array: Descriptor, _ type: E.Type, scales: Descriptor? = nil, fallback: UnsafeMutablePointer<E>) {
        storage = AttentionStorage(array)
        base = array.pointee.data?.assumingMemoryBound(to: E.self) ?? fallback
        size = array.itemSize
        // Sizes are powers of two, and strides may be negative.
        let shift = size.trailingZeroBitCount
        batch = array.byteStride(0) &>> shift
        head = array.byteStride(1) &>> shift
        row = array.byteStride(2) &>> shift
        pageRows = array.extent(2)
        self.scales = RowScales(scales)
    }

    /// One number for each row: (batch, heads, rows), contiguous.
    init(_ numbers: UnsafeMutablePointer<E>, heads: Int, rows: Int) {
        base = numbers
        batch = heads &* rows
        head = rows
        row = 1
    }

    /// From a row on, for one of the sequences that are packed in a single batch.
    func moved(_ rows: Int) -> Self {
        var moved = self
        moved.base = (UnsafeMutableRawPointer(base) + size &* rows &* row).assumingMemoryBound(to: E.self)
        moved.batch = 0
        moved.scales.move(rows)
        return moved
    }

    @inline(__always) func bytes(_ count: Int) -> Int { count &* size }
    @inline(__always) var rowBytes: Int { row &* size }

    /// Where numbers of E stand.
    @inline(__always) func rows(_ batch: Int, _ head: Int) -> UnsafeMutablePointer<E> {
        base + (batch &* self.batch &+ head &* self.head)
    }

    /// The batch and the row of it that the rows of one sequence are in.
    @inline(__always) private func place(_ batch: Int, _ row: Int) -> (batch: Int, row: Int) {
        guard let pages else { return (batch, row) }
        let page = divide(row, by: pageRows)
        return (Int(pages[page]), row &- page &* pageRows)
    }

    @inline(__always) func address(_ batch: Int, _ head: Int, _ row: Int) -> UnsafeMutableRawPointer {
        let place = place(batch, row)
        return UnsafeMutableRawPointer(base)
            + size &* (place.batch &* self.batch &+ head &* self.head &+ place.row &* self.row)
    }

    @inline(__always) func scales(_ batch: Int, _ head: Int, _ row: Int) -> UnsafePointer<E>? {
        let place = place(batch, row)
        return scales.at(place.batch, head, place.row)
    }

    /// The end of the rows from `row` on, `until` at most, that follow each other in memory.
    @inline(__always) func run(_ row: Int, _ until: Int) -> Int {
        pages == nil ? until : Swift.min(until, (divide(row, by: pageRows) &+ 1) &* pageRows)
    }
}

/// A number for each row: (batch, heads, rows) with a contiguous last axis; none by default.
struct RowScales<E: Real> {
    private var base: UnsafePointer<E>? = nil
    private var batch = 0
    private var head = 0

    init() {}

    init(_ array: Descriptor?) {
        guard let array else { return }
        base = array.pointer(E.self).map { UnsafePointer($0) }
        batch = array.stride(0, of: E.self)
        head = array.stride(1, of: E.self)
    }

    mutating func move(_ rows: Int) {
        base = base.map { $0 + rows }
        batch = 0
    }

    @inline(__always) func at(_ batch: Int, _ head: Int, _ row: Int) -> UnsafePointer<E>? {
        base.map { $0 + (batch &* self.batch &+ head &* self.head &+ row) }
    }

    /// numbers[i] *= scales[i] for some numbers, with room for whole vectors.
    @inline(__always) static func multiply(
        _ numbers: UnsafeMutablePointer<E>, by scales: UnsafePointer<E>, _ count: Int
    ) {
        var i = 0
        while i < count {
            (E.Lanes.load(numbers + i) * E.Lanes.loadUpTo(scales + i, count &- i)).store(numbers + i)
            i &+= E.Lanes.width
        }
    }
}
