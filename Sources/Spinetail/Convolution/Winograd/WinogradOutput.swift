import CSpinetail

/// Transforms the products of one panel of rows back, products[(point · block + tile) · 32 + row], and stores them.
struct WinogradOutput<E: Real, let span: Int> {
    let job: Winograd<E, span>
    let group: Int
    let first: Int
    let count: Int
    let block: Int
    let panel: Int
    let stage: UnsafeMutablePointer<E>

    @inline(__always) private static var size: Int { Winograd<E, span>.size }

    @_optimize(speed)
    func run(_ products: UnsafePointer<E>) {
        let perImage = job.tilesDown &* job.tilesAcross
        var tile = 0
        while tile < count {
            let number = first &+ tile
            let image = divide(number, by: perImage)
            let inImage = number &- image &* perImage
            let row = divide(inImage, by: job.tilesAcross)
            let column = inImage &- row &* job.tilesAcross
            // So many tiles' rows make a vector of pixels.
            let some = Swift.min(count &- tile, job.tilesAcross &- column, 16 / Self.size)
            var half = 0
            while half < Tile<E>.columns {
                let channel = panel &* Tile<E>.columns &+ half
                if channel < job.rows {
                    store(
                        products + (tile &* Tile<E>.columns &+ half), some, image: image, channel: channel, row: row,
                        column: column)
                }
                half &+= E.Lanes.width
            }
            if let finish = job.finish { end(finish, some, image: image, row: row, column: column) }
            tile &+= some
        }
    }

    /// What is left to do to some tiles' results, which stand in their place with channels last.
    private func end(_ finish: Finish<E>, _ tiles: Int, image: Int, row: Int, column: Int) {
        let channels = job.groups &* job.rows
        let channel = panel &* Tile<E>.columns
        var y = Self.size &* row
        let below = Swift.min(y &+ Self.size, job.output.h)
        while y < below {
            let pixel = (image &* job.output.h &+ y) &* job.output.w &+ Self.size &* column
            let place = group &* job.rows &+ channel
            finish.apply(
                to: job.result + (pixel &* channels &+ place), cRow: channels, row: pixel, column: place,
                rows: Swift.min(Self.size &* tiles, job.output.w &- Self.size &* column),
                columns: Swift.min(Tile<E>.columns, job.rows &- channel))
            y &+= 1
        }
    }

    @_optimize(speed)
    private func store(
        _ products: UnsafePointer<E>, _ tiles: Int, image: Int, channel: Int, row: Int, column: Int
    ) {
        let width = E.Lanes.width
        let valid = Swift.min(width, job.rows &- channel)
        var bias = E.Lanes.zero
        if let values = job.bias { bias = E.Lanes.loadUpTo(values + (group &* job.rows &+ channel), valid) }
        if job.channelsLast {
            return place(products, tiles, bias, valid, image: image, channel: channel, row: row, column: column)
        }
        var t = 0
        while t < tiles {
            transform(
                products + t &* Tile<E>.columns, bias, limits, into: stage + Self.size &* t &* width, pixel: width,
                row: 256)
            t &+= 1
        }
        let area = job.output.h &* job.output.w
        let pixels = Swift.min(Self.size &* tiles, job.output.w &- Self.size &* column)
        let turned = stage + Self.size &* 256
        let plane =
            job.result + ((image &* job.groups &+ group) &* job.rows &+ channel) &* area
        var r = 0
        while r < Swift.min(Self.size, job.output.h &- Self.size &* row) {
            E.Lanes.transpose(
                stage + r &* 256, stride: width, valid: Self.size &* tiles, into: turned, outStride: width)
            var to = plane + ((Self.size &* row &+ r) &* job.output.w &+ Self.size &* column)
            var c = 0
            while c < valid {
                E.Lanes.load(turned + c &* width).storeUpTo(to, pixels)
                to += area
                c &+= 1
            }
            r &+= 1
        }
    }

