import CSpinetail

/// One query's running softmax and sums, in memory: a vector with its largest score, one with the parts of its sum of
/// exponentials, one with what a block's sums are preceded by, then the sums of values.
struct DecodeRow<E: Real> {
    let largest: UnsafeMutablePointer<E>
    let sum: UnsafeMutablePointer<E>
    /// What the values summed before are multiplied by.
    let factor: UnsafeMutablePointer<E>
    let values: UnsafeMutablePointer<E>

    static func elements(_ width: Int) -> Int { roundUp(width, E.Lanes.width) &+ 3 &* E.Lanes.width }

    @inline(__always) init(_ memory: UnsafeMutablePointer<E>) {
        largest = memory
        sum = memory + E.Lanes.width
        factor = memory + 2 &* E.Lanes.width
        values = memory + 3 &* E.Lanes.width
    }

    func reset(_ width: Int) {
        E.Lanes(repeating: -E.infinity).store(largest)
        E.Lanes.zero.store(sum)
        clear(values, roundUp(width, E.Lanes.width))
    }

    /// Takes a block's scores in: they become weights. A block is summed by itself before it joins what was there
    /// before, so that errors grow with its length and the number of blocks, not with all keys.
    @inline(__always)
    func weigh(_ scores: UnsafeMutablePointer<E>, count: Int) {
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
        let before = PowerOfTwo<E>.of(old - reference)
        before.store(factor)
        var total = E.Lanes.zero
        k = 0
        while k < count {
            let power = PowerOfTwo<E>.of(E.Lanes.load(scores + k) - reference)
            power.store(scores + k)
            total = total + power
            k &+= lanes
        }
        E.Lanes.fma(E.Lanes.load(sum), before, total).store(sum)
    }

    /// Takes in what other keys left behind.
    func join(_ b: Self, width: Int) {
        let old = E.Lanes.load(largest)
        let other = E.Lanes.load(b.largest)
        let new = E.Lanes.max(old, other)
        let reference = E.Lanes.select(E.Lanes.equal(new, E.Lanes(repeating: -E.infinity)), .zero, new)
        let left = PowerOfTwo<E>.of(old - reference)
        let right = PowerOfTwo<E>.of(other - reference)
        new.store(largest)
        (E.Lanes.load(sum) * left + E.Lanes.load(b.sum) * right).store(sum)
        var i = 0
        while i < width {
            (E.Lanes.load(values + i) * left + E.Lanes.load(b.values + i) * right).store(values + i)
            i &+= E.Lanes.width
        }
    }
}
