import CSpinetail

/// Scratch of one worker for the backward pass: some queries of one head prepared, their weights with one block of
/// keys, and sums.
struct BackwardScratch<E: Real> {
    let paddedWidth: Int
    let paddedValueWidth: Int
    /// Elements of one block of scores.
    let block: Int
    /// Rows of a panel.
    let panelRows: Int
    /// Queries, and outputs' gradients: blocks with the queries along the lanes, and panels of rows.
    let queries: UnsafeMutablePointer<E>
    let doutputs: UnsafeMutablePointer<E>
    let queryPanels: UnsafeMutablePointer<E>
    let doutputPanels: UnsafeMutablePointer<E>
    /// Per query: log-sum-exp in units of ln 2, and Σ doutput · output.
    let lse: UnsafeMutablePointer<E>
    let delta: UnsafeMutablePointer<E>
    let weights: UnsafeMutablePointer<E>
    let dscores: UnsafeMutablePointer<E>
    let mask: UnsafeMutablePointer<E>
    let stage: UnsafeMutablePointer<E>
    /// What the block's weights are multiplied by under dropout.
    let kept: UnsafeMutablePointer<E>
    /// The soft-cap's derivatives.
    let capSlopes: UnsafeMutablePointer<E>
    let words: UnsafeMutablePointer<UInt32>
    let dqueries: UnsafeMutablePointer<E>
    /// Sums for the keys, then for the values, of a head; nothing where every share has its own.
    let sums: UnsafeMutablePointer<E>
    /// Rows that are widened or padded: of queries or outputs' gradients, and of outputs; of keys, and of values.
    let rows: UnsafeMutablePointer<E>
    let otherRows: UnsafeMutablePointer<E>

    static func bytes(_ p: AttentionProblem<E>, shares: Int) -> Int {
        var next = UnsafeMutableRawPointer(bitPattern: 4096)
        guard let start = next else { return 0 }
        _ = BackwardScratch(start, p, shares: shares, end: &next)
        return roundUp(next.map { $0 - start } ?? 0, 4096) &+ 128
    }

    init(_ memory: UnsafeMutableRawPointer, _ p: AttentionProblem<E>, shares: Int) {
        var end: UnsafeMutableRawPointer? = nil
        self.init(memory, p, shares: shares, end: &end)
    }

    /// Only divides the memory up.
    private init(
        _ memory: UnsafeMutableRawPointer, _ p: AttentionProblem<E>, shares: Int, end: inout UnsafeMutableRawPointer?
    ) {
        let lanes = AttentionBlock<E>.queries
        let width = E.Lanes.width
        let blockKeys = Swift.min(roundUp(p.keys, width), BackwardBlock<E>.keys)
        let blockedQueries = Swift.min(roundUp(p.queries, lanes), BackwardBlock<E>.queries)
        let blocks = blockedQueries / lanes
        let masked = p.mask.kind != .none
        let maskKeys = roundUp(blockKeys, width)
        paddedWidth = roundUp(p.width, width)
        paddedValueWidth = roundUp(p.valueWidth, width)
        block = BackwardBlock<E>.elements(keys: blockKeys)
        panelRows = Swift.min(p.queries, BackwardBlock<E>.queries)
        let halves = p.query.storage != .own
        let rowElements = halves ? Swift.max(blockedQueries, blockKeys) &* Swift.max(paddedWidth, paddedValueWidth) : 0
        var next = memory
        queries = carve(&next, blockedQueries &* p.width)
        doutputs = carve(&next, blockedQueries &* p.valueWidth)
        queryPanels = carve(&next, panelRows &* roundUp(p.width, BackwardBlock<E>.panel))
        doutputPanels = carve(&next, panelRows &* roundUp(p.valueWidth, BackwardBlock<E>.panel))
        lse = carve(&next, blockedQueries)
        delta = carve(&next, blockedQueries)
        weights = carve(&next, blocks &* block)
        dscores = carve(&next, blocks &* block)
        mask = carve(&next, masked ? maskKeys &* lanes : 0)
        stage = carve(&next, masked ? width &* AttentionBlock<E>.keys : 0)
        kept = carve(&next, p.dropout.active ? maskKeys &* lanes : 0)
        capSlopes = carve(&next, p.softcap > 0 ? maskKeys &* lanes : 0)
        words = next.assumingMemoryBound(to: UInt32.self)
        next += AttentionDropout.words &* 4
        dqueries = carve(&next, panelRows &* paddedWidth)
        sums = carve(&next, shares > 1 ? 0 : p.keys &* (paddedWidth &+ paddedValueWidth))
        rows = carve(&next, halves || paddedWidth == p.width ? rowElements : blockKeys &* paddedWidth)
        otherRows = carve(&next, rowElements)
        end = next
    }

