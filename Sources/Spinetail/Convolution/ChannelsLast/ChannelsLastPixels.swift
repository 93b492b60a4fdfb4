import CSpinetail

/// Numbers that are neighbours both in the source and in a packed row: the channels of a tap, or of taps side by side.
struct Span {
    var offset: Space  // of the first tap
    var from: Int  // the element, counted from that tap's first channel in the array
    var count: Int
    var column: Int  // place in the packed row
}

extension ChannelsLast {
    /// The spans of packed rows that hold elements from ..< to of (tap, channel) of a group; returns how many.
    func listSpans(from: Int, to: Int, group: Int, into spans: UnsafeMutablePointer<Span>) -> Int {
        var made = 0
        var k = from
        while k < to {
            let t = divide(k, by: channels)
            let channel = k &- t &* channels
            let some = Swift.min(channels &- channel, to &- k)
            let offset = taps[t].offset
            if made > 0 && groups == 1 {
                let last = taps[t &- 1].offset
                if last.d == offset.d && last.h == offset.h && last.w &+ 1 == offset.w {
                    spans[made &- 1].count = spans[made &- 1].count &+ some
                    k &+= some
                    continue
                }
            }
            (spans + made).initialize(
                to: Span(offset: offset, from: group &* channels &+ channel, count: some, column: k &- from))
            made &+= 1
            k &+= some
        }
        return made
    }

    /// Rows of the product's left operand for `count` pixels, `pitch` elements apart, zeros outside the source.
    func pack(
        first: Int, count: Int, _ spans: UnsafePointer<Span>, _ spanCount: Int, into out: UnsafeMutablePointer<E>,
        pitch: Int
    ) {
        var w = remainder(first, by: grid.w)
        var line = divide(first, by: grid.w)
        var done = 0
        while done < count {
            let h = remainder(line, by: grid.h)
            let plane = divide(line, by: grid.h)
            let d = remainder(plane, by: grid.d)
            let image = divide(plane, by: grid.d)
            let some = Swift.min(grid.w &- w, count &- done)
            var s = 0
            while s < spanCount {
                let span = spans[s]
                let y = h &* step.h &+ span.offset.h
                let z = d &* step.d &+ span.offset.d
                let isInside = y >= 0 && y < extent.h && z >= 0 && z < extent.d
                let row = (image &* extent.d &+ z) &* extent.h &+ y
                bring(
                    isInside ? source + row &* extent.w &* sourceChannels : nil,
                    at: (w &* step.w &+ span.offset.w) &* sourceChannels &+ span.from, pixels: some, span.count,
                    into: out + (done &* pitch &+ span.column), pitch)
                s &+= 1
            }
            done &+= some
            w = 0
            line &+= 1
        }
    }

    /// One span for pixels side by side; of a row of the source, elements below 0 and behind its end are zeros.
    @inline(never)
    func bring(
        _ row: UnsafePointer<E>?, at first: Int, pixels: Int, _ count: Int, into out: UnsafeMutablePointer<E>,
        _ pitch: Int
    ) {
        let length = row == nil ? 0 : extent.w &* sourceChannels
        let pixelStep = step.w &* sourceChannels
        // Pixels whose span lies inside the row.
        var inner = 0
        var outer = 0
        let last = length &- count &- first
        if let row, last >= 0 {
            inner = Swift.min(pixels, pieces(Swift.max(0, 0 &- first), pixelStep))
            outer = Swift.max(inner, Swift.min(pixels, divide(last, by: pixelStep) &+ 1))
            copy(
                row + (first &+ inner &* pixelStep), pixelStep, outer &- inner, count, into: out + inner &* pitch, pitch
            )
        }
        var i = 0
        while i < pixels {
            if i == inner && outer > inner {
                i = outer
                continue
            }
            let at = first &+ i &* pixelStep
            let to = out + i &* pitch
            let low = Swift.min(count, Swift.max(0, 0 &- at))
            let high = Swift.max(low, Swift.min(count, length &- at))
            if let row, low < high { copyRow(row + (at &+ low), to + low, high &- low) }
            if low > 0 { fill(to, low, 0) }
            if high < count { fill(to + high, count &- high, 0) }
            i &+= 1
        }
    }

    /// Spans that are all there; short ones as one or two vectors.
    @inline(__always)
    private func copy(
        _ from: UnsafePointer<E>, _ step: Int, _ pixels: Int, _ count: Int, into out: UnsafeMutablePointer<E>,
        _ pitch: Int
    ) {
        let width = E.Lanes.width
        var from = from
        var out = out
        var left = pixels
        if Tile<E>.isWide && count <= width {
            while left > 0 {
                E.Lanes.load(from, count: count, fill: 0).store(out, count: count)
                from += step
                out += pitch
                left &-= 1
            }
        } else if Tile<E>.isWide && count < 2 &* width {
            let rest = count &- width
            while left > 0 {
                E.Lanes.load(from).store(out)
                E.Lanes.load(from + width, count: rest, fill: 0).store(out + width, count: rest)
                from += step
                out += pitch
                left &-= 1
            }
        } else {
            while left > 0 {
                copyRow(from, out, count)
                from += step
                out += pitch
                left &-= 1
            }
        }
    }
}
