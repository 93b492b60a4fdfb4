import CSpinetail

extension ConvolutionShape {
    /// Whether depth, if there is any, only counts independent planes.
    var isPlanar: Bool { kernel.d == 1 && stride.d == 1 && padding.d == 0 && input.d == output.d }
    /// One channel a group, and a kernel whose padded plane is worth having.
    var isDepthwise: Bool {
        groups > 1 && groupChannels == 1 && isPlanar && stride.largest <= 64
            && (kernel.h &- 1) &* dilation.h <= 4096 && (kernel.w &- 1) &* dilation.w <= 4096
    }
}

/// A band of one plane with zeros around it, in scratch, laid out so that a kernel position is one offset: element
/// (y, x) of the padded plane at [y · row + (x % step) · phase + x / step], step being the stride along the width.
struct DepthwisePlane<E: Real> {
    var rows: Int  // of result in one band
    var bands: Int
    var height: Int  // of padded plane for one band
    var phase: Int
    var row: Int
    var stepH: Int
    var stepW: Int
    var kernel: Space

    private static var bandBytes: Int { 96 << 10 }

    /// For a result of the given extent, a kernel whose positions lie `dilation` apart, and strides stepH, stepW.
    init(result: Space, kernel: Space, dilation: Space, stepH: Int, stepW: Int) {
        self.kernel = kernel
        self.stepH = stepH
        self.stepW = stepW
        let width = E.Lanes.width
        let reach = (kernel.h &- 1) &* dilation.h &+ 1
        phase = roundUp(result.w, width) &+ pieces((kernel.w &- 1) &* dilation.w &+ 1, stepW) &+ width
        phase = roundUp(phase, width)
        row = phase &* stepW
        let fitting = divide(Self.bandBytes, by: row &* MemoryLayout<E>.size) &- reach
        rows = Swift.max(1, Swift.min(result.h, divide(fitting, by: stepH)))
        if fitting <= 0 { rows = Swift.max(1, Swift.min(result.h, reach)) }
        bands = pieces(result.h, rows)
        height = (rows &- 1) &* stepH &+ reach
    }

    var bytes: Int { roundUp(height &* row &* MemoryLayout<E>.size, 64) }

    /// Fills the band that starts at row `first` of the padded plane from an image whose corner lies at (top, left).
    func load(
        _ image: UnsafePointer<E>, _ extent: Space, top: Int, left: Int, first: Int, _ out: UnsafeMutablePointer<E>
    ) {
        var y = 0
        while y < height {
            let line = out + y &* row
            let h = first &+ y &- top
            if h < 0 || h >= extent.h {
                fill(line, row, 0)
            } else {
                var p = 0
                while p < stepW {
                    loadPhase(image + h &* extent.w, extent.w, left: left, p, line + p &* phase)
                    p &+= 1
                }
            }
            y &+= 1
        }
    }

    /// out[i] = source[i · stepW + phase - left], zero outside.
    @inline(__always)
    private func loadPhase(
        _ source: UnsafePointer<E>, _ extent: Int, left: Int, _ number: Int, _ out: UnsafeMutablePointer<E>
    ) {
        let start = number &- left
        let from = start < 0 ? Swift.min(phase, pieces(0 &- start, stepW)) : 0
        let to = start >= extent ? from : Swift.max(from, Swift.min(phase, pieces(extent &- start, stepW)))
        fill(out, from, 0)
        if to > from {
            if stepW == 1 {
                copyRow(source + (start &+ from), out + from, to &- from)
            } else {
                pickRow(source + (start &+ from &* stepW), out + from, to &- from, step: stepW)
            }
        }
        fill(out + to, phase &- to, 0)
    }

    /// Fills a band, in steps of one, from an image spread `stride` apart: the image of a strided convolution's gradient.
    func loadSpread(
        _ image: UnsafePointer<E>, _ extent: Space, stride: Space, top: Int, left: Int, first: Int,
        _ out: UnsafeMutablePointer<E>
    ) {
        if stride.h == 1 && stride.w == 1 { return load(image, extent, top: top, left: left, first: first, out) }
        fill(out, height &* row, 0)
        var h = first &- top <= 0 ? 0 : pieces(first &- top, stride.h)
        while h < extent.h {
            let y = h &* stride.h &+ top &- first
            if y >= height { return }
            let line = out + y &* row
            var w = left >= 0 ? 0 : pieces(0 &- left, stride.w)
            var x = w &* stride.w &+ left
            while w < extent.w && x < row {
                line[x] = image[h &* extent.w &+ w]
                x &+= stride.w
                w &+= 1
            }
            h &+= 1
        }
    }

    /// The offset of every kernel position; `flipped` takes them from the other end.
    func listOffsets(_ dilation: Space, flipped: Bool, into offsets: UnsafeMutablePointer<Int>) {
        var made = 0
        var h = 0
        while h < kernel.h {
            var w = 0
            while w < kernel.w {
                let y = (flipped ? kernel.h &- 1 &- h : h) &* dilation.h
                let x = (flipped ? kernel.w &- 1 &- w : w) &* dilation.w
                offsets[made] = y &* row &+ remainder(x, by: stepW) &* phase &+ divide(x, by: stepW)
                made &+= 1
                w &+= 1
            }
            h &+= 1
        }
    }
}
