import CSpinetail

/// How one axis is resampled: output i is the sum over t of weights[t, i] · input[places[t, i]].
struct ResamplingAxis<E: Real> {
    var input: Int
    var output: Int
    var taps = 0  // 0: the axis stays as it is
    var places: UnsafePointer<Int32>? = nil
    var weights: UnsafePointer<E>? = nil

    init(input: Int, output: Int) {
        self.input = input
        self.output = output
    }

    /// Takes the tables, the arguments `argument` and the next one.
    mutating func read(_ p: Descriptor?, _ w: Descriptor?, _ argument: Int32) -> Int32 {
        guard let p, let w else {
            if p != nil || w != nil { return Status.parameter(argument) }
            return input == output ? Status.ok : Status.shape(1)
        }
        if p.dtype != Int32(SPINETAIL_INT32) { return Status.dtype(argument) }
        if !w.holds(E.self) { return Status.dtype(argument &+ 1) }
        if !p.isContiguous { return Status.layout(argument) }
        if !w.isContiguous { return Status.layout(argument &+ 1) }
        if p.rank != 2 || p.extent(1) != output || p.extent(0) < 1 { return Status.shape(argument) }
        if !w.hasShape(of: p) { return Status.shape(argument &+ 1) }
        taps = p.extent(0)
        guard let places = p.pointer(Int32.self), let weights = w.pointer(E.self) else { return Status.ok }
        if !within(places, taps &* output, from: 0, to: input) { return Status.index(argument) }
        self.places = UnsafePointer(places)
        self.weights = UnsafePointer(weights)
        return Status.ok
    }

    /// The first input and the end of those that outputs `from` ..< `to` take.
    func reach(_ from: Int, _ to: Int) -> (from: Int, to: Int) {
        guard let places, taps > 0 else { return (from, to) }
        var first = input
        var end = 0
        var t = 0
        while t < taps {
            var i = from
            while i < to {
                let place = Int(places[t &* output &+ i])
                first = Swift.min(first, place)
                end = Swift.max(end, place &+ 1)
                i &+= 1
            }
            t &+= 1
        }
        return (Swift.min(first, end), end)
    }
}

/// Whether all places lie in `from` ..< `to`.
func within(_ places: UnsafePointer<Int32>, _ count: Int, from: Int, to: Int) -> Bool {
    var low: Int32 = 0x7FFF_FFFF
    var high: Int32 = -0x7FFF_FFFF
    var i = 0
    while i < count {
        low = Swift.min(low, places[i])
        high = Swift.max(high, places[i])
        i &+= 1
    }
    return count <= 0 || (Int(low) >= from && Int(high) < to)
}

/// A row's table by blocks of one vector: for each tap of a block where its elements begin, their places from there on, and
/// their weights. Two vectors hold them where they lie close enough together; then a permutation picks them.
struct RowTable<E: Real> {
    let output: Int
    let taps: Int
    let bases: UnsafeMutablePointer<Int>
    let places: UnsafeMutablePointer<Int32>
    let weights: UnsafeMutablePointer<E>
    var close = true
    var gaps = false  // some outputs have no tap

    static func bytes(_ axis: ResamplingAxis<E>) -> Int {
        let slots = pieces(axis.output, E.Lanes.width) &* axis.taps
        return slots &* (8 &+ E.Lanes.width &* (4 &+ MemoryLayout<E>.stride)) &+ 128
    }

    init(_ axis: ResamplingAxis<E>, in memory: UnsafeMutableRawPointer) {
        let width = E.Lanes.width
        output = axis.output
        taps = axis.taps
        let slots = pieces(output, width) &* taps
        weights = memory.assumingMemoryBound(to: E.self)
        let behind = memory + slots &* width &* MemoryLayout<E>.stride
        bases = behind.assumingMemoryBound(to: Int.self)
        places = (behind + slots &* 8).assumingMemoryBound(to: Int32.self)
        guard let given = axis.places, let factors = axis.weights else { return }
        var i = 0
        while i < output {
            if factors[i] == 0 { gaps = true }
            i &+= 1
        }
        var slot = 0
        while slot < slots {
            let start = divide(slot, by: taps) &* width
            let from = remainder(slot, by: taps) &* output &+ start
            let count = Swift.min(width, output &- start)
            var low = Int(given[from])
            var high = low
            i = 1
            while i < count {
                low = Swift.min(low, Int(given[from &+ i]))
                high = Swift.max(high, Int(given[from &+ i]))
                i &+= 1
            }
            if high &- low >= 2 &* width { close = false }
            let base = Swift.max(0, Swift.min(low, axis.input &- 2 &* width))
            bases[slot] = base
            i = 0
            while i < width {
                places[slot &* width &+ i] =
                    i < count ? Int32(truncatingIfNeeded: Int(given[from &+ i]) &- base) : 0
                weights[slot &* width &+ i] = i < count ? factors[from &+ i] : 0
                i &+= 1
            }
            slot &+= 1
        }
    }

    /// One row; at least two vectors can be read from `x` on.
    @inline(__always) func apply(_ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>) {
        if !close || gaps { return apply(x, y, taps, close: false) }
        if taps == 1 { return apply(x, y, 1, close: true) }
        if taps == 2 { return apply(x, y, 2, close: true) }
        if taps == 4 { return apply(x, y, 4, close: true) }
        apply(x, y, taps, close: true)
    }

    @inline(__always)
    private func apply(_ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ taps: Int, close: Bool) {
        let width = E.Lanes.width
        var slot = 0
        var i = 0
        while i < output {
            let first = E.Lanes.load(weights + slot &* width)
            var total = first * element(x, slot, close)
            var t = 1
            while t < taps {
                let at = slot &+ t
                total = E.Lanes.fma(.load(weights + at &* width), element(x, at, close), total)
                t &+= 1
            }
            if !close && gaps { total = E.Lanes.select(E.Lanes.equal(first, .zero), .zero, total) }
            if i &+ width <= output {
                total.store(y + i)
            } else {
                total.store(y + i, count: output &- i)
            }
            slot &+= taps
            i &+= width
        }
    }

    @inline(__always) private func element(_ x: UnsafePointer<E>, _ slot: Int, _ close: Bool) -> E.Lanes {
        let from = x + bases[slot]
        return close ? .pick(from, places + slot &* E.Lanes.width) : .gather(from, places + slot &* E.Lanes.width)
    }
}
