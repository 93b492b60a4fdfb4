import CSpinetail

/// The gradient to the input of stride 2 with one element of padding: each vector of doutput and its neighbours to the
/// right and below give two vectors in each of two rows. Units are such pairs of rows.
struct SpreadPlanes<E: Real>: PlaneKernel {
    let job: Depthwise<E>
    let zeros: UnsafePointer<E>

    var units: Int { pieces(job.shape.input.h, 2) }

    var shape: ConvolutionShape { job.shape }

    func run(_ plane: Int, channel: Int, _ first: Int, _ last: Int) {
        let width = E.Lanes.width
        let result = job.shape.input
        let source = job.shape.output
        let w = job.weights(channel, turned: false)
        let start = E.Lanes(repeating: job.bias?[channel] ?? 0)
        let from = job.source + plane &* (source.h &* source.w)
        let to = job.result + plane &* (result.h &* result.w)
        var y = first
        while y < last {
            let here = y < source.h ? from + y &* source.w : zeros
            let below = y &+ 1 < source.h ? from + (y &+ 1) &* source.w : zeros
            let out = to + 2 &* y &* result.w
            var x = 0
            while 2 &* x < result.w {
                let left = source.w &- x
                let a = part(here + x, left)
                let b = part(here + (x &+ 1), left &- 1)
                let c = part(below + x, left)
                let d = part(below + (x &+ 1), left &- 1)
                let count = result.w &- 2 &* x
                store(
                    E.Lanes.fma(w[unchecked: 4], a, start),
                    E.Lanes.fma(w[unchecked: 3], b, E.Lanes.fma(w[unchecked: 5], a, start)), out + 2 &* x, count)
                if 2 &* y &+ 1 < result.h {
                    let odd = E.Lanes.fma(w[unchecked: 2], c, E.Lanes.fma(w[unchecked: 0], d, start))
                    store(
                        E.Lanes.fma(w[unchecked: 1], c, E.Lanes.fma(w[unchecked: 7], a, start)),
                        E.Lanes.fma(w[unchecked: 8], a, E.Lanes.fma(w[unchecked: 6], b, odd)),
                        out + (result.w &+ 2 &* x), count)
                }
                x &+= width
            }
            y &+= 1
        }
    }

    @inline(__always) private func part(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
        if count >= E.Lanes.width { return .load(p) }
        return .load(p, count: Swift.max(0, count), fill: 0)
    }

    /// Takes turns between two vectors.
    @inline(__always)
    private func store(_ a: E.Lanes, _ b: E.Lanes, _ p: UnsafeMutablePointer<E>, _ count: Int) {
        put(.zipLow(a, b), p, count)
        put(.zipHigh(a, b), p + E.Lanes.width, count &- E.Lanes.width)
    }

    @inline(__always) private func put(_ sum: E.Lanes, _ p: UnsafeMutablePointer<E>, _ count: Int) {
        let value = job.relu ? E.Lanes.max(.zero, sum) : sum
        if count >= E.Lanes.width {
            value.store(p)
        } else if count > 0 {
            value.store(p, count: count)
        }
    }
}
