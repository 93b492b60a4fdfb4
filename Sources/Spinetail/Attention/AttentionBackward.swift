import CSpinetail

/// The gradients' operands beside the problem's own.
struct AttentionGradients<E: Real> {
    var dquery: HeadRows<E>
    var dkey: HeadRows<E>
    var dvalue: HeadRows<E>
    var dmask: UnsafeMutablePointer<E>?
    var doutput: HeadRows<E>
    var output: HeadRows<E>
    var lse: HeadRows<E>

    /// nil where no gradient has elements.
    init?(_ arrays: GradientArrays) {
        let some = arrays.dquery.pointer(E.self) ?? arrays.dkey.pointer(E.self) ?? arrays.dvalue.pointer(E.self)
        guard let some else { return nil }
        dquery = HeadRows(arrays.dquery, E.self, fallback: some)
        dkey = HeadRows(arrays.dkey, E.self, fallback: some)
        dvalue = HeadRows(arrays.dvalue, E.self, fallback: some)
        dmask = arrays.dmask?.pointer(E.self)
        doutput = HeadRows(arrays.doutput, E.self, fallback: some)
        output = HeadRows(arrays.output, E.self, fallback: some)
        lse = HeadRows(
            arrays.lse.pointer(E.self) ?? some, heads: arrays.lse.extent(1), rows: arrays.lse.extent(2))
    }
}

/// The same as the caller gives them.
struct GradientArrays {
    var dquery: Descriptor
    var dkey: Descriptor
    var dvalue: Descriptor
    var dmask: Descriptor?
    var doutput: Descriptor
    var output: Descriptor
    var lse: Descriptor
}

/// A unit is a share of the work on one head of keys: of all blocks of queries that use it, its own and other heads'
/// alike, every `shares`-th. The gradients of its queries are complete; those of keys and values are if the share is
/// all there is, else they go to `partial` and are summed in the order of the shares afterwards.
struct AttentionBackward<E: Real>: ParallelTask {
    let problem: AttentionProblem<E>
    let gradients: AttentionGradients<E>
    let shares: Int
    let partial: UnsafeMutablePointer<E>?
    let scratch: UnsafeMutableRawPointer
    let scratchBytes: Int
    let units: Int
    let unitsPerTask: Int

    func run(_ index: Int, worker: Int) {
        let memory = BackwardScratch<E>(scratch + worker &* scratchBytes, problem, shares: shares)
        let keyHeads = divide(problem.heads, by: problem.headsPerKey)
        var unit = index &* unitsPerTask
        let end = Swift.min(units, unit &+ unitsPerTask)
        while unit < end {
            let head = divide(unit, by: shares)
            let batch = divide(head, by: keyHeads)
            let keyHead = remainder(head, by: keyHeads)
            if problem.packed == nil {
                runShare(problem, gradients, batch, keyHead, unit, memory)
            } else {
                let p = problem.sequence(batch)
                runShare(p, gradients.sequence(p), batch, keyHead, unit, memory)
            }
            unit &+= 1
        }
    }

    private func runShare(
        _ p: AttentionProblem<E>, _ gradients: AttentionGradients<E>, _ batch: Int, _ keyHead: Int, _ unit: Int,
        _ memory: BackwardScratch<E>
    ) {
        let rowElements = memory.paddedWidth &+ memory.paddedValueWidth
        let dkeys = partial.map { $0 + unit &* problem.keys &* rowElements } ?? memory.sums
        let dvalues = dkeys + p.keys &* memory.paddedWidth
        clear(dkeys, p.keys &* rowElements)
        let share = remainder(unit, by: shares)
        let blocks = pieces(p.queries, BackwardBlock<E>.queries)
        var member = 0
        while member < p.headsPerKey {
            // Later blocks see more keys under a causal mask: each share gets other ones of each head.
            var block = remainder(share &+ member, by: shares)
            while block < blocks {
                runQueries(
                    p, gradients, batch, keyHead &* p.headsPerKey &+ member, keyHead,
                    block &* BackwardBlock<E>.queries, dkeys, dvalues, memory)
                block &+= shares
            }
            member &+= 1
        }
        if partial != nil { return }
        gradients.dkey.store(
            batch, keyHead, first: 0, count: p.keys, dkeys, fromRow: memory.paddedWidth, width: p.width,
            factor: E(p.scale))
        gradients.dvalue.store(
            batch, keyHead, first: 0, count: p.keys, dvalues, fromRow: memory.paddedValueWidth, width: p.valueWidth,
            factor: 1)
    }

