import CSpinetail

@c @implementation
public func spinetail_normalization_batch_forward(
    _ output: Descriptor, _ mean: Descriptor, _ scale: Descriptor, _ runningMean: Descriptor?,
    _ runningVariance: Descriptor?, _ input: Descriptor, _ weight: Descriptor?, _ bias: Descriptor?,
    _ momentum: Double, _ eps: Double
) -> spinetail_status {
    var status = checkChannels(input, 6)
    let channels = input.extent(1)
    if status == 0 { status = checkLike(output, input, 1) }
    if status == 0 { status = checkValues(mean, channels, like: input, 2) }
    if status == 0 { status = checkValues(scale, channels, like: input, 3) }
    if status == 0 { status = checkValues(runningMean, channels, like: input, 4) }
    if status == 0 { status = checkValues(runningVariance, channels, like: input, 5) }
    if status == 0 { status = checkValues(weight, channels, like: input, 7) }
    if status == 0 { status = checkValues(bias, channels, like: input, 8) }
    if status != 0 { return status }
    if input.count == 0 { return input.extent(1) == 0 ? Status.ok : Status.shape(6) }
    if input.holds(Float.self) {
        return forward(
            Float.self, output, mean, scale, runningMean, runningVariance, input, weight, bias, momentum, eps)
    }
    return forward(Double.self, output, mean, scale, runningMean, runningVariance, input, weight, bias, momentum, eps)
}

/// Whether the input is (batch, channels, ...), contiguous and of a float dtype.
func checkChannels(_ input: Descriptor, _ argument: Int32) -> Int32 {
    if !input.holds(Float.self) && !input.holds(Double.self) { return Status.dtype(argument) }
    if input.rank < 2 { return Status.rank(argument) }
    if !input.isContiguous { return Status.layout(argument) }
    return Status.ok
}

/// Elements of one channel of one sample.
func planeLength(_ input: Descriptor) -> Int {
    var length = 1
    var axis = 2
    while axis < input.rank {
        length = length &* input.extent(axis)
        axis &+= 1
    }
    return length
}

private func forward<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ mean: Descriptor, _ scale: Descriptor, _ runningMean: Descriptor?,
    _ runningVariance: Descriptor?, _ input: Descriptor, _ weight: Descriptor?, _ bias: Descriptor?,
    _ momentum: Double, _ eps: Double
) -> Int32 {
    guard let y = output.pointer(type), let x = input.pointer(type), let mean = mean.pointer(type),
        let scale = scale.pointer(type)
    else { return Status.ok }
    let batch = input.extent(0)
    let channels = input.extent(1)
    let length = planeLength(input)
    let statistics = Statistics(
        mean: mean, scale: scale, runningMean: runningMean.pointer(type),
        runningVariance: runningVariance.pointer(type), momentum: momentum, eps: eps)
    let weight = weight.pointer(type)
    let bias = bias.pointer(type)
    if length == 1 {
        let task = ColumnsForward(
            y: y, x: UnsafePointer(x), statistics: statistics, weight: weight, bias: bias, rows: batch,
            columns: channels)
        return parallel(columnPieces(type, channels), cost: batch &* channels / 3, task)
    }
    let apply = PlanesForward(
        y: y, x: UnsafePointer(x), mean: mean, scale: scale, weight: weight, bias: bias, channels: channels,
        perGroup: channels, groups: 0, length: length, planes: batch &* channels)
    let together = staysCached(type, batch &* length, run: length, pieces: channels)
    let gather = ChannelMoments(
        x: UnsafePointer(x), statistics: statistics, batch: batch, channels: channels, length: length,
        apply: together ? apply : nil)
    let done = parallel(channels, cost: batch &* channels &* length / (together ? 3 : 6), gather)
    return done != 0 || together ? done : apply.start()
}

/// Whether statistics and output are made one channel or group after the other, while it is in the core's own cache.
/// Short runs are better written in the order of memory, and a few pieces do not keep the workers busy.
@inline(__always) func staysCached<E: Real>(_ type: E.Type, _ elements: Int, run: Int, pieces: Int) -> Bool {
    let size = MemoryLayout<E>.stride
    return elements &* size <= 512 << 10 && run &* size >= 1024 && pieces >= 16
}

/// Where the statistics of a channel go.
struct Statistics<E: Real> {
    let mean, scale: UnsafeMutablePointer<E>
    let runningMean, runningVariance: UnsafeMutablePointer<E>?
    let momentum, eps: Double

    @inline(__always) func save(_ channel: Int, _ moments: Moments) {
        let variance = moments.spread / moments.count
        mean[channel] = E(moments.mean)
        scale[channel] = E(1 / (variance + eps).squareRoot())
        if let runningMean {
            runningMean[channel] = E(runningMean[channel].double * (1 - momentum) + momentum * moments.mean)
        }
        if let runningVariance {
            let unbiased = moments.spread / (moments.count - 1)
            runningVariance[channel] = E(runningVariance[channel].double * (1 - momentum) + momentum * unbiased)
        }
    }
}

