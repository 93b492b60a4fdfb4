import CSpinetail

// Cross-entropy reads a row of logits twice (largest, then exponentials, which it leaves in the gradient) and finishes
// the gradient in a third sweep over the cached row: probabilities are never stored on their own.

@c @implementation
public func spinetail_cross_entropy(
    _ loss: Descriptor, _ dlogits: Descriptor?, _ logits: Descriptor, _ target: Descriptor, _ weight: Descriptor?,
    _ ignore: Int64, _ smoothing: Double, _ reduction: Int64
) -> spinetail_status {
    guard let labels = Labels(target, ignore: ignore) else { return Status.dtype(4) }
    let inner = logits.rank == 3 ? logits.extent(2) : 1
    if !target.hasShape(logits.extent(0) &* inner) { return Status.shape(4) }
    if !target.isContiguous { return Status.layout(4) }
    let problem = checkLogits(loss, dlogits, logits, weight, reduction, positions: logits.rank == 3)
    if problem != Status.ok { return problem }
    if !labels.areWithin(logits.extent(1)) { return Status.index(4) }
    if logits.holds(Float.self) {
        return crossEntropy(Float.self, loss, dlogits, logits, labels, weight, smoothing, reduction)
    }
    return crossEntropy(Double.self, loss, dlogits, logits, labels, weight, smoothing, reduction)
}

@c @implementation
public func spinetail_cross_entropy_soft(
    _ loss: Descriptor, _ dlogits: Descriptor?, _ logits: Descriptor, _ target: Descriptor, _ weight: Descriptor?,
    _ smoothing: Double, _ reduction: Int64
) -> spinetail_status {
    let problem = checkLogits(loss, dlogits, logits, weight, reduction)
    if problem != Status.ok { return problem }
    if target.dtype != logits.dtype { return Status.dtype(4) }
    if !target.hasShape(of: logits) { return Status.shape(4) }
    if !target.isContiguous { return Status.layout(4) }
    if logits.holds(Float.self) {
        return crossEntropySoft(Float.self, loss, dlogits, logits, target, weight, smoothing, reduction)
    }
    return crossEntropySoft(Double.self, loss, dlogits, logits, target, weight, smoothing, reduction)
}

/// What all losses over (samples, classes) ask of their arrays: loss, gradient, input and the weights of the classes.
/// With `positions` the logits are (outer, classes, inner).
func checkLogits(
    _ loss: Descriptor, _ dlogits: Descriptor?, _ logits: Descriptor, _ weight: Descriptor?, _ reduction: Int64,
    positions: Bool = false
) -> Int32 {
    if !logits.holds(Float.self) && !logits.holds(Double.self) { return Status.dtype(3) }
    if logits.rank != (positions ? 3 : 2) { return Status.rank(3) }
    let samples = logits.extent(0) &* (positions ? logits.extent(2) : 1), classes = logits.extent(1)
    if classes == 0 { return Status.shape(3) }
    if !logits.isContiguous { return Status.layout(3) }
    guard let rule = Reduction(reduction, samples: samples, volume: classes) else { return Status.parameter(0) }
    if loss.dtype != logits.dtype { return Status.dtype(1) }
    if !rule.fits(loss) { return Status.shape(1) }
    if !loss.isContiguous { return Status.layout(1) }
    if let dlogits {
        if dlogits.dtype != logits.dtype { return Status.dtype(2) }
        if !dlogits.hasShape(of: logits) { return Status.shape(2) }
        if !dlogits.isContiguous { return Status.layout(2) }
    }
    if let weight {
        if weight.dtype != logits.dtype { return Status.dtype(5) }
        if !weight.hasShape(classes) { return Status.shape(5) }
        if !weight.isContiguous { return Status.layout(5) }
    }
    return Status.ok
}

