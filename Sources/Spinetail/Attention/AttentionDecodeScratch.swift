import CSpinetail

/// Scratch of one worker: the queries that share a head of keys, a block's scores, and what each query keeps.
struct DecodeScratch<E: Real> {
    let scores: UnsafeMutablePointer<E>
    let bias: UnsafeMutablePointer<E>
    /// Elements of what one query keeps.
    let size: Int
    private let queries: UnsafeMutablePointer<E>
    private let states: UnsafeMutablePointer<E>
    private let padded: Int

    init(_ memory: UnsafeMutableRawPointer, _ p: AttentionProblem<E>, rows: Int) {
        var next = memory
        padded = roundUp(p.width, E.Lanes.width)
        size = DecodeRow<E>.elements(p.valueWidth)
        scores = carve(&next, 4 &* AttentionDecode<E>.blockKeys)
        bias = carve(&next, AttentionDecode<E>.blockKeys)
        queries = carve(&next, rows &* padded)
        states = carve(&next, rows &* size)
    }

    @inline(__always) func query(_ row: Int) -> UnsafeMutablePointer<E> { queries + row &* padded }
    @inline(__always) func state(_ row: Int) -> UnsafeMutablePointer<E> { states + row &* size }

    /// Begins with a query, times the scale.
    func pack(_ p: AttentionProblem<E>, _ batch: Int, _ keyHead: Int, _ row: Int) {
        let to = query(row)
        let head = keyHead &* p.headsPerKey &+ divide(row, by: p.queries)
        clear(to, padded)
        let source = p.query.operand(
            batch, head, first: remainder(row, by: p.queries), count: 1, width: p.width, paddedWidth: padded, buffer: to
        )
        copyRows(
            source.base, row: 0, rows: 1, width: p.width, factor: E(p.scale * PowerOfTwo<E>.log2e), to: to, row: 0)
        DecodeRow<E>(state(row)).reset(p.valueWidth)
    }
}

extension HeadRows {
    /// `DecodeProducts` of what these rows hold.
    @inline(__always) func scores(_ block: DecodeBlock, _ queries: UnsafePointer<E>) {
        let numbers = UnsafeRawPointer(queries).assumingMemoryBound(to: Float.self)
        switch storage {
        case .own: DecodeProducts<Stored<E>>.scores(block, queries: queries)
        case .bfloat16: DecodeProducts<BrainFloat>.scores(block, queries: numbers)
        case .float16: DecodeProducts<HalfFloat>.scores(block, queries: numbers)
        case .bytes: DecodeProducts<SignedBytes>.scores(block, queries: numbers)
        }
    }

    @inline(__always) func sums(_ block: DecodeBlock, _ states: UnsafeMutablePointer<E>, _ state: Int) {
        let numbers = UnsafeMutableRawPointer(states).assumingMemoryBound(to: Float.self)
        switch storage {
        case .own: DecodeProducts<Stored<E>>.sums(block, states: states, state: state)
        case .bfloat16: DecodeProducts<BrainFloat>.sums(block, states: numbers, state: state)
        case .float16: DecodeProducts<HalfFloat>.sums(block, states: numbers, state: state)
        case .bytes: DecodeProducts<SignedBytes>.sums(block, states: numbers, state: state)
        }
    }
}
