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

/// A task owns some keys of one head of keys, `chunks` of which share the head: block number n belongs to chunk n mod
/// `chunks`. It goes through all queries that use the head, so the gradients of its keys and values are complete; its
/// part of the queries' gradients is too when it has the head to itself, else it goes to `partial` and is summed in the
/// order of the chunks afterwards.
struct AttentionBackward<E: Real>: ParallelTask {
    let problem: AttentionProblem<E>
    let gradients: AttentionGradients<E>
    let chunks: Int
    let partial: UnsafeMutablePointer<E>?
    let scratch: UnsafeMutableRawPointer
    let scratchBytes: Int
    let units: Int
    let unitsPerTask: Int

    func run(_ index: Int, worker: Int) {
        let memory = BackwardScratch<E>(scratch + worker &* scratchBytes, problem, chunks: chunks)
        var unit = index &* unitsPerTask
        let end = Swift.min(units, unit &+ unitsPerTask)
        while unit < end {
            let head = divide(unit, by: chunks)
            let keyHeads = divide(problem.heads, by: problem.headsPerKey)
            let batch = divide(head, by: keyHeads)
            let p = problem.sequence(batch)
            runHead(p, gradients.sequence(p), batch, remainder(head, by: keyHeads), remainder(unit, by: chunks), memory)
            unit &+= 1
        }
    }

    private func runHead(
        _ p: AttentionProblem<E>, _ gradients: AttentionGradients<E>, _ batch: Int, _ keyHead: Int, _ chunk: Int,
        _ memory: BackwardScratch<E>
    ) {
        clear(memory.dkeys, memory.chunkKeys &* memory.paddedWidth)
        clear(memory.dvalues, memory.chunkKeys &* memory.paddedValueWidth)
        var member = 0
        while member < p.headsPerKey {
            let head = keyHead &* p.headsPerKey &+ member
            memory.prepare(p, gradients, batch, head)
            clear(memory.dqueries, p.queries &* memory.paddedWidth)
            var number = chunk
            var slot = 0
            while number &* AttentionBlock<E>.keys < p.keys {
                runKeys(p, gradients, batch, head, keyHead, number &* AttentionBlock<E>.keys, slot, memory)
                number &+= chunks
                slot &+= AttentionBlock<E>.keys
            }
            storeQueries(p, gradients, batch, head, chunk, memory)
            member &+= 1
        }
        storeKeys(p, gradients, batch, keyHead, chunk, memory)
    }