    /// Some queries of one head against all keys that any of them sees.
    private func runQueries(
        _ p: AttentionProblem<E>, _ gradients: AttentionGradients<E>, _ batch: Int, _ head: Int, _ keyHead: Int,
        _ query: Int, _ dkeys: UnsafeMutablePointer<E>, _ dvalues: UnsafeMutablePointer<E>, _ memory: BackwardScratch<E>
    ) {
        let queries = Swift.min(BackwardBlock<E>.queries, p.queries &- query)
        memory.prepare(p, gradients, batch, head, query: query, count: queries)
        clear(memory.dqueries, queries &* memory.paddedWidth)
        let seen = p.band.block(query: query, key: 0)
        let end = seen.endKey(queries &- 1, p.keys)
        var key = seen.firstKey(0)
        while key < end {
            let keys = Swift.min(BackwardBlock<E>.keys, end &- key)
            let keyRows = p.key.operand(
                batch, keyHead, first: key, count: keys, width: p.width, paddedWidth: memory.paddedWidth,
                buffer: memory.rows)
            let valueRows = p.value.operand(
                batch, keyHead, first: key, count: keys, width: p.valueWidth, paddedWidth: p.valueDepth,
                buffer: memory.otherRows)
            let band = p.band.block(query: query, key: key)
            let clean = !band.clips(queries: queries, keys: keys) || memory.finite(keyRows, keys)
            var first = 0
            while first < queries {
                let rows = Swift.min(AttentionBlock<E>.queries, queries &- first)
                let here = band.block(query: first, key: 0)
                if here.firstKey(0) < here.endKey(rows &- 1, keys) {
                    score(
                        p, gradients, batch, head, query, first, rows, key, keys, keyRows, valueRows, clean: clean,
                        memory)
                }
                first &+= AttentionBlock<E>.queries
            }
            GradientProduct<E>.overQueries(
                keys: keys, columns: memory.paddedValueWidth, queries: queries, a: memory.weights, aBlock: memory.block,
                b: memory.doutputPanels, bRows: memory.panelRows, c: dvalues + key &* memory.paddedValueWidth,
                band: band)
            GradientProduct<E>.overQueries(
                keys: keys, columns: memory.paddedWidth, queries: queries, a: memory.dscores, aBlock: memory.block,
                b: memory.queryPanels, bRows: memory.panelRows, c: dkeys + key &* memory.paddedWidth, band: band)
            key &+= keys
        }
        gradients.dquery.store(
            batch, head, first: query, count: queries, memory.dqueries, fromRow: memory.paddedWidth, width: p.width,
            factor: E(p.scale))
    }

    /// Weights and scores' gradients of one block of queries and one of keys, and what the queries get of them.
    @inline(__always)
    private func score(
        _ p: AttentionProblem<E>, _ gradients: AttentionGradients<E>, _ batch: Int, _ head: Int, _ origin: Int,
        _ first: Int, _ rows: Int, _ key: Int, _ keys: Int, _ keyRows: PaddedRows<E>, _ valueRows: PaddedRows<E>,
        clean: Bool, _ memory: BackwardScratch<E>
    ) {
        let query = origin &+ first
        let block = first / AttentionBlock<E>.queries
        let vectors = (rows &+ E.Lanes.width &- 1) / E.Lanes.width
        let weights = memory.weights + block &* memory.block
        let dscores = memory.dscores + block &* memory.block
        let masked = p.mask.kind != .none
        let terms = BlockTerms(p, batch: batch, head: head, query: query, queries: rows, key: key, keys: keys)
        AttentionProduct<E>.scores(
            keys: keyRows.base, keyRow: keyRows.row, count: keys, depth: p.width,
            queries: memory.queries + first &* p.width, vectors: vectors, out: weights, largest: nil, band: terms.band)
        AttentionProduct<E>.scores(
            keys: valueRows.base, keyRow: valueRows.row, count: keys, depth: p.valueWidth,
            queries: memory.doutputs + first &* p.valueWidth, vectors: vectors, out: dscores, largest: nil,
            band: terms.band)
        if masked {
            p.mask.fill(
                batch: batch, head: head, query: query, queries: rows, key: key, keys: keys, stage: memory.stage,
                into: memory.mask)
        }
        if p.dropout.active {
            p.dropout.fill(
                p, batch: batch, head: head, query: query, queries: rows, key: key, keys: keys,
                words: memory.words, into: memory.kept)
        }
        var vector = 0
        while vector < vectors {
            memory.differentiate(
                block: block, vector: vector, keys: keys, masked: masked, dropped: p.dropout.active, terms: terms)
            vector &+= 1
        }
        if let dmask = gradients.dmask {
            let at = ((batch &* p.heads &+ head) &* p.queries &+ query) &* p.keys &+ key
            memory.storeMask(dmask + at, block: block, row: p.keys, rows: rows, keys: keys, band: terms.band)
        }
        if terms.caps {
            AttentionDropout.multiply(dscores, by: memory.capSlopes, vectors: vectors, keys: keys)
        }
        GradientProduct<E>.overKeys(
            queries: rows, columns: memory.paddedWidth, keys: keys, a: dscores, b: keyRows.base, bRow: keyRows.row,
            c: memory.dqueries + first &* memory.paddedWidth, band: terms.band, apart: !clean)
    }
}

