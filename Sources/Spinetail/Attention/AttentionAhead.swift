import CSpinetail

/// Memory that a block of queries is going to need, asked for while its scores are computed, some rows before each tile:
/// the rows that it will store, and those of the queries after it.
struct RowsAhead {
    private var output: UnsafeRawPointer
    private let outputRow: Int
    private let outputBytes: Int
    private var query: UnsafeRawPointer?
    private let queryRow: Int
    private let queryBytes: Int
    private var left: Int
    private let atOnce: Int

    static var leastKeys: Int { 64 }

    /// - next: what to fetch of `query`; nil: nothing
    /// - rows: how many of each; `keys` in all come by
    init<E: Real>(
        _ output: HeadRows<E>, _ batch: Int, _ head: Int, first: Int, width: Int, next: UnsafeRawPointer?,
        _ query: HeadRows<E>, nextWidth: Int, rows: Int, keys: Int
    ) {
        self.output = UnsafeRawPointer(output.address(batch, head, first))
        outputRow = output.row &* output.size
        outputBytes = width &* output.size
        self.query = next
        queryRow = query.row &* query.size
        queryBytes = nextWidth &* query.size
        // A few keys take less time than asking.
        left = keys < Self.leastKeys ? 0 : rows
        atOnce = pieces(rows, Swift.max(1, keys / AttentionBlock<E>.scoreRows))
    }

    @inline(__always) mutating func fetch() {
        var count = Swift.min(left, atOnce)
        left &-= count
        while count > 0 {
            var i = 0
            while i < outputBytes {
                spinetail_prefetch(output + i)
                i &+= 64
            }
            output += outputRow
            if let place = query {
                i = 0
                while i < queryBytes {
                    spinetail_prefetch(place + i)
                    i &+= 64
                }
                query = place + queryRow
            }
            count &-= 1
        }
    }
}