    /// Results whose channels stay neighbours: straight to their place, or through the stage where not all are there.
    @_optimize(speed)
    private func place(
        _ products: UnsafePointer<E>, _ tiles: Int, _ bias: E.Lanes, _ valid: Int, image: Int, channel: Int, row: Int,
        column: Int
    ) {
        let width = E.Lanes.width
        let step = job.groups &* job.rows
        let rowStep = job.output.w &* step
        let apart = job.residual.map { $0 - UnsafePointer(job.result) }
        let rows = Swift.min(Self.size, job.output.h &- Self.size &* row)
        var t = 0
        while t < tiles {
            let x = Self.size &* (column &+ t)
            let pixel = (image &* job.output.h &+ Self.size &* row) &* job.output.w &+ x
            let to = job.result + (pixel &* step &+ group &* job.rows &+ channel)
            let pixels = Swift.min(Self.size, job.output.w &- x)
            let from = products + t &* Tile<E>.columns
            if rows == Self.size && pixels == Self.size && valid == width {
                transform(from, bias, limits, into: to, pixel: step, row: rowStep, adding: apart)
            } else {
                transform(from, bias, Limits(), into: stage, pixel: width, row: 256)
                var r = 0
                while r < rows {
                    var i = 0
                    while i < pixels {
                        let pixel = to + (r &* rowStep &+ i &* step)
                        var x = E.Lanes.load(stage + (r &* 256 &+ i &* width))
                        if let apart { x = x + E.Lanes.loadUpTo(pixel + apart, valid) }
                        limits.keep(x).storeUpTo(pixel, valid)
                        i &+= 1
                    }
                    r &+= 1
                }
            }
            t &+= 1
        }
    }

    /// max and min take their second operand where one is NaN, so a NaN stays NaN; without limits all stays as it is.
    private struct Limits {
        var least = E.Lanes(repeating: -E.infinity)
        var most = E.Lanes(repeating: E.infinity)
        @inline(__always) func keep(_ x: E.Lanes) -> E.Lanes { E.Lanes.min(most, E.Lanes.max(least, x)) }
    }

    @inline(__always) private var limits: Limits {
        job.relu ? Limits(least: .zero, most: E.Lanes(repeating: job.most)) : Limits()
    }

    /// A tile's rows of pixels: · + bias within limits, and with what lies `apart` from them added before, if that is given.
    @_optimize(speed)
    @inline(__always)
    private func transform(
        _ products: UnsafePointer<E>, _ bias: E.Lanes, _ limits: Limits, into out: UnsafeMutablePointer<E>, pixel: Int,
        row: Int, adding apart: Int? = nil
    ) {
        typealias Map = WinogradTransform<E, span>
        let point = block &* Tile<E>.columns
        let line = span &* point
        let a = Map.output(Map.take(products, line))
        let b = Map.output(Map.take(products + point, line))
        let c = Map.output(Map.take(products + 2 &* point, line))
        let d = Map.output(Map.take(products + 3 &* point, line))
        let none = (E.Lanes.zero, E.Lanes.zero, E.Lanes.zero, E.Lanes.zero)
        let e = span == 4 ? none : Map.output(Map.take(products + 4 &* point, line))
        let f = span == 4 ? none : Map.output(Map.take(products + 5 &* point, line))
        put(Map.output((a.0, b.0, c.0, d.0, e.0, f.0)), bias, limits, out, pixel, apart)
        put(Map.output((a.1, b.1, c.1, d.1, e.1, f.1)), bias, limits, out + row, pixel, apart)
        if span == 4 { return }
        put(Map.output((a.2, b.2, c.2, d.2, e.2, f.2)), bias, limits, out + 2 &* row, pixel, apart)
        put(Map.output((a.3, b.3, c.3, d.3, e.3, f.3)), bias, limits, out + 3 &* row, pixel, apart)
    }

    @inline(__always)
    private func put(
        _ x: (E.Lanes, E.Lanes, E.Lanes, E.Lanes), _ bias: E.Lanes, _ limits: Limits, _ out: UnsafeMutablePointer<E>,
        _ step: Int, _ apart: Int?
    ) {
        put(x.0 + bias, limits, out, apart)
        put(x.1 + bias, limits, out + step, apart)
        if span == 4 { return }
        put(x.2 + bias, limits, out + 2 &* step, apart)
        put(x.3 + bias, limits, out + 3 &* step, apart)
    }

    @inline(__always)
    private func put(_ x: E.Lanes, _ limits: Limits, _ out: UnsafeMutablePointer<E>, _ apart: Int?) {
        limits.keep(apart.map { x + E.Lanes.load(out + $0) } ?? x).store(out)
    }
}
