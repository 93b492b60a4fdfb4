import CSpinetail

/// A task is some blocks of queries, head after head, so that a head's keys and values stay in cache.
struct AttentionForward<E: Real>: ParallelTask {
    let problem: AttentionProblem<E>
    let output: HeadRows<E>
    let lse: HeadRows<E>?
    let scratch: UnsafeMutableRawPointer
    let scratchBytes: Int
    let blocks: Int
    let units: Int
    let unitsPerTask: Int
    let workers: Int

    func run(_ index: Int, worker: Int) {
        let memory = ForwardScratch<E>(scratch + worker &* scratchBytes, problem, workers: workers)
        let fetches = problem.keys >= RowsAhead.leastKeys
        var unit = index &* unitsPerTask
        let end = Swift.min(units, unit &+ unitsPerTask)
        while unit < end {
            // The longest work of a head first: under a causal mask that is its last block.
            if let packed = problem.packed {
                let number = packed.sequence(block: divide(unit, by: problem.heads))
                let own = packed.blocks[number &+ 1] &- packed.blocks[number]
                let place = unit &- packed.blocks[number] &* problem.heads
                runBlock(
                    problem.sequence(number), number, divide(place, by: own), own &- 1 &- remainder(place, by: own),
                    memory, next: nil)
            } else {
                let (batch, head, block) = place(unit)
                runBlock(
                    problem, batch, head, block, memory,
                    next: fetches && unit &+ 1 < units ? queries(unit &+ 1) : nil)
            }
            unit &+= 1
        }
    }

    @inline(__always) private func place(_ unit: Int) -> (batch: Int, head: Int, block: Int) {
        let head = divide(unit, by: blocks)
        return (
            divide(head, by: problem.heads), remainder(head, by: problem.heads),
            blocks &- 1 &- remainder(unit, by: blocks)
        )
    }

    private func queries(_ unit: Int) -> UnsafeRawPointer {
        let (batch, head, block) = place(unit)
        return UnsafeRawPointer(problem.query.address(batch, head, block &* AttentionBlock<E>.queries))
    }

    /// One block of queries of one head, against all keys that it sees. `next`: the next block's queries.
    private func runBlock(
        _ p: AttentionProblem<E>, _ batch: Int, _ head: Int, _ block: Int, _ memory: ForwardScratch<E>,
        next: UnsafeRawPointer?
    ) {
        let width = E.Lanes.width
        let query = block &* AttentionBlock<E>.queries
        let rows = Swift.min(AttentionBlock<E>.queries, p.queries &- query)
        let vectors = (rows &+ width &- 1) / width
        let keyHead = divide(head, by: p.headsPerKey)
        let padded = roundUp(p.valueWidth, width)
        let state = memory.state
        state.reset()
        let source = p.query.operand(
            batch, head, first: query, count: rows, width: p.width, paddedWidth: p.depth,
            buffer: memory.values)
        AttentionPacking<E>.transpose(
            source.base, row: source.row, count: rows, depth: p.width, vectors: vectors,
            factor: E(p.scale * PowerOfTwo<E>.log2e), into: memory.queries)
        let band = p.band.block(query: query, key: 0)
        let first = band.firstKey(0)
        let seen = band.endKey(rows &- 1, p.keys)
        var ahead = RowsAhead(
            p.packed == nil ? output : output.moved(p.queryOrigin), batch, head, first: query, width: p.valueWidth,
            next: next, p.query, nextWidth: p.width, rows: rows, keys: seen &- first)
        var key = first
        while key < seen {
            let keys = p.key.run(key, Swift.min(key &+ AttentionBlock<E>.keys, seen)) &- key
            let terms = BlockTerms(p, batch: batch, head: head, query: query, queries: rows, key: key, keys: keys)
            score(p, batch, head, keyHead, query, rows, vectors, key, keys, terms, memory, &ahead)
            var vector = 0
            while vector < vectors {
                state.exponentiate(
                    vector: vector, scores: memory.scores, from: terms.band.firstKey(vector &* width),
                    end: terms.band.endKey((vector &+ 1) &* width &- 1, keys))
                vector &+= 1
            }
            if p.dropout.active {
                p.dropout.fill(
                    p, batch: batch, head: head, query: query, queries: rows, key: key, keys: keys,
                    words: memory.words, into: memory.kept)
                AttentionDropout.multiply(memory.scores, by: memory.kept, vectors: vectors, keys: keys)
            }
            let values =
                memory.valueCopy?.operand(p.value, batch, keyHead, first: key, count: keys, width: p.valueWidth)
                ?? p.value.operand(
                    batch, keyHead, first: key, count: keys, width: p.valueWidth, paddedWidth: padded,
                    buffer: memory.values)
            AttentionProduct<E>.sums(
                rows: rows, columns: padded, depth: keys, a: memory.scores, queriesAreRows: true, b: values.base,
                bDepth: values.row, c: memory.sums, cRow: padded, factor: key == first ? nil : state.factor,
                band: terms.band)
            key &+= keys
        }
        finish(p, batch, head, query, rows, padded, memory)
    }

