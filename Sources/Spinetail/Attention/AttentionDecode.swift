import CSpinetail

/// Few queries against many keys: memory is the limit, so each head's keys and values are read once, in their order,
/// for all queries that use them. Long sequences of keys are split among tasks, and the parts joined in their order.
struct AttentionDecode<E: Real>: ParallelTask {
    let problem: AttentionProblem<E>
    let output: HeadRows<E>
    let lse: HeadRows<E>?
    let splits: Int
    let keysPerSplit: Int
    let partial: UnsafeMutablePointer<E>
    let scratch: UnsafeMutableRawPointer
    let scratchBytes: Int

    /// With more queries than this, tiles pay.
    static var mostQueries: Int { 4 }
    static var blockKeys: Int { 64 }
    static var leastKeys: Int { 512 }

    static func splits(_ p: AttentionProblem<E>) -> Int {
        let heads = p.batches &* divide(p.heads, by: p.headsPerKey)
        return Swift.max(1, Swift.min(pieces(16, Swift.max(1, heads)), decodeKeys(p) / leastKeys))
    }

    /// The keys that any of the queries sees, from the first one's first on.
    static func decodeKeys(_ p: AttentionProblem<E>) -> Int {
        if p.packed == nil { return p.band.width(0, queries: p.queries, keys: p.keys) }
        var most = 0
        var number = 0
        while number < p.batches {
            let own = p.sequence(number)
            most = Swift.max(most, own.band.width(0, queries: own.queries, keys: own.keys))
            number &+= 1
        }
        return most
    }

    /// Elements of what one query leaves behind: its largest score, the sum of exponentials, the sums.
    static func rowElements(_ p: AttentionProblem<E>) -> Int {
        roundUp(p.valueWidth, E.Lanes.width) &+ 2 &* E.Lanes.width
    }

    static func bytes(_ p: AttentionProblem<E>) -> Int {
        let rows = p.headsPerKey &* p.queries
        let widths = roundUp(p.width, E.Lanes.width) &+ roundUp(p.valueWidth, E.Lanes.width)
        let widened = p.key.storage == .own ? 0 : blockKeys &* widths
        let elements =
            rows &* (roundUp(p.width, E.Lanes.width) &+ rowElements(p)) &+ 2 &* blockKeys &+ widened
        return roundUp(elements &* MemoryLayout<E>.size &+ 512, 4096) &+ 128
    }

    func run(_ index: Int, worker: Int) {
        let keyHeads = divide(problem.heads, by: problem.headsPerKey)
        let split = remainder(index, by: splits)
        let pair = divide(index, by: splits)
        let batch = divide(pair, by: keyHeads)
        let p = problem.sequence(batch)
        let keyHead = remainder(pair, by: keyHeads)
        let rows = p.headsPerKey &* p.queries
        let padded = roundUp(p.width, E.Lanes.width)
        let size = Self.rowElements(p)
        var next = scratch + worker &* scratchBytes
        let queries: UnsafeMutablePointer<E> = carve(&next, rows &* padded)
        let scores: UnsafeMutablePointer<E> = carve(&next, Self.blockKeys)
        let bias: UnsafeMutablePointer<E> = carve(&next, Self.blockKeys)
        let own: UnsafeMutablePointer<E> = carve(&next, rows &* size)
        let widened = p.key.storage == .own ? 0 : Self.blockKeys
        let keyBuffer: UnsafeMutablePointer<E> = carve(&next, widened &* padded)
        let valueBuffer: UnsafeMutablePointer<E> = carve(
            &next, widened &* roundUp(p.valueWidth, E.Lanes.width))
        var row = 0
        clear(queries, rows &* padded)
        while row < rows {
            let head = keyHead &* p.headsPerKey &+ divide(row, by: p.queries)
            let query = remainder(row, by: p.queries)
            let source = p.query.operand(
                batch, head, first: query, count: 1, width: p.width, paddedWidth: p.depth,
                buffer: queries + row &* padded)
            copyRows(
                source.base, row: 0, rows: 1, width: p.width, factor: E(p.scale * PowerOfTwo<E>.log2e),
                to: queries + row &* padded, row: 0)
            DecodeRow<E>(own + row &* size).reset(p.valueWidth)
            row &+= 1
        }
        var key = p.band.firstKey(0) &+ split &* keysPerSplit
        let end = Swift.min(p.band.endKey(p.queries &- 1, p.keys), key &+ keysPerSplit)
        while key < end {
            let until = Swift.min(end, key &+ Self.blockKeys)
            let keys = p.key.operand(
                batch, keyHead, first: key, count: until &- key, width: p.width, paddedWidth: p.depth,
                buffer: keyBuffer)
            let values = p.value.operand(
                batch, keyHead, first: key, count: until &- key, width: p.valueWidth,
                paddedWidth: p.valueDepth,
                buffer: valueBuffer)
            row = 0
            while row < rows {
                let head = keyHead &* p.headsPerKey &+ divide(row, by: p.queries)
                let query = remainder(row, by: p.queries)
                let first = Swift.max(key, p.band.firstKey(query))
                let count = p.band.endKey(query, until) &- first
                if count > 0 {
                    DecodeRow<E>.scores(
                        queries + row &* padded, keys.base + (first &- key) &* keys.row, row: keys.row,
                        count: count, width: p.width, into: scores)
                    let terms = BlockTerms(
                        p, batch: batch, head: head, query: query, queries: 1, key: first, keys: count)
                    if terms.active { adjust(scores, count, terms) }
                    if p.mask.kind != .none {
                        p.mask.row(batch: batch, head: head, query: query, key: first, keys: count, into: bias)
                        add(bias, to: scores, count)
                    }
                    DecodeRow<E>(own + row &* size).absorb(
                        scores, values.base + (first &- key) &* values.row, row: values.row, count: count,
                        width: p.valueWidth)
                }
                row &+= 1
            }
            key &+= Self.blockKeys
        }
        row = 0
        while row < rows {
            let head = batch &* p.heads &+ keyHead &* p.headsPerKey &+ divide(row, by: p.queries)
            let place = head &* problem.queries &+ remainder(row, by: p.queries)
            if splits == 1 {
                JoinSplits<E>(problem: problem, output: output, lse: lse, splits: 1, partial: own + row &* size).finish(
                    place, own + row &* size)
            } else {
                memcpy(
                    partial + (place &* splits &+ split) &* size, own + row &* size, size &* MemoryLayout<E>.size)
            }
            row &+= 1
        }
    }

