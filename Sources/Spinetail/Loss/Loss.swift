import CSpinetail

@c @implementation
public func spinetail_nll_loss(
    _ loss: Descriptor, _ dinput: Descriptor?, _ input: Descriptor, _ target: Descriptor, _ weight: Descriptor?,
    _ ignore: Int64, _ reduction: Int64
) -> spinetail_status {
    guard let labels = Labels(target, ignore: ignore) else { return Status.dtype(4) }
    let inner = input.rank == 3 ? input.extent(2) : 1
    if !target.hasShape(input.extent(0) &* inner) { return Status.shape(4) }
    if !target.isContiguous { return Status.layout(4) }
    let problem = checkLogits(loss, dinput, input, weight, reduction, positions: input.rank == 3)
    if problem != Status.ok { return problem }
    if !labels.areWithin(input.extent(1)) { return Status.index(4) }
    if input.holds(Float.self) {
        return negativeLogLikelihood(Float.self, loss, dinput, input, labels, weight, reduction)
    }
    return negativeLogLikelihood(Double.self, loss, dinput, input, labels, weight, reduction)
}

private func negativeLogLikelihood<E: Real>(
    _ type: E.Type, _ loss: Descriptor, _ dinput: Descriptor?, _ input: Descriptor, _ labels: Labels,
    _ weight: Descriptor?, _ reduction: Int64
) -> Int32 {
    let samples = labels.count, classes = input.extent(1)
    let volume = dinput == nil ? 1 : classes
    // Pieces of one size with and without the gradient, so that the loss has the same bits.
    guard let rule = Reduction(reduction, samples: samples, volume: classes) else { return Status.parameter(7) }
    let w = weight?.pointer(E.self).map { UnsafePointer($0) }
    let divisor = rule.isMean ? labels.weightSum(w) : 1
    if input.rank == 3 {
        let body = PickedPositions<E>(
            x: UnsafePointer(input.pointer(E.self)) ?? nothing(), dx: dinput?.pointer(E.self), labels: labels,
            weight: w, classes: classes, inner: input.extent(2), scale: E(1 / divisor))
        return rule.run(loss, divisor: divisor, cost: samples &* 2 &+ (samples &* volume) >> 4, body)
    }
    let body = PickedRows<E>(
        x: UnsafePointer(input.pointer(E.self)) ?? nothing(), dx: dinput?.pointer(E.self), labels: labels, weight: w,
        classes: classes, scale: E(1 / divisor))
    return rule.run(loss, divisor: divisor, cost: samples &* 2 &+ (samples &* volume) >> 4, body)
}

/// -w[y] · x[y]
private struct PickedRows<E: Real>: SingleLoss {
    let x: UnsafePointer<E>
    let dx: UnsafeMutablePointer<E>?
    let labels: Labels
    let weight: UnsafePointer<E>?
    let classes: Int
    let scale: E

    @inline(__always) func sample(_ index: Int) -> E {
        let start = index &* classes
        let label = labels[index]
        if let dx { memset(dx + start, 0, classes &* MemoryLayout<E>.size) }
        // Looked at again: another thread may have changed the labels since they were checked.
        if label == labels.ignore || label < 0 || label >= classes { return 0 }
        let own = weight.map { $0[label] } ?? 1
        if let dx { dx[start &+ label] = -(own * scale) }
        return -(own * x[start &+ label])
    }
}

/// The same of an input (outer, classes, inner): neighbours in memory are different samples.
private struct PickedPositions<E: Real>: SampleLoss {
    let x: UnsafePointer<E>
    let dx: UnsafeMutablePointer<E>?
    let labels: Labels
    let weight: UnsafePointer<E>?
    let classes, inner: Int
    let scale: E

    func losses(_ first: Int, _ end: Int, _ each: UnsafeMutablePointer<E>?) -> Double {
        var sum = 0.0
        var sample = first
        while sample < end {
            let outer = divide(sample, by: inner)
            let position = sample &- outer &* inner
            let count = Swift.min(inner &- position, end &- sample)
            sum += stretch(sample, outer &* classes &* inner &+ position, count, each)
            sample &+= count
        }
        return sum
    }

