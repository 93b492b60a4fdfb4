import CSpinetail

/// Numbers as they stand in memory, and the sums that are made of them.
protocol SweepSource<Sum> {
    associatedtype Sum: Real
    associatedtype Number
    static func load(_ p: UnsafePointer<Number>) -> Sum.Lanes
    /// The first `count` lanes, zeros in the others.
    static func load(_ p: UnsafePointer<Number>, count: Int) -> Sum.Lanes
    /// Two vectors of the `left` numbers that there still are, zeros behind them. Where `isSplit`, the first numbers of
    /// pairs come in the first one and the second ones in the other.
    static func loadTwo(_ p: UnsafePointer<Number>, left: Int) -> (Sum.Lanes, Sum.Lanes)
    static var isSplit: Bool { get }
}

extension SweepSource {
    @inline(__always) static var isSplit: Bool { false }
    @inline(__always) static func loadTwo(_ p: UnsafePointer<Number>, left: Int) -> (Sum.Lanes, Sum.Lanes) {
        let width = Sum.Lanes.width
        if left >= 2 &* width { return (load(p), load(p + width)) }
        return (load(p, count: left), load(p + width, count: Swift.max(0, left &- width)))
    }
}

/// Numbers that are summed in their own format.
enum Stored<E: Real>: SweepSource {
    typealias Sum = E
    typealias Number = E
    @inline(__always) static func load(_ p: UnsafePointer<E>) -> E.Lanes { E.Lanes.load(p) }
    @inline(__always) static func load(_ p: UnsafePointer<E>, count: Int) -> E.Lanes { E.Lanes.loadUpTo(p, count) }
}

/// Signed bytes, summed in float32.
enum SignedBytes: SweepSource {
    typealias Sum = Float
    typealias Number = Int8
    @inline(__always) static func load(_ p: UnsafePointer<Int8>) -> FloatLanes { spinetail_load_i8(p) }
    @inline(__always) static func load(_ p: UnsafePointer<Int8>, count: Int) -> FloatLanes {
        if count >= FloatLanes.width { return load(p) }
        return spinetail_load_part_i8(p, Int64(truncatingIfNeeded: count))
    }
}

/// c += a · b for a few rows; a is packed in groups of eight columns, b's rows run along memory and are streamed. c's rows
/// have room for `columns` rounded up to two vectors.
struct SweepBlock<S: SweepSource> {
    let a: UnsafePointer<S.Sum>
    let b: UnsafePointer<S.Number>
    let bRow: Int
    let c: UnsafeMutablePointer<S.Sum>
    let cRow: Int
    let rows: Int
    let columns: Int
    let depth: Int

    /// Whether two vectors of each of b's rows stay in registers.
    @inline(__always) static var isPair: Bool { MemoryLayout<S.Sum.Lanes>.size == 64 }

    func run() {
        // The processor foresees long runs by itself, and a single row needs all of its loads.
        let isForeseen = rows == 1 || columns &* MemoryLayout<S.Number>.size >= 3072
        var k = 0
        while k < depth {
            let strip = SweepStrip<S>(
                a: a + k &* rows, b: b + k &* bRow, bRow: bRow, c: c, cRow: cRow, rows: rows, columns: columns,
                fetches: isForeseen || k &+ 8 >= depth ? 0 : pieces(8, pieces(rows, 4)))
            if k &+ 8 <= depth { strip.run() } else { strip.edge(steps: depth &- k) }
            k &+= 8
        }
    }
}

private enum Rows<let count: Int> {}

/// c[r, i] += Σ over eight steps of a[r · 8 + step] · b[step, i]. Eight rows of b stay in registers while all rows of a
/// go by: two vectors of each where there are registers for it, so that a number of a serves twice.
private struct SweepStrip<S: SweepSource> {
    typealias Lanes = S.Sum.Lanes
    let a: UnsafePointer<S.Sum>
    let b: UnsafePointer<S.Number>
    let bRow: Int
    let c: UnsafeMutablePointer<S.Sum>
    let cRow: Int
    let rows: Int
    let columns: Int
    /// How many of the next eight rows of b are fetched with each four rows of a.
    let fetches: Int

    @inline(__always) private static var isPair: Bool { SweepBlock<S>.isPair }
    @inline(__always) private static var width: Int { Lanes.width }
    @inline(__always) private static var step: Int { isPair ? 2 &* width : width }

    @inline(never) func run() {
        var i = 0
        while i &+ Self.step <= columns {
            multiply(i, part: false)
            i &+= Self.step
        }
        if i < columns { last(i) }
    }

    @inline(never) private func last(_ i: Int) { multiply(i, part: true) }

