import CSpinetail

/// Rows of a head as the products read them best, kept by a worker from one block of queries to the next: widened,
/// padded, or brought to where cache lines begin.
struct HeadCopy<E: Real> {
    /// Whose rows they are, and which: batch, head, first, end.
    private let held: UnsafeMutablePointer<Int>
    private let rows: UnsafeMutablePointer<E>

    static var stateBytes: Int { 64 }
    /// What a copy may take; beyond, rows are copied block by block or read in place.
    private static var mostBytes: Int { 2 << 20 }
    /// How often rows are read at least, for a copy to pay.
    private static var leastUses: Int { 6 }

    /// The elements of a copy of `source`, 0 where none is made.
    static func elements(
        _ source: HeadRows<E>, _ p: AttentionProblem<E>, width: Int, aligned: Bool, workers: Int
    ) -> Int {
        let padded = roundUp(width, E.Lanes.width)
        let count = p.keys &* padded
        let blocks = pieces(p.queries, AttentionBlock<E>.queries) &* p.headsPerKey
        if blocks < leastUses &* workers || count > mostBytes / MemoryLayout<E>.size { return 0 }
        if source.storage != .own || aligned && (padded != width || source.straddles) { return count }
        return 0
    }

    init?(_ next: inout UnsafeMutableRawPointer, _ count: Int) {
        if count == 0 { return nil }
        held = next.assumingMemoryBound(to: Int.self)
        next += Self.stateBytes
        rows = carve(&next, count)
    }

    func forget() { held[0] = -1 }

    /// `count` rows from `first` on, of one run.
    func operand(
        _ source: HeadRows<E>, _ batch: Int, _ head: Int, first: Int, count: Int, width: Int
    ) -> PaddedRows<E> {
        let padded = roundUp(width, E.Lanes.width)
        let end = first &+ count
        if held[0] != batch || held[1] != head || end < held[2] || first > held[3] {
            held[0] = batch
            held[1] = head
            held[2] = first
            held[3] = first
        }
        if first < held[2] {
            source.copy(batch, head, first: first, count: held[2] &- first, width: width, into: rows + first &* padded)
            held[2] = first
        }
        if end > held[3] {
            source.copy(
                batch, head, first: held[3], count: end &- held[3], width: width, into: rows + held[3] &* padded)
            held[3] = end
        }
        return PaddedRows(base: UnsafePointer(rows + first &* padded), row: padded)
    }
}

extension HeadRows {
    /// Whether vectors straddle cache lines, of rows so far apart that a tile's share few sets of the first-level cache:
    /// rows of 256 bytes are read where they stand as fast.
    fileprivate var straddles: Bool {
        let size = MemoryLayout<E>.size
        return AttentionBlock<E>.isWide && row &* size > 256
            && (Int(bitPattern: base) | (batch | head | row) &* size) & 63 != 0
    }
}