    /// Samples that are neighbours in memory, the first of them with its first class at `offset`.
    private func stretch(_ sample: Int, _ offset: Int, _ count: Int, _ each: UnsafeMutablePointer<E>?) -> Double {
        if let dx {
            var c = 0
            while c < classes {
                memset(dx + (offset &+ c &* inner), 0, count &* MemoryLayout<E>.size)
                c &+= 1
            }
        }
        var sum = 0.0
        var k = 0
        while k < count {
            let label = labels[sample &+ k]
            var loss: E = 0
            if label != labels.ignore && label >= 0 && label < classes {
                let own = weight.map { $0[label] } ?? 1
                let place = offset &+ label &* inner &+ k
                loss = -(own * x[place])
                if let dx { dx[place] = -(own * scale) }
            }
            if let each { each[sample &+ k] = loss }
            sum += loss.double
            k &+= 1
        }
        return sum
    }
}

@c @implementation
public func spinetail_squared_error(
    _ loss: Descriptor, _ dinput: Descriptor?, _ input: Descriptor, _ target: Descriptor, _ reduction: Int64
) -> spinetail_status {
    if loss.dtype != input.dtype { return Status.dtype(1) }
    if loss.count != 1 { return Status.shape(1) }
    if target.dtype != input.dtype { return Status.dtype(4) }
    if !target.hasShape(of: input) { return Status.shape(4) }
    if !input.isContiguous { return Status.layout(3) }
    if !target.isContiguous { return Status.layout(4) }
    if let dinput {
        if dinput.dtype != input.dtype { return Status.dtype(2) }
        if !dinput.hasShape(of: input) { return Status.shape(2) }
        if !dinput.isContiguous { return Status.layout(2) }
    }
    if input.holds(Float.self) { return squaredError(Float.self, loss, dinput, input, target, reduction) }
    if input.holds(Double.self) { return squaredError(Double.self, loss, dinput, input, target, reduction) }
    return Status.dtype(3)
}

private func squaredError<E: Real>(
    _ type: E.Type, _ loss: Descriptor, _ dinput: Descriptor?, _ input: Descriptor, _ target: Descriptor,
    _ reduction: Int64
) -> Int32 {
    let count = input.count
    let blocks = pieces(count, elementwiseGrain)
    guard let rule = Reduction(reduction, samples: blocks, volume: elementwiseGrain), !rule.isNone else {
        return Status.parameter(5)
    }
    let divisor = rule.isMean ? Double(count) : 1
    let body = SquaredBlocks<E>(
        x: UnsafePointer(input.pointer(E.self)) ?? nothing(),
        target: UnsafePointer(target.pointer(E.self)) ?? nothing(),
        dx: dinput?.pointer(E.self), count: count, scale: E(2 / divisor))
    return rule.run(loss, divisor: divisor, cost: count >> 3, body)
}

/// Σ (x - t)² of one block of elements, with the gradient 2 (x - t) times scale.
private struct SquaredBlocks<E: Real>: SingleLoss {
    let x: UnsafePointer<E>
    let target: UnsafePointer<E>
    let dx: UnsafeMutablePointer<E>?
    let count: Int
    let scale: E

    @inline(__always) func sample(_ index: Int) -> E {
        let width = E.Lanes.width
        let scale = E.Lanes(repeating: scale)
        var i = index &* elementwiseGrain
        let end = Swift.min(count, i &+ elementwiseGrain)
        var a = E.Lanes.zero, b = E.Lanes.zero
        while i &+ 2 &* width <= end {
            let p = E.Lanes.load(x + i) - E.Lanes.load(target + i)
            let q = E.Lanes.load(x + i + width) - E.Lanes.load(target + i + width)
            a = E.Lanes.fma(p, p, a)
            b = E.Lanes.fma(q, q, b)
            if let dx {
                (p * scale).store(dx + i)
                (q * scale).store(dx + i + width)
            }
            i &+= 2 &* width
        }
        while i < end {
            let left = Swift.min(width, end &- i)
            let p = E.Lanes.load(x + i, columns: left, fill: 0) - E.Lanes.load(target + i, columns: left, fill: 0)
            a = E.Lanes.fma(p, p, a)
            if let dx { (p * scale).store(dx + i, columns: left) }
            i &+= left
        }
        return (a + b).sum()
    }
}
