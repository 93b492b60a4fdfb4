import CSpinetail

/// What one vector of a panel of pixels takes from one place of the source: lane i with its bit set is element
/// place + i · step of a channel. Runs whose places continue each other's share one.
private struct Segment {
    var place: Int
    var bits: UInt32
}

extension Source {
    /// out[(channel · tapCount + tap) · Tile.columns + column] for at most Tile.columns pixels in runs.
    func pack(
        _ runs: UnsafeMutablePointer<Run>, _ runCount: Int, columns: Int, taps: UnsafePointer<Tap>, tapCount: Int,
        firstChannel: Int, channels: Int, into out: UnsafeMutablePointer<E>
    ) {
        let row = Tile<E>.columns
        var t = 0
        while t < tapCount {
            let to = out + t &* row
            if Tile<E>.isWide && step.w <= 2 {
                packVectors(
                    runs, runCount, tap: taps[t], firstChannel: firstChannel, channels: channels, into: to,
                    row: tapCount &* row)
            } else {
                gather(
                    runs, runCount, columns: columns, tap: taps[t], firstChannel: firstChannel, channels: channels,
                    into: to, row: tapCount &* row)
            }
            t &+= 1
        }
    }

    /// Masked loads that fill a vector from all of its runs before it is stored.
    @inline(never)
    private func packVectors(
        _ runs: UnsafeMutablePointer<Run>, _ runCount: Int, tap: Tap, firstChannel: Int, channels: Int,
        into out: UnsafeMutablePointer<E>, row: Int
    ) {
        let width = E.Lanes.width
        let from = base + firstChannel &* channel
        // Each pixel is a run of its own at worst.
        withUnsafeTemporaryAllocation(of: Segment.self, capacity: 32) { segments in
            guard let segments = segments.baseAddress else { return }
            var vector = 0
            while vector < 2 {
                var made = 0
                var i = 0
                while i < runCount {
                    if vector == 0 { _ = locate(runs + i, tap) }
                    let run = runs + i
                    let first = Swift.max(run.pointee.first &+ run.pointee.from, vector &* width)
                    let last = Swift.min(run.pointee.first &+ run.pointee.to, (vector &+ 1) &* width)
                    if first < last {
                        let lane = first &- vector &* width
                        let bits =
                            ((UInt32(1) << UInt32(truncatingIfNeeded: last &- first)) &- 1)
                            << UInt32(truncatingIfNeeded: lane)
                        let skipped = first &- run.pointee.first &- run.pointee.from
                        let place = run.pointee.place &+ (skipped &- lane) &* step.w
                        if made > 0 && segments[made &- 1].place == place {
                            segments[made &- 1].bits |= bits
                        } else {
                            (segments + made).initialize(to: Segment(place: place, bits: bits))
                            made &+= 1
                        }
                    }
                    i &+= 1
                }
                let to = out + vector &* width
                if step.w == 1 {
                    fill(to, row, channels, from, segments, made)
                } else {
                    fillSecond(to, row, channels, from, segments, made)
                }
                vector &+= 1
            }
        }
    }

    @inline(__always)
    private func fill(
        _ out: UnsafeMutablePointer<E>, _ row: Int, _ channels: Int, _ from: UnsafePointer<E>,
        _ segments: UnsafePointer<Segment>, _ count: Int
    ) {
        var p = from
        var q = out
        let first = count > 0 ? segments[0] : Segment(place: 0, bits: 0)
        let second = count > 1 ? segments[1] : first
        var c = 0
        while c < channels {
            // The next panel's: channels are so far apart that the processor does not foresee them.
            spinetail_prefetch_far(p + (first.place &+ Tile<E>.columns))
            var x = E.Lanes.zero.loaded(p + first.place, bits: first.bits)
            if count > 1 { x = x.loaded(p + second.place, bits: second.bits) }
            var s = 2
            while s < count {
                x = x.loaded(p + segments[s].place, bits: segments[s].bits)
                s &+= 1
            }
            x.store(q)
            p += channel
            q += row
            c &+= 1
        }
    }

    @inline(__always)
    private func fillSecond(
        _ out: UnsafeMutablePointer<E>, _ row: Int, _ channels: Int, _ from: UnsafePointer<E>,
        _ segments: UnsafePointer<Segment>, _ count: Int
    ) {
        var p = from
        var q = out
        // The next panel's pixels lie about as far on, with the rows that the stride leaves out.
        let across = Swift.max(1, pieces(extent.w, step.w))
        let next =
            divide(Tile<E>.columns, by: across) &* step.h &* extent.w
            &+ remainder(Tile<E>.columns, by: across) &* step.w
        var c = 0
        while c < channels {
            var x = E.Lanes.zero
            var s = 0
            if count > 0 {
                spinetail_prefetch_far(p + (segments[0].place &+ next))
                spinetail_prefetch_far(p + (segments[0].place &+ next &+ E.Lanes.width))
            }
            while s < count {
                x = x.loadedSecond(p + segments[s].place, bits: segments[s].bits)
                s &+= 1
            }
            x.store(q)
            p += channel
            q += row
            c &+= 1
        }
    }
}