    /// One block of keys against all queries of one head that see any of them.
    private func runKeys(
        _ p: AttentionProblem<E>, _ gradients: AttentionGradients<E>, _ batch: Int, _ head: Int, _ keyHead: Int,
        _ key: Int, _ slot: Int, _ memory: BackwardScratch<E>
    ) {
        let lanes = AttentionBlock<E>.queries
        let width = E.Lanes.width
        let keys = Swift.min(AttentionBlock<E>.keys, p.keys &- key)
        let keyRows = p.key.rows(batch, keyHead) + key &* p.key.row
        let valueRows = p.value.rows(batch, keyHead) + key &* p.value.row
        let padded = PaddedRows(
            keyRows, row: p.key.row, count: keys, width: p.width, paddedWidth: memory.paddedWidth, buffer: memory.keys)
        var query = divide(p.band.firstQuery(key), by: lanes) &* lanes
        let end = p.band.endQuery(key &+ keys &- 1, p.queries)
        while query < end {
            let rows = Swift.min(lanes, p.queries &- query)
            let vectors = (rows &+ width &- 1) / width
            let terms = BlockTerms(p, batch: batch, head: head, query: query, queries: rows, key: key, keys: keys)
            AttentionProduct<E>.scores(
                keys: keyRows, keyRow: p.key.row, count: keys, depth: p.width,
                queries: memory.queries + query &* p.width,
                vectors: vectors, out: memory.weights, largest: nil, band: terms.band)
            AttentionProduct<E>.scores(
                keys: valueRows, keyRow: p.value.row, count: keys, depth: p.valueWidth,
                queries: memory.doutputs + query &* p.valueWidth, vectors: vectors, out: memory.dscores, largest: nil,
                band: terms.band)
            if p.mask.kind != .none {
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
                    vector: vector, query: query, keys: keys, masked: p.mask.kind != .none, dropped: p.dropout.active,
                    terms: terms)
                vector &+= 1
            }
            if let dmask = gradients.dmask {
                let origin = ((batch &* p.heads &+ head) &* p.queries &+ query) &* p.keys &+ key
                memory.storeMask(dmask + origin, row: p.keys, rows: rows, keys: keys, band: terms.band)
            }
            if terms.caps {
                AttentionDropout.multiply(memory.dscores, by: memory.capSlopes, vectors: vectors, keys: keys)
            }
            AttentionProduct<E>.sums(
                rows: keys, columns: memory.paddedValueWidth, depth: rows, a: memory.weights, queriesAreRows: false,
                b: memory.doutputRows + query &* memory.doutputRow, bDepth: memory.doutputRow,
                c: memory.dvalues + slot &* memory.paddedValueWidth, cRow: memory.paddedValueWidth,
                factor: memory.ones, band: terms.band)
            AttentionProduct<E>.sums(
                rows: keys, columns: memory.paddedWidth, depth: rows, a: memory.dscores, queriesAreRows: false,
                b: memory.queryRows + query &* memory.queryRow, bDepth: memory.queryRow,
                c: memory.dkeys + slot &* memory.paddedWidth, cRow: memory.paddedWidth, factor: memory.ones,
                band: terms.band)
            AttentionProduct<E>.sums(
                rows: rows, columns: memory.paddedWidth, depth: keys, a: memory.dscores, queriesAreRows: true,
                b: padded.base, bDepth: padded.row, c: memory.dqueries + query &* memory.paddedWidth,
                cRow: memory.paddedWidth, factor: memory.ones, band: terms.band)
            query &+= lanes
        }
    }

    private func storeQueries(
        _ p: AttentionProblem<E>, _ gradients: AttentionGradients<E>, _ batch: Int, _ head: Int, _ chunk: Int,
        _ memory: BackwardScratch<E>
    ) {
        if let partial {
            let size = problem.queries &* memory.paddedWidth
            let at = ((batch &* p.heads &+ head) &* chunks &+ chunk) &* size
            copyRows(
                memory.dqueries, row: size, rows: 1, width: p.queries &* memory.paddedWidth, factor: 1,
                to: partial + at, row: size)
        } else {
            copyRows(
                memory.dqueries, row: memory.paddedWidth, rows: p.queries, width: p.width, factor: E(p.scale),
                to: gradients.dquery.rows(batch, head), row: gradients.dquery.row)
        }
    }

    private func storeKeys(
        _ p: AttentionProblem<E>, _ gradients: AttentionGradients<E>, _ batch: Int, _ keyHead: Int, _ chunk: Int,
        _ memory: BackwardScratch<E>
    ) {
        var key = chunk &* AttentionBlock<E>.keys
        var slot = 0
        while key < p.keys {
            let keys = Swift.min(AttentionBlock<E>.keys, p.keys &- key)
            copyRows(
                memory.dkeys + slot &* memory.paddedWidth, row: memory.paddedWidth, rows: keys, width: p.width,
                factor: E(p.scale), to: gradients.dkey.rows(batch, keyHead) + key &* gradients.dkey.row,
                row: gradients.dkey.row)
            copyRows(
                memory.dvalues + slot &* memory.paddedValueWidth, row: memory.paddedValueWidth, rows: keys,
                width: p.valueWidth, factor: 1, to: gradients.dvalue.rows(batch, keyHead) + key &* gradients.dvalue.row,
                row: gradients.dvalue.row)
            key &+= chunks &* AttentionBlock<E>.keys
            slot &+= AttentionBlock<E>.keys
        }
    }
}

/// Sums the chunks' parts of the queries' gradients, in their order; a task is some rows of one head.
struct SumPartialQueries<E: Real>: ParallelTask {
    let problem: AttentionProblem<E>
    let dquery: HeadRows<E>
    let partial: UnsafeMutablePointer<E>
    let chunks: Int
    let paddedWidth: Int

    static var rows: Int { 256 }

    func run(_ index: Int, worker: Int) {
        let blocks = pieces(problem.queries, Self.rows)
        let head = divide(index, by: blocks)
        let p = problem.sequence(divide(head, by: problem.heads))
        let first = remainder(index, by: blocks) &* Self.rows
        let rows = Swift.min(Self.rows, p.queries &- first)
        if rows <= 0 { return }
        let dquery = p.packed == nil ? dquery : dquery.moved(p.queryOrigin)
        let size = problem.queries &* paddedWidth
        let sum = partial + (head &* chunks &* size &+ first &* paddedWidth)
        var chunk = 1
        while chunk < chunks {
            let other = sum + chunk &* size
            var i = 0
            while i < rows &* paddedWidth {
                (E.Lanes.load(sum + i) + E.Lanes.load(other + i)).store(sum + i)
                i &+= E.Lanes.width
            }
            chunk &+= 1
        }
        let target = dquery.rows(divide(head, by: p.heads), remainder(head, by: p.heads)) + first &* dquery.row
        copyRows(
            sum, row: paddedWidth, rows: rows, width: p.width, factor: E(p.scale), to: target, row: dquery.row)
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
