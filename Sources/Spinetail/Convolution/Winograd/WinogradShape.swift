import CSpinetail

/// Which convolutions are computed by Winograd's way, and how.
extension ConvolutionShape {
    /// What takes fewest cycles, by count, where nothing else is asked for; never automatic. For each tile of 4×4 results,
    /// channel and filter 4.5 directly, 1.125 by F(4×4), 2 by F(2×2); for its pixels in each channel and its results in each
    /// filter 15 and 24; for each pair's weights 9, 28 and 12. Prepared weights only come from memory: no less than 2.5, 10
    /// and 4.4.
    func chosen<E: Real>(_ type: E.Type, prepared: Bool = false) -> Int {
        let direct = Int(SPINETAIL_CONVOLUTION_DIRECT)
        let four = Int(SPINETAIL_CONVOLUTION_WINOGRAD)
        let two = Int(SPINETAIL_CONVOLUTION_WINOGRAD2)
        if algorithm == direct || !allowsWinograd(E.self) { return direct }
        if algorithm == four || algorithm == two { return algorithm }
        let c = groupChannels
        let f = groupFilters
        if c < 16 || f < 16 { return direct }
        let pairs = c &* f
        let tiles4 = images &* pieces(output.h, 4) &* pieces(output.w, 4)
        let tiles2 = images &* pieces(output.h, 2) &* pieces(output.w, 2)
        var directCost = output.count &* images &* pairs &* 9 / 32
        var fourCost = tiles4 &* pairs &* 9 / 8 &+ 15 &* tiles4 &* (c &+ f)
        var twoCost = tiles2 &* pairs / 2 &+ 6 &* tiles2 &* (c &+ f)
        if prepared {
            directCost = Swift.max(directCost, pairs &* 5 / 2)
            fourCost = Swift.max(fourCost, pairs &* 10)
            twoCost = Swift.max(twoCost, pairs &* 22 / 5)
        } else {
            directCost &+= 9 &* pairs
            fourCost &+= 28 &* pairs
            twoCost &+= 12 &* pairs
        }
        let least = Swift.min(directCost, fourCost, twoCost)
        return least == directCost ? direct : least == fourCost ? four : two
    }

    func allowsWinograd<E: Real>(_ type: E.Type) -> Bool {
        MemoryLayout<E>.size == 4 && Tile<E>.isWide && kernel == Space(1, 3, 3) && stride == .ones
            && dilation == .ones && input.d == 1 && output.d == 1 && padding.d == 0 && !isDepthwise
    }

    /// Forward, by the chosen span.
    func forwardWinograd<E: Real>(
        _ algorithm: Int, result: UnsafeMutablePointer<E>, source: UnsafePointer<E>, weight: UnsafePointer<E>,
        bias: UnsafePointer<E>?, relu: Bool, prepared: UnsafePointer<E>? = nil,
        residual: UnsafePointer<E>? = nil,
        most: E = .infinity, finish: Finish<E>? = nil
    ) -> Int32 {
        if algorithm == Int(SPINETAIL_CONVOLUTION_WINOGRAD2) {
            var job: Winograd<E, 4> = winograd(result, source, weight, bias, relu: relu)
            job.prepared = prepared
            job.residual = residual
            job.most = most
            job.finish = finish
            return job.run()
        }
        var job: Winograd<E, 6> = winograd(result, source, weight, bias, relu: relu)
        job.prepared = prepared
        job.residual = residual
        job.most = most
        job.finish = finish
        return job.run()
    }

    func prepareWinograd<E: Real>(_ weight: UnsafePointer<E>, into out: UnsafeMutablePointer<E>) -> Int32 {
        if algorithm == Int(SPINETAIL_CONVOLUTION_WINOGRAD2) {
            let job: Winograd<E, 4> = winograd(out, weight, weight, nil, relu: false)
            return job.prepare(into: out)
        }
        let job: Winograd<E, 6> = winograd(out, weight, weight, nil, relu: false)
        return job.prepare(into: out)
    }

    func backwardWinograd<E: Real>(
        _ algorithm: Int, result: UnsafeMutablePointer<E>, source: UnsafePointer<E>, weight: UnsafePointer<E>,
        bias: UnsafePointer<E>?, relu: Bool
    ) -> Int32 {
        if algorithm == Int(SPINETAIL_CONVOLUTION_WINOGRAD2) {
            let job: Winograd<E, 4> = winogradBackward(result, source, weight, bias, relu: relu)
            return job.run()
        }
        let job: Winograd<E, 6> = winogradBackward(result, source, weight, bias, relu: relu)
        return job.run()
    }

    @inline(__always)
    private func winograd<E: Real, let span: Int>(
        _ result: UnsafeMutablePointer<E>, _ source: UnsafePointer<E>, _ weight: UnsafePointer<E>,
        _ bias: UnsafePointer<E>?, relu: Bool
    ) -> Winograd<E, span> {
        Winograd<E, span>(
            source: source, weight: weight, result: result, bias: bias, relu: relu, images: images, groups: groups,
            channels: groupChannels, rows: groupFilters, input: input, output: output, padding: padding,
            weightRow: 9 &* groupChannels, weightChannel: 9, weightGroup: 9 &* groupChannels &* groupFilters,
            turned: false, channelsLast: channelsLast)
    }

    @inline(__always)
    private func winogradBackward<E: Real, let span: Int>(
        _ result: UnsafeMutablePointer<E>, _ source: UnsafePointer<E>, _ weight: UnsafePointer<E>,
        _ bias: UnsafePointer<E>?, relu: Bool
    ) -> Winograd<E, span> {
        Winograd<E, span>(
            source: source, weight: weight, result: result, bias: bias, relu: relu, images: images, groups: groups,
            channels: groupFilters, rows: groupChannels, input: output, output: input,
            padding: Space(0, 2 &- padding.h, 2 &- padding.w), weightRow: 9, weightChannel: 9 &* groupChannels,
            weightGroup: 9 &* groupChannels &* groupFilters, turned: true, channelsLast: channelsLast)
    }
}
