import CSpinetail

/// Summing up what taps add to rows of the input: for each remainder by the stride, each vector of a row's places is the
/// sum of the same parts of the output's rows, one for each tap of the kernel's row that sees it.
struct FoldedSteps<E: Real> {
    private struct Part {
        var from: Int  // element, counted from the kernel's row's first sum, for the vector's first lane
        var bits: UInt32
    }

    private let shape: ConvolutionShape
    private let pitch: Int
    private let first: Int  // row of the input
    private let end: Int
    private let lines: UnsafeMutablePointer<E>  // a row, by remainders
    private let line: Int
    private let counts: UnsafeMutablePointer<Int>  // of parts, for each vector
    /// For each row how many of the output see it, and where their sums begin.
    private let rows: UnsafeMutablePointer<Int>
    private let parts: UnsafeMutablePointer<Part>

    private static func vectors(_ shape: ConvolutionShape) -> Int {
        shape.stride.w &* pieces(pieces(shape.input.w, shape.stride.w), E.Lanes.width)
    }

    static func bytes(_ shape: ConvolutionShape, rows: Int) -> Int {
        vectors(shape) &* (8 &+ shape.kernel.w &* MemoryLayout<Part>.stride) &+ rows &* (shape.kernel.h &+ 1) &* 8
            &+ 128
    }

    /// For rows first ..< end, where sums are of the output's rows top ..< bottom.
    init(
        _ shape: ConvolutionShape, _ memory: UnsafeMutableRawPointer, pitch: Int, first: Int, end: Int, top: Int,
        bottom: Int
    ) {
        self.shape = shape
        self.pitch = pitch
        self.first = first
        self.end = end
        line = roundUp(pieces(shape.input.w, shape.stride.w), E.Lanes.width)
        lines = memory.assumingMemoryBound(to: E.self)
        let behind = roundUp(shape.stride.w &* line &* MemoryLayout<E>.size, 64)
        counts = (memory + behind).assumingMemoryBound(to: Int.self)
        rows = counts + Self.vectors(shape)
        parts = UnsafeMutableRawPointer(rows + (end &- first) &* (shape.kernel.h &+ 1)).assumingMemoryBound(
            to: Part.self)
        listRows(top: top, bottom: bottom)
        listParts()
    }

    private func listRows(top: Int, bottom: Int) {
        var row = rows
        var h = first
        while h < end {
            var made = 0
            var i = 0
            while i < shape.kernel.h {
                let y = h &+ shape.padding.h &- i &* shape.dilation.h
                let at = divide(Swift.max(0, y), by: shape.stride.h)
                if y >= 0 && at &* shape.stride.h == y && at < bottom {
                    made &+= 1
                    (row + made).initialize(to: i &* shape.kernel.w &* pitch &+ (at &- top) &* shape.output.w)
                }
                i &+= 1
            }
            row.initialize(to: made)
            row += shape.kernel.h &+ 1
            h &+= 1
        }
    }

    private func listParts() {
        let width = E.Lanes.width
        var made = 0
        var vector = 0
        while vector < Self.vectors(shape) {
            let phase = divide(vector &* width, by: line)
            let before = made
            var j = 0
            while j < shape.kernel.w {
                let w = phase &+ shape.padding.w &- j &* shape.dilation.w
                let size = divide(w < 0 ? 0 &- w : w, by: shape.stride.w)
                let from = vector &* width &- phase &* line &+ (w < 0 ? 0 &- size : size)
                let low = Swift.min(width, Swift.max(0, 0 &- from))
                let high = Swift.max(low, Swift.min(width, shape.output.w &- from))
                if size &* shape.stride.w == (w < 0 ? 0 &- w : w) && low < high {
                    let bits =
                        ((UInt32(1) << UInt32(truncatingIfNeeded: high &- low)) &- 1)
                        << UInt32(truncatingIfNeeded: low)
                    (parts + made).initialize(to: Part(from: j &* pitch &+ from, bits: bits))
                    made &+= 1
                }
                j &+= 1
            }
            (counts + vector).initialize(to: made &- before)
            vector &+= 1
        }
    }

    /// Those rows of some channels' planes: max(0, ·) of bias + Σ sums[(channel · taps + tap) · pitch + pixel], where pixels
    /// are counted from row `top` of the output on.
    func fold(
        _ sums: UnsafePointer<E>, channels: Int, bias: UnsafePointer<E>?, relu: Bool,
        into planes: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        let vectors = Self.vectors(shape)
        let least = E.Lanes(repeating: relu ? 0 : -E.infinity)
        var from = sums
        var c = 0
        while c < channels {
            let start = E.Lanes(repeating: bias.map { $0[c] } ?? 0)
            var to = planes + (c &* shape.input.count &+ first &* shape.input.w)
            var row = UnsafePointer(rows)
            var h = first
            while h < end {
                var part = UnsafePointer(parts)
                var v = 0
                while v < vectors {
                    let count = counts[v]
                    var x = start
                    var i = 0
                    while i < row.pointee {
                        let p = from + row[i &+ 1]
                        var k = 0
                        while k < count {
                            x = x + E.Lanes.zero.loaded(p + part[k].from, bits: part[k].bits)
                            k &+= 1
                        }
                        i &+= 1
                    }
                    E.Lanes.max(least, x).store(lines + v &* width)
                    part += count
                    v &+= 1
                }
                spread(to)
                row += shape.kernel.h &+ 1
                to += shape.input.w
                h &+= 1
            }
            from += shape.kernel.count &* pitch
            c &+= 1
        }
    }

    /// The lines of all remainders as one row.
    @inline(__always)
    private func spread(_ to: UnsafeMutablePointer<E>) {
        let width = E.Lanes.width
        let step = shape.stride.w
        let count = shape.input.w
        if step == 1 { return copyRow(lines, to, count) }
        var i = 0
        if step == 2 {
            while i < count {
                let even = E.Lanes.load(lines + i / 2)
                let odd = E.Lanes.load(lines + (line &+ i / 2))
                E.Lanes.zipLow(even, odd).storeUpTo(to + i, count &- i)
                if i &+ width < count { E.Lanes.zipHigh(even, odd).storeUpTo(to + (i &+ width), count &- i &- width) }
                i &+= 2 &* width
            }
            return
        }
        while i < count {
            let at = divide(i, by: step)
            to[i] = lines[(i &- at &* step) &* line &+ at]
            i &+= 1
        }
    }
}
