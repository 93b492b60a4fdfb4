// Cross-entropy of logits (outer, classes, inner), as for images: neighbours in memory are different samples, so a vector
// holds samples and runs down the classes.

/// Class indices; the formula is that of `HardRows`.
struct HardPositions<E: Real>: SampleLoss {
    let x: UnsafePointer<E>
    let dx: UnsafeMutablePointer<E>?
    let labels: Labels
    let weight: UnsafePointer<E>?
    let classes, inner: Int
    let confidence, share, weightSum, scale: E

    func losses(_ first: Int, _ end: Int, _ each: UnsafeMutablePointer<E>?) -> Double {
        var sum = 0.0
        var sample = first
        while sample < end {
            let outer = divide(sample, by: inner)
            let position = sample &- outer &* inner
            let count = Swift.min(E.Lanes.width, inner &- position, end &- sample)
            let offset = outer &* classes &* inner &+ position
            if count == E.Lanes.width {
                sum += block(sample, offset, true, 0, each)
            } else {
                sum += block(sample, offset, false, count, each)
            }
            sample &+= count
        }
        return sum
    }

    @inline(__always)
    private func block(
        _ sample: Int, _ offset: Int, _ whole: Bool, _ rest: Int, _ each: UnsafeMutablePointer<E>?
    ) -> Double {
        typealias V = E.Lanes
        let x = x + offset
        let length = classes &* inner
        var top = V(repeating: -E.infinity)
        var i = 0
        while i < length {
            top = V.max(top, V.take(x + i, whole, rest))
            i &+= inner
        }
        var sum = V.zero, dot = V.zero  // Σ e, and for label smoothing Σ w · (x - top)
        var c = 0
        i = 0
        while i < length {
            let d = V.take(x + i, whole, rest) - top
            let e = V.expNonPositive(d)
            if let dx { e.put(dx + (offset &+ i), whole, rest) }
            sum = sum + e
            if weightSum != 0 { dot = V.fma(V(repeating: weight?[c] ?? 1), d, dot) }
            c &+= 1
            i &+= inner
        }
        // What belongs to the labels, lane by lane.
        let count = whole ? V.width : rest
        var owns = InlineArray<16, E>(repeating: 0), targets = InlineArray<16, E>(repeating: 0)
        return withUnsafeMutablePointer(to: &owns) { owns in
            withUnsafeMutablePointer(to: &targets) { targets in
                let own = UnsafeMutableRawPointer(owns).assumingMemoryBound(to: E.self)
                let target = UnsafeMutableRawPointer(targets).assumingMemoryBound(to: E.self)
                var lane = 0
                while lane < count {
                    let label = labels[sample &+ lane]
                    if label != labels.ignore {
                        own[lane] = weight.map { $0[label] * confidence } ?? confidence
                        target[lane] = x[label &* inner &+ lane]
                    }
                    lane &+= 1
                }
                let log = V.log(sum)
                var loss = V.load(own) * (log - (V.load(target) - top))
                if weightSum != 0 {
                    loss = loss + V(repeating: share) * (V(repeating: weightSum) * log - dot)
                }
                if let dx {
                    let factor = V(repeating: scale) * (V.load(own) + V(repeating: share * weightSum)) / sum
                    finish(dx + offset, factor, whole, rest)
                }
                loss.store(target)
                return close(sample, offset, count, own, target, each)
            }
        }
    }

    /// dx = dx · factor - scale · ε/C · w
    @inline(__always)
    private func finish(_ dx: UnsafeMutablePointer<E>, _ factor: E.Lanes, _ whole: Bool, _ rest: Int) {
        typealias V = E.Lanes
        let length = classes &* inner
        var c = 0
        var i = 0
        while i < length {
            var d = V.take(dx + i, whole, rest) * factor
            if weightSum != 0 { d = d - V(repeating: scale * share * (weight?[c] ?? 1)) }
            d.put(dx + i, whole, rest)
            c &+= 1
            i &+= inner
        }
    }

    /// The labels' part of the gradient, zeros for samples that do not count, and the sum of the losses.
    @inline(__always)
    private func close(
        _ sample: Int, _ offset: Int, _ count: Int, _ own: UnsafeMutablePointer<E>, _ loss: UnsafeMutablePointer<E>,
        _ each: UnsafeMutablePointer<E>?
    ) -> Double {
        var sum = 0.0
        var lane = 0
        while lane < count {
            let label = labels[sample &+ lane]
            let ignored = label == labels.ignore
            if let dx {
                let column = dx + (offset &+ lane)
                if ignored {
                    var c = 0
                    while c < classes {
                        column[c &* inner] = 0
                        c &+= 1
                    }
                } else {
                    column[label &* inner] = column[label &* inner] - own[lane] * scale
                }
            }
            if let each { each[sample &+ lane] = ignored ? 0 : loss[lane] }
            if !ignored { sum += loss[lane].double }
            lane &+= 1
        }
        return sum
    }
}
