import CSpinetail

/// Depthwise sums of narrow planes, two rows of results in a vector. Lanes are moved within registers, which takes less
/// time than loads that begin anywhere. In the gradient to the input of stride 1 the filter is turned round.
struct PairedPlanes<E: Real>: ParallelTask {
    let job: Depthwise<E>
    private let result: Space
    private let source: Space
    private let planes: Int
    private let planesPerTask: Int
    private let tables: PairTables<E>

    private static var half: Int { E.Lanes.width / 2 }

    /// nil for planes that are not narrow, or so narrow that even this wastes half of the lanes.
    init?(_ job: Depthwise<E>) {
        self.job = job
        let shape = job.shape
        result = job.backward ? shape.input : shape.output
        source = job.backward ? shape.output : shape.input
        if result.w > Self.half || result.w <= Self.half / 2 { return nil }
        if shape.isHalving {
            if job.backward || source.w > 2 &* Self.half || shape.padding.h != 1 || shape.padding.w != 1 { return nil }
        } else if !shape.isSame {
            return nil
        }
        planes = shape.images &* shape.channels &* result.d
        planesPerTask = Swift.max(1, divide(1 << 13, by: source.h &* source.w))
        tables = PairTables<E>(result.w, halving: shape.isHalving)
    }

    func run() -> Int32 { parallel(pieces(planes, planesPerTask), cost: planes &* source.h &* source.w / 8, self) }

    func run(_ index: Int, worker: Int) {
        let first = index &* planesPerTask
        let last = Swift.min(planes, first &+ planesPerTask)
        if job.shape.isHalving {
            overPlanes(first, last) { from, to, w, start in halve(from, to, w, start) }
        } else {
            overPlanes(first, last) { from, to, w, start in same(from, to, w, start) }
        }
    }

    @inline(__always)
    private func overPlanes(
        _ first: Int, _ last: Int,
        _ body: (UnsafePointer<E>, UnsafeMutablePointer<E>, InlineArray<9, E.Lanes>, E.Lanes) -> Void
    ) {
        let channels = job.shape.channels
        let depth = result.d
        let layer = divide(first, by: depth)
        var channel = remainder(layer, by: channels)
        var left = depth &- (first &- layer &* depth)
        var from = job.source + first &* (source.h &* source.w)
        var to = job.result + first &* (result.h &* result.w)
        var plane = first
        while plane < last {
            body(
                from, to, job.weights(channel, turned: job.backward),
                E.Lanes(repeating: job.bias?[channel] ?? 0))
            from += source.h &* source.w
            to += result.h &* result.w
            plane &+= 1
            left &-= 1
            if left == 0 {
                left = depth
                channel &+= 1
                if channel == channels { channel = 0 }
            }
        }
    }

    // MARK: - Stride 1

    /// What the elements of a vector of two rows add to rows of results: the one above, their own, the one below.
    private struct Parts {
        var upper, here, below: E.Lanes
    }

    @inline(__always)
    private func same(
        _ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ w: InlineArray<9, E.Lanes>, _ start: E.Lanes
    ) {
        let two = 2 &* result.w
        let count = result.h &* result.w
        var above = E.Lanes.zero
        var parts = self.parts(load(from, count), w, start)
        var at = 0
        while at &+ two < count {
            let next = self.parts(load(from + (at &+ two), count &- at &- two), w, start)
            let sum =
                parts.here + E.Lanes.permute(above, parts.below, tables.between)
                + E.Lanes.permute(parts.upper, next.upper, tables.between)
            // What a whole vector writes too much, the next one writes again.
            if at &+ E.Lanes.width <= count {
                packed(sum).store(to + at)
            } else {
                packed(sum).store(to + at, count: two)
            }
            above = parts.below
            parts = next
            at &+= two
        }
        let sum =
            parts.here + E.Lanes.permute(above, parts.below, tables.between)
            + E.Lanes.permute(parts.upper, .zero, tables.between)
        packed(sum).storeUpTo(to + at, count &- at)
    }

    /// Two rows, of which `count` elements are left in the plane.
    @inline(__always) private func load(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
        count >= E.Lanes.width ? .load(p) : .load(p, count: count, fill: 0)
    }

    @inline(__always)
    private func parts(_ run: E.Lanes, _ w: InlineArray<9, E.Lanes>, _ start: E.Lanes) -> Parts {
        let left = E.Lanes.arrange(run, tables.left)
        let middle = E.Lanes.arrange(run, tables.middle)
        let right = E.Lanes.arrange(run, tables.right)
        return Parts(
            upper: E.Lanes.fma(w[unchecked: 8], right, E.Lanes.fma(w[unchecked: 7], middle, w[unchecked: 6] * left)),
            here: E.Lanes.fma(
                w[unchecked: 5], right,
                E.Lanes.fma(w[unchecked: 4], middle, E.Lanes.fma(w[unchecked: 3], left, start))),
            below: E.Lanes.fma(w[unchecked: 2], right, E.Lanes.fma(w[unchecked: 1], middle, w[unchecked: 0] * left)))
    }

    @inline(__always) private func packed(_ sum: E.Lanes) -> E.Lanes {
        E.Lanes.arrange(job.relu ? E.Lanes.max(.zero, sum) : sum, tables.pack)
    }

