import CSpinetail

/// Positions that a task turns in all heads: their cosines and sines stay in the first-level cache meanwhile.
private let tilePositions = 16

@c @implementation
public func spinetail_rotary(
    _ output: Descriptor, _ input: Descriptor, _ cosine: Descriptor, _ sine: Descriptor, _ interleaved: Int64,
    _ inverse: Int64
) -> spinetail_status {
    if input.rank != 4 { return Status.rank(2) }
    if cosine.rank != 3 { return Status.rank(3) }
    if output.dtype != input.dtype { return Status.dtype(1) }
    if sine.dtype != cosine.dtype { return Status.dtype(4) }
    if !output.hasShape(of: input) { return Status.shape(1) }
    if cosine.extent(0) != input.extent(0) && cosine.extent(0) != 1 { return Status.shape(3) }
    if cosine.extent(1) != input.extent(2) { return Status.shape(3) }
    if cosine.extent(2) > input.extent(3) / 2 { return Status.shape(3) }
    if !sine.hasShape(of: cosine) { return Status.shape(4) }
    if !output.hasContiguousLastAxis { return Status.layout(1) }
    if !input.hasContiguousLastAxis { return Status.layout(2) }
    if !cosine.hasContiguousLastAxis { return Status.layout(3) }
    if !sine.hasContiguousLastAxis { return Status.layout(4) }
    let pairs = interleaved != 0
    let back = inverse != 0
    if input.holds(Float.self) { return turn(RotaryPlain<Float>.self, output, input, cosine, sine, pairs, back) }
    if input.holds(Double.self) { return turn(RotaryPlain<Double>.self, output, input, cosine, sine, pairs, back) }
    if input.dtype == Int32(SPINETAIL_BFLOAT16) {
        return turn(RotaryHalf<BrainFloat>.self, output, input, cosine, sine, pairs, back)
    }
    if input.dtype == Int32(SPINETAIL_FLOAT16) {
        return turn(RotaryHalf<HalfFloat>.self, output, input, cosine, sine, pairs, back)
    }
    return Status.dtype(2)
}

private func turn<F: RotaryFormat>(
    _ format: F.Type, _ output: Descriptor, _ input: Descriptor, _ cosine: Descriptor, _ sine: Descriptor,
    _ interleaved: Bool, _ inverse: Bool
) -> Int32 {
    if !cosine.holds(F.E.self) { return Status.dtype(3) }
    guard let y = output.pointee.data, let x = input.pointee.data else { return Status.ok }
    let tiles = (input.extent(2) &+ tilePositions &- 1) / tilePositions
    // Without pairs the table is empty, and nothing is read of it.
    let task = RotaryTask<F>(
        y: Rows(y, output, head: output.byteStride(1), position: output.byteStride(2)),
        x: Rows(x, input, head: input.byteStride(1), position: input.byteStride(2)),
        cosine: Rows(cosine.pointee.data ?? x, cosine, head: 0, position: cosine.byteStride(1)),
        sine: Rows(sine.pointee.data ?? x, sine, head: 0, position: sine.byteStride(1)),
        heads: input.extent(1), length: input.extent(2), width: input.extent(3), pairs: cosine.extent(2),
        interleaved: interleaved, sign: inverse ? -1 : 1, tiles: tiles)
    // Numbers in caches; what has to come from memory takes longer, and is long anyway.
    return parallel(input.extent(0) &* tiles, cost: input.count / 6, task)
}

/// Where the rows of an array are.
private struct Rows {
    let base: UnsafeMutableRawPointer
    let batch, head, position: Int

    init(_ base: UnsafeMutableRawPointer, _ array: Descriptor, head: Int, position: Int) {
        self.base = base
        batch = array.extent(0) == 1 ? 0 : array.byteStride(0)
        self.head = head
        self.position = position
    }

    @inline(__always) func at<N>(_ batch: Int, _ head: Int, _ position: Int, _ type: N.Type) -> UnsafeMutablePointer<N>
    {
        (base + batch &* self.batch + head &* self.head + position &* self.position).assumingMemoryBound(to: type)
    }
}

private struct RotaryTask<F: RotaryFormat>: ParallelTask {
    typealias V = F.E.Lanes
    let y, x, cosine, sine: Rows
    let heads, length, width, pairs: Int
    let interleaved: Bool
    let sign: F.E
    let tiles: Int

    func run(_ index: Int, worker: Int) {
        let batch = divide(index, by: tiles)
        let first = (index &- batch &* tiles) &* tilePositions
        let end = Swift.min(first &+ tilePositions, length)
        var head = 0
        while head < heads {
            var position = first
            while position < end {
                let to = y.at(batch, head, position, F.Number.self)
                let from = x.at(batch, head, position, F.Number.self)
                turn(
                    to, UnsafePointer(from), UnsafePointer(cosine.at(batch, 0, position, F.E.self)),
                    UnsafePointer(sine.at(batch, 0, position, F.E.self)))
                let rest = width &- 2 &* pairs
                if rest > 0 && to != from {
                    memmove(to + 2 &* pairs, from + 2 &* pairs, rest &* MemoryLayout<F.Number>.size)
                }
                position &+= 1
            }
            head &+= 1
        }
    }

    @inline(__always) private func turn(
        _ to: UnsafeMutablePointer<F.Number>, _ from: UnsafePointer<F.Number>, _ cosines: UnsafePointer<F.E>,
        _ sines: UnsafePointer<F.E>
    ) {
        let turned = V(repeating: sign)
        var i = 0
        while i < pairs {
            let count = pairs &- i
            let c = RotaryPlain<F.E>.load(cosines + i, count)
            let s = RotaryPlain<F.E>.load(sines + i, count) * turned
            if interleaved {
                let (a, b) = F.loadPairs(from + 2 &* i, count)
                F.storePairs(V.fma(a, c, V.negate(b * s)), V.fma(b, c, a * s), to + 2 &* i, count)
            } else {
                let a = F.load(from + i, count)
                let b = F.load(from + pairs + i, count)
                F.store(V.fma(a, c, V.negate(b * s)), to + i, count)
                F.store(V.fma(b, c, a * s), to + pairs + i, count)
            }
            i &+= V.width
        }
    }
}
