import CSpinetail

// Batch norm of (batch, channels): neighbours in memory are different channels, so a vector holds channels.

/// Rows whose sums are made in the lanes' own precision before they go to float64.
private let rowBlock = 256

/// Pieces of one strip of channels each.
@inline(__always) func columnPieces<E: Real>(_ type: E.Type, _ columns: Int) -> Int {
    (columns &+ pieceWidth(type) &- 1) / pieceWidth(type)
}

@inline(__always) private func pieceWidth<E: Real>(_ type: E.Type) -> Int { Strip<E.Lanes>.width }

/// Statistics and output of some channels.
struct ColumnsForward<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let statistics: Statistics<E>
    let weight, bias: UnsafeMutablePointer<E>?
    let rows, columns: Int

    func run(_ index: Int, worker: Int) {
        var column = index &* pieceWidth(E.self)
        let end = Swift.min(columns, column &+ pieceWidth(E.self))
        if end &- column == pieceWidth(E.self) {
            strip(column)
        } else {
            while column < end {
                gather(column)
                column &+= E.Lanes.width
            }
        }
        let apply = ColumnsApply(
            y: y, x: x, mean: statistics.mean, scale: statistics.scale, weight: weight, bias: bias, rows: rows,
            columns: columns)
        apply.run(index, worker: worker)
    }

    @inline(__always) private func strip(_ column: Int) {
        typealias S = Strip<E.Lanes>
        var a = VectorMoments<E>(), b = a, c = a, d = a
        var row = 0
        while row < rows {
            let end = Swift.min(rows, row &+ rowBlock)
            let p = x + column
            var total = S(repeating: 0)
            var i = row
            while i < end {
                total = total + S.load(p + i &* columns)
                i &+= 1
            }
            let guess = total * S(repeating: E(1 / Double(end &- row)))
            var first = S(repeating: 0)
            var second = S(repeating: 0)
            i = row
            while i < end {
                let deviation = S.load(p + i &* columns) - guess
                first = first + deviation
                second = S.fma(deviation, deviation, second)
                i &+= 1
            }
            let count = Double(end &- row)
            a.merge(count, guess.a, first.a, second.a)
            b.merge(count, guess.b, first.b, second.b)
            c.merge(count, guess.c, first.c, second.c)
            d.merge(count, guess.d, first.d, second.d)
            row = end
        }
        let width = E.Lanes.width
        a.save(statistics, column, width)
        b.save(statistics, column &+ width, width)
        c.save(statistics, column &+ 2 &* width, width)
        d.save(statistics, column &+ 3 &* width, width)
    }

    @inline(__always) private func gather(_ column: Int) {
        typealias V = E.Lanes
        let rest = columns &- column
        let whole = rest >= V.width
        var moments = VectorMoments<E>()
        var row = 0
        while row < rows {
            let end = Swift.min(rows, row &+ rowBlock)
            let p = x + column
            var total = V.zero
            var i = row
            while i < end {
                total = total + V.take(p + i &* columns, whole, rest)
                i &+= 1
            }
            let guess = total * V(repeating: E(1 / Double(end &- row)))
            var first = V.zero
            var second = V.zero
            i = row
            while i < end {
                let d = V.take(p + i &* columns, whole, rest) - guess
                first = first + d
                second = V.fma(d, d, second)
                i &+= 1
            }
            moments.merge(Double(end &- row), guess, first, second)
            row = end
        }
        moments.save(statistics, column, Swift.min(rest, V.width))
    }
}

/// Moments of one vector of channels.
private struct VectorMoments<E: Real> {
    var low = LaneMoments(), high = LaneMoments()

    @inline(__always) mutating func merge(_ more: Double, _ guess: E.Lanes, _ first: E.Lanes, _ second: E.Lanes) {
        low.merge(more, guess.low, first.low, second.low)
        high.merge(more, guess.high, first.high, second.high)
    }