private struct ChannelMoments<E: Real>: ParallelTask {
    let x: UnsafePointer<E>
    let statistics: Statistics<E>
    let batch, channels, length: Int
    let apply: PlanesForward<E>?

    func run(_ index: Int, worker: Int) {
        let planes = Planes(start: x + index &* length, planes: batch, stride: channels &* length, length: length)
        statistics.save(index, planes.moments())
        guard let apply else { return }
        // Backwards: what was read last is the surest to be there still.
        var sample = batch &- 1
        while sample >= 0 {
            apply.plane(sample, index, next: length)
            sample &-= 1
        }
    }
}

/// y = (x - mean)·scale·weight + bias, plane by plane. Statistics belong to channels (`groups` 0), or to each sample's
/// groups of `perGroup` channels.
struct PlanesForward<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let mean, scale: UnsafeMutablePointer<E>
    let weight, bias: UnsafeMutablePointer<E>?
    let channels, perGroup, groups, length, planes: Int

    /// Planes that one piece of work covers.
    @inline(__always) var grain: Int { Swift.max(1, 16_384 / Swift.max(length, 1)) }

    func start() -> Int32 { parallel((planes &+ grain &- 1) / grain, cost: planes &* length / 6, self) }

    func run(_ index: Int, worker: Int) {
        if channels < 1 || perGroup < 1 { return }
        var plane = index &* grain
        let end = Swift.min(planes, plane &+ grain)
        while plane < end {
            let sample = plane / channels
            self.plane(sample, plane &- sample &* channels, next: 1024)
            plane &+= 1
        }
    }

    /// `next`: how many elements on the memory lies that will be read next.
    @inline(__always) func plane(_ sample: Int, _ channel: Int, next: Int) {
        let which = groups == 0 ? channel : sample &* groups &+ divide(channel, by: perGroup)
        let factor = scale[which] * (weight?[channel] ?? 1)
        let place = (sample &* channels &+ channel) &* length
        applyAffine(y + place, x + place, length, mean[which], factor, bias?[channel] ?? 0, next: next)
    }
}

@c @implementation
public func spinetail_normalization_batch_inference(
    _ output: Descriptor, _ input: Descriptor, _ mean: Descriptor, _ variance: Descriptor, _ weight: Descriptor?,
    _ bias: Descriptor?, _ eps: Double
) -> spinetail_status {
    var status = checkChannels(input, 2)
    let channels = input.extent(1)
    if status == 0 { status = checkLike(output, input, 1) }
    if status == 0 { status = checkValues(mean, channels, like: input, 3) }
    if status == 0 { status = checkValues(variance, channels, like: input, 4) }
    if status == 0 { status = checkValues(weight, channels, like: input, 5) }
    if status == 0 { status = checkValues(bias, channels, like: input, 6) }
    if status != 0 { return status }
    if input.holds(Float.self) { return inference(Float.self, output, input, mean, variance, weight, bias, eps) }
    return inference(Double.self, output, input, mean, variance, weight, bias, eps)
}

private func inference<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ input: Descriptor, _ mean: Descriptor, _ variance: Descriptor,
    _ weight: Descriptor?, _ bias: Descriptor?, _ eps: Double
) -> Int32 {
    guard let y = output.pointer(type), let x = input.pointer(type), let mean = mean.pointer(type),
        let variance = variance.pointer(type)
    else { return Status.ok }
    let channels = input.extent(1)
    guard let memory = Scratch.take(channels &* MemoryLayout<E>.stride) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let scale = memory.assumingMemoryBound(to: E.self)
    var channel = 0
    while channel < channels {
        scale[channel] = E(1 / (variance[channel].double + eps).squareRoot())
        channel &+= 1
    }
    let length = planeLength(input)
    let weight = weight.pointer(type)
    let bias = bias.pointer(type)
    if length == 1 {
        let task = ColumnsApply(
            y: y, x: UnsafePointer(x), mean: mean, scale: scale, weight: weight, bias: bias, rows: input.extent(0),
            columns: channels)
        return parallel(columnPieces(type, channels), cost: input.count / 6, task)
    }
    let apply = PlanesForward(
        y: y, x: UnsafePointer(x), mean: mean, scale: scale, weight: weight, bias: bias, channels: channels,
        perGroup: channels, groups: 0, length: length, planes: input.extent(0) &* channels)
    return apply.start()
}

