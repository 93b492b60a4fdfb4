import CSpinetail

/// The windows of stride 2: vectors along each row of results, whose elements are every second one of two loads. Units
/// are rows of the output.
struct StridedWindows<E: Real>: Windows {
    private let input: Space
    private let output: Space
    private let padding: Space
    private let masks: UnsafeMutablePointer<UInt32>  // for each vector of a row those of its four loads
    private let zeros: UnsafeMutablePointer<E>  // in place of a row above or below the plane

    var units: Int { output.h }

    private static func maskBytes(_ output: Space) -> Int { roundUp(pieces(output.w, E.Lanes.width) &* 16, 64) }
    static func bytes(_ input: Space, _ output: Space) -> Int {
        maskBytes(output) &+ input.w &* MemoryLayout<E>.size
    }

    init(_ input: Space, _ output: Space, _ padding: Space, _ memory: UnsafeMutableRawPointer) {
        self.input = input
        self.output = output
        self.padding = padding
        masks = memory.assumingMemoryBound(to: UInt32.self)
        zeros = (memory + Self.maskBytes(output)).assumingMemoryBound(to: E.self)
        fill(zeros, input.w, 0)
        let width = E.Lanes.width
        var x = 0
        while x < output.w {
            for load in 0..<4 {
                let start = (load & 1) &* width
                let column = 2 &* x &- padding.w &+ start &+ (load & 2)
                var bits: UInt32 = 0
                var lane = 0
                while lane < width {
                    let wanted = x &+ (start &+ lane) / 2 < output.w
                    if wanted && column &+ lane >= 0 && column &+ lane < input.w {
                        bits |= UInt32(1) << UInt32(truncatingIfNeeded: lane)
                    }
                    lane &+= 1
                }
                (masks + (divide(x, by: width) &* 4 &+ load)).initialize(to: bits)
            }
            x &+= width
        }
    }

    @inline(__always)
    func feed<Sink: WindowSink>(_ plane: UnsafePointer<E>, _ first: Int, _ last: Int, _ sink: inout Sink)
    where Sink.E == E {
        let width = E.Lanes.width
        // A row that two rows of results see stays in registers: down the plane where a vector holds a row, elsewhere
        // for a few rows, that memory is still read in its order.
        let band = output.w <= width ? output.h : 4
        var start = first
        while start < last {
            let end = Swift.min(last, start &+ band)
            var x = 0
            while x < output.w {
                let mask = Masks(masks + 4 &* divide(x, by: width))
                let column = 2 &* x &- padding.w
                let count = Swift.min(width, output.w &- x)
                var window = InlineArray<9, E.Lanes>(repeating: .zero)
                see(row(plane, 2 &* start &- padding.h) + column, mask, 6, &window)
                var y = start
                while y < end {
                    for j in 0..<3 { window[unchecked: j] = window[unchecked: 6 &+ j] }
                    see(row(plane, 2 &* y &+ 1 &- padding.h) + column, mask, 3, &window)
                    see(row(plane, 2 &* y &+ 2 &- padding.h) + column, mask, 6, &window)
                    sink.take(window, y &* output.w &+ x, count: count)
                    y &+= 1
                }
                x &+= width
            }
            start = end
        }
    }

    /// Of the two loads side by side for positions 0 and 1 of the kernel, and of the two for position 2.
    private struct Masks {
        let m0, m1, m2, m3: UInt32
        @inline(__always) init(_ p: UnsafePointer<UInt32>) { (m0, m1, m2, m3) = (p[0], p[1], p[2], p[3]) }
    }

    @inline(__always) private func row(_ plane: UnsafePointer<E>, _ h: Int) -> UnsafePointer<E> {
        (h >= 0 && h < input.h ? plane + h &* input.w : UnsafePointer(zeros))
    }

    @inline(__always)
    private func see(
        _ p: UnsafePointer<E>, _ mask: Masks, _ first: Int, _ window: inout InlineArray<9, E.Lanes>
    ) {
        let a = E.Lanes.zero.loaded(p, bits: mask.m0)
        let b = E.Lanes.zero.loaded(p + E.Lanes.width, bits: mask.m1)
        let c = E.Lanes.zero.loaded(p + 2, bits: mask.m2)
        let d = E.Lanes.zero.loaded(p + (E.Lanes.width &+ 2), bits: mask.m3)
        window[unchecked: first] = .unzipEven(a, b)
        window[unchecked: first &+ 1] = .unzipOdd(a, b)
        window[unchecked: first &+ 2] = .unzipEven(c, d)
    }
}
