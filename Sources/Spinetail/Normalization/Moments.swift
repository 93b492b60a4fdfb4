import CSpinetail

/// Elements whose sums are made in the lanes' own precision before they go to float64; they stay in L1.
let momentBlock = 4096

/// Mean and sum of squared deviations of some numbers, merged by Chan's formula.
struct Moments {
    var count = 0.0
    var mean = 0.0
    var spread = 0.0

    @inline(__always) mutating func merge(_ more: Double, _ itsMean: Double, _ itsSpread: Double) {
        let total = count + more
        let delta = itsMean - mean
        mean += delta * (more / total)
        spread += itsSpread + delta * delta * (count * more / total)
        count = total
    }
}

/// `planes` runs of `length` contiguous elements, `stride` elements apart.
struct Planes<E: Real> {
    let start: UnsafePointer<E>
    let planes: Int
    let stride: Int
    let length: Int

    /// Planes that are taken together as one block, when a plane is shorter than a block.
    @inline(__always) var planesInBlock: Int { Swift.max(1, momentBlock / Swift.max(length, 1)) }

    /// Meanwhile the memory that lies `also` bytes on is asked for: the output's, while the input comes from a cache.
    func moments(also: Int = 0) -> Moments {
        var result = Moments()
        if length == 0 { return result }
        var plane = 0
        while plane < planes {
            let some = Swift.min(planesInBlock, planes &- plane)
            var offset = 0
            while offset < length {
                let run = Swift.min(momentBlock, length &- offset)
                blockMoments(start + (plane &* stride &+ offset), some, run, also, &result)
                offset &+= run
            }
            plane &+= some
        }
        return result
    }

    /// One pass over a block, around the mean of those before, or of some first elements. Where that is far from the block's
    /// own mean, so that digits cancel, two passes; the block is in L1 after the first.
    @inline(__always)
    private func blockMoments(
        _ block: UnsafePointer<E>, _ some: Int, _ run: Int, _ also: Int, _ result: inout Moments
    ) {
        let count = Double(some &* run)
        let few = Swift.min(run, 4 &* E.Lanes.width)
        let guess = E(result.count > 0 ? result.mean : total(block, few).sum().double / Double(few))
        let (sum, squares) = around(guess, block, some, run, also)
        let shift = sum / count
        if shift * sum <= 0.5 * squares {
            result.merge(count, guess.double + shift, squares - shift * sum)
            return
        }
        var exact = E.Lanes.zero
        var plane = 0
        while plane < some {
            exact = exact + total(block + plane &* stride, run)
            plane &+= 1
        }
        let middle = E(exact.sum().double / count)
        let (rest, spread) = around(middle, block, some, run, 0)
        let off = rest / count
        result.merge(count, middle.double + off, spread - off * rest)
    }

    /// Σ(x - middle) and Σ(x - middle)² over a block.
    @inline(__always)
    private func around(
        _ middle: E, _ block: UnsafePointer<E>, _ some: Int, _ run: Int, _ also: Int
    ) -> (Double, Double) {
        var first = E.Lanes.zero
        var second = E.Lanes.zero
        var plane = 0
        while plane < some {
            let (a, b) = deviations(block + plane &* stride, run, middle, also)
            first = first + a
            second = second + b
            plane &+= 1
        }
        return (first.sum().double, second.sum().double)
    }

    /// Σx² (uncentered), over one plane.
    func squares() -> Double {
        var total = 0.0
        var offset = 0
        while offset < length {
            let run = Swift.min(momentBlock, length &- offset)
            total += deviations(start + offset, run, 0).1.sum().double
            offset &+= run
        }
        return total
    }

    /// Σg and Σg·(x - mean), where g lies as the planes do.
    func products(_ gradient: UnsafePointer<E>, _ mean: E) -> (Double, Double) {
        typealias V = E.Lanes
        var total = 0.0
        var product = 0.0
        if length == 0 { return (0, 0) }
        let middle = V(repeating: mean)
        var plane = 0
        while plane < planes {
            let some = Swift.min(planesInBlock, planes &- plane)
            var offset = 0
            while offset < length {
                let run = Swift.min(momentBlock, length &- offset)
                var a = V.zero
                var b = V.zero
                var a2 = V.zero
                var b2 = V.zero
                var k = 0
                while k < some {
                    let place = (plane &+ k) &* stride &+ offset
                    let x = start + place
                    let g = gradient + place
                    var i = 0
                    while i &+ 2 &* V.width <= run {
                        let u = V.load(g + i)
                        let v = V.load(g + i + V.width)
                        a = a + u
                        b = V.fma(u, V.load(x + i) - middle, b)
                        a2 = a2 + v
                        b2 = V.fma(v, V.load(x + i + V.width) - middle, b2)
                        i &+= 2 &* V.width
                    }
                    while i < run {
                        let rest = run &- i
                        let u = V.take(g + i, rest >= V.width, rest)
                        let v = rest >= V.width ? V.load(x + i) : V.load(x + i, count: rest, fill: mean)
                        a = a + u
                        b = V.fma(u, v - middle, b)
                        i &+= V.width
                    }
                    k &+= 1
                }
                total += (a + a2).sum().double
                product += (b + b2).sum().double
                offset &+= run
            }
            plane &+= some
        }
        return (total, product)
    }
}

