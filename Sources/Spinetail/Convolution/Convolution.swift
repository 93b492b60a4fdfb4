import CSpinetail

@c @implementation
public func spinetail_convolution_forward(
    _ output: Descriptor, _ input: Descriptor, _ weight: Descriptor, _ bias: Descriptor?,
    _ parameters: UnsafePointer<spinetail_convolution>, _ activation: Int64
) -> spinetail_status {
    var shape = ConvolutionShape()
    let status = shape.read(output: output, 1, input: input, 2, weight: weight, 3, parameters, 5, exact: true)
    if status != Status.ok { return status }
    if let wrong = wrongBias(bias, 4, shape.filters, output.dtype) { return wrong }
    guard let relu = isRelu(activation) else { return Status.parameter(6) }
    if output.holds(Float.self) { return forward(Float.self, shape, output, input, weight, bias, relu: relu) }
    if output.holds(Double.self) { return forward(Double.self, shape, output, input, weight, bias, relu: relu) }
    return Status.dtype(1)
}

@c @implementation
public func spinetail_convolution_backward_input(
    _ dinput: Descriptor, _ doutput: Descriptor, _ weight: Descriptor, _ bias: Descriptor?,
    _ parameters: UnsafePointer<spinetail_convolution>, _ activation: Int64
) -> spinetail_status {
    var shape = ConvolutionShape()
    let status = shape.read(output: doutput, 2, input: dinput, 1, weight: weight, 3, parameters, 5, exact: false)
    if status != Status.ok { return status }
    if let wrong = wrongBias(bias, 4, shape.channels, dinput.dtype) { return wrong }
    guard let relu = isRelu(activation) else { return Status.parameter(6) }
    if dinput.holds(Float.self) { return backwardInput(Float.self, shape, dinput, doutput, weight, bias, relu: relu) }
    if dinput.holds(Double.self) { return backwardInput(Double.self, shape, dinput, doutput, weight, bias, relu: relu) }
    return Status.dtype(1)
}

/// What is wrong with a bias that is this argument.
func wrongBias(_ bias: Descriptor?, _ argument: Int32, _ count: Int, _ dtype: Int32) -> Int32? {
    guard let bias else { return nil }
    if bias.dtype != dtype { return Status.dtype(argument) }
    if !bias.hasShape(count) { return Status.shape(argument) }
    if !bias.isContiguous { return Status.layout(argument) }
    return nil
}

private func isRelu(_ activation: Int64) -> Bool? {
    switch activation {
    case Int64(SPINETAIL_IDENTITY): return false
    case Int64(SPINETAIL_RELU): return true
    default: return nil
    }
}

private func forward<E: Real>(
    _ type: E.Type, _ given: ConvolutionShape, _ output: Descriptor, _ input: Descriptor, _ weight: Descriptor,
    _ bias: Descriptor?, relu: Bool
) -> Int32 {
    guard let y = output.pointer(E.self) else { return Status.ok }
    // Without channels the input and the weights hold nothing, and every sum is empty: any readable pointer will do.
    let x = UnsafePointer(input.pointer(E.self) ?? y)
    let k = UnsafePointer(weight.pointer(E.self) ?? y)
    let b = bias.flatMap { $0.pointer(E.self) }.map { UnsafePointer($0) }
    let algorithm = given.chosen(E.self)
    let direct = algorithm == Int(SPINETAIL_CONVOLUTION_DIRECT)
    if given.channelsLast && (given.isDepthwise || direct) {
        return given.forwardChannelsLast(result: y, source: x, weight: k, bias: b, relu: relu)
    }
    if given.isDepthwise {
        return Depthwise<E>(shape: given, result: y, source: x, weight: k, bias: b, relu: relu, backward: false).run()
    }
    if !direct {
        return given.forwardWinograd(algorithm, result: y, source: x, weight: k, bias: b, relu: relu)
    }
    if given.isFew(upTo: 64) {
        return given.forwardFew(result: y, source: x, weight: k, bias: b, relu: relu)
    }
    if given.prefersPlanar(E.self) {
        return Planar(
            shape: given, source: x,
            weights: Weights(
                base: k, groupStride: given.groupFilters &* given.groupChannels &* given.kernel.count,
                rowStride: given.groupChannels &* given.kernel.count, channelStride: given.kernel.count),
            result: y, bias: b, relu: relu
        ).run()
    }
    let shape = given.flattened
    let tapCount = shape.kernel.count
    guard let memory = Scratch.take(tapCount &* MemoryLayout<Tap>.stride) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let taps = memory.assumingMemoryBound(to: Tap.self)
    shape.listTaps(into: taps)
    let inPixels = shape.input.count
    let outPixels = shape.output.count
    return Correlation<E>(
        source: Source(
            base: x, image: shape.channels &* inPixels, channel: inPixels, extent: shape.input, step: shape.stride),
        images: shape.images, grid: shape.output, taps: taps, tapCount: tapCount, groups: shape.groups,
        channels: shape.groupChannels, rows: shape.groupFilters,
        weights: Weights(
            base: k, groupStride: shape.groupFilters &* shape.groupChannels &* tapCount,
            rowStride: shape.groupChannels &* tapCount, channelStride: tapCount),
        result: y, resultImage: shape.filters &* outPixels, resultRow: outPixels,
        resultStep: Space(shape.output.h &* shape.output.w, shape.output.w, 1), bias: b, relu: relu
    ).run()
}

