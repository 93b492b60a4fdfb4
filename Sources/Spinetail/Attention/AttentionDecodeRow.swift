import CSpinetail

/// One query's running softmax and sums, in memory: a vector with its largest score, one with the parts of its sum of
/// exponentials, then the sums of values.
struct DecodeRow<E: Real> {
    let largest: UnsafeMutablePointer<E>
    let sum: UnsafeMutablePointer<E>
    let values: UnsafeMutablePointer<E>

    @inline(__always) init(_ memory: UnsafeMutablePointer<E>) {
        largest = memory
        sum = memory + E.Lanes.width
        values = memory + 2 &* E.Lanes.width
    }

    func reset(_ width: Int) {
        E.Lanes(repeating: -E.infinity).store(largest)
        E.Lanes.zero.store(sum)
        clear(values, roundUp(width, E.Lanes.width))
    }

    /// scores[k] = query · keys[k]; the query is padded with zeros.
    @inline(never)
    static func scores(
        _ query: UnsafePointer<E>, _ keys: UnsafePointer<E>, row: Int, count: Int, width: Int,
        into scores: UnsafeMutablePointer<E>
    ) {
        let lanes = E.Lanes.width
        var k = 0
        while k &+ 4 <= count {
            let a = keys + k &* row
            let b = a + row
            let c = b + row
            let d = c + row
            var s0 = E.Lanes.zero
            var s1 = E.Lanes.zero
            var s2 = E.Lanes.zero
            var s3 = E.Lanes.zero
            var i = 0
            while i &+ lanes <= width {
                let q = E.Lanes.load(query + i)
                s0 = E.Lanes.fma(q, E.Lanes.load(a + i), s0)
                s1 = E.Lanes.fma(q, E.Lanes.load(b + i), s1)
                s2 = E.Lanes.fma(q, E.Lanes.load(c + i), s2)
                s3 = E.Lanes.fma(q, E.Lanes.load(d + i), s3)
                i &+= lanes
            }
            if i < width {
                let q = E.Lanes.load(query + i)
                let left = width &- i
                s0 = E.Lanes.fma(q, E.Lanes.load(a + i, count: left, fill: 0), s0)
                s1 = E.Lanes.fma(q, E.Lanes.load(b + i, count: left, fill: 0), s1)
                s2 = E.Lanes.fma(q, E.Lanes.load(c + i, count: left, fill: 0), s2)
                s3 = E.Lanes.fma(q, E.Lanes.load(d + i, count: left, fill: 0), s3)
            }
            scores[k] = s0.sum()
            scores[k &+ 1] = s1.sum()
            scores[k &+ 2] = s2.sum()
            scores[k &+ 3] = s3.sum()
            k &+= 4
        }
        while k < count {
            scores[k] = dot(query, keys + k &* row, width)
            k &+= 1
        }
    }

    /// Takes a block of keys in: its scores become weights, and the sums those of the values seen so far.
    @inline(never)
    func absorb(_ scores: UnsafeMutablePointer<E>, _ rows: UnsafePointer<E>, row: Int, count: Int, width: Int) {
        let lanes = E.Lanes.width
        let hidden = -E.infinity
        var k = count
        while k < roundUp(count, lanes) {
            scores[k] = hidden
            k &+= 1
        }
        let old = E.Lanes.load(largest)
        var most = E.Lanes.load(scores)
        k = lanes
        while k < count {
            most = E.Lanes.max(most, E.Lanes.load(scores + k))
            k &+= lanes
        }
        let new = E.Lanes.max(old, E.Lanes(repeating: most.largest()))
        new.store(largest)
        let reference = E.Lanes.select(E.Lanes.equal(new, E.Lanes(repeating: hidden)), .zero, new)
        let factor = PowerOfTwo<E>.of(old - reference)
        var total = E.Lanes.load(sum) * factor
        k = 0
        while k < count {
            let power = PowerOfTwo<E>.of(E.Lanes.load(scores + k) - reference)
            power.store(scores + k)
            total = total + power
            k &+= lanes
        }
        total.store(sum)
        var i = 0
        while i &+ 8 &* lanes <= width {
            WeightedSum<E, 8>.add(scores, rows + i, row: row, count: count, factor: factor, into: values + i)
            i &+= 8 &* lanes
        }
        while i &+ 2 &* lanes <= width {
            WeightedSum<E, 2>.add(scores, rows + i, row: row, count: count, factor: factor, into: values + i)
            i &+= 2 &* lanes
        }
        while i &+ lanes <= width {
            WeightedSum<E, 1>.add(scores, rows + i, row: row, count: count, factor: factor, into: values + i)
            i &+= lanes
        }
        if i < width {
            var s = E.Lanes.load(values + i) * factor
            k = 0
            while k < count {
                let value = E.Lanes.load(rows + (k &* row &+ i), count: width &- i, fill: 0)
                s = E.Lanes.fma(E.Lanes(repeating: scores[k]), value, s)
                k &+= 1
            }
            s.store(values + i)
        }
    }
}

/// sums = sums · factor + Σ weights[k] · rows[k] for some whole vectors.
enum WeightedSum<E: Real, let vectors: Int> {
    @inline(__always)
    static func add(
        _ weights: UnsafePointer<E>, _ rows: UnsafePointer<E>, row: Int, count: Int, factor: E.Lanes,
        into sums: UnsafeMutablePointer<E>
    ) {
        var s = InlineArray<vectors, E.Lanes>(repeating: .zero)
        for v in 0..<vectors { s[unchecked: v] = E.Lanes.load(sums + v &* E.Lanes.width) * factor }
        var p = rows
        var k = 0
        while k < count {
            let weight = E.Lanes(repeating: weights[k])
            for v in 0..<vectors {
                s[unchecked: v] = E.Lanes.fma(weight, E.Lanes.load(p + v &* E.Lanes.width), s[unchecked: v])
            }
            p += row
            k &+= 1
        }
        for v in 0..<vectors { s[unchecked: v].store(sums + v &* E.Lanes.width) }
    }
}