    @inline(__always) private func load(_ k: Int, _ i: Int, part: Bool) -> (Lanes, Lanes) {
        let p = b + (k &* bRow &+ i)
        if Self.isPair { return S.loadTwo(p, left: part ? columns &- i : Self.step) }
        let one = part ? S.load(p, count: columns &- i) : S.load(p)
        return (one, one)
    }

    @inline(__always) private func multiply(_ i: Int, part: Bool) {
        let (l0, r0) = load(0, i, part: part)
        let (l1, r1) = load(1, i, part: part)
        let (l2, r2) = load(2, i, part: part)
        let (l3, r3) = load(3, i, part: part)
        let (l4, r4) = load(4, i, part: part)
        let (l5, r5) = load(5, i, part: part)
        let (l6, r6) = load(6, i, part: part)
        let (l7, r7) = load(7, i, part: part)
        let eight = Eight(
            l0: l0, l1: l1, l2: l2, l3: l3, l4: l4, l5: l5, l6: l6, l7: l7, r0: r0, r1: r1, r2: r2, r3: r3, r4: r4,
            r5: r5, r6: r6, r7: r7)
        var next = b + (8 &* bRow &+ i)
        var w = a
        var q = c + i
        var left = rows
        while left > 0 {
            var fetch = fetches
            while fetch > 0 {
                spinetail_prefetch(next)
                if Self.step &* MemoryLayout<S.Number>.size > 64 { spinetail_prefetch(next + Self.width) }
                next += bRow
                fetch &-= 1
            }
            // Even groups: sums of fewer rows wait for each other.
            let count = left == 5 || left == 6 || left == 9 ? 3 : Swift.min(4, left)
            switch count {
            case 4: add(Rows<4>.self, w, q, eight)
            case 3: add(Rows<3>.self, w, q, eight)
            case 2: add(Rows<2>.self, w, q, eight)
            default: add(Rows<1>.self, w, q, eight)
            }
            w += 8 &* count
            q += count &* cRow
            left &-= count
        }
    }

    private struct Eight {
        let l0, l1, l2, l3, l4, l5, l6, l7, r0, r1, r2, r3, r4, r5, r6, r7: Lanes
    }

    @inline(__always)
    private func add<let rows: Int>(
        _ height: Rows<rows>.Type, _ w: UnsafePointer<S.Sum>, _ q: UnsafeMutablePointer<S.Sum>, _ b: Eight
    ) {
        var left = InlineArray<rows, Lanes> { _ in .zero }
        var right = InlineArray<rows, Lanes> { _ in .zero }
        for r in 0..<rows {
            left[unchecked: r] = Lanes.load(q + r &* cRow)
            if Self.isPair { right[unchecked: r] = Lanes.load(q + (r &* cRow &+ Self.width)) }
        }
        step(&left, &right, w, 0, b.l0, b.r0)
        step(&left, &right, w, 1, b.l1, b.r1)
        step(&left, &right, w, 2, b.l2, b.r2)
        step(&left, &right, w, 3, b.l3, b.r3)
        step(&left, &right, w, 4, b.l4, b.r4)
        step(&left, &right, w, 5, b.l5, b.r5)
        step(&left, &right, w, 6, b.l6, b.r6)
        step(&left, &right, w, 7, b.l7, b.r7)
        for r in 0..<rows {
            left[unchecked: r].store(q + r &* cRow)
            if Self.isPair { right[unchecked: r].store(q + (r &* cRow &+ Self.width)) }
        }
    }

    @inline(__always)
    private func step<let rows: Int>(
        _ left: inout InlineArray<rows, Lanes>, _ right: inout InlineArray<rows, Lanes>, _ w: UnsafePointer<S.Sum>,
        _ k: Int, _ l: Lanes, _ r: Lanes
    ) {
        for row in 0..<rows {
            let value = Lanes(repeating: w[8 &* row &+ k])
            left[unchecked: row] = Lanes.fma(value, l, left[unchecked: row])
            if Self.isPair { right[unchecked: row] = Lanes.fma(value, r, right[unchecked: row]) }
        }
    }

    /// Fewer than eight steps, at the end of depth.
    @inline(never) func edge(steps: Int) {
        var r = 0
        while r < rows {
            var i = 0
            while i < columns {
                let q = c + (r &* cRow &+ i)
                var left = Lanes.load(q)
                var right = Self.isPair ? Lanes.load(q + Self.width) : .zero
                var k = 0
                while k < steps {
                    let value = Lanes(repeating: a[8 &* r &+ k])
                    let (one, other) = load(k, i, part: true)
                    left = Lanes.fma(value, one, left)
                    if Self.isPair { right = Lanes.fma(value, other, right) }
                    k &+= 1
                }
                left.store(q)
                if Self.isPair { right.store(q + Self.width) }
                i &+= Self.step
            }
            r &+= 1
        }
    }
}
