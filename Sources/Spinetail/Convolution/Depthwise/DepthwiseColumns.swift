import CSpinetail

/// Depthwise convolution by three columns of taps with stride 1 or 2: what networks use. Weights stay in registers while a
/// vector of channels goes along a row, and a column of pixels is read once for all results that see it.
extension DepthwiseRows {
    /// Whether the taps are three neighbours in each of two or three rows.
    func isThree(_ taps: UnsafePointer<DepthwiseTap>, _ count: Int) -> Bool {
        if count != 6 && count != 9 || job.step.w > 2 { return false }
        var t = 0
        while t < count {
            if taps[t].w &- taps[0].w != remainder(t, by: 3) { return false }
            t &+= 1
        }
        return true
    }

    /// Whole vectors of channels from `c` to `end` of a row of pixels.
    func slide(
        _ taps: UnsafePointer<DepthwiseTap>, _ count: Int, _ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>,
        _ first: Int, _ end: Int
    ) {
        var c = first
        while c < end {
            switch (count, job.step.w) {
            case (9, 1): columns(Pixels<3>.self, Pixels<1>.self, c, taps, from, to)
            case (9, _): columns(Pixels<3>.self, Pixels<2>.self, c, taps, from, to)
            case (_, 1): columns(Pixels<2>.self, Pixels<1>.self, c, taps, from, to)
            default: columns(Pixels<2>.self, Pixels<2>.self, c, taps, from, to)
            }
            c &+= E.Lanes.width
        }
    }

    /// One vector.
    @inline(never)
    private func columns<let rows: Int, let step: Int>(
        _ some: Pixels<rows>.Type, _ steps: Pixels<step>.Type, _ c: Int, _ taps: UnsafePointer<DepthwiseTap>,
        _ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>
    ) {
        let lines = InlineArray<rows, UnsafePointer<E>> { r in from + (taps[3 &* r].source &+ c) }
        let left = InlineArray<rows, E.Lanes> { r in .load(weights + (taps[3 &* r].weight &+ c)) }
        let middle = InlineArray<rows, E.Lanes> { r in .load(weights + (taps[3 &* r &+ 1].weight &+ c)) }
        let right = InlineArray<rows, E.Lanes> { r in .load(weights + (taps[3 &* r &+ 2].weight &+ c)) }
        let bias = job.bias.map { E.Lanes.load($0 + c) } ?? .zero
        // max takes its second operand where the first is NaN, so a NaN sum stays NaN; -Inf leaves all as it is.
        let least = E.Lanes(repeating: job.relu ? 0 : -E.infinity)
        let most = E.Lanes(repeating: job.most)
        let groups = job.groups
        let extent = UInt(bitPattern: job.extent.w)
        let resultStep = job.resultStep.w &* groups
        var x = taps[0].w  // the column of the next result's first tap
        var at = 0
        var out = to + c
        var sum = bias
        var next = bias
        if UInt(bitPattern: x) < extent {
            for r in 0..<rows { sum = E.Lanes.fma(.load(lines[unchecked: r] + at), left[unchecked: r], sum) }
        }
        if step == 1 && UInt(bitPattern: x &+ 1) < extent {
            for r in 0..<rows {
                let value = E.Lanes.load(lines[unchecked: r] + (at &+ groups))
                sum = E.Lanes.fma(value, middle[unchecked: r], sum)
                next = E.Lanes.fma(value, left[unchecked: r], next)
            }
        }
        var w = 0
        while w < job.grid.w {
            if step == 2 && UInt(bitPattern: x &+ 1) < extent {
                for r in 0..<rows {
                    let value = E.Lanes.load(lines[unchecked: r] + (at &+ groups))
                    sum = E.Lanes.fma(value, middle[unchecked: r], sum)
                }
            }
            var later = bias
            if UInt(bitPattern: x &+ 2) < extent {
                for r in 0..<rows {
                    let value = E.Lanes.load(lines[unchecked: r] + (at &+ 2 &* groups))
                    sum = E.Lanes.fma(value, right[unchecked: r], sum)
                    if step == 1 { next = E.Lanes.fma(value, middle[unchecked: r], next) }
                    later = E.Lanes.fma(value, left[unchecked: r], later)
                }
            }
            if let residual = job.residual { sum = sum + E.Lanes.load(residual + (out - job.result)) }
            E.Lanes.min(most, E.Lanes.max(least, sum)).store(out)
            out += resultStep
            if step == 1 {
                sum = next
                next = later
            } else {
                sum = later
            }
            x &+= step
            at &+= step &* groups
            w &+= 1
        }
    }
}