private func crossEntropy<E: Real>(
    _ type: E.Type, _ loss: Descriptor, _ dlogits: Descriptor?, _ logits: Descriptor, _ labels: Labels,
    _ weight: Descriptor?, _ smoothing: Double, _ reduction: Int64
) -> Int32 {
    let classes = logits.extent(1)
    let samples = labels.count
    let together = logits.rank == 3 ? E.Lanes.width : 1
    guard let rule = Reduction(reduction, samples: samples, volume: classes, together: together) else {
        return Status.parameter(8)
    }
    let w = weight?.pointer(E.self).map { UnsafePointer($0) }
    let divisor = rule.isMean ? labels.weightSum(w) : 1
    // Without samples there is no logit: the pointer is never followed.
    let x = UnsafePointer(logits.pointer(E.self)) ?? nothing()
    let dx = dlogits?.pointer(E.self)
    let confidence = E(1 - smoothing), share = E(smoothing / Double(classes))
    let weightSum = E(smoothing == 0 ? 0 : total(w, classes)), scale = E(1 / divisor)
    if logits.rank == 3 {
        let body = HardPositions<E>(
            x: x, dx: dx, labels: labels, weight: w, classes: classes, inner: logits.extent(2), confidence: confidence,
            share: share, weightSum: weightSum, scale: scale)
        return rule.run(loss, divisor: divisor, cost: (samples &* classes) >> 2, body)
    }
    let body = HardRows<E>(
        x: x, dx: dx, labels: labels, weight: w, classes: classes, confidence: confidence, share: share,
        weightSum: weightSum, scale: scale)
    return rule.run(loss, divisor: divisor, cost: (samples &* classes) >> 2, body)
}

private func crossEntropySoft<E: Real>(
    _ type: E.Type, _ loss: Descriptor, _ dlogits: Descriptor?, _ logits: Descriptor, _ target: Descriptor,
    _ weight: Descriptor?, _ smoothing: Double, _ reduction: Int64
) -> Int32 {
    let samples = logits.extent(0), classes = logits.extent(1)
    guard let rule = Reduction(reduction, samples: samples, volume: classes) else { return Status.parameter(7) }
    let divisor = rule.isMean ? Double(samples) : 1
    let body = SoftRows<E>(
        x: UnsafePointer(logits.pointer(E.self)) ?? nothing(), dx: dlogits?.pointer(E.self),
        target: UnsafePointer(target.pointer(E.self)) ?? nothing(),
        weight: weight?.pointer(E.self).map { UnsafePointer($0) },
        classes: classes, confidence: E(1 - smoothing), share: E(smoothing / Double(classes)), scale: E(1 / divisor))
    return rule.run(loss, divisor: divisor, cost: (samples &* classes) >> 1, body)
}

/// A pointer to be held where there are no elements.
@inline(__always) func nothing<E>() -> UnsafePointer<E> {
    UnsafePointer(bitPattern: 64).unsafelyUnwrapped
}

private func total<E: Real>(_ weight: UnsafePointer<E>?, _ classes: Int) -> Double {
    guard let weight else { return Double(classes) }
    var sum = 0.0
    var i = 0
    while i < classes {
        sum = sum + weight[i].double
        i &+= 1
    }
    return sum
}

/// Class indices. With label smoothing ε the loss is (1 - ε) · w[y] · -log p[y] + ε/C · Σ w[c] · -log p[c].
private struct HardRows<E: Real>: SingleLoss {
    let x: UnsafePointer<E>
    let dx: UnsafeMutablePointer<E>?
    let labels: Labels
    let weight: UnsafePointer<E>?
    let classes: Int
    let confidence: E  // 1 - ε
    let share: E  // ε / C
    let weightSum: E  // Σ w, or 0 without smoothing
    let scale: E  // of the gradient

    @inline(__always) func sample(_ index: Int) -> E {
        let start = index &* classes
        let label = labels[index]
        if label == labels.ignore {
            if let dx { memset(dx + start, 0, classes &* MemoryLayout<E>.size) }
            return 0
        }
        let x = x + start
        let top = rowLargest(x, classes)
        let fetch = RowFetch(single: classes)
        let sum =
            dx.map { rowExponentials(x, $0 + start, classes, top, fetch) }
            ?? rowExponentialSum(x, nil, classes, top, fetch)
        let log = E.Lanes.log(E.Lanes(repeating: sum)).largest()
        let own = weight.map { $0[label] * confidence } ?? confidence
        var loss = own * (log - (x[label] - top))
        if weightSum != 0 { loss = loss + share * (weightSum * log - weightedSum(x, top)) }
        if let dx {
            let factor = scale * (own + share * weightSum) / sum
            if weightSum != 0 { finish(dx + start, factor) } else { rowScale(dx + start, classes, factor) }
            dx[start &+ label] = dx[start &+ label] - own * scale
        }
        return loss
    }

