import CSpinetail

/// Few channels: in a copy of some rows of an image with its margins, the channels of a kernel's row follow each
/// other for every pixel, and nothing is packed for each tap.
struct ChannelsLastStrip {
    let rows: Int  // of results
    let sourceRows: Int
    let line: Int  // elements of one of them
    let step: Int  // from one pixel to the next
    let segment: Int  // elements of the kernel's row
    let jump: Int  // from its end to the beginning of the next row's

    /// nil where pixels have to be packed.
    init?<E: Real>(_ job: ChannelsLast<E>) {
        let taps = UnsafePointer(job.taps)
        if job.groups > 1 || !job.isNatural || job.tapCount != job.kernel || job.tapCount == 1 || job.channels > 16
            || job.channels &* job.kernel &* MemoryLayout<E>.size > 8192 || job.extent.d != 1 || job.grid.d != 1
            || job.grid.w < 8
        {
            return nil
        }
        // Taps in rows of `wide`, side by side, and rows as far apart as the first two.
        var wide = 1
        while wide < job.tapCount && taps[wide].offset.h == taps[0].offset.h { wide &+= 1 }
        let apart = wide < job.tapCount ? taps[wide].offset.h &- taps[0].offset.h : 1
        var t = 0
        while t < job.tapCount {
            let h = divide(t, by: wide)
            let offset = taps[t].offset
            if offset.d != 0 || offset.h != taps[0].offset.h &+ h &* apart
                || offset.w != taps[0].offset.w &+ t &- h &* wide
            {
                return nil
            }
            t &+= 1
        }
        line = ((job.grid.w &- 1) &* job.step.w &+ wide) &* job.channels
        step = job.step.w &* job.channels
        segment = wide &* job.channels
        jump = apart &* line &- segment
        let most = job.images == 1 ? pieces(job.grid.h, 4) : job.grid.h
        rows = Swift.max(1, Swift.min(most, pieces(256, job.grid.w)))
        sourceRows = (rows &- 1) &* job.step.h &+ (pieces(job.tapCount, wide) &- 1) &* apart &+ 1
        if sourceRows &* line &* MemoryLayout<E>.size > 1 << 20 { return nil }
    }
}

extension ChannelsLast {
    func copyRows(_ strip: ChannelsLastStrip, image: Int, h: Int, rows: Int, into out: UnsafeMutablePointer<E>) {
        let offset = taps.pointee.offset
        var i = 0
        while i < strip.sourceRows &- (strip.rows &- rows) &* step.h {
            let y = h &* step.h &+ offset.h &+ i
            let isInside = y >= 0 && y < extent.h
            bring(
                isInside ? source + (image &* extent.h &+ y) &* extent.w &* sourceChannels : nil,
                at: offset.w &* sourceChannels, pixels: 1, strip.line,
                into: out + i &* strip.line, 0)
            i &+= 1
        }
    }
}