    // MARK: - Stride 2

    /// Rows of results take turns in the halves of vectors, and so do the rows that they see.
    @inline(__always)
    private func halve(
        _ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ w: InlineArray<9, E.Lanes>, _ start: E.Lanes
    ) {
        let row = source.w
        let two = 2 &* result.w
        let count = result.h &* result.w
        var p = from
        var y = 0
        var at = 0
        var last = E.Lanes.zero  // row 2y - 1
        while y &+ 4 < source.h && at &+ two < count && row == two {
            // Whole vectors reach into the row that follows, where no result looks: what it sees ends at an even column.
            let (a, b) = (E.Lanes.load(p), E.Lanes.load(p + row))
            let (c, d) = (E.Lanes.load(p + 2 &* row), E.Lanes.load(p + 3 &* row))
            let sum = packed(self.sum(last, a, b, c, d, w, start))
            if at &+ E.Lanes.width <= count { sum.store(to + at) } else { sum.store(to + at, count: two) }
            last = d
            p += 4 &* row
            y &+= 4
            at &+= two
        }
        while at < count {
            let (a, b) = (rest(from, y), rest(from, y &+ 1))
            let (c, d) = (rest(from, y &+ 2), rest(from, y &+ 3))
            let sum = packed(self.sum(last, a, b, c, d, w, start))
            sum.store(to + at, count: Swift.min(two, count &- at))
            last = d
            y &+= 4
            at &+= two
        }
    }

    @inline(__always)
    private func sum(
        _ last: E.Lanes, _ a: E.Lanes, _ b: E.Lanes, _ c: E.Lanes, _ d: E.Lanes, _ w: InlineArray<9, E.Lanes>,
        _ start: E.Lanes
    ) -> E.Lanes {
        let (even, odd) = (E.Lanes.unzipEven(last, b), E.Lanes.unzipOdd(last, b))
        var upper = E.Lanes.fma(w[unchecked: 0], E.Lanes.arrange(odd, tables.left), start)
        upper = E.Lanes.fma(w[unchecked: 2], odd, E.Lanes.fma(w[unchecked: 1], even, upper))
        let (evenHere, oddHere) = (E.Lanes.unzipEven(a, c), E.Lanes.unzipOdd(a, c))
        var here = w[unchecked: 3] * E.Lanes.arrange(oddHere, tables.left)
        here = E.Lanes.fma(w[unchecked: 5], oddHere, E.Lanes.fma(w[unchecked: 4], evenHere, here))
        let (evenBelow, oddBelow) = (E.Lanes.unzipEven(b, d), E.Lanes.unzipOdd(b, d))
        var below = w[unchecked: 6] * E.Lanes.arrange(oddBelow, tables.left)
        below = E.Lanes.fma(w[unchecked: 8], oddBelow, E.Lanes.fma(w[unchecked: 7], evenBelow, below))
        return upper + here + below
    }

    @inline(__always) private func rest(_ plane: UnsafePointer<E>, _ y: Int) -> E.Lanes {
        y < source.h ? .loadUpTo(plane + y &* source.w, source.w) : .zero
    }
}

/// Where lanes come from.
struct PairTables<E: Real> {
    let pack: E.Lanes.Mask  // two rows of results in the halves of a vector -> one run of memory
    let left, middle, right: E.Lanes.Mask  // two rows in one run -> what a window's three columns see
    let between: E.Lanes.Mask  // the second half of one vector and the first of the next

    init(_ w: Int, halving: Bool) {
        let width = E.Lanes.width
        let half = width / 2
        var tables = InlineArray<5, InlineArray<16, Int32>>(repeating: InlineArray<16, Int32>(repeating: -1))
        var i = 0
        while i < width {
            let row = i < half ? 0 : 1
            let x = i &- row &* half
            if i < 2 &* w { tables[unchecked: 0][unchecked: i] = place(i < w ? i : i &- w &+ half) }
            if halving {
                // Odd columns of two rows are in halves already.
                if x > 0 { tables[unchecked: 1][unchecked: i] = place(i &- 1) }
            } else if x < w {
                let from = row &* w &+ x
                if x > 0 { tables[unchecked: 1][unchecked: i] = place(from &- 1) }
                tables[unchecked: 2][unchecked: i] = place(from)
                if x &+ 1 < w { tables[unchecked: 3][unchecked: i] = place(from &+ 1) }
            }
            tables[unchecked: 4][unchecked: i] = place(i &+ half)
            i &+= 1
        }
        pack = Self.table(tables[unchecked: 0])
        left = Self.table(tables[unchecked: 1])
        middle = Self.table(tables[unchecked: 2])
        right = Self.table(tables[unchecked: 3])
        between = Self.table(tables[unchecked: 4])
    }

    private static func table(_ values: InlineArray<16, Int32>) -> E.Lanes.Mask {
        withUnsafePointer(to: values) { E.Lanes.places(UnsafeRawPointer($0).assumingMemoryBound(to: Int32.self)) }
    }
}

@inline(__always) private func place(_ lane: Int) -> Int32 { Int32(truncatingIfNeeded: lane) }
