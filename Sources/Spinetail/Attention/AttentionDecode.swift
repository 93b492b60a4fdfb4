import CSpinetail

/// Few queries against many keys: memory is the limit, so each head's keys and values are read once, in their order and
/// as they are stored, for all queries that use them. Long sequences of keys are split among tasks, and the parts joined
/// in their order.
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
    /// Queries whose sums stay in registers together.
    static var queriesAtOnce: Int { AttentionBlock<E>.isWide ? 4 : 2 }

    static func splits(_ p: AttentionProblem<E>) -> Int {
        let keys = decodeKeys(p)
        if p.splits > 0 { return Swift.max(1, Swift.min(p.splits, pieces(keys, blockKeys))) }
        let heads = p.fewCount &* divide(p.heads, by: p.headsPerKey)
        return Swift.max(1, Swift.min(pieces(16, Swift.max(1, heads)), keys / leastKeys))
    }

    /// The keys that any of the queries sees, from the first one's first on.
    static func decodeKeys(_ p: AttentionProblem<E>) -> Int {
        var most = 0
        var place = 0
        while place < (p.packed == nil ? 1 : p.fewCount) {
            let own = p.sequence(p.few(place))
            most = Swift.max(most, own.band.width(0, queries: own.queries, keys: own.keys))
            place &+= 1
        }
        return most
    }

    static func bytes(_ p: AttentionProblem<E>) -> Int {
        let rows = p.headsPerKey &* p.fewQueries
        let elements =
            rows &* (roundUp(p.width, E.Lanes.width) &+ DecodeRow<E>.elements(p.valueWidth)) &+ 5 &* blockKeys
        return roundUp(elements &* MemoryLayout<E>.size &+ 256, 4096) &+ 128
    }

    func run(_ index: Int, worker: Int) {
        let keyHeads = divide(problem.heads, by: problem.headsPerKey)
        let split = remainder(index, by: splits)
        let pair = divide(index, by: splits)
        let place = divide(pair, by: keyHeads)
        let batch = problem.few(place)
        let p = problem.sequence(batch)
        let keyHead = remainder(pair, by: keyHeads)
        let rows = p.headsPerKey &* p.queries
        let memory = DecodeScratch(scratch + worker &* scratchBytes, p, rows: rows)
        var row = 0
        while row < rows {
            memory.pack(p, batch, keyHead, row)
            row &+= 1
        }
        var key = p.band.firstKey(0) &+ split &* keysPerSplit
        let end = Swift.min(p.band.endKey(p.queries &- 1, p.keys), key &+ keysPerSplit)
        while key < end {
            let until = p.key.run(key, Swift.min(end, key &+ Self.blockKeys))
            let isShared = !p.band.block(query: 0, key: key).clips(queries: p.queries, keys: until &- key)
            row = 0
            while row < rows {
                let left = Swift.min(isShared ? Self.queriesAtOnce : 1, rows &- row)
                let count = left == 3 ? 2 : left
                let query = remainder(row, by: p.queries)
                let first = isShared ? key : Swift.max(key, p.band.firstKey(query))
                let seen = (isShared ? until : p.band.endKey(query, until)) &- first
                if seen > 0 { absorb(p, batch, keyHead, row, count, first, seen, memory) }
                row &+= count
            }
            key = until
        }
        row = 0
        while row < rows {
            let head = place &* p.heads &+ keyHead &* p.headsPerKey &+ divide(row, by: p.queries)
            let place = head &* problem.fewQueries &+ remainder(row, by: p.queries)
            if splits == 1 {
                JoinSplits<E>(problem: problem, output: output, lse: lse, splits: 1, partial: partial).finish(
                    place, memory.state(row))
            } else {
                memcpy(
                    partial + (place &* splits &+ split) &* memory.size, memory.state(row),
                    memory.size &* MemoryLayout<E>.size)
            }
            row &+= 1
        }
    }

    /// A run of keys for some queries that see all of it.
    @inline(__always)
    private func absorb(
        _ p: AttentionProblem<E>, _ batch: Int, _ keyHead: Int, _ row: Int, _ count: Int, _ key: Int, _ keys: Int,
        _ memory: DecodeScratch<E>
    ) {
        let scores = UnsafeMutableRawPointer(memory.scores)
        let keyRows = UnsafeRawPointer(p.key.address(batch, keyHead, key))
        let values = UnsafeRawPointer(p.value.address(batch, keyHead, key))
        // The first queries ask for what all of them read. Narrow rows are over so soon that the processor, which sees
        // ahead a page at a time, would wait at each block; float32's come without that.
        let fetches = row == 0 && p.key.storage != .own
        p.key.scores(
            DecodeBlock(
                rows: keyRows, row: p.key.row, count: keys, width: p.width, scores: scores, queries: count,
                next: values,
                nextRow: p.value.rowBytes, bytes: fetches ? p.value.bytes(p.valueWidth) : 0), memory.query(row))
        let keyScales = p.key.scales(batch, keyHead, key)
        let valueScales = p.value.scales(batch, keyHead, key)
        var r = 0
        while r < count {
            let head = keyHead &* p.headsPerKey &+ divide(row &+ r, by: p.queries)
            let query = remainder(row &+ r, by: p.queries)
            let own = memory.scores + r &* Self.blockKeys
            if let keyScales { RowScales<E>.multiply(own, by: keyScales, keys) }
            let terms = BlockTerms(p, batch: batch, head: head, query: query, queries: 1, key: key, keys: keys)
            if terms.active { adjust(own, keys, terms) }
            if p.mask.kind != .none {
                p.mask.row(batch: batch, head: head, query: query, key: key, keys: keys, into: memory.bias)
                add(memory.bias, to: own, keys)
            }
            DecodeRow<E>(memory.state(row &+ r)).weigh(own, count: keys)
            if let valueScales { RowScales<E>.multiply(own, by: valueScales, keys) }
            r &+= 1
        }
        p.value.sums(
            DecodeBlock(
                rows: values, row: p.value.row, count: keys, width: p.valueWidth, scores: scores, queries: count,
                next: keyRows + keys &* p.key.rowBytes, nextRow: p.key.rowBytes,
                bytes: fetches ? p.key.bytes(p.width) : 0),
            memory.state(row), memory.size)
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
