/// The keys that each query sees: query i those from i + first through i + last, as far as they exist. Causal masks,
/// windows and their alignments are all bands.
struct Band {
    var first: Int
    var last: Int

    /// Further than any key is from any query, and far from overflow.
    static var unbounded: Int { 1 << 48 }

    /// `left` and `right`: keys before and after the query's own place, which is key i + `align`; negative: all of them.
    init(left: Int64, right: Int64, align: Int) {
        let limit = Int64(Self.unbounded)
        first = left < 0 || left >= limit ? 0 &- Self.unbounded : align &- Int(left)
        last = right < 0 || right >= limit ? Self.unbounded : align &+ Int(right)
    }

    private init(first: Int, last: Int) {
        self.first = first
        self.last = last
    }

    /// The same in the numbers of a block that begins at a query and a key.
    @inline(__always) func block(query: Int, key: Int) -> Band {
        Band(first: first &+ query &- key, last: last &+ query &- key)
    }

    /// Query `row` sees the keys firstKey ..< endKey of `keys`; a range that ends before it begins is empty.
    @inline(__always) func firstKey(_ row: Int) -> Int { Swift.max(0, row &+ first) }
    @inline(__always) func endKey(_ row: Int, _ keys: Int) -> Int { Swift.max(0, Swift.min(keys, row &+ last &+ 1)) }

    /// Key `row` is seen by the queries firstQuery ..< endQuery of `queries`.
    @inline(__always) func firstQuery(_ row: Int) -> Int { Swift.max(0, row &- last) }
    @inline(__always) func endQuery(_ row: Int, _ queries: Int) -> Int {
        Swift.max(0, Swift.min(queries, row &- first &+ 1))
    }

    /// Whether any of some queries does not see all of the keys.
    @inline(__always) func clips(queries: Int, keys: Int) -> Bool { last < keys &- 1 || queries &- 1 &+ first > 0 }

    /// How many of the keys some queries from `row` on see together.
    @inline(__always) func width(_ row: Int, queries: Int, keys: Int) -> Int {
        Swift.max(0, endKey(row &+ queries &- 1, keys) &- firstKey(row))
    }
}

/// What happens to the scores of one block before their mask is added: soft-cap, ALiBi; and after it, the band.
struct BlockTerms<E: Real> {
    let band: Band
    let hides: Bool
    /// The soft-cap, and what each key of distance costs, in units of ln 2; 0: none.
    private let cap: E
    private let inverse: E
    private let slope: E
    /// Query 0 of the block stands at this key of the block.
    private let place: Int

    @inline(__always)
    init(_ p: AttentionProblem<E>, batch: Int, head: Int, query: Int, queries: Int, key: Int, keys: Int) {
        band = p.band.block(query: query, key: key)
        hides = band.clips(queries: queries, keys: keys)
        cap = E(p.softcap * PowerOfTwo<E>.log2e)
        inverse = p.softcap > 0 ? E(PowerOfTwo<E>.ln2 / p.softcap) : 0
        slope = p.slopes.at(batch, head)
        place = p.align &+ query &- key
    }

    @inline(__always) var caps: Bool { cap > 0 }
    /// Whether there is anything to be done, masks aside.
    @inline(__always) var active: Bool { hides || caps || slope != 0 }

    /// tanh(score / cap).
    @inline(__always) func ratio(_ score: E.Lanes) -> E.Lanes { E.Lanes.tanh(score * E.Lanes(repeating: inverse)) }
    @inline(__always) func capped(_ ratio: E.Lanes) -> E.Lanes { ratio * E.Lanes(repeating: cap) }

    /// Queries along the lanes, from `row` on.
    @inline(__always) func biased(_ score: E.Lanes, row: Int, key: Int) -> E.Lanes {
        slope == 0 ? score : away(score, E.Lanes.ramp + E.Lanes(repeating: E(place &+ row &- key)))
    }

    /// Keys along the lanes.
    @inline(__always) func biased(_ score: E.Lanes, row: Int, keysFrom key: Int) -> E.Lanes {
        slope == 0 ? score : away(score, E.Lanes.ramp + E.Lanes(repeating: E(key &- place &- row)))
    }

    @inline(__always) private func away(_ score: E.Lanes, _ distance: E.Lanes) -> E.Lanes {
        E.Lanes.fma(E.Lanes.abs(distance), E.Lanes(repeating: 0 - slope), score)
    }

    /// `value` where queries from `row` on do not see the key.
    @inline(__always) func hidden(_ score: E.Lanes, row: Int, key: Int, as value: E.Lanes) -> E.Lanes {
        let after = E.Lanes.less(E.Lanes.ramp, E.Lanes(repeating: E(key &- band.last &- row)))
        let before = E.Lanes.less(E.Lanes(repeating: E(key &- band.first &- row)), E.Lanes.ramp)
        return E.Lanes.select(before, value, E.Lanes.select(after, value, score))
    }
}

/// ALiBi's slopes (batch, heads), in units of ln 2; 0 where there are none.
struct AlibiSlopes<E: Real> {
    private var base: UnsafePointer<E>? = nil
    private var batch = 0
    private var head = 0

    init(_ array: Descriptor?) {
        guard let array else { return }
        base = UnsafePointer(array.pointer(E.self))
        batch = array.stride(0, of: E.self)
        head = array.stride(1, of: E.self)
    }

    @inline(__always) func at(_ batch: Int, _ head: Int) -> E {
        base.map { E($0[batch &* self.batch &+ head &* self.head].double * PowerOfTwo<E>.log2e) } ?? 0
    }
}