private func backwardInput<E: Real>(
    _ type: E.Type, _ given: ConvolutionShape, _ dinput: Descriptor, _ doutput: Descriptor, _ weight: Descriptor,
    _ bias: Descriptor?, relu: Bool
) -> Int32 {
    guard let dx = dinput.pointer(E.self) else { return Status.ok }
    let dy = UnsafePointer(doutput.pointer(E.self) ?? dx)
    let k = UnsafePointer(weight.pointer(E.self) ?? dx)
    let b = bias.flatMap { $0.pointer(E.self) }.map { UnsafePointer($0) }
    let algorithm = given.padding.largest > 2 ? Int(SPINETAIL_CONVOLUTION_DIRECT) : given.chosen(E.self)
    let direct = algorithm == Int(SPINETAIL_CONVOLUTION_DIRECT)
    if given.channelsLast && (given.isDepthwise || direct) {
        return given.backwardChannelsLast(result: dx, source: dy, weight: k, bias: b, relu: relu)
    }
    if given.isDepthwise {
        return Depthwise<E>(shape: given, result: dx, source: dy, weight: k, bias: b, relu: relu, backward: true).run()
    }
    if !direct {
        return given.backwardWinograd(algorithm, result: dx, source: dy, weight: k, bias: b, relu: relu)
    }
    if given.isFew(upTo: 64) {
        return given.backwardInputFew(result: dx, source: dy, weight: k, bias: b, relu: relu)
    }
    if Tile<E>.isWide && given.prefersFolded {
        return Folded(shape: given, result: dx, source: dy, weight: k, bias: b, relu: relu).run()
    }
    let shape = given.flattened
    let tapCount = shape.kernel.count
    guard let memory = Scratch.take(tapCount &* MemoryLayout<Tap>.stride) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let taps = memory.assumingMemoryBound(to: Tap.self)
    let inPixels = shape.input.count
    let outPixels = shape.output.count
    var job = Correlation<E>(
        source: Source(
            base: dy, image: shape.filters &* outPixels, channel: outPixels, extent: shape.output, step: .ones),
        images: shape.images, grid: .ones, taps: taps, tapCount: 0, groups: shape.groups,
        channels: shape.groupFilters, rows: shape.groupChannels,
        weights: Weights(
            base: k, groupStride: shape.groupFilters &* shape.groupChannels &* tapCount, rowStride: tapCount,
            channelStride: shape.groupChannels &* tapCount),
        result: dx, resultImage: shape.channels &* inPixels, resultRow: inPixels,
        resultStep: Space(
            shape.stride.d &* shape.input.h &* shape.input.w, shape.stride.h &* shape.input.w, shape.stride.w),
        bias: b, relu: relu)
    if shape.leavesGaps {
        let status = parallel(
            shape.images &* shape.channels, cost: shape.images &* shape.channels &* inPixels / 8,
            FillPlanes(result: dx, bias: b, relu: relu, channels: shape.channels, area: inPixels))
        if status != Status.ok { return status }
    }
    // Input positions that share their remainder by the stride see the same taps: one product for each such phase.
    var d = 0
    while d < Swift.min(shape.stride.d, shape.input.d) {
        var h = 0
        while h < Swift.min(shape.stride.h, shape.input.h) {
            var w = 0
            while w < Swift.min(shape.stride.w, shape.input.w) {
                job.grid = Space(
                    pieces(shape.input.d &- d, shape.stride.d), pieces(shape.input.h &- h, shape.stride.h),
                    pieces(shape.input.w &- w, shape.stride.w))
                job.result = dx + ((d &* shape.input.h &+ h) &* shape.input.w &+ w)
                job.tapCount = shape.listTaps(phase: Space(d, h, w), into: taps)
                let status = job.tapCount == 0 ? Status.ok : job.run()
                if status != Status.ok { return status }
                w &+= 1
            }
            h &+= 1
        }
        d &+= 1
    }
    return Status.ok
}