    /// Packs some queries of one head and their outputs' gradients, and what each query needs of its row.
    @inline(never)
    func prepare(
        _ p: AttentionProblem<E>, _ g: AttentionGradients<E>, _ batch: Int, _ head: Int, query: Int, count: Int
    ) {
        let rowsOfQueries = p.query.operand(
            batch, head, first: query, count: count, width: p.width, paddedWidth: p.depth, buffer: rows)
        pack(
            rowsOfQueries, count: count, width: p.width, factor: E(p.scale * PowerOfTwo<E>.log2e), into: queries,
            panels: queryPanels)
        let rowsOfGradients = g.doutput.operand(
            batch, head, first: query, count: count, width: p.valueWidth, paddedWidth: p.valueDepth, buffer: rows)
        pack(rowsOfGradients, count: count, width: p.valueWidth, factor: 1, into: doutputs, panels: doutputPanels)
        let rowsOfOutputs = g.output.operand(
            batch, head, first: query, count: count, width: p.valueWidth, paddedWidth: p.valueDepth, buffer: otherRows)
        let logarithms = g.lse.rows(batch, head) + query
        var i = 0
        while i < roundUp(count, E.Lanes.width) {
            let inside = i < count
            // A query that saw nothing has weight 0 everywhere.
            let seen = inside && logarithms[i] != -E.infinity
            lse[i] = seen ? E(logarithms[i].double * PowerOfTwo<E>.log2e) : E.infinity
            delta[i] =
                inside
                ? dot(
                    rowsOfGradients.base + i &* rowsOfGradients.row, rowsOfOutputs.base + i &* rowsOfOutputs.row,
                    p.valueWidth) : 0
            i &+= 1
        }
    }

    private func pack(
        _ from: PaddedRows<E>, count: Int, width: Int, factor: E, into out: UnsafeMutablePointer<E>,
        panels: UnsafeMutablePointer<E>
    ) {
        let lanes = AttentionBlock<E>.queries
        var first = 0
        while first < count {
            let valid = Swift.min(lanes, count &- first)
            AttentionPacking<E>.transpose(
                from.base + first &* from.row, row: from.row, count: valid, depth: width,
                vectors: (valid &+ E.Lanes.width &- 1) / E.Lanes.width, factor: factor, into: out + first &* width)
            first &+= lanes
        }
        let panel = BackwardBlock<E>.panel
        var column = 0
        while column < width {
            let here = Swift.min(panel, width &- column)
            AttentionPacking<E>.pad(
                from.base + column, row: from.row, count: count, width: here, paddedWidth: panel,
                into: panels + column &* panelRows)
            column &+= panel
        }
    }

    /// Whether no element of some padded rows is infinite or NaN.
    @inline(never)
    func finite(_ rows: PaddedRows<E>, _ count: Int) -> Bool {
        var sum = E.Lanes.zero
        var r = 0
        while r < count {
            var i = 0
            while i < paddedWidth {
                sum = E.Lanes.fma(E.Lanes.load(rows.base + (r &* rows.row &+ i)), .zero, sum)
                i &+= E.Lanes.width
            }
            r &+= 1
        }
        return !E.Lanes.anyBeyond(sum, 0)
    }