    private func adjust(_ scores: UnsafeMutablePointer<E>, _ count: Int, _ terms: BlockTerms<E>) {
        var k = 0
        while k < count {
            var s = E.Lanes.load(scores + k)
            if terms.caps { s = terms.capped(terms.ratio(s)) }
            terms.biased(s, row: 0, keysFrom: k).store(scores + k)
            k &+= E.Lanes.width
        }
    }

    private func add(_ bias: UnsafePointer<E>, to scores: UnsafeMutablePointer<E>, _ count: Int) {
        var k = 0
        while k < count {
            scores[k] = scores[k] + bias[k]
            k &+= 1
        }
    }
}

/// Joins the parts of each query; a task is one query of one head.
struct JoinSplits<E: Real>: ParallelTask {
    let problem: AttentionProblem<E>
    let output: HeadRows<E>
    let lse: HeadRows<E>?
    let splits: Int
    let partial: UnsafeMutablePointer<E>

    func run(_ index: Int, worker: Int) {
        let number = divide(divide(index, by: problem.queries), by: problem.heads)
        // Shorter sequences leave places empty.
        if remainder(index, by: problem.queries) >= problem.sequence(number).queries { return }
        let size = AttentionDecode<E>.rowElements(problem)
        let first = partial + index &* splits &* size
        let joined = DecodeRow<E>(first)
        var split = 1
        while split < splits {
            join(joined, DecodeRow<E>(first + split &* size))
            split &+= 1
        }
        finish(index, first)
    }

    private func join(_ a: DecodeRow<E>, _ b: DecodeRow<E>) {
        let lanes = E.Lanes.width
        let old = E.Lanes.load(a.largest)
        let other = E.Lanes.load(b.largest)
        let new = E.Lanes.max(old, other)
        let reference = E.Lanes.select(E.Lanes.equal(new, E.Lanes(repeating: -E.infinity)), .zero, new)
        let left = PowerOfTwo<E>.of(old - reference)
        let right = PowerOfTwo<E>.of(other - reference)
        new.store(a.largest)
        (E.Lanes.load(a.sum) * left + E.Lanes.load(b.sum) * right).store(a.sum)
        var i = 0
        while i < problem.valueWidth {
            (E.Lanes.load(a.values + i) * left + E.Lanes.load(b.values + i) * right).store(a.values + i)
            i &+= lanes
        }
    }

    /// Stores query `place` of all, counted through batches and heads.
    func finish(_ place: Int, _ memory: UnsafeMutablePointer<E>) {
        let head = divide(place, by: problem.queries)
        let query = remainder(place, by: problem.queries)
        let batch = divide(head, by: problem.heads)
        let p = problem.sequence(batch)
        let output = p.packed == nil ? output : output.moved(p.queryOrigin)
        let row = DecodeRow<E>(memory)
        let sum = E.Lanes.load(row.sum).sum()
        if sum == 0 { clear(row.values, p.valueWidth) }
        output.store(
            batch, remainder(head, by: p.heads), query, row.values, width: p.valueWidth,
            factor: sum == 0 ? 0 : 1 / sum)
        guard let lse else { return }
        let logarithms = p.packed == nil ? lse : lse.moved(p.queryOrigin)
        logarithms.rows(batch, remainder(head, by: p.heads))[query] = logSumExp(sum, row.largest[0])
    }
}

/// The natural logarithm of a sum of powers of two relative to `largest`; -∞ where there was nothing to sum.
func logSumExp<E: Real>(_ sum: E, _ largest: E) -> E {
    E(CSpinetail.log(sum.double) + largest.double * PowerOfTwo<E>.ln2)
}
