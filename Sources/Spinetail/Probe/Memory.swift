import CSpinetail

/// Elements that one piece may touch, repeats included: about 20 ms of a slow memory.
private let mostTouched = 1 << 26

/// The elements of one piece of `count`, or nil where the parameters are out of bounds.
private func share(_ count: Int, _ pieces: Int64, _ repeats: Int64) -> Int? {
    if pieces < 1 || repeats < 0 || repeats > Int64(mostTouched) { return nil }
    let pieces = Int(truncatingIfNeeded: pieces)
    let length = count / pieces &+ (count % pieces == 0 ? 0 : 1)
    if length > mostTouched || length &* Int(truncatingIfNeeded: repeats) > mostTouched { return nil }
    return length
}

/// Float32 and C-contiguous, or what is wrong with argument `number`.
private func problem(_ array: Descriptor, _ number: Int32) -> Int32? {
    if !array.holds(Float.self) { return Status.dtype(number) }
    return array.isContiguous ? nil : Status.layout(number)
}

@c @implementation
public func spinetail_probe_read(_ sums: Descriptor, _ input: Descriptor, _ repeats: Int64) -> spinetail_status {
    if sums.rank != 1 { return Status.shape(1) }
    if let status = problem(sums, 1) { return status }
    if let status = problem(input, 2) { return status }
    guard let y = sums.pointer(Float.self) else { return Status.ok }
    let pieces = sums.extent(0)
    guard let length = share(input.count, Int64(truncatingIfNeeded: pieces), repeats) else {
        return Status.parameter(3)
    }
    let task = Read(
        sums: y, x: input.pointer(Float.self), count: input.count, length: length,
        repeats: Int(truncatingIfNeeded: repeats))
    return parallel(pieces, cost: length &* task.repeats, task)
}

private struct Read<E: Real>: ParallelTask {
    let sums: UnsafeMutablePointer<E>
    let x: UnsafeMutablePointer<E>?
    let count, length, repeats: Int

    func run(_ index: Int, worker: Int) {
        typealias V = E.Lanes
        let start = Swift.min(count, index &* length)
        let end = Swift.min(count, start &+ length)
        sums[index] = 0
        guard let x else { return }
        var (a0, a1, a2, a3) = (V.zero, V.zero, V.zero, V.zero)
        var (a4, a5, a6, a7) = (V.zero, V.zero, V.zero, V.zero)
        var rest: E = 0
        var turn = 0
        while turn < repeats {
            var i = start
            while i &+ 8 &* V.width <= end {
                let p = UnsafePointer(x + i)
                a0 = a0 + V.load(p)
                a1 = a1 + V.load(p + V.width)
                a2 = a2 + V.load(p + 2 &* V.width)
                a3 = a3 + V.load(p + 3 &* V.width)
                a4 = a4 + V.load(p + 4 &* V.width)
                a5 = a5 + V.load(p + 5 &* V.width)
                a6 = a6 + V.load(p + 6 &* V.width)
                a7 = a7 + V.load(p + 7 &* V.width)
                i &+= 8 &* V.width
            }
            while i < end {
                rest = rest + x[i]
                i &+= 1
            }
            turn &+= 1
        }
        sums[index] = ((a0 + a1) + (a2 + a3) + ((a4 + a5) + (a6 + a7))).sum() + rest
    }
}

@c @implementation
public func spinetail_probe_write(_ output: Descriptor, _ pieces: Int64, _ repeats: Int64) -> spinetail_status {
    if let status = problem(output, 1) { return status }
    guard let length = share(output.count, pieces, repeats) else { return Status.parameter(3) }
    guard let y = output.pointer(Float.self), length > 0 else { return Status.ok }
    let task = Write(y: y, count: output.count, length: length, repeats: Int(truncatingIfNeeded: repeats))
    return parallel((output.count &+ length &- 1) / length, cost: length &* task.repeats, task)
}

private struct Write<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let count, length, repeats: Int

    func run(_ index: Int, worker: Int) {
        typealias V = E.Lanes
        let start = index &* length
        let end = Swift.min(count, start &+ length)
        var turn = 0
        while turn < repeats {
            let value = V(repeating: E(turn))
            var i = start
            while i &+ V.width <= end {
                value.store(y + i)
                i &+= V.width
            }
            if i < end { value.store(y + i, count: end &- i) }
            turn &+= 1
        }
    }
}

@c @implementation
public func spinetail_probe_copy(
    _ output: Descriptor, _ input: Descriptor, _ pieces: Int64, _ repeats: Int64
)
    -> spinetail_status
{
    if let status = problem(output, 1) { return status }
    if let status = problem(input, 2) { return status }
    if !output.hasShape(of: input) { return Status.shape(1) }
    guard let length = share(output.count, pieces, repeats) else { return Status.parameter(4) }
    guard let y = output.pointer(Float.self), let x = input.pointer(Float.self), length > 0 else { return Status.ok }
    let task = Copy(y: y, x: x, count: output.count, length: length, repeats: Int(truncatingIfNeeded: repeats))
    return parallel((output.count &+ length &- 1) / length, cost: length &* task.repeats, task)
}

private struct Copy<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafeMutablePointer<E>
    let count, length, repeats: Int

    func run(_ index: Int, worker: Int) {
        typealias V = E.Lanes
        let start = index &* length
        let end = Swift.min(count, start &+ length)
        var turn = 0
        while turn < repeats {
            var i = start
            while i &+ V.width <= end {
                V.load(UnsafePointer(x + i)).store(y + i)
                i &+= V.width
            }
            if i < end { V.load(UnsafePointer(x + i), count: end &- i, fill: 0).store(y + i, count: end &- i) }
            turn &+= 1
        }
    }
}