    @inline(__always) func save(_ statistics: Statistics<E>, _ column: Int, _ count: Int) {
        let half = DoubleLanes.width
        var lane = 0
        while lane < count {
            statistics.save(column &+ lane, lane < half ? low.lane(lane) : high.lane(lane &- half))
            lane &+= 1
        }
    }
}

/// Moments of several channels at once, in float64.
private struct LaneMoments {
    var count = 0.0
    var mean = DoubleLanes(repeating: 0)
    var spread = DoubleLanes(repeating: 0)

    /// Adds `more` numbers: guess + first/more is their mean, and second the sum of squares around guess.
    @inline(__always)
    mutating func merge(_ more: Double, _ guess: DoubleLanes, _ first: DoubleLanes, _ second: DoubleLanes) {
        let total = count + more
        let shift = first * DoubleLanes(repeating: 1 / more)
        let delta = guess + shift - mean
        mean = mean + delta * DoubleLanes(repeating: more / total)
        spread = spread + second - shift * first + delta * delta * DoubleLanes(repeating: count * more / total)
        count = total
    }

    @inline(__always) func lane(_ index: Int) -> Moments {
        var moments = Moments()
        moments.count = count
        moments.mean = DoubleLanes.element(mean, index)
        moments.spread = DoubleLanes.element(spread, index)
        return moments
    }
}

extension DoubleLanes {
    @inline(__always) static func element(_ lanes: Self, _ index: Int) -> Double {
        spinetail_element_f64(lanes, Int64(truncatingIfNeeded: index))
    }
}

/// y = (x - mean)·scale·weight + bias for some channels.
struct ColumnsApply<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let mean, scale: UnsafeMutablePointer<E>
    let weight, bias: UnsafeMutablePointer<E>?
    let rows, columns: Int

    func run(_ index: Int, worker: Int) {
        typealias V = E.Lanes
        var column = index &* pieceWidth(E.self)
        let end = Swift.min(columns, column &+ pieceWidth(E.self))
        if end &- column == pieceWidth(E.self) {
            strip(column)
            return
        }
        while column < end {
            let rest = columns &- column
            let whole = rest >= V.width
            let middle = V.take(mean + column, whole, rest)
            var factor = V.take(scale + column, whole, rest)
            if let weight { factor = factor * V.take(weight + column, whole, rest) }
            var shift = V.zero
            if let bias { shift = V.take(bias + column, whole, rest) }
            var place = column
            var row = 0
            while row < rows {
                V.fma(V.take(x + place, whole, rest) - middle, factor, shift).put(y + place, whole, rest)
                place &+= columns
                row &+= 1
            }
            column &+= V.width
        }
    }
}

extension ColumnsApply {
    @inline(__always) private func strip(_ column: Int) {
        typealias S = Strip<E.Lanes>
        let middle = S.load(mean + column)
        var factor = S.load(scale + column)
        if let weight { factor = factor * S.load(weight + column) }
        var shift = S(repeating: 0)
        if let bias { shift = S.load(bias + column) }
        var place = column
        var row = 0
        while row < rows {
            S.fma(S.load(x + place) - middle, factor, shift).store(y + place)
            place &+= columns
            row &+= 1
        }
    }
}

/// The gradients of some channels.
struct ColumnsBackward<E: Real>: ParallelTask {
    let of: ChannelGradient<E>
    init(of gradient: ChannelGradient<E>) { of = gradient }

    func run(_ index: Int, worker: Int) {
        var column = index &* pieceWidth(E.self)
        let end = Swift.min(of.channels, column &+ pieceWidth(E.self))
        if end &- column == pieceWidth(E.self) {
            strip(column)
            return
        }
        while column < end {
            one(column)
            column &+= E.Lanes.width
        }
    }