/// The sum of contiguous elements, spread over the lanes.
@inline(__always) func total<E: Real>(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
    typealias V = E.Lanes
    var a = V.zero, b = V.zero, c = V.zero, d = V.zero
    var i = 0
    while i &+ 4 &* V.width <= count {
        a = a + V.load(p + i)
        b = b + V.load(p + i + V.width)
        c = c + V.load(p + i + 2 &* V.width)
        d = d + V.load(p + i + 3 &* V.width)
        i &+= 4 &* V.width
    }
    while i &+ V.width <= count {
        a = a + V.load(p + i)
        i &+= V.width
    }
    if i < count { b = b + V.load(p + i, count: count &- i, fill: 0) }
    return (a + b) + (c + d)
}

/// Σ(x - middle) and Σ(x - middle)² of contiguous elements, spread over the lanes.
@inline(__always)
func deviations<E: Real>(
    _ p: UnsafePointer<E>, _ count: Int, _ middle: E, _ also: Int = 0
) -> (E.Lanes, E.Lanes) {
    typealias V = E.Lanes
    let center = V(repeating: middle)
    var a = V.zero, b = V.zero, c = V.zero, d = V.zero
    var a2 = V.zero, b2 = V.zero, c2 = V.zero, d2 = V.zero
    var i = 0
    while i &+ 4 &* V.width <= count {
        if also != 0 { Strip<V>.fetch(UnsafeRawPointer(p + i).advanced(by: also)) }
        let x = V.load(p + i) - center
        let y = V.load(p + i + V.width) - center
        let z = V.load(p + i + 2 &* V.width) - center
        let t = V.load(p + i + 3 &* V.width) - center
        a = a + x
        b = b + y
        c = c + z
        d = d + t
        a2 = V.fma(x, x, a2)
        b2 = V.fma(y, y, b2)
        c2 = V.fma(z, z, c2)
        d2 = V.fma(t, t, d2)
        i &+= 4 &* V.width
    }
    while i &+ V.width <= count {
        let x = V.load(p + i) - center
        a = a + x
        a2 = V.fma(x, x, a2)
        i &+= V.width
    }
    if i < count {
        let x = V.load(p + i, count: count &- i, fill: middle) - center
        b = b + x
        b2 = V.fma(x, x, b2)
    }
    return ((a + b) + (c + d), (a2 + b2) + (c2 + d2))
}

/// y = (x - mean)·scale + shift, over contiguous elements. Meanwhile the memory `next` elements on is asked for.
@inline(__always)
func applyAffine<E: Real>(
    _ y: UnsafeMutablePointer<E>, _ x: UnsafePointer<E>, _ count: Int, _ mean: E, _ scale: E, _ shift: E, next: Int
) {
    typealias V = E.Lanes
    let mean = V(repeating: mean)
    let scale = V(repeating: scale)
    let shift = V(repeating: shift)
    var i = 0
    while i &+ V.width <= count {
        spinetail_prefetch(x + (i &+ next))
        spinetail_prefetch(UnsafePointer(y) + (i &+ 1024))
        V.fma(V.load(x + i) - mean, scale, shift).store(y + i)
        i &+= V.width
    }
    let rest = count &- i
    if rest > 0 { V.fma(V.take(x + i, false, rest) - mean, scale, shift).put(y + i, false, rest) }
}

/// dx = g·scale - (x - mean)·slope - offset, over contiguous elements.
@inline(__always)
func applyGradient<E: Real>(
    _ dx: UnsafeMutablePointer<E>, _ g: UnsafePointer<E>, _ x: UnsafePointer<E>, _ count: Int, mean: E, scale: E,
    slope: E, offset: E
) {
    typealias V = E.Lanes
    let mean = V(repeating: mean)
    let scale = V(repeating: scale)
    let slope = V(repeating: -slope)
    let offset = V(repeating: -offset)
    var i = 0
    while i &+ V.width <= count {
        V.fma(V.load(g + i), scale, V.fma(V.load(x + i) - mean, slope, offset)).store(dx + i)
        i &+= V.width
    }
    let rest = count &- i
    if rest > 0 {
        let deviation = V.take(x + i, false, rest) - mean
        V.fma(V.take(g + i, false, rest), scale, V.fma(deviation, slope, offset)).put(dx + i, false, rest)
    }
}

/// Whether an array can stand for `count` values of the input's dtype; null is fine where it is optional.
func checkValues(_ array: Descriptor?, _ count: Int, like input: Descriptor, _ argument: Int32) -> Int32 {
    guard let array else { return Status.ok }
    if array.dtype != input.dtype { return Status.dtype(argument) }
    if array.count != count { return Status.shape(argument) }
    if !array.isContiguous { return Status.layout(argument) }
    return Status.ok
}

/// Whether an array is shaped and laid out like the input.
func checkLike(_ array: Descriptor?, _ input: Descriptor, _ argument: Int32) -> Int32 {
    guard let array else { return Status.ok }
    if array.dtype != input.dtype { return Status.dtype(argument) }
    if !array.hasShape(of: input) { return Status.shape(argument) }
    if !array.isContiguous { return Status.layout(argument) }
    return Status.ok
}

extension Optional where Wrapped == Descriptor {
    /// The elements of an optional array, or nil.
    @inline(__always) func pointer<E>(_ type: E.Type) -> UnsafeMutablePointer<E>? { self?.pointer(type) ?? nil }
}
