import CSpinetail

@c @implementation
public func spinetail_convolution_backward_bias(_ dbias: Descriptor, _ doutput: Descriptor) -> spinetail_status {
    if doutput.rank < 2 { return Status.rank(2) }
    if dbias.dtype != doutput.dtype { return Status.dtype(1) }
    if !dbias.hasShape(doutput.extent(1)) { return Status.shape(1) }
    if !dbias.isContiguous { return Status.layout(1) }
    if !doutput.isContiguous { return Status.layout(2) }
    if dbias.holds(Float.self) { return backwardBias(Float.self, dbias, doutput) }
    if dbias.holds(Double.self) { return backwardBias(Double.self, dbias, doutput) }
    return Status.dtype(1)
}

private func backwardBias<E: Real>(_ type: E.Type, _ dbias: Descriptor, _ doutput: Descriptor) -> Int32 {
    guard let out = dbias.pointer(E.self) else { return Status.ok }
    let channels = dbias.count
    guard let dy = doutput.pointer(E.self) else {
        fill(out, channels, 0)
        return Status.ok
    }
    let images = doutput.extent(0)
    let count = doutput.count
    return parallel(
        channels, cost: count / 8,
        SumChannel<E>(
            out: out, from: UnsafePointer(dy), images: images, channels: channels,
            pixels: divide(count, by: images &* channels)))
}

private struct SumChannel<E: Real>: ParallelTask {
    let out: UnsafeMutablePointer<E>
    let from: UnsafePointer<E>
    let images: Int
    let channels: Int
    let pixels: Int

    func run(_ index: Int, worker: Int) {
        let width = E.Lanes.width
        var a = E.Lanes.zero
        var b = E.Lanes.zero
        var c = E.Lanes.zero
        var d = E.Lanes.zero
        var rest: E = 0
        var image = 0
        while image < images {
            let p = from + (image &* channels &+ index) &* pixels
            var i = 0
            while i &+ 4 &* width <= pixels {
                a = a + E.Lanes.load(p + i)
                b = b + E.Lanes.load(p + (i &+ width))
                c = c + E.Lanes.load(p + (i &+ 2 &* width))
                d = d + E.Lanes.load(p + (i &+ 3 &* width))
                i &+= 4 &* width
            }
            while i &+ width <= pixels {
                a = a + E.Lanes.load(p + i)
                i &+= width
            }
            while i < pixels {
                rest = rest + p[i]
                i &+= 1
            }
            image &+= 1
        }
        out[index] = ((a + b) + (c + d)).sum() + rest
    }
}