    @inline(__always) private func strip(_ column: Int) {
        typealias S = Strip<E.Lanes>
        let mean = S.load(of.mean + column)
        let scale = S.load(of.scale + column)
        var totals = StripSums<E>(), products = totals
        var row = 0
        while row < of.batch {
            let end = Swift.min(of.batch, row &+ rowBlock)
            var a = S(repeating: 0)
            var b = S(repeating: 0)
            while row < end {
                let place = row &* of.channels &+ column
                let g = S.load(of.g + place)
                a = a + g
                b = S.fma(g, S.load(of.x + place) - mean, b)
                row &+= 1
            }
            totals.add(a)
            products.add(b)
        }
        let total = totals.narrow()
        let product = products.narrow()
        if let dweight = of.dweight { (product * scale).store(dweight + column) }
        if let dbias = of.dbias { total.store(dbias + column) }
        guard let dx = of.dx else { return }
        var factor = scale
        if let weight = of.weight { factor = scale * S.load(weight + column) }
        let share = S(repeating: of.training ? E(-1 / Double(of.batch)) : 0) * factor
        let slope = share * scale * scale * product
        let offset = share * total
        row = 0
        while row < of.batch {
            let place = row &* of.channels &+ column
            let deviation = S.load(of.x + place) - mean
            S.fma(S.load(of.g + place), factor, S.fma(deviation, slope, offset)).store(dx + place)
            row &+= 1
        }
    }

    @inline(__always) private func one(_ column: Int) {
        typealias V = E.Lanes
        let rest = of.channels &- column
        let whole = rest >= V.width
        let mean = V.take(of.mean + column, whole, rest)
        let scale = V.take(of.scale + column, whole, rest)
        var totalLow = DoubleLanes(repeating: 0)
        var totalHigh = DoubleLanes(repeating: 0)
        var productLow = DoubleLanes(repeating: 0)
        var productHigh = DoubleLanes(repeating: 0)
        var row = 0
        while row < of.batch {
            let end = Swift.min(of.batch, row &+ rowBlock)
            var a = V.zero
            var b = V.zero
            while row < end {
                let place = row &* of.channels &+ column
                let g = V.take(of.g + place, whole, rest)
                a = a + g
                b = V.fma(g, V.take(of.x + place, whole, rest) - mean, b)
                row &+= 1
            }
            totalLow = totalLow + a.low
            totalHigh = totalHigh + a.high
            productLow = productLow + b.low
            productHigh = productHigh + b.high
        }
        let total = V.narrow(totalLow, totalHigh)
        let product = V.narrow(productLow, productHigh)
        if let dweight = of.dweight { (product * scale).put(dweight + column, whole, rest) }
        if let dbias = of.dbias { total.put(dbias + column, whole, rest) }
        guard let dx = of.dx else { return }
        var factor = scale
        if let weight = of.weight { factor = scale * V.take(weight + column, whole, rest) }
        let share = V(repeating: of.training ? E(-1 / Double(of.batch)) : 0) * factor
        let slope = share * scale * scale * product
        let offset = share * total
        row = 0
        while row < of.batch {
            let place = row &* of.channels &+ column
            let deviation = V.take(of.x + place, whole, rest) - mean
            let g = V.take(of.g + place, whole, rest)
            V.fma(g, factor, V.fma(deviation, slope, offset)).put(dx + place, whole, rest)
            row &+= 1
        }
    }
}

/// Sums of a strip in float64: the lower and the upper halves of its vectors.
private struct StripSums<E: Real> {
    var low = Strip<DoubleLanes>(repeating: 0), high = Strip<DoubleLanes>(repeating: 0)

    @inline(__always) mutating func add(_ x: Strip<E.Lanes>) {
        low = low + Strip(x.a.low, x.b.low, x.c.low, x.d.low)
        high = high + Strip(x.a.high, x.b.high, x.c.high, x.d.high)
    }

    @inline(__always) func narrow() -> Strip<E.Lanes> {
        Strip(
            E.Lanes.narrow(low.a, high.a), E.Lanes.narrow(low.b, high.b), E.Lanes.narrow(low.c, high.c),
            E.Lanes.narrow(low.d, high.d))
    }
}
