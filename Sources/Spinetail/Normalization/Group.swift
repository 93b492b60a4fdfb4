import CSpinetail

@c @implementation
public func spinetail_normalization_group_forward(
    _ output: Descriptor, _ mean: Descriptor, _ scale: Descriptor, _ input: Descriptor, _ weight: Descriptor?,
    _ bias: Descriptor?, _ groups: Int64, _ eps: Double
) -> spinetail_status {
    var status = checkChannels(input, 4)
    let channels = input.extent(1)
    let groups = Int(truncatingIfNeeded: groups)
    if status == 0 && (groups < 1 || channels % groups != 0) { status = Status.parameter(7) }
    if status == 0 { status = checkLike(output, input, 1) }
    if status == 0 { status = checkValues(mean, input.extent(0) &* groups, like: input, 2) }
    if status == 0 { status = checkValues(scale, input.extent(0) &* groups, like: input, 3) }
    if status == 0 { status = checkValues(weight, channels, like: input, 5) }
    if status == 0 { status = checkValues(bias, channels, like: input, 6) }
    if status != 0 { return status }
    if input.holds(Float.self) { return forward(Float.self, output, mean, scale, input, weight, bias, groups, eps) }
    return forward(Double.self, output, mean, scale, input, weight, bias, groups, eps)
}

private func forward<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ mean: Descriptor, _ scale: Descriptor, _ input: Descriptor,
    _ weight: Descriptor?, _ bias: Descriptor?, _ groups: Int, _ eps: Double
) -> Int32 {
    guard let y = output.pointer(type), let x = input.pointer(type), let mean = mean.pointer(type),
        let scale = scale.pointer(type), groups > 0
    else { return Status.ok }
    let batch = input.extent(0)
    let channels = input.extent(1)
    let length = planeLength(input)
    let perGroup = channels / groups
    let statistics = Statistics(
        mean: mean, scale: scale, runningMean: nil, runningVariance: nil, momentum: 0, eps: eps)
    let apply = PlanesForward(
        y: y, x: UnsafePointer(x), mean: mean, scale: scale, weight: weight.pointer(type), bias: bias.pointer(type),
        channels: channels, perGroup: perGroup, groups: groups, length: length, planes: batch &* channels)
    let size = perGroup &* length
    let together = staysCached(type, size, run: size, pieces: batch &* groups)
    let rest = together ? 3 : 6
    let gather = GroupMoments(
        x: UnsafePointer(x), statistics: statistics, length: size, grain: groupsInPiece(size),
        count: batch &* groups, apply: together ? apply : nil)
    let done = parallel(pieces(batch &* groups, groupsInPiece(size)), cost: input.count / rest, gather)
    return done != 0 || together ? done : apply.start()
}

/// Groups that one piece of work covers.
@inline(__always) private func groupsInPiece(_ size: Int) -> Int {
    Swift.max(1, divide(16_384, by: Swift.max(size, 1)))
}

private struct GroupMoments<E: Real>: ParallelTask {
    let x: UnsafePointer<E>
    let statistics: Statistics<E>
    let length, grain, count: Int
    let apply: PlanesForward<E>?

    func run(_ index: Int, worker: Int) {
        var group = index &* grain
        let end = Swift.min(count, group &+ grain)
        while group < end {
            let planes = Planes(start: x + group &* length, planes: 1, stride: length, length: length)
            let also = apply.map { UnsafeRawPointer(x).distance(to: UnsafeRawPointer($0.y)) } ?? 0
            statistics.save(group, planes.moments(also: also))
            if let apply {
                let sample = divide(group, by: apply.groups)
                let first = (group &- sample &* apply.groups) &* apply.perGroup
                var channel = first
                while channel < first &+ apply.perGroup {
                    apply.plane(sample, channel, next: length)
                    channel &+= 1
                }
            }
            group &+= 1
        }
    }
}