    /// Scores of one vector of queries become weights, and the weights' gradients become those of the scores.
    @inline(never)
    func differentiate(
        block: Int, vector: Int, keys: Int, masked: Bool, dropped: Bool, terms: BlockTerms<E>
    ) {
        let first = vector &* E.Lanes.width
        let query = block &* AttentionBlock<E>.queries &+ first
        let weights = self.weights + block &* self.block
        let dscores = self.dscores + block &* self.block
        let reference = E.Lanes.load(lse + query)
        let shift = E.Lanes.load(delta + query)
        let from = terms.band.firstKey(first)
        let end = terms.band.endKey(first &+ E.Lanes.width &- 1, keys)
        // Tiles of keys that reach beyond what these queries see find zeros there.
        hide(block, first, from: Swift.max(0, from &- AttentionBlock<E>.outputRows), end: Swift.min(from, keys), terms)
        hide(
            block, first, from: Swift.max(from, end), end: Swift.min(keys, end &+ AttentionBlock<E>.outputRows), terms)
        var k = from
        while k < end {
            let at = k &* AttentionBlock<E>.queries &+ first
            var s = E.Lanes.load(weights + at)
            if terms.caps {
                let ratio = terms.ratio(s)
                s = terms.capped(ratio)
                E.Lanes.fma(E.Lanes.negate(ratio), ratio, E.Lanes(repeating: 1)).store(capSlopes + at)
            }
            s = terms.biased(s, row: first, key: k)
            if masked { s = s + E.Lanes.load(mask + at) }
            let power = PowerOfTwo<E>.of(s - reference)
            var gradient = E.Lanes.load(dscores + at)
            var used = power
            if dropped {
                let kept = E.Lanes.load(kept + at)
                gradient = gradient * kept
                used = used * kept
            }
            var d = power * (gradient - shift)
            if terms.hides {
                used = terms.hidden(used, row: first, key: k, as: .zero)
                d = terms.hidden(d, row: first, key: k, as: .zero)
            }
            used.store(weights + at)
            d.store(dscores + at)
            k &+= 1
        }
    }

    @inline(__always)
    private func hide(_ block: Int, _ first: Int, from: Int, end: Int, _ terms: BlockTerms<E>) {
        var k = from
        while k < end {
            let at = k &* AttentionBlock<E>.queries &+ first
            E.Lanes.zero.store(weights + (block &* self.block &+ at))
            E.Lanes.zero.store(dscores + (block &* self.block &+ at))
            if terms.caps { E.Lanes.zero.store(capSlopes + at) }
            k &+= 1
        }
    }

    /// The scores' gradients of a block, which are the mask's, queries down and keys along.
    func storeMask(_ out: UnsafeMutablePointer<E>, block: Int, row: Int, rows: Int, keys: Int, band: Band) {
        let dscores = self.dscores + block &* self.block
        var r = 0
        while r < rows {
            let end = band.endKey(r, keys)
            var k = band.firstKey(r)
            while k < end {
                out[r &* row &+ k] = dscores[k &* AttentionBlock<E>.queries &+ r]
                k &+= 1
            }
            r &+= 1
        }
    }
}

func dot<E: Real>(_ a: UnsafePointer<E>, _ b: UnsafePointer<E>, _ count: Int) -> E {
    let width = E.Lanes.width
    var sum = E.Lanes.zero
    var i = 0
    while i &+ width <= count {
        sum = E.Lanes.fma(E.Lanes.load(a + i), E.Lanes.load(b + i), sum)
        i &+= width
    }
    if i < count {
        sum = E.Lanes.fma(
            E.Lanes.load(a + i, count: count &- i, fill: 0), E.Lanes.load(b + i, count: count &- i, fill: 0), sum)
    }
    return sum.sum()
}
