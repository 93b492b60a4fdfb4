import CSpinetail

/// Depthwise convolution with channels in the lanes: a task makes some rows of pixels.
extension ChannelsLast {
    func runDepthwise() -> Int32 {
        let size = MemoryLayout<E>.size
        let workers = workerLimit()
        let weightBytes = prepared == nil ? roundUp(packedElements &* size, 64) : 0
        // Rows that a task makes: many, since the next one sees two of the same rows, but four tasks or more.
        let bands = pieces(grid.h, Swift.min(14, pieces(images &* grid.d &* grid.h, 4)))
        let band = pieces(grid.h, bands)
        let workerBytes = roundUp(
            band &* (8 &+ Swift.max(1, tapCount) &* MemoryLayout<DepthwiseTap>.stride), 64)
        guard let memory = Scratch.take(weightBytes &+ workers &* workerBytes) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let packed = memory.assumingMemoryBound(to: E.self)
        if prepared == nil {
            let status = packWeights(into: packed, workers: workers)
            if status != Status.ok { return status }
        }
        return parallel(
            images &* grid.d &* bands, cost: pixels &* groups &* (tapCount &+ 4) / 32, workers: workers,
            DepthwiseRows(
                job: self, weights: prepared ?? UnsafePointer(packed), weightRow: roundUp(groups, E.Lanes.width),
                bands: bands, band: band, scratch: memory + weightBytes, workerBytes: workerBytes))
    }
}

/// A tap that a row of pixels sees.
struct DepthwiseTap {
    var w: Int  // its offset along the row
    var source: Int  // and in elements, from the image's start
    var weight: Int
}

enum Pixels<let count: Int> {}

struct DepthwiseRows<E: Real>: ParallelTask {
    let job: ChannelsLast<E>
    let weights: UnsafePointer<E>
    let weightRow: Int
    let bands: Int  // of a plane
    let band: Int  // rows
    let scratch: UnsafeMutableRawPointer
    let workerBytes: Int

    func run(_ index: Int, worker: Int) {
        let plane = divide(index, by: bands)
        let image = divide(plane, by: job.grid.d)
        let d = plane &- image &* job.grid.d
        let first = (index &- plane &* bands) &* band
        let rows = Swift.min(band, job.grid.h &- first)
        let memory = scratch + worker &* workerBytes
        let counts = memory.assumingMemoryBound(to: Int.self)
        let taps = (memory + 8 &* band).assumingMemoryBound(to: DepthwiseTap.self)
        var i = 0
        while i < rows {
            (counts + i).initialize(to: listTaps(d, first &+ i, into: taps + i &* job.tapCount))
            i &+= 1
        }
        let from = job.source + image &* job.extent.count &* job.groups
        let to = job.result + job.place(image, d, first, 0)
        let resultRow = job.resultStep.h &* job.resultExtent.w &* job.resultChannels
        let whole = job.groups &- remainder(job.groups, by: E.Lanes.width)
        // Channels of three rows that the first-level cache holds.
        let bytes = 3 &* job.grid.w &* job.step.w &* MemoryLayout<E.Lanes>.size
        let block = Swift.max(2, divide(1 << 15, by: bytes)) &* E.Lanes.width
        var c = 0
        while c < whole {
            let end = Swift.min(whole, c &+ block)
            i = 0
            while i < rows {
                let row = UnsafePointer(taps + i &* job.tapCount)
                if isThree(row, counts[i]) { slide(row, counts[i], from, to + i &* resultRow, c, end) }
                i &+= 1
            }
            c = end
        }
        i = 0
        while i < rows {
            let row = UnsafePointer(taps + i &* job.tapCount)
            let done = isThree(row, counts[i]) ? whole : 0
            if done < job.groups { tiles(row, counts[i], from, to + i &* resultRow, channel: done) }
            job.finish?.apply(
                to: to + i &* resultRow, cRow: job.groups, row: (plane &* job.grid.h &+ first &+ i) &* job.grid.w,
                column: 0, rows: job.grid.w, columns: job.groups)
            i &+= 1
        }
    }

