import CSpinetail

/// What samples of pixels at places share: (N, C, Q) is the input, (N, C, P) the output, (N, T, P) the tables.
struct SampleShape {
    var batch = 0
    var channels = 0
    var input = 0
    var output = 0
    var taps = 0

    mutating func read(
        input x: Descriptor, _ i: Int32, output y: Descriptor, _ o: Int32, places p: Descriptor, _ pi: Int32,
        weights w: Descriptor, _ wi: Int32
    ) -> Int32 {
        if x.rank != 3 { return Status.rank(i) }
        if y.rank != 3 { return Status.rank(o) }
        if p.rank != 3 { return Status.rank(pi) }
        if w.rank != 3 { return Status.rank(wi) }
        if y.dtype != x.dtype { return Status.dtype(o) }
        if w.dtype != x.dtype { return Status.dtype(wi) }
        if p.dtype != Int32(SPINETAIL_INT32) { return Status.dtype(pi) }
        if !x.isContiguous { return Status.layout(i) }
        if !y.isContiguous { return Status.layout(o) }
        if !p.isContiguous { return Status.layout(pi) }
        if !w.isContiguous { return Status.layout(wi) }
        if y.extent(0) != x.extent(0) || y.extent(1) != x.extent(1) { return Status.shape(o) }
        if p.extent(0) != x.extent(0) || p.extent(2) != y.extent(2) { return Status.shape(pi) }
        if !w.hasShape(of: p) { return Status.shape(wi) }
        batch = x.extent(0)
        channels = x.extent(1)
        input = x.extent(2)
        output = y.extent(2)
        taps = p.extent(1)
        guard let places = p.pointer(Int32.self) else { return Status.ok }
        return within(places, p.count, from: -0x8000_0000, to: input) ? Status.ok : Status.index(pi)
    }

    var planes: Int { batch &* channels }
}

@c @implementation
public func spinetail_sample_forward(
    _ output: Descriptor, _ input: Descriptor, _ places: Descriptor, _ weights: Descriptor
) -> spinetail_status {
    var shape = SampleShape()
    let status = shape.read(input: input, 2, output: output, 1, places: places, 3, weights: weights, 4)
    if status != Status.ok { return status }
    if output.holds(Float.self) { return forward(Float.self, shape, output, input, places, weights) }
    if output.holds(Double.self) { return forward(Double.self, shape, output, input, places, weights) }
    return Status.dtype(1)
}

private func forward<E: Real>(
    _ type: E.Type, _ shape: SampleShape, _ output: Descriptor, _ input: Descriptor, _ places: Descriptor,
    _ weights: Descriptor
) -> Int32 {
    guard let y = output.pointer(E.self) else { return Status.ok }
    guard let x = input.pointer(E.self), let p = places.pointer(Int32.self), let w = weights.pointer(E.self) else {
        fill(y, output.count, 0)
        return Status.ok
    }
    let blocks = pieces(shape.output, sampleBlock)
    return parallel(
        shape.planes &* blocks, cost: shape.planes &* shape.output &* shape.taps,
        SampleBlocks<E>(shape: shape, output: y, input: x, places: p, weights: w, blocks: blocks))
}

/// Pixels of one task.
let sampleBlock = 1 << 12

private struct SampleBlocks<E: Real>: ParallelTask {
    let shape: SampleShape
    let output: UnsafeMutablePointer<E>
    let input: UnsafePointer<E>
    let places: UnsafePointer<Int32>
    let weights: UnsafePointer<E>
    let blocks: Int

    init(
        shape: SampleShape, output: UnsafeMutablePointer<E>, input: UnsafeMutablePointer<E>,
        places: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<E>, blocks: Int
    ) {
        self.shape = shape
        self.output = output
        self.input = UnsafePointer(input)
        self.places = UnsafePointer(places)
        self.weights = UnsafePointer(weights)
        self.blocks = blocks
    }

    func run(_ index: Int, worker: Int) {
        let width = E.Lanes.width
        let plane = divide(index, by: blocks)
        var i = remainder(index, by: blocks) &* sampleBlock
        let end = Swift.min(shape.output, i &+ sampleBlock)
        let table = divide(plane, by: shape.channels) &* shape.taps &* shape.output
        let x = input + plane &* shape.input
        let y = output + plane &* shape.output
        while i < end {
            let whole = i &+ width <= end
            var total = E.Lanes.zero
            var rest: E = 0
            var t = 0
            while t < shape.taps {
                let at = table &+ t &* shape.output &+ i
                if whole {
                    total = .fma(.load(weights + at), .gather(x, places + at), total)
                } else if places[at] >= 0 {
                    rest = rest + weights[at] * x[Int(places[at])]
                }
                t &+= 1
            }
            if whole { total.store(y + i) } else { y[i] = rest }
            i &+= whole ? width : 1
        }
    }
}
