import CSpinetail

/// What is added to the scores, or which of them count; strides in bytes.
struct AttentionMask {
    enum Kind { case none, boolean, additive }
    var kind = Kind.none
    var base: UnsafeRawPointer? = nil
    var batch = 0
    var head = 0
    var query = 0
    var key = 0

    init() {}

    init(_ array: Descriptor) {
        kind = Int(array.dtype) == Int(SPINETAIL_BOOL) ? .boolean : .additive
        base = array.pointee.data.map { UnsafeRawPointer($0) }
        batch = array.byteStride(0)
        head = array.byteStride(1)
        query = array.byteStride(2)
        key = array.byteStride(3)
    }
}

/// Sizes and operands of one call. Letters: queries × width · width × keys, then keys × valueWidth.
struct AttentionProblem<E: Real> {
    var batches: Int
    var heads: Int
    var headsPerKey: Int
    var queries: Int
    var keys: Int
    var width: Int
    var valueWidth: Int
    var query: HeadRows<E>
    var key: HeadRows<E>
    var value: HeadRows<E>
    var mask = AttentionMask()
    var dropout: AttentionDropout
    var slopes: AlibiSlopes<E>
    var scale: Double
    var softcap: Double
    var band: Band
    /// Query i stands at key i + align.
    var align: Int
    /// With sequences, `queries` and `keys` are those of the longest ones, and `batches` is the number of sequences.
    var packed: PackedSequences?
    var queryOrigin = 0
    var keyOrigin = 0
    let allQueries: Int
    let allKeys: Int
    private let options: spinetail_attention

    init(_ call: AttentionCall, packed: PackedSequences?, anything: UnsafeMutablePointer<E>) {
        let query = call.query
        let key = call.key
        let value = call.value
        options = call.options
        self.packed = packed
        batches = packed?.count ?? query.extent(0)
        heads = query.extent(1)
        headsPerKey = divide(query.extent(1), by: key.extent(1))
        allQueries = query.extent(2)
        allKeys = key.extent(2)
        queries = packed.map { $0.longest } ?? allQueries
        keys = packed.map { $0.most($0.used) } ?? allKeys
        width = query.extent(3)
        valueWidth = value.extent(3)
        self.query = HeadRows(query, E.self, fallback: anything)
        self.key = HeadRows(key, E.self, scales: call.keyScales, fallback: anything)
        self.value = HeadRows(value, E.self, scales: call.valueScales, fallback: anything)
        if let mask = call.mask { self.mask = AttentionMask(mask) }
        slopes = AlibiSlopes(call.slopes)
        dropout = AttentionDropout(probability: call.dropout, seed: options.seed, offset: options.offset)
        scale = call.scale
        softcap = call.softcap
        align = 0
        band = Band(left: -1, right: -1, align: 0)
        place()
    }

    /// Where queries stand among the keys, and what they see of them.
    mutating func place() {
        align = options.lower_right != 0 ? keys &- queries : 0
        band = Band(left: options.left, right: options.right, align: align)
    }

    /// Whether any operand is not stored as what is computed with.
    var widens: Bool { query.storage != .own || key.storage != .own }

    /// The width of rows of queries and keys where any are widened; they are read in place where none are.
    var depth: Int { widens ? roundUp(width, E.Lanes.width) : width }
    var valueDepth: Int { widens ? roundUp(valueWidth, E.Lanes.width) : valueWidth }

    /// What has so few queries that it is decoded rather than tiled: how many batches or sequences, the most queries of
    /// any, and the number of each.
    var fewCount: Int { packed?.fewCount ?? batches }
    var fewQueries: Int { packed?.fewLongest ?? queries }
    @inline(__always) func few(_ place: Int) -> Int { packed?.few[place] ?? place }

    /// How many parts keys are split into; 0: as many as pay.
    var splits: Int { Int(Swift.max(0, Swift.min(options.splits, 1 << 20))) }

    /// Roughly what one block of queries costs.
    var blockNanoseconds: Int {
        let rows = Swift.min(queries, AttentionBlock<E>.queries)
        let seen = Swift.max(1, band.width((queries &- rows) / 2, queries: rows, keys: keys))
        let work = rows &* seen &* (width &+ valueWidth &+ 8)
        return 100 &+ work / (32 &* E.Lanes.width / 16)
    }
}

/// The sizes that kernels cut problems into.
enum AttentionBlock<E: Real> {
    @inline(__always) static var isWide: Bool { MemoryLayout<E.Lanes>.size == 64 }
    /// A block of queries is three vectors: scores are kept with the queries along the lanes, key after key.
    @inline(__always) static var queries: Int { 3 &* E.Lanes.width }
    @inline(__always) static var keys: Int { 128 }
    /// Keys in a register tile of scores, and queries in a register tile of outputs.
    @inline(__always) static var scoreRows: Int { isWide ? 8 : 4 }
    @inline(__always) static var outputRows: Int { isWide ? 12 : 6 }
}
