import CSpinetail

/// Transforms the pixels of a block of tiles, one vector of channels at a time: into[(point · block + tile) · pitch +
/// channel]. Up to `run` tiles of one row are brought into `stage` first, a pixel's channels side by side, zeros outside.
struct WinogradInput<E: Real, let span: Int> {
    let job: Winograd<E, span>
    let group: Int
    let first: Int
    let count: Int
    let block: Int
    let stage: UnsafeMutablePointer<E>

    @inline(__always) private static var size: Int { Winograd<E, span>.size }
    private static var runTiles: Int { 15 }
    private static var stageRow: Int { (size &* runTiles &+ 4) &* 16 }
    /// For the pixels, and a square to transpose what is left at a row's end.
    static var stageElements: Int { span &* stageRow &+ 2 &* 256 }

    @_optimize(speed)
    func run(channel: Int, into out: UnsafeMutablePointer<E>) {
        let perImage = job.tilesDown &* job.tilesAcross
        var tile = 0
        while tile < count {
            let number = first &+ tile
            let image = divide(number, by: perImage)
            let inImage = number &- image &* perImage
            let row = divide(inImage, by: job.tilesAcross)
            let column = inImage &- row &* job.tilesAcross
            let some = Swift.min(count &- tile, job.tilesAcross &- column, Self.runTiles)
            var t = 0
            if let direct = standing(image: image, channel: channel, row: row, column: column, tiles: some) {
                let pixel = job.groups &* job.channels
                while t < some {
                    transform(
                        direct + Self.size &* t &* pixel, pixel: pixel, row: job.input.w &* pixel,
                        into: out + ((tile &+ t) &* job.pitch &+ channel))
                    t &+= 1
                }
                tile &+= some
                continue
            }
            bring(image: image, channel: channel, row: row, column: column, tiles: some)
            while t < some {
                transform(
                    stage + Self.size &* t &* 16, pixel: 16, row: Self.stageRow,
                    into: out + ((tile &+ t) &* job.pitch &+ channel))
                t &+= 1
            }
            tile &+= some
        }
    }

    /// The pixels where they stand, if their channels fill a vector and none is outside.
    private func standing(image: Int, channel: Int, row: Int, column: Int, tiles: Int) -> UnsafePointer<E>? {
        let y = Self.size &* row &- job.padding.h
        let x = Self.size &* column &- job.padding.w
        if !job.channelsLast || channel &+ E.Lanes.width > job.channels || y < 0 || y &+ span > job.input.h || x < 0
            || x &+ Self.size &* tiles &+ 2 > job.input.w
        {
            return nil
        }
        let pixel = (image &* job.input.h &+ y) &* job.input.w &+ x
        return job.source + (pixel &* job.groups &* job.channels &+ group &* job.channels &+ channel)
    }

    @_optimize(speed)
    private func bring(image: Int, channel: Int, row: Int, column: Int, tiles: Int) {
        let area = job.input.h &* job.input.w
        let valid = Swift.min(E.Lanes.width, job.channels &- channel)
        let plane =
            job.source + ((image &* job.groups &+ group) &* job.channels &+ channel) &* area
        let columns = Self.size &* tiles &+ 2
        let x = Self.size &* column &- job.padding.w
        let from = Swift.max(0, 0 &- x)
        let to = Swift.max(from, Swift.min(columns, job.input.w &- x))
        var r = 0
        while r < span {
            let y = Self.size &* row &- job.padding.h &+ r
            let line = stage + r &* Self.stageRow
            if y < 0 || y >= job.input.h {
                fill(line, columns &* 16, 0)
            } else {
                fill(line, from &* 16, 0)
                fill(line + to &* 16, (columns &- to) &* 16, 0)
                if job.channelsLast {
                    let pixel = (image &* job.input.h &+ y) &* job.input.w &+ x &+ from
                    copy(pixel, to &- from, channel, valid, into: line + from &* 16)
                } else {
                    turn(plane + (y &* job.input.w &+ x &+ from), to &- from, area, valid, into: line + from &* 16)
                }
            }
            r &+= 1
        }
    }

    /// The same from pixels whose channels are neighbours already.
    private func copy(_ pixel: Int, _ count: Int, _ channel: Int, _ valid: Int, into out: UnsafeMutablePointer<E>) {
        let step = job.groups &* job.channels
        let p = job.source + (pixel &* step &+ group &* job.channels &+ channel)
        var i = 0
        while i < count {
            E.Lanes.loadUpTo(p + i &* step, valid).store(out + i &* E.Lanes.width)
            i &+= 1
        }
    }

    /// out[pixel · 16 + channel] = p[channel · area + pixel]
    @_optimize(speed)
    private func turn(
        _ p: UnsafePointer<E>, _ count: Int, _ area: Int, _ valid: Int, into out: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        var i = 0
        while i &+ width <= count {
            E.Lanes.transpose(p + i, stride: area, valid: valid, into: out + i &* width, outStride: width)
            i &+= width
        }
        if i == count { return }
        let square = stage + span &* Self.stageRow
        var c = 0
        while c < valid {
            E.Lanes.load(p + (c &* area &+ i), count: count &- i, fill: 0).store(square + c &* width)
            c &+= 1
        }
        E.Lanes.transpose(square, stride: width, valid: valid, into: square + 256, outStride: width)
        copyRow(square + 256, out + i &* width, (count &- i) &* width)
    }

    @_optimize(speed)
    @inline(__always)
    private func transform(
        _ pixels: UnsafePointer<E>, pixel: Int, row: Int, into out: UnsafeMutablePointer<E>
    ) {
        typealias Map = WinogradTransform<E, span>
        let a = Map.input(Map.take(pixels, row))
        let b = Map.input(Map.take(pixels + pixel, row))
        let c = Map.input(Map.take(pixels + 2 &* pixel, row))
        let d = Map.input(Map.take(pixels + 3 &* pixel, row))
        let e = span == 4 ? Map.zeros : Map.input(Map.take(pixels + 4 &* pixel, row))
        let f = span == 4 ? Map.zeros : Map.input(Map.take(pixels + 5 &* pixel, row))
        let step = block &* job.pitch
        let line = span &* step
        Map.put(Map.input((a.0, b.0, c.0, d.0, e.0, f.0)), out, step)
        Map.put(Map.input((a.1, b.1, c.1, d.1, e.1, f.1)), out + line, step)
        Map.put(Map.input((a.2, b.2, c.2, d.2, e.2, f.2)), out + 2 &* line, step)
        Map.put(Map.input((a.3, b.3, c.3, d.3, e.3, f.3)), out + 3 &* line, step)
        if span == 4 { return }
        Map.put(Map.input((a.4, b.4, c.4, d.4, e.4, f.4)), out + 4 &* line, step)
        Map.put(Map.input((a.5, b.5, c.5, d.5, e.5, f.5)), out + 5 &* line, step)
    }
}
