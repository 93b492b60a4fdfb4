import CSpinetail

@c @implementation
public func spinetail_sample_backward_input(
    _ dinput: Descriptor, _ doutput: Descriptor, _ places: Descriptor, _ weights: Descriptor
) -> spinetail_status {
    var shape = SampleShape()
    let status = shape.read(input: dinput, 1, output: doutput, 2, places: places, 3, weights: weights, 4)
    if status != Status.ok { return status }
    if dinput.holds(Float.self) { return backwardInput(Float.self, shape, dinput, doutput, places, weights) }
    if dinput.holds(Double.self) { return backwardInput(Double.self, shape, dinput, doutput, places, weights) }
    return Status.dtype(1)
}

private func backwardInput<E: Real>(
    _ type: E.Type, _ shape: SampleShape, _ dinput: Descriptor, _ doutput: Descriptor, _ places: Descriptor,
    _ weights: Descriptor
) -> Int32 {
    guard let dx = dinput.pointer(E.self) else { return Status.ok }
    guard let dy = doutput.pointer(E.self), let p = places.pointer(Int32.self), let w = weights.pointer(E.self) else {
        fill(dx, dinput.count, 0)
        return Status.ok
    }
    return parallel(
        shape.planes, cost: shape.planes &* (shape.output &* shape.taps &+ shape.input / 8),
        SpreadSamples<E>(shape: shape, dinput: dx, doutput: dy, places: p, weights: w))
}

/// Planes of the input's gradient, each by one thread, tap after tap and pixel after pixel.
private struct SpreadSamples<E: Real>: ParallelTask {
    let shape: SampleShape
    let dinput: UnsafeMutablePointer<E>
    let doutput: UnsafeMutablePointer<E>
    let places: UnsafeMutablePointer<Int32>
    let weights: UnsafeMutablePointer<E>

    func run(_ plane: Int, worker: Int) {
        let dx = dinput + plane &* shape.input
        let dy = doutput + plane &* shape.output
        let table = divide(plane, by: shape.channels) &* shape.taps &* shape.output
        fill(dx, shape.input, 0)
        var t = 0
        while t < shape.taps {
            let at = places + (table &+ t &* shape.output)
            let factors = weights + (table &+ t &* shape.output)
            var i = 0
            while i < shape.output {
                let place = Int(at[i])
                if place >= 0 { dx[place] = dx[place] + factors[i] * dy[i] }
                i &+= 1
            }
            t &+= 1
        }
    }
}

@c @implementation
public func spinetail_sample_backward_weights(
    _ dweights: Descriptor, _ doutput: Descriptor, _ input: Descriptor, _ places: Descriptor
) -> spinetail_status {
    var shape = SampleShape()
    let status = shape.read(input: input, 3, output: doutput, 2, places: places, 4, weights: dweights, 1)
    if status != Status.ok { return status }
    if dweights.holds(Float.self) { return backwardWeights(Float.self, shape, dweights, doutput, input, places) }
    if dweights.holds(Double.self) { return backwardWeights(Double.self, shape, dweights, doutput, input, places) }
    return Status.dtype(1)
}

private func backwardWeights<E: Real>(
    _ type: E.Type, _ shape: SampleShape, _ dweights: Descriptor, _ doutput: Descriptor, _ input: Descriptor,
    _ places: Descriptor
) -> Int32 {
    guard let dw = dweights.pointer(E.self), let p = places.pointer(Int32.self) else { return Status.ok }
    guard let dy = doutput.pointer(E.self), let x = input.pointer(E.self) else {
        fill(dw, dweights.count, 0)
        return Status.ok
    }
    let rows = shape.batch &* shape.taps
    let blocks = pieces(shape.output, sampleBlock)
    return parallel(
        rows &* blocks, cost: rows &* shape.output &* shape.channels,
        SampleWeights<E>(shape: shape, dweights: dw, doutput: dy, input: x, places: p, blocks: blocks))
}

private struct SampleWeights<E: Real>: ParallelTask {
    let shape: SampleShape
    let dweights: UnsafeMutablePointer<E>
    let doutput: UnsafeMutablePointer<E>
    let input: UnsafeMutablePointer<E>
    let places: UnsafeMutablePointer<Int32>
    let blocks: Int

    func run(_ index: Int, worker: Int) {
        let width = E.Lanes.width
        let row = divide(index, by: blocks)
        var i = remainder(index, by: blocks) &* sampleBlock
        let end = Swift.min(shape.output, i &+ sampleBlock)
        let plane = divide(row, by: shape.taps) &* shape.channels
        let dw = dweights + row &* shape.output
        let at = places + row &* shape.output
        while i < end {
            let whole = i &+ width <= end
            var total = E.Lanes.zero
            var rest: E = 0
            var c = plane
            while c < plane &+ shape.channels {
                let x = input + c &* shape.input
                let dy = doutput + c &* shape.output
                if whole {
                    total = .fma(.load(dy + i), .gather(x, at + i), total)
                } else if at[i] >= 0 {
                    rest = rest + dy[i] * x[Int(at[i])]
                }
                c &+= 1
            }
            if whole { total.store(dw + i) } else { dw[i] = rest }
            i &+= whole ? width : 1
        }
    }
}
