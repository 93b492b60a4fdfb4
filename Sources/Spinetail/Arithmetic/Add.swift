import CSpinetail

@c @implementation
public func spinetail_add(_ output: Descriptor, _ a: Descriptor, _ b: Descriptor) -> spinetail_status {
    if a.dtype != output.dtype { return Status.dtype(2) }
    if b.dtype != output.dtype { return Status.dtype(3) }
    if !a.hasShape(of: output) { return Status.shape(2) }
    if !b.hasShape(of: output) { return Status.shape(3) }
    if !output.isContiguous { return Status.layout(1) }
    if !a.isContiguous { return Status.layout(2) }
    if !b.isContiguous { return Status.layout(3) }
    if output.holds(Float.self) { return add(Float.self, output, a, b) }
    if output.holds(Double.self) { return add(Double.self, output, a, b) }
    return Status.dtype(1)
}

private func add<E: Real>(_ type: E.Type, _ output: Descriptor, _ a: Descriptor, _ b: Descriptor) -> Int32 {
    guard let c = output.pointer(E.self), let a = a.pointer(E.self), let b = b.pointer(E.self) else {
        return Status.ok
    }
    let task = Sum(c: c, a: UnsafePointer(a), b: UnsafePointer(b), count: output.count)
    let cost = elementwiseCost(task.count, of: E.self, 100, arrays: 3)
    return parallel(pieces(task.count, elementwiseGrain), cost: cost, task)
}

private struct Sum<E: Real>: ParallelTask {
    let c: UnsafeMutablePointer<E>
    let a: UnsafePointer<E>
    let b: UnsafePointer<E>
    let count: Int

    func run(_ index: Int, worker: Int) {
        let ahead = elementwiseAhead
        var i = index &* elementwiseGrain
        let end = Swift.min(count, i &+ elementwiseGrain)
        while i &+ E.Lanes.width <= end {
            spinetail_prefetch(UnsafeRawPointer(a + i) + ahead)
            spinetail_prefetch(UnsafeRawPointer(b + i) + ahead)
            (E.Lanes.load(a + i) + E.Lanes.load(b + i)).store(c + i)
            i &+= E.Lanes.width
        }
        if i < end {
            let x = E.Lanes.load(a + i, count: end &- i, fill: 0)
            let y = E.Lanes.load(b + i, count: end &- i, fill: 0)
            (x + y).store(c + i, count: end &- i)
        }
    }
}