@c @implementation
public func spinetail_normalization_group_backward(
    _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor, _ input: Descriptor,
    _ mean: Descriptor, _ scale: Descriptor, _ weight: Descriptor?, _ groups: Int64
) -> spinetail_status {
    var status = checkChannels(input, 5)
    let channels = input.extent(1)
    let groups = Int(truncatingIfNeeded: groups)
    if status == 0 && (groups < 1 || channels % groups != 0) { status = Status.parameter(9) }
    if status == 0 { status = checkLike(dinput, input, 1) }
    if status == 0 { status = checkValues(dweight, channels, like: input, 2) }
    if status == 0 { status = checkValues(dbias, channels, like: input, 3) }
    if status == 0 { status = checkLike(doutput, input, 4) }
    if status == 0 { status = checkValues(mean, input.extent(0) &* groups, like: input, 6) }
    if status == 0 { status = checkValues(scale, input.extent(0) &* groups, like: input, 7) }
    if status == 0 { status = checkValues(weight, channels, like: input, 8) }
    if status != 0 { return status }
    if input.holds(Float.self) {
        return backward(Float.self, dinput, dweight, dbias, doutput, input, mean, scale, weight, groups)
    }
    return backward(Double.self, dinput, dweight, dbias, doutput, input, mean, scale, weight, groups)
}

private func backward<E: Real>(
    _ type: E.Type, _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor,
    _ input: Descriptor, _ mean: Descriptor, _ scale: Descriptor, _ weight: Descriptor?, _ groups: Int
) -> Int32 {
    let batch = input.extent(0)
    let channels = input.extent(1)
    let length = planeLength(input)
    guard let g = doutput.pointer(type), let x = input.pointer(type), let mean = mean.pointer(type),
        let scale = scale.pointer(type), groups > 0
    else {
        zeroFill(dweight.pointer(type), channels)
        zeroFill(dbias.pointer(type), channels)
        return Status.ok
    }
    guard let memory = Scratch.take(2 &* batch &* channels &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let sums = memory.assumingMemoryBound(to: Double.self)
    let task = GroupGradient(
        dx: dinput.pointer(type), g: UnsafePointer(g), x: UnsafePointer(x), mean: mean, scale: scale,
        weight: weight.pointer(type), sums: sums, channels: channels, groups: groups, perGroup: channels / groups,
        length: length)
    let done = parallel(batch &* groups, cost: input.count / 2, task)
    if done != 0 { return done }
    let dweight = dweight.pointer(type)
    let dbias = dbias.pointer(type)
    if dweight == nil && dbias == nil { return Status.ok }
    var channel = 0
    while channel < channels {
        var total = 0.0
        var product = 0.0
        var sample = 0
        while sample < batch {
            let plane = sample &* channels &+ channel
            total += sums[2 &* plane]
            product += sums[2 &* plane &+ 1]
            sample &+= 1
        }
        dweight?[channel] = E(product)
        dbias?[channel] = E(total)
        channel &+= 1
    }
    return Status.ok
}

/// One group of one sample: for each channel Σg and Σg·x̂, then the gradient of the input.
private struct GroupGradient<E: Real>: ParallelTask {
    let dx: UnsafeMutablePointer<E>?
    let g, x: UnsafePointer<E>
    let mean, scale: UnsafeMutablePointer<E>
    let weight: UnsafeMutablePointer<E>?
    let sums: UnsafeMutablePointer<Double>
    let channels, groups, perGroup, length: Int

    func run(_ index: Int, worker: Int) {
        if groups < 1 { return }
        let sample = index / groups
        let firstChannel = (index &- sample &* groups) &* perGroup
        let firstPlane = sample &* channels &+ firstChannel
        let scale = self.scale[index].double
        var total = 0.0
        var product = 0.0
        var i = 0
        while i < perGroup {
            let place = (firstPlane &+ i) &* length
            let planes = Planes(start: x + place, planes: 1, stride: length, length: length)
            let (a, b) = planes.products(g + place, mean[index])
            sums[2 &* (firstPlane &+ i)] = a
            sums[2 &* (firstPlane &+ i) &+ 1] = b * scale
            let w = weight?[firstChannel &+ i].double ?? 1
            total += w * a
            product += w * b * scale
            i &+= 1
        }
        guard let dx else { return }
        let share = scale / Double(perGroup &* length)
        i = 0
        while i < perGroup {
            let place = (firstPlane &+ i) &* length
            let w = weight?[firstChannel &+ i].double ?? 1
            applyGradient(
                dx + place, g + place, x + place, length, mean: mean[index], scale: E(w * scale),
                slope: E(share * product * scale), offset: E(share * total))
            i &+= 1
        }
    }
}
