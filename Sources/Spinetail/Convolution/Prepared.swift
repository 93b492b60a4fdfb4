import CSpinetail

// Convolution with weights that have been packed or transformed once. How they lie is what the kernels for channels last
// otherwise write into scratch at each call.

@c @implementation
public func spinetail_convolution_choose(
    _ choice: Descriptor, _ output: Descriptor, _ input: Descriptor, _ weight: Descriptor,
    _ parameters: UnsafePointer<spinetail_convolution>
) -> spinetail_status {
    if choice.dtype != Int32(SPINETAIL_INT64) { return Status.dtype(1) }
    if !choice.hasShape(2) { return Status.shape(1) }
    if !choice.isContiguous { return Status.layout(1) }
    var shape = ConvolutionShape()
    let status = shape.readChannelsLast(output: output, 2, input: input, 3, weight: weight, 4, parameters, 5)
    if status != Status.ok { return status }
    guard let out = choice.pointer(Int64.self) else { return Status.shape(1) }
    if input.holds(Float.self) {
        choose(Float.self, shape, out)
    } else if input.holds(Double.self) {
        choose(Double.self, shape, out)
    } else {
        return Status.dtype(3)
    }
    return Status.ok
}

private func choose<E: Real>(_ type: E.Type, _ given: ConvolutionShape, _ out: UnsafeMutablePointer<Int64>) {
    var shape = given
    shape.algorithm = given.chosen(E.self, prepared: true)
    out[0] = Int64(truncatingIfNeeded: shape.algorithm)
    out[1] = Int64(truncatingIfNeeded: shape.preparedElements(E.self))
}

@c @implementation
public func spinetail_convolution_prepare(
    _ prepared: Descriptor, _ weight: Descriptor, _ parameters: UnsafePointer<spinetail_convolution>
) -> spinetail_status {
    var shape = ConvolutionShape()
    let status = shape.read(weight: weight, 2, parameters, 3)
    if status != Status.ok { return status }
    if prepared.dtype != weight.dtype { return Status.dtype(1) }
    if weight.holds(Float.self) { return prepare(Float.self, shape, prepared, weight) }
    if weight.holds(Double.self) { return prepare(Double.self, shape, prepared, weight) }
    return Status.dtype(2)
}

private func prepare<E: Real>(
    _ type: E.Type, _ shape: ConvolutionShape, _ prepared: Descriptor, _ weight: Descriptor
) -> Int32 {
    if !shape.isChoice(E.self) { return Status.parameter(3) }
    if !prepared.hasShape(shape.preparedElements(E.self)) { return Status.shape(1) }
    if !prepared.isContiguous { return Status.layout(1) }
    guard let out = prepared.pointer(E.self), let k = weight.pointer(E.self) else { return Status.ok }
    if shape.algorithm != Int(SPINETAIL_CONVOLUTION_DIRECT) {
        return shape.prepareWinograd(UnsafePointer(k), into: out)
    }
    return shape.withTaps { taps in
        shape.channelsLast(
            taps, result: out, source: UnsafePointer(out), weight: UnsafePointer(k), bias: nil, relu: false
        )
        .packWeights(into: out, workers: workerLimit())
    }
}

@c @implementation
public func spinetail_convolution_forward_prepared(
    _ output: Descriptor, _ input: Descriptor, _ prepared: Descriptor, _ weight: Descriptor, _ bias: Descriptor?,
    _ residual: Descriptor?, _ parameters: UnsafePointer<spinetail_convolution>, _ activation: Int64, _ alpha: Double,
    _ beta: Double
) -> spinetail_status {
    var shape = ConvolutionShape()
    let status = shape.readChannelsLast(output: output, 1, input: input, 2, weight: weight, 4, parameters, 7)
    if status != Status.ok { return status }
    if prepared.dtype != input.dtype { return Status.dtype(3) }
    if let wrong = wrongBias(bias, 5, shape.filters, output.dtype) { return wrong }
    if let residual {
        if residual.dtype != output.dtype { return Status.dtype(6) }
        if !residual.hasShape(of: output) { return Status.shape(6) }
        if !residual.isChannelsLast { return Status.layout(6) }
    }
    if !Finish<Float>.ends(activation) { return Status.parameter(8) }
    let end = PreparedEnd(bias: bias, residual: residual, activation: activation, alpha: alpha, beta: beta)
    if output.holds(Float.self) { return forward(Float.self, shape, output, input, prepared, end) }
    if output.holds(Double.self) { return forward(Double.self, shape, output, input, prepared, end) }
    return Status.dtype(1)
}

