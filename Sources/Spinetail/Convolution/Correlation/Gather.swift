import CSpinetail

/// One position of the kernel: its offset in the source, and its place in the weights of one channel.
struct Tap {
    var offset: Space
    var place: Int
}

/// Neighbouring pixels of one row of one image.
struct Run {
    var first: Int  // column of the panel where the run starts
    var count: Int
    var image: Int
    var pixel: Space
    // Filled in for one tap by `Source.locate`:
    var from = 0  // the pixels from ..< to have their source inside the image
    var to = 0
    var place = 0  // element of the source, within one channel, that pixel `from` takes
}

/// The grid of pixels of a result, numbered through all images.
struct Grid {
    var extent: Space

    /// Cuts `count` pixels from number `first` into runs; returns how many. `runs` has room for `count`.
    func list(first: Int, count: Int, into runs: UnsafeMutablePointer<Run>) -> Int {
        var w = remainder(first, by: extent.w)
        var rest = divide(first, by: extent.w)
        var h = remainder(rest, by: extent.h)
        rest = divide(rest, by: extent.h)
        var d = remainder(rest, by: extent.d)
        var image = divide(rest, by: extent.d)
        var column = 0
        var made = 0
        while column < count {
            let length = Swift.min(extent.w &- w, count &- column)
            (runs + made).initialize(to: Run(first: column, count: length, image: image, pixel: Space(d, h, w)))
            made &+= 1
            column &+= length
            w = 0
            h &+= 1
            if h == extent.h {
                h = 0
                d &+= 1
                if d == extent.d {
                    d = 0
                    image &+= 1
                }
            }
        }
        return made
    }
}

/// The array that pixels are read from: some channels of images, zero outside their extent.
struct Source<E: Real> {
    var base: UnsafePointer<E>
    var image: Int  // elements from one image to the next
    var channel: Int  // and from one channel to the next
    var extent: Space
    var step: Space  // source elements per pixel

    /// Finds which pixels of a run have their source inside, for one tap; returns how many.
    @inline(__always)
    func locate(_ run: UnsafeMutablePointer<Run>, _ tap: Tap) -> Int {
        let d = run.pointee.pixel.d &* step.d &+ tap.offset.d
        let h = run.pointee.pixel.h &* step.h &+ tap.offset.h
        let w = run.pointee.pixel.w &* step.w &+ tap.offset.w
        run.pointee.from = 0
        run.pointee.to = 0
        if d < 0 || d >= extent.d || h < 0 || h >= extent.h { return 0 }
        var from = 0
        var to = run.pointee.count
        if step.w == 1 {
            if w < 0 { from = 0 &- w }
            to = Swift.min(to, extent.w &- w)
        } else {
            if w < 0 { from = pieces(0 &- w, step.w) }
            to = w >= extent.w ? 0 : Swift.min(to, pieces(extent.w &- w, step.w))
        }
        if to <= from { return 0 }
        run.pointee.from = from
        run.pointee.to = to
        run.pointee.place =
            run.pointee.image &* image &+ (d &* extent.h &+ h) &* extent.w &+ w &+ from &* step.w
        return to &- from
    }

    /// out[channel · row + column] for `columns` pixels in runs and `channels` channels, seen through one tap.
    func gather(
        _ runs: UnsafeMutablePointer<Run>, _ runCount: Int, columns: Int, tap: Tap, firstChannel: Int, channels: Int,
        into out: UnsafeMutablePointer<E>, row: Int
    ) {
        var inside = 0
        var i = 0
        while i < runCount {
            inside &+= locate(runs + i, tap)
            i &+= 1
        }
        if inside < columns { clear(out, rows: channels, columns: columns, row: row) }
        i = 0
        while i < runCount {
            let run = runs + i
            let count = run.pointee.to &- run.pointee.from
            if count > 0 {
                let from = base + (firstChannel &* channel &+ run.pointee.place)
                let to = out + (run.pointee.first &+ run.pointee.from)
                if step.w == 1 {
                    copy(from, to, count: count, channels: channels, row: row)
                } else {
                    pick(from, to, count: count, channels: channels, row: row)
                }
            }
            i &+= 1
        }
    }

    private func clear(_ out: UnsafeMutablePointer<E>, rows: Int, columns: Int, row: Int) {
        var r = 0
        while r < rows {
            fill(out + r &* row, columns, 0)
            r &+= 1
        }
    }

    /// Neighbours in the source are neighbours in the panel.
    @inline(__always)
    private func copy(
        _ source: UnsafePointer<E>, _ target: UnsafeMutablePointer<E>, count: Int, channels: Int, row: Int
    ) {
        let width = E.Lanes.width
        var from = source
        var to = target
        var c = 0
        if count == 2 &* width {
            while c < channels {
                let a = E.Lanes.load(from)
                let b = E.Lanes.load(from + width)
                a.store(to)
                b.store(to + width)
                from += channel
                to += row
                c &+= 1
            }
            return
        }
        while c < channels {
            copyRow(from, to, count)
            from += channel
            to += row
            c &+= 1
        }
    }

    /// Every step.w-th element of the source.
    @inline(__always)
    private func pick(
        _ source: UnsafePointer<E>, _ target: UnsafeMutablePointer<E>, count: Int, channels: Int, row: Int
    ) {
        var from = source
        var to = target
        var c = 0
        while c < channels {
            pickRow(from, to, count, step: step.w)
            from += channel
            to += row
            c &+= 1
        }
    }
}

/// Whether a masked load or store is one instruction; elsewhere short tails go element by element.
@inline(__always) private func masks<E: Real>(_ type: E.Type) -> Bool { MemoryLayout<E.Lanes>.size == 64 }

/// to[i] = from[i]
@inline(__always)
func copyRow<E: Real>(_ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ count: Int) {
    let width = E.Lanes.width
    var i = 0
    while i &+ width <= count {
        E.Lanes.load(from + i).store(to + i)
        i &+= width
    }
    if masks(E.self) {
        if i < count { E.Lanes.load(from + i, count: count &- i, fill: 0).store(to + i, count: count &- i) }
        return
    }
    while i < count {
        to[i] = from[i]
        i &+= 1
    }
}

/// to[i] = value
@inline(__always)
func fill<E: Real>(_ to: UnsafeMutablePointer<E>, _ count: Int, _ value: E) {
    let width = E.Lanes.width
    let values = E.Lanes(repeating: value)
    var i = 0
    while i &+ width <= count {
        values.store(to + i)
        i &+= width
    }
    if masks(E.self) {
        if i < count { values.store(to + i, count: count &- i) }
        return
    }
    while i < count {
        to[i] = value
        i &+= 1
    }
}

/// to[i] = from[i · step]
@inline(__always)
func pickRow<E: Real>(_ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ count: Int, step: Int) {
    let width = E.Lanes.width
    var i = 0
    if step == 2 {
        while i &+ width <= count {
            E.Lanes.loadSecond(from + 2 &* i).store(to + i)
            i &+= width
        }
        if masks(E.self) && i < count {
            E.Lanes.loadSecond(from + 2 &* i, count: count &- i).store(to + i, count: count &- i)
            return
        }
    }
    while i < count {
        to[i] = from[i &* step]
        i &+= 1
    }
}