/// Sums the shares' parts of the gradients of keys and values, in their order; a task is some rows of one head.
struct SumShares<E: Real>: ParallelTask {
    let problem: AttentionProblem<E>
    let gradients: AttentionGradients<E>
    let partial: UnsafeMutablePointer<E>
    let shares: Int

    static var rows: Int { 128 }

    func run(_ index: Int, worker: Int) {
        let width = roundUp(problem.width, E.Lanes.width)
        let valueWidth = roundUp(problem.valueWidth, E.Lanes.width)
        let blocks = pieces(problem.keys, Self.rows)
        let head = divide(index, by: blocks)
        let keyHeads = divide(problem.heads, by: problem.headsPerKey)
        let batch = divide(head, by: keyHeads)
        let p = problem.sequence(batch)
        let gradients = gradients.sequence(p)
        let first = remainder(index, by: blocks) &* Self.rows
        let count = Swift.min(Self.rows, p.keys &- first)
        if count <= 0 { return }
        let size = problem.keys &* (width &+ valueWidth)
        let dkeys = partial + (head &* shares &* size &+ first &* width)
        let dvalues = partial + (head &* shares &* size &+ p.keys &* width &+ first &* valueWidth)
        add(dkeys, count &* width, size)
        add(dvalues, count &* valueWidth, size)
        let keyHead = remainder(head, by: keyHeads)
        gradients.dkey.store(
            batch, keyHead, first: first, count: count, dkeys, fromRow: width, width: p.width, factor: E(p.scale))
        gradients.dvalue.store(
            batch, keyHead, first: first, count: count, dvalues, fromRow: valueWidth, width: p.valueWidth, factor: 1)
    }

    private func add(_ sum: UnsafeMutablePointer<E>, _ count: Int, _ size: Int) {
        var i = 0
        while i < count {
            var total = E.Lanes.load(sum + i)
            var share = 1
            while share < shares {
                total = total + E.Lanes.load(sum + (share &* size &+ i))
                share &+= 1
            }
            total.store(sum + i)
            i &+= E.Lanes.width
        }
    }
}

func clear<E: Real>(_ memory: UnsafeMutablePointer<E>, _ count: Int) {
    memset(memory, 0, count &* MemoryLayout<E>.size)
}

/// to = factor · from, row by row.
@inline(never)
func copyRows<E: Real>(
    _ from: UnsafePointer<E>, row fromRow: Int, rows: Int, width: Int, factor: E, to: UnsafeMutablePointer<E>,
    row toRow: Int
) {
    let lanes = E.Lanes.width
    let scale = E.Lanes(repeating: factor)
    var r = 0
    while r < rows {
        let p = from + r &* fromRow
        let q = to + r &* toRow
        var i = 0
        while i &+ lanes <= width {
            (E.Lanes.load(p + i) * scale).store(q + i)
            i &+= lanes
        }
        if i < width {
            (E.Lanes.load(p + i, count: width &- i, fill: 0) * scale).store(q + i, count: width &- i)
        }
        r &+= 1
    }
}

extension HeadRows {
    /// Stores `count` rows from `first` on, factor · from.
    func store(
        _ batch: Int, _ head: Int, first: Int, count: Int, _ from: UnsafeMutablePointer<E>, fromRow: Int, width: Int,
        factor: E
    ) {
        if storage == .own {
            copyRows(
                from, row: fromRow, rows: count, width: width, factor: factor, to: rows(batch, head) + first &* row,
                row: row)
            return
        }
        var r = 0
        while r < count {
            store(batch, head, first &+ r, from + r &* fromRow, width: width, factor: factor)
            r &+= 1
        }
    }
}