/// What happens to sums.
private struct PreparedEnd {
    let bias: Descriptor?
    let residual: Descriptor?
    let activation: Int64
    let alpha: Double
    let beta: Double

    /// Whether tiles do all there is to do: max(0, ·), and perhaps a greatest result.
    var relu: Bool { activation == Int64(SPINETAIL_RELU) || activation == Int64(SPINETAIL_HARDTANH) && alpha == 0 }
    var most: Double { activation == Int64(SPINETAIL_RELU) || !relu ? .infinity : beta }

    /// What is left after bias, residual and relu.
    func finish<E: Real>(_ type: E.Type) -> Finish<E>? {
        relu || activation == Int64(SPINETAIL_IDENTITY) ? nil : Finish<E>(activation, alpha, beta)
    }
}

private func forward<E: Real>(
    _ type: E.Type, _ shape: ConvolutionShape, _ output: Descriptor, _ input: Descriptor, _ prepared: Descriptor,
    _ end: PreparedEnd
) -> Int32 {
    if !shape.isChoice(E.self) { return Status.parameter(7) }
    if !prepared.hasShape(shape.preparedElements(E.self)) { return Status.shape(3) }
    if !prepared.isContiguous { return Status.layout(3) }
    guard let y = output.pointer(E.self) else { return Status.ok }
    // Without channels the input and the weights hold nothing, and every sum is empty: any readable pointer will do.
    let x = UnsafePointer(input.pointer(E.self) ?? y)
    let k = UnsafePointer(prepared.pointer(E.self) ?? y)
    let bias = end.bias.flatMap { $0.pointer(E.self) }.map { UnsafePointer($0) }
    let residual = end.residual.flatMap { $0.pointer(E.self) }.map { UnsafePointer($0) }
    let finish = end.finish(E.self)
    if shape.algorithm != Int(SPINETAIL_CONVOLUTION_DIRECT) {
        return shape.forwardWinograd(
            shape.algorithm, result: y, source: x, weight: k, bias: bias, relu: end.relu, prepared: k,
            residual: residual, most: E(end.most), finish: finish)
    }
    return shape.withTaps { taps in
        var job = shape.channelsLast(taps, result: y, source: x, weight: k, bias: bias, relu: end.relu)
        job.prepared = k
        job.residual = residual
        job.most = E(end.most)
        job.finish = finish
        return job.run()
    }
}

extension ConvolutionShape {
    /// Whether `algorithm` is one that could be chosen.
    func isChoice<E: Real>(_ type: E.Type) -> Bool {
        algorithm == Int(SPINETAIL_CONVOLUTION_DIRECT)
            || algorithm != Int(SPINETAIL_CONVOLUTION_AUTOMATIC) && allowsWinograd(E.self)
    }

    func preparedElements<E: Real>(_ type: E.Type) -> Int {
        if algorithm == Int(SPINETAIL_CONVOLUTION_WINOGRAD) {
            return groups &* Winograd<E, 6>.filterElements(channels: groupChannels, rows: groupFilters)
        }
        if algorithm == Int(SPINETAIL_CONVOLUTION_WINOGRAD2) {
            return groups &* Winograd<E, 4>.filterElements(channels: groupChannels, rows: groupFilters)
        }
        return ChannelsLast<E>.packedElements(
            groups: groups, channels: groupChannels, rows: groupFilters, taps: kernel.count)
    }
}
