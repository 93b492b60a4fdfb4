import CSpinetail

/// Elements of one piece of work: a whole number of blocks of 32.
private let randomGrain = 16_384

@c @implementation
public func spinetail_random_bits(_ output: Descriptor, _ seed: Int64, _ offset: Int64) -> spinetail_status {
    if output.dtype != Int32(SPINETAIL_INT32) { return Status.dtype(1) }
    if !output.isContiguous { return Status.layout(1) }
    guard let y = output.pointer(UInt32.self) else { return Status.ok }
    let count = output.count
    let task = RandomBits(y: y, count: count, seed: seed, offset: offset)
    return parallel((count &+ randomGrain &- 1) / randomGrain, cost: count / 2, task)
}

private struct RandomBits: ParallelTask {
    let y: UnsafeMutablePointer<UInt32>
    let count: Int
    let seed, offset: Int64

    func run(_ index: Int, worker: Int) {
        var i = index &* randomGrain
        let end = Swift.min(count, i &+ randomGrain)
        var block = RandomBlock()
        while i < end {
            block.fill(seed, offset, i)
            let some = Swift.min(32, end &- i)
            block.withWords { memcpy(y + i, $0, some &* 4) }
            i &+= 32
        }
    }
}

/// 32 random words on the stack.
struct RandomBlock {
    private var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    private var more: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)

    /// The words of elements `element` ... element + 31; `element` is a multiple of 32.
    @inline(__always) mutating func fill(_ seed: Int64, _ offset: Int64, _ element: Int) {
        withUnsafeMutableBytes(of: &self) { bytes in
            guard let base = bytes.baseAddress else { return }
            spinetail_philox(
                seed, offset, Int64(truncatingIfNeeded: element >> 2), base.assumingMemoryBound(to: UInt32.self))
        }
    }

    @inline(__always) func withWords(_ body: (UnsafePointer<UInt32>) -> Void) {
        withUnsafeBytes(of: self) { bytes in
            guard let base = bytes.baseAddress else { return }
            body(base.assumingMemoryBound(to: UInt32.self))
        }
    }
}

@c @implementation
public func spinetail_random_dropout(
    _ output: Descriptor, _ input: Descriptor, _ seed: Int64, _ offset: Int64, _ probability: Double,
    _ scale: Double, _ shift: Double, _ dropped: Double
) -> spinetail_status {
    if output.dtype != input.dtype { return Status.dtype(1) }
    if !output.hasShape(of: input) { return Status.shape(1) }
    if !output.isContiguous { return Status.layout(1) }
    if !input.isContiguous { return Status.layout(2) }
    if !(probability >= 0 && probability < 1) { return Status.parameter(5) }
    let threshold = UInt32(truncatingIfNeeded: spinetail_threshold(probability))
    if input.holds(Float.self) {
        return dropout(Float.self, output, input, seed, offset, threshold, scale, shift, dropped)
    }
    if input.holds(Double.self) {
        return dropout(Double.self, output, input, seed, offset, threshold, scale, shift, dropped)
    }
    return Status.dtype(2)
}

private func dropout<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ input: Descriptor, _ seed: Int64, _ offset: Int64, _ threshold: UInt32,
    _ scale: Double, _ shift: Double, _ dropped: Double
) -> Int32 {
    guard let y = output.pointer(type), let x = input.pointer(type) else { return Status.ok }
    let count = input.count
    let task = Dropout(
        y: y, x: UnsafePointer(x), count: count, seed: seed, offset: offset, threshold: threshold, scale: E(scale),
        shift: E(shift), dropped: E(dropped))
    return parallel((count &+ randomGrain &- 1) / randomGrain, cost: count, task)
}

private struct Dropout<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let count: Int
    let seed, offset: Int64
    let threshold: UInt32
    let scale, shift, dropped: E

    func run(_ index: Int, worker: Int) {
        typealias V = E.Lanes
        let scale = V(repeating: self.scale)
        let shift = V(repeating: self.shift)
        let dropped = V(repeating: self.dropped)
        var start = index &* randomGrain
        let end = Swift.min(count, start &+ randomGrain)
        var block = RandomBlock()
        while start < end {
            block.fill(seed, offset, start)
            let some = Swift.min(32, end &- start)
            block.withWords { words in
                var i = 0
                while i < some {
                    let whole = some &- i >= V.width
                    let kept = V.fma(V.take(x + start + i, whole, some &- i), scale, shift)
                    V.select(V.atLeast(words + i, threshold), kept, dropped).put(y + start + i, whole, some &- i)
                    i &+= V.width
                }
            }
            start &+= 32
        }
    }
}