    /// Σ w · (x - top)
    @inline(__always) private func weightedSum(_ x: UnsafePointer<E>, _ top: E) -> E {
        let width = E.Lanes.width
        let shift = E.Lanes(repeating: top)
        var sum = E.Lanes.zero
        var i = 0
        while i < classes {
            let left = Swift.min(width, classes &- i)
            let d = E.Lanes.load(x + i, columns: left, fill: top) - shift
            let w = weight.map { E.Lanes.load($0 + i, columns: left, fill: 0) } ?? E.Lanes.one
            sum = E.Lanes.fma(w, d, sum)
            i &+= left
        }
        return sum.sum()
    }

    /// dx = dx · factor - scale · ε/C · w
    @inline(__always) private func finish(_ dx: UnsafeMutablePointer<E>, _ factor: E) {
        let width = E.Lanes.width
        let factor = E.Lanes(repeating: factor), part = E.Lanes(repeating: scale * share)
        var i = 0
        while i < classes {
            let left = Swift.min(width, classes &- i)
            let w = weight.map { E.Lanes.load($0 + i, columns: left, fill: 0) } ?? E.Lanes.one
            let d = E.Lanes.load(dx + i, columns: left, fill: 0) * factor - part * w
            d.store(dx + i, columns: left)
            i &+= left
        }
    }
}

/// Probabilities t. The loss is -Σ w[c] · t'[c] · log p[c] with t' = (1 - ε) · t + ε/C.
private struct SoftRows<E: Real>: SingleLoss {
    let x: UnsafePointer<E>
    let dx: UnsafeMutablePointer<E>?
    let target: UnsafePointer<E>
    let weight: UnsafePointer<E>?
    let classes: Int
    let confidence: E
    let share: E
    let scale: E

    @inline(__always) func sample(_ index: Int) -> E {
        let width = E.Lanes.width
        let start = index &* classes
        let x = x + start
        let top = rowLargest(x, classes)
        let fetch = RowFetch(single: classes)
        let sum =
            dx.map { rowExponentials(x, $0 + start, classes, top, fetch) }
            ?? rowExponentialSum(x, nil, classes, top, fetch)
        let log = E.Lanes.log(E.Lanes(repeating: sum)).largest()
        let shift = E.Lanes(repeating: top)
        var mass = E.Lanes.zero, dot = E.Lanes.zero
        var i = 0
        while i < classes {
            let left = Swift.min(width, classes &- i)
            let t = weighted(start, i, left)
            mass = mass + t
            dot = E.Lanes.fma(t, E.Lanes.load(x + i, columns: left, fill: top) - shift, dot)
            i &+= left
        }
        let weightSum = mass.sum()
        if let dx {
            let factor = E.Lanes(repeating: scale * weightSum / sum), scale = E.Lanes(repeating: scale)
            let dx = dx + start
            i = 0
            while i < classes {
                let left = Swift.min(width, classes &- i)
                let d = E.Lanes.load(dx + i, columns: left, fill: 0) * factor - scale * weighted(start, i, left)
                d.store(dx + i, columns: left)
                i &+= left
            }
        }
        return weightSum * log - dot.sum()
    }

    /// w · t' of one vector; 0 beyond the classes.
    @inline(__always) private func weighted(_ start: Int, _ i: Int, _ left: Int) -> E.Lanes {
        let t = E.Lanes.load(target + start + i, columns: left, fill: 0)
        let smooth = E.Lanes.fma(t, E.Lanes(repeating: confidence), E.Lanes(repeating: share))
        if let weight { return smooth * E.Lanes.load(weight + i, columns: left, fill: 0) }
        return left == E.Lanes.width ? smooth : smooth * ones(left)
    }

    @inline(__always) private func ones(_ count: Int) -> E.Lanes {
        E.Lanes.select(
            E.Lanes.less(E.Lanes.ramp, E.Lanes(repeating: E(count))), E.Lanes.one, E.Lanes.zero)
    }
}
