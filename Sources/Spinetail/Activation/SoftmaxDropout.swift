import CSpinetail

// Softmax along the last axis of input + mask, and dropout of the shares while their row is in the cache. The shares are
// not kept: the gradient makes them again from each row's largest element and the reciprocal of its sum.

@c @implementation
public func spinetail_softmax_dropout_forward(
    _ output: Descriptor, _ statistics: Descriptor?, _ input: Descriptor, _ mask: Descriptor?, _ seed: Int64,
    _ offset: Int64, _ probability: Double
) -> spinetail_status {
    if output.dtype != input.dtype { return Status.dtype(1) }
    if !output.hasShape(of: input) { return Status.shape(1) }
    if !output.isContiguous { return Status.layout(1) }
    let status = checkSoftmaxDropout(input, mask, statistics, probability, first: 3, statisticsAt: 2)
    if status != Status.ok { return status }
    if input.holds(Float.self) {
        return softmaxDropout(Float.self, output, statistics, input, mask, seed, offset, probability)
    }
    return softmaxDropout(Double.self, output, statistics, input, mask, seed, offset, probability)
}

@c @implementation
public func spinetail_softmax_dropout_backward(
    _ dinput: Descriptor, _ doutput: Descriptor, _ statistics: Descriptor, _ input: Descriptor, _ mask: Descriptor?,
    _ seed: Int64, _ offset: Int64, _ probability: Double
) -> spinetail_status {
    if dinput.dtype != input.dtype { return Status.dtype(1) }
    if !dinput.hasShape(of: input) { return Status.shape(1) }
    if !dinput.isContiguous { return Status.layout(1) }
    if doutput.dtype != input.dtype { return Status.dtype(2) }
    if !doutput.hasShape(of: input) { return Status.shape(2) }
    if !doutput.isContiguous { return Status.layout(2) }
    let status = checkSoftmaxDropout(input, mask, statistics, probability, first: 4, statisticsAt: 3)
    if status != Status.ok { return status }
    if input.holds(Float.self) {
        return softmaxDropoutBackward(Float.self, dinput, doutput, statistics, input, mask, seed, offset, probability)
    }
    return softmaxDropoutBackward(Double.self, dinput, doutput, statistics, input, mask, seed, offset, probability)
}

/// What both passes ask of their arguments; `first` is the position of the input, which the mask follows.
private func checkSoftmaxDropout(
    _ input: Descriptor, _ mask: Descriptor?, _ statistics: Descriptor?, _ probability: Double, first: Int32,
    statisticsAt: Int32
) -> Int32 {
    if !input.holds(Float.self) && !input.holds(Double.self) { return Status.dtype(first) }
    if input.rank < 1 { return Status.rank(first) }
    if !input.isContiguous { return Status.layout(first) }
    if let statistics {
        if statistics.dtype != input.dtype { return Status.dtype(statisticsAt) }
        if !statistics.hasShape(rowsOf(input), 2) { return Status.shape(statisticsAt) }
        if !statistics.isContiguous { return Status.layout(statisticsAt) }
    }
    if let mask {
        if mask.dtype != input.dtype { return Status.dtype(first &+ 1) }
        if !mask.hasShape(of: input) { return Status.shape(first &+ 1) }
        if !mask.hasContiguousLastAxis { return Status.layout(first &+ 1) }
    }
    return probability >= 0 && probability < 1 ? Status.ok : Status.parameter(first &+ 4)
}

private func rowsOf(_ input: Descriptor) -> Int {
    var rows = 1
    var axis = 0
    while axis < input.rank &- 1 {
        rows = rows &* input.extent(axis)
        axis &+= 1
    }
    return rows
}

private func softmaxDropout<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ statistics: Descriptor?, _ input: Descriptor, _ mask: Descriptor?,
    _ seed: Int64, _ offset: Int64, _ probability: Double
) -> Int32 {
    guard let y = output.pointer(type), let x = input.pointer(type) else { return Status.ok }
    let job = SoftmaxDropoutRows<E>(
        x: UnsafePointer(x), mask: mask, statistics: statistics?.pointer(type), rows: rowsOf(input),
        size: input.extent(-1), kept: KeptElements(seed, offset, probability), factor: E(1 / (1 - probability)))
    let workers = workerLimit()
    guard let memory = Scratch.take(workers &* KeptElements.bytes) else { return Status.noMemory }
    let status = parallel(
        job.pieces, cost: job.cost, workers: workers, SoftmaxDropoutForward(y: y, job: job, scratch: memory))
    Scratch.give(memory)
    return status
}

private func softmaxDropoutBackward<E: Real>(
    _ type: E.Type, _ dinput: Descriptor, _ doutput: Descriptor, _ statistics: Descriptor, _ input: Descriptor,
    _ mask: Descriptor?, _ seed: Int64, _ offset: Int64, _ probability: Double
) -> Int32 {
    guard let dx = dinput.pointer(type), let dy = doutput.pointer(type), let x = input.pointer(type) else {
        return Status.ok
    }
    let job = SoftmaxDropoutRows<E>(
        x: UnsafePointer(x), mask: mask, statistics: statistics.pointer(type), rows: rowsOf(input),
        size: input.extent(-1), kept: KeptElements(seed, offset, probability), factor: E(1 / (1 - probability)))
    let perWorker = KeptElements.bytes &+ roundUp(job.size &* MemoryLayout<E>.stride, 64)
    let workers = workerLimit()
    guard let memory = Scratch.take(workers &* perWorker) else { return Status.noMemory }
    let status = parallel(
        job.pieces, cost: job.cost, workers: workers,
        SoftmaxDropoutBackward(dx: dx, dy: UnsafePointer(dy), job: job, scratch: memory, perWorker: perWorker))
    Scratch.give(memory)
    return status
}