    /// Scores of one block of keys with all that is added to them, and each query's largest.
    @inline(__always)
    private func score(
        _ p: AttentionProblem<E>, _ batch: Int, _ head: Int, _ keyHead: Int, _ query: Int, _ rows: Int, _ vectors: Int,
        _ key: Int, _ keys: Int,
        _ terms: BlockTerms<E>, _ memory: ForwardScratch<E>, _ ahead: inout RowsAhead
    ) {
        let masked = p.mask.kind != .none
        let adjusting = masked || terms.active
        let rowsOfKeys =
            memory.keyCopy?.operand(p.key, batch, keyHead, first: key, count: keys, width: p.width)
            ?? p.key.operand(
                batch, keyHead, first: key, count: keys, width: p.width, paddedWidth: p.depth, buffer: memory.values)
        AttentionProduct<E>.scores(
            keys: rowsOfKeys.base, keyRow: rowsOfKeys.row, count: keys, depth: p.width,
            queries: memory.queries, vectors: vectors, out: memory.scores,
            largest: adjusting ? nil : memory.state.blockLargest, band: terms.band,
            ahead: &ahead)
        if !adjusting { return }
        if masked {
            p.mask.fill(
                batch: batch, head: head, query: query, queries: rows, key: key, keys: keys, stage: memory.stage,
                into: memory.mask)
        }
        var vector = 0
        while vector < vectors {
            let first = vector &* E.Lanes.width
            memory.state.adjust(
                vector: vector, scores: memory.scores, terms: terms, mask: masked ? UnsafePointer(memory.mask) : nil,
                from: terms.band.firstKey(first), end: terms.band.endKey(first &+ E.Lanes.width &- 1, keys))
            vector &+= 1
        }
    }

    /// Divides the sums by the sums of exponentials and stores them; a query that sees nothing gets zeros.
    private func finish(
        _ p: AttentionProblem<E>, _ batch: Int, _ head: Int, _ query: Int, _ rows: Int, _ padded: Int,
        _ memory: ForwardScratch<E>
    ) {
        let state = memory.state
        let output = p.packed == nil ? output : output.moved(p.queryOrigin)
        var r = 0
        while r < rows {
            let empty = state.sum[r] == 0
            let from = memory.sums + r &* padded
            if empty { clear(from, p.valueWidth) }
            output.store(
                batch, head, query &+ r, from, width: p.valueWidth, factor: empty ? 0 : 1 / state.sum[r])
            r &+= 1
        }
        guard let lse else { return }
        let rowsOut = (p.packed == nil ? lse : lse.moved(p.queryOrigin)).rows(batch, head) + query
        r = 0
        while r < rows {
            rowsOut[r] = logSumExp(state.sum[r], state.largest[r])
            r &+= 1
        }
    }
}
