import CSpinetail

/// Transforms the products of one panel of rows back, products[(point · block + tile) · 32 + row], and stores them.
struct WinogradOutput<E: Real> {
    let job: Winograd<E>
    let group: Int
    let first: Int
    let count: Int
    let block: Int
    let panel: Int
    let stage: UnsafeMutablePointer<E>

    func run(_ products: UnsafePointer<E>) {
        let perImage = job.tilesDown &* job.tilesAcross
        var tile = 0
        while tile < count {
            let number = first &+ tile
            let image = divide(number, by: perImage)
            let inImage = number &- image &* perImage
            let row = divide(inImage, by: job.tilesAcross)
            let column = inImage &- row &* job.tilesAcross
            // Four tiles' rows make a vector of pixels.
            let some = Swift.min(count &- tile, job.tilesAcross &- column, 4)
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
        var y = 4 &* row
        while y < Swift.min(4 &* row &+ 4, job.output.h) {
            let pixel = (image &* job.output.h &+ y) &* job.output.w &+ 4 &* column
            let place = group &* job.rows &+ channel
            finish.apply(
                to: job.result + (pixel &* channels &+ place), cRow: channels, row: pixel, column: place,
                rows: Swift.min(4 &* tiles, job.output.w &- 4 &* column),
                columns: Swift.min(Tile<E>.columns, job.rows &- channel))
            y &+= 1
        }
    }

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
                products + t &* Tile<E>.columns, bias, into: stage + 4 &* t &* width, pixel: width, row: 256)
            t &+= 1
        }
        let area = job.output.h &* job.output.w
        let pixels = Swift.min(4 &* tiles, job.output.w &- 4 &* column)
        let turned = stage + 4 &* 256
        let plane =
            job.result + ((image &* job.groups &+ group) &* job.rows &+ channel) &* area
        var r = 0
        while r < Swift.min(4, job.output.h &- 4 &* row) {
            E.Lanes.transpose(stage + r &* 256, stride: width, valid: 4 &* tiles, into: turned, outStride: width)
            var to = plane + ((4 &* row &+ r) &* job.output.w &+ 4 &* column)
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
    private func place(
        _ products: UnsafePointer<E>, _ tiles: Int, _ bias: E.Lanes, _ valid: Int, image: Int, channel: Int, row: Int,
        column: Int
    ) {
        let width = E.Lanes.width
        let step = job.groups &* job.rows
        let rowStep = job.output.w &* step
        let rows = Swift.min(4, job.output.h &- 4 &* row)
        var t = 0
        while t < tiles {
            let x = 4 &* (column &+ t)
            let pixel = (image &* job.output.h &+ 4 &* row) &* job.output.w &+ x
            let to = job.result + (pixel &* step &+ group &* job.rows &+ channel)
            let pixels = Swift.min(4, job.output.w &- x)
            let from = products + t &* Tile<E>.columns
            if rows == 4 && pixels == 4 && valid == width {
                transform(from, bias, into: to, pixel: step, row: rowStep)
            } else {
                transform(from, bias, into: stage, pixel: width, row: 256)
                var r = 0
                while r < rows {
                    var i = 0
                    while i < pixels {
                        E.Lanes.load(stage + (r &* 256 &+ i &* width)).storeUpTo(
                            to + (r &* rowStep &+ i &* step), valid)
                        i &+= 1
                    }
                    r &+= 1
                }
            }
            t &+= 1
        }
    }

    /// Four rows of four pixels.
    @inline(__always)
    private func transform(
        _ products: UnsafePointer<E>, _ bias: E.Lanes, into out: UnsafeMutablePointer<E>, pixel: Int, row: Int
    ) {
        typealias Map = WinogradTransform<E>
        let point = block &* Tile<E>.columns
        let a = Map.output(take(products, 6 &* point))
        let b = Map.output(take(products + point, 6 &* point))
        let c = Map.output(take(products + 2 &* point, 6 &* point))
        let d = Map.output(take(products + 3 &* point, 6 &* point))
        let e = Map.output(take(products + 4 &* point, 6 &* point))
        let f = Map.output(take(products + 5 &* point, 6 &* point))
        put(Map.output((a.0, b.0, c.0, d.0, e.0, f.0)), bias, out, pixel)
        put(Map.output((a.1, b.1, c.1, d.1, e.1, f.1)), bias, out + row, pixel)
        put(Map.output((a.2, b.2, c.2, d.2, e.2, f.2)), bias, out + 2 &* row, pixel)
        put(Map.output((a.3, b.3, c.3, d.3, e.3, f.3)), bias, out + 3 &* row, pixel)
    }

    @inline(__always)
    private func put(
        _ x: (E.Lanes, E.Lanes, E.Lanes, E.Lanes), _ bias: E.Lanes, _ out: UnsafeMutablePointer<E>, _ step: Int
    ) {
        // max takes its second operand where the first is NaN, so a NaN stays NaN; -Inf leaves all as it is.
        let least = E.Lanes(repeating: job.relu ? 0 : -E.infinity)
        E.Lanes.max(least, x.0 + bias).store(out)
        E.Lanes.max(least, x.1 + bias).store(out + step)
        E.Lanes.max(least, x.2 + bias).store(out + 2 &* step)
        E.Lanes.max(least, x.3 + bias).store(out + 3 &* step)
    }
}