    /// All taps, from a channel on.
    private func tiles(
        _ taps: UnsafePointer<DepthwiseTap>, _ count: Int, _ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>,
        channel: Int
    ) {
        // Pixels whose taps are all inside.
        var low = 0
        var high = 0
        var t = 0
        while t < count {
            low = Swift.min(low, taps[t].w)
            high = Swift.max(high, taps[t].w)
            t &+= 1
        }
        let last = job.extent.w &- 1 &- high
        let inner = Swift.min(job.grid.w, pieces(0 &- low, job.step.w))
        let outer = Swift.max(inner, last < 0 ? 0 : Swift.min(job.grid.w, divide(last, by: job.step.w) &+ 1))
        var w = 0
        while w < job.grid.w {
            if w < inner || w >= outer {
                row(Pixels<1>.self, w, channel, from, to, taps, count, checks: true)
                w &+= 1
            } else if w &+ 4 <= outer {
                row(Pixels<4>.self, w, channel, from, to, taps, count, checks: false)
                w &+= 4
            } else {
                row(Pixels<1>.self, w, channel, from, to, taps, count, checks: false)
                w &+= 1
            }
        }
    }

    private func listTaps(_ d: Int, _ h: Int, into taps: UnsafeMutablePointer<DepthwiseTap>) -> Int {
        var made = 0
        var t = 0
        while t < job.tapCount {
            let offset = job.taps[t].offset
            let z = d &* job.step.d &+ offset.d
            let y = h &* job.step.h &+ offset.h
            if z >= 0 && z < job.extent.d && y >= 0 && y < job.extent.h {
                let source = ((z &* job.extent.h &+ y) &* job.extent.w &+ offset.w) &* job.groups
                (taps + made).initialize(to: DepthwiseTap(w: offset.w, source: source, weight: t &* weightRow))
                made &+= 1
            }
            t &+= 1
        }
        return made
    }

    @inline(never)
    private func row<let pixels: Int>(
        _ some: Pixels<pixels>.Type, _ w: Int, _ channel: Int, _ from: UnsafePointer<E>,
        _ to: UnsafeMutablePointer<E>, _ taps: UnsafePointer<DepthwiseTap>, _ count: Int, checks: Bool
    ) {
        let width = E.Lanes.width
        let out = to + w &* job.resultStep.w &* job.groups
        var c = channel
        while c &+ width <= job.groups {
            tile(some, w, c, width, from, out, taps, count, checks: checks)
            c &+= width
        }
        if c < job.groups { tile(some, w, c, job.groups &- c, from, out, taps, count, checks: checks) }
    }

    @inline(__always)
    private func tile<let pixels: Int>(
        _ some: Pixels<pixels>.Type, _ w: Int, _ c: Int, _ valid: Int, _ from: UnsafePointer<E>,
        _ to: UnsafeMutablePointer<E>, _ taps: UnsafePointer<DepthwiseTap>, _ count: Int, checks: Bool
    ) {
        let width = E.Lanes.width
        let step = job.step.w &* job.groups
        let resultStep = job.resultStep.w &* job.groups
        var sums = InlineArray<pixels, E.Lanes> { _ in .zero }
        let x = w &* job.step.w
        let p = from + (x &* job.groups &+ c)
        var t = 0
        while t < count {
            let tap = taps[t]
            t &+= 1
            if checks && (x &+ tap.w < 0 || x &+ tap.w >= job.extent.w) { continue }
            let weight = E.Lanes.load(weights + (tap.weight &+ c))
            let q = p + tap.source
            for i in 0..<pixels {
                let value = valid == width ? E.Lanes.load(q + i &* step) : E.Lanes.loadUpTo(q + i &* step, valid)
                sums[unchecked: i] = E.Lanes.fma(value, weight, sums[unchecked: i])
            }
        }
        let bias = job.bias.map { E.Lanes.loadUpTo($0 + c, valid) } ?? .zero
        // max takes its second operand where the first is NaN, so a NaN sum stays NaN; -Inf leaves all as it is.
        let least = E.Lanes(repeating: job.relu ? 0 : -E.infinity)
        let most = E.Lanes(repeating: job.most)
        for i in 0..<pixels {
            var sum = sums[unchecked: i] + bias
            if let residual = job.residual {
                sum = sum + E.Lanes.loadUpTo(residual + (to - job.result &+ c &+ i &* resultStep), valid)
            }
            E.Lanes.min(most, E.Lanes.max(least, sum)).storeUpTo(to + (c &+ i &* resultStep), valid)
        }
    }
}