@c @implementation
public func spinetail_normalization_batch_backward(
    _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor, _ input: Descriptor,
    _ mean: Descriptor, _ scale: Descriptor, _ weight: Descriptor?, _ training: Int64
) -> spinetail_status {
    var status = checkChannels(input, 5)
    let channels = input.extent(1)
    if status == 0 { status = checkLike(dinput, input, 1) }
    if status == 0 { status = checkValues(dweight, channels, like: input, 2) }
    if status == 0 { status = checkValues(dbias, channels, like: input, 3) }
    if status == 0 { status = checkLike(doutput, input, 4) }
    if status == 0 { status = checkValues(mean, channels, like: input, 6) }
    if status == 0 { status = checkValues(scale, channels, like: input, 7) }
    if status == 0 { status = checkValues(weight, channels, like: input, 8) }
    if status != 0 { return status }
    if input.holds(Float.self) {
        return backward(Float.self, dinput, dweight, dbias, doutput, input, mean, scale, weight, training != 0)
    }
    return backward(Double.self, dinput, dweight, dbias, doutput, input, mean, scale, weight, training != 0)
}

private func backward<E: Real>(
    _ type: E.Type, _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor,
    _ input: Descriptor, _ mean: Descriptor, _ scale: Descriptor, _ weight: Descriptor?, _ training: Bool
) -> Int32 {
    let batch = input.extent(0)
    let channels = input.extent(1)
    let length = planeLength(input)
    guard let g = doutput.pointer(type), let x = input.pointer(type), let mean = mean.pointer(type),
        let scale = scale.pointer(type)
    else {
        zeroFill(dweight.pointer(type), channels)
        zeroFill(dbias.pointer(type), channels)
        return Status.ok
    }
    guard let memory = Scratch.take(2 &* channels &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let sums = memory.assumingMemoryBound(to: Double.self)
    let gradient = ChannelGradient(
        dx: dinput.pointer(type), dweight: dweight.pointer(type), dbias: dbias.pointer(type), g: UnsafePointer(g),
        x: UnsafePointer(x), mean: mean, scale: scale, weight: weight.pointer(type), sums: sums, batch: batch,
        channels: channels, length: length, training: training)
    if length == 1 {
        return parallel(columnPieces(type, channels), cost: batch &* channels / 2, ColumnsBackward(of: gradient))
    }
    let spread = ChannelGradientSpread(of: gradient)
    if dinput != nil && staysCached(type, 2 &* batch &* length, run: length, pieces: channels) {
        return parallel(channels, cost: batch &* channels &* length / 3, ChannelGradientWhole(spread: spread))
    }
    let done = parallel(channels, cost: batch &* channels &* length / 6, gradient)
    if done != 0 || dinput == nil { return done }
    return parallel(spread.pieces, cost: batch &* channels &* length / 6, spread)
}

/// For each channel Σg and Σg·(x - mean), and from them the gradients of weight and bias.
struct ChannelGradient<E: Real>: ParallelTask {
    let dx, dweight, dbias: UnsafeMutablePointer<E>?
    let g, x: UnsafePointer<E>
    let mean, scale: UnsafeMutablePointer<E>
    let weight: UnsafeMutablePointer<E>?
    let sums: UnsafeMutablePointer<Double>
    let batch, channels, length: Int
    let training: Bool

    func run(_ index: Int, worker: Int) {
        let place = index &* length
        let planes = Planes(start: x + place, planes: batch, stride: channels &* length, length: length)
        let (total, product) = planes.products(g + place, mean[index])
        sums[2 &* index] = total
        sums[2 &* index &+ 1] = product
        dweight?[index] = E(product * scale[index].double)
        dbias?[index] = E(total)
    }
}

/// dx = scale·weight·(g - Σg/n - (x - mean)·scale²·Σg(x - mean)/n), plane by plane; the sums only in training.
private struct ChannelGradientSpread<E: Real>: ParallelTask {
    let of: ChannelGradient<E>

    @inline(__always) var grain: Int { Swift.max(1, 16_384 / Swift.max(of.length, 1)) }
    @inline(__always) var pieces: Int { (of.batch &* of.channels &+ grain &- 1) / grain }

    func run(_ index: Int, worker: Int) {
        if of.channels < 1 { return }
        var plane = index &* grain
        let end = Swift.min(of.batch &* of.channels, plane &+ grain)
        while plane < end {
            let sample = plane / of.channels
            self.plane(sample, plane &- sample &* of.channels)
            plane &+= 1
        }
    }

    @inline(__always) func plane(_ sample: Int, _ channel: Int) {
        guard let dx = of.dx else { return }
        let scale = of.scale[channel].double
        let factor = scale * (of.weight?[channel].double ?? 1)
        let share = of.training ? factor / Double(of.batch &* of.length) : 0
        let place = (sample &* of.channels &+ channel) &* of.length
        applyGradient(
            dx + place, of.g + place, of.x + place, of.length, mean: of.mean[channel], scale: E(factor),
            slope: E(share * scale * scale * of.sums[2 &* channel &+ 1]), offset: E(share * of.sums[2 &* channel]))
    }
}

/// Sums and gradient of one channel after the other.
private struct ChannelGradientWhole<E: Real>: ParallelTask {
    let spread: ChannelGradientSpread<E>

    func run(_ index: Int, worker: Int) {
        spread.of.run(index, worker: worker)
        var sample = spread.of.batch &- 1
        while sample >= 0 {
            spread.plane(sample, index)
            sample &-= 1
        }
    }
}