/// Planes that hold nothing but g(bias).
private struct FillPlanes<E: Real>: ParallelTask {
    let result: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>?
    let relu: Bool
    let channels: Int
    let area: Int

    func run(_ index: Int, worker: Int) {
        var value = bias.map { $0[remainder(index, by: channels)] } ?? 0
        if relu && value < 0 { value = 0 }
        fill(result + index &* area, area, value)
    }
}

extension ConvolutionShape {
    /// Whether there may be positions of the input that no tap sees.
    fileprivate var leavesGaps: Bool {
        stride.d > kernel.d || stride.h > kernel.h || stride.w > kernel.w || stride.largest > 1 && dilation.largest > 1
    }

    /// A 1×1 convolution with stride 1 and no padding does not care where rows end: one long row.
    var flattened: ConvolutionShape {
        if !(kernel == .ones) || !(stride == .ones) || padding.largest != 0 || !(input == output) { return self }
        var flat = self
        flat.input = Space(1, 1, input.count)
        flat.output = flat.input
        return flat
    }

    /// Every tap, with its offset in the input.
    func listTaps(into taps: UnsafeMutablePointer<Tap>) {
        var made = 0
        var kd = 0
        while kd < kernel.d {
            var kh = 0
            while kh < kernel.h {
                var kw = 0
                while kw < kernel.w {
                    let offset = Space(
                        kd &* dilation.d &- padding.d, kh &* dilation.h &- padding.h, kw &* dilation.w &- padding.w)
                    (taps + made).initialize(to: Tap(offset: offset, place: made))
                    made &+= 1
                    kw &+= 1
                }
                kh &+= 1
            }
            kd &+= 1
        }
    }

    /// The taps that reach input positions phase, phase + stride, …, with their offsets in the output.
    func listTaps(phase: Space, into taps: UnsafeMutablePointer<Tap>) -> Int {
        var made = 0
        var place = 0
        var kd = 0
        while kd < kernel.d {
            let d = phase.d &+ padding.d &- kd &* dilation.d
            var kh = 0
            while kh < kernel.h {
                let h = phase.h &+ padding.h &- kh &* dilation.h
                var kw = 0
                while kw < kernel.w {
                    let w = phase.w &+ padding.w &- kw &* dilation.w
                    if isMultiple(d, of: stride.d) && isMultiple(h, of: stride.h) && isMultiple(w, of: stride.w) {
                        let offset = Space(quotient(d, stride.d), quotient(h, stride.h), quotient(w, stride.w))
                        (taps + made).initialize(to: Tap(offset: offset, place: place))
                        made &+= 1
                    }
                    place &+= 1
                    kw &+= 1
                }
                kh &+= 1
            }
            kd &+= 1
        }
        return made
    }
}

@inline(__always) private func isMultiple(_ value: Int, of step: Int) -> Bool {
    remainder(value < 0 ? 0 &- value : value, by: step) == 0
}

/// value / step for a multiple of step, of either sign.
@inline(__always) private func quotient(_ value: Int, _ step: Int) -> Int {
    value < 0 ? 0 &- divide(0 &- value, by: step) : divide(value, by: step)
}
