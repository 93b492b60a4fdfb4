import CSpinetail

/// Elements that one piece of elementwise work covers.
let elementwiseGrain = 16_384

@c @implementation
public func spinetail_activation_forward(
    _ output: Descriptor, _ input: Descriptor, _ function: Int64, _ alpha: Double
) -> spinetail_status {
    if output.dtype != input.dtype { return Status.dtype(1) }
    if !output.hasShape(of: input) { return Status.shape(1) }
    if !output.isContiguous { return Status.layout(1) }
    if !input.isContiguous { return Status.layout(2) }
    if input.holds(Float.self) { return forward(Float.self, output, input, function) }
    if input.holds(Double.self) { return forward(Double.self, output, input, function) }
    return Status.dtype(2)
}

private func forward<E: Real>(_ type: E.Type, _ output: Descriptor, _ input: Descriptor, _ function: Int64) -> Int32 {
    guard let y = output.pointer(E.self), let x = input.pointer(E.self) else { return Status.ok }
    let count = input.count
    let pieces = (count &+ elementwiseGrain &- 1) / elementwiseGrain
    return parallel(pieces, cost: count / 4, Relu<E>(y: y, x: x, count: count))
}

private struct Relu<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let count: Int
    init(y: UnsafeMutablePointer<E>, x: UnsafeMutablePointer<E>, count: Int) {
        self.y = y
        self.x = UnsafePointer(x)
        self.count = count
    }

    func run(_ index: Int, worker: Int) {
        var i = index &* elementwiseGrain
        let end = Swift.min(count, i &+ elementwiseGrain)
        while i &+ E.Lanes.width <= end {
            E.Lanes.max(E.Lanes.zero, E.Lanes.load(x + i)).store(y + i)
            i &+= E.Lanes.width
        }
        if i < end {
            E.Lanes.max(E.Lanes.zero, E.Lanes.load(x + i, count: end &- i, fill: 0)).store(y + i, count: end &- i)
        }
    }
}
