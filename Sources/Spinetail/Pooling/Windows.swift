import CSpinetail

/// The windows along one spatial axis.
struct PoolingAxis {
    var input: Int
    var output: Int
    var kernel: Int
    var stride: Int
    var padding: Int
    var dilation: Int
    var adaptive: Bool

    /// Whether the output's extent is what the input's gives, in floor or in ceil mode.
    var fits: Bool {
        let room = input &+ 2 &* padding &- dilation &* (kernel &- 1) &- 1
        if room < 0 { return output == 1 && room > 0 &- stride }
        return output == divide(room, by: stride) &+ 1 || output == pieces(room, stride) &+ 1
    }

    /// Where window `index` starts, which may be before the input.
    @inline(__always) func start(_ index: Int) -> Int {
        adaptive ? divide(index &* input, by: output) : index &* stride &- padding
    }

    /// First and end position of the kernel that fall inside the input.
    @inline(__always) func inside(_ index: Int) -> (from: Int, to: Int) {
        let first = start(index)
        if adaptive { return (0, pieces((index &+ 1) &* input, output) &- first) }
        if first >= 0 && first &+ (kernel &- 1) &* dilation < input { return (0, kernel) }
        let from = first < 0 ? pieces(0 &- first, dilation) : 0
        let to = first >= input ? 0 : Swift.min(kernel, pieces(input &- first, dilation))
        return (from, Swift.max(from, to))
    }

    /// The positions that window `index` sees, for windows without gaps.
    @inline(__always) func seen(_ index: Int) -> (from: Int, to: Int) {
        let first = index &* stride &- padding
        let from = Swift.max(0, first)
        return (from, Swift.max(from, Swift.min(input, first &+ kernel)))
    }

    /// The windows that see the position: adaptive ones, or likewise without gaps.
    @inline(__always) func seeing(_ position: Int) -> (from: Int, to: Int) {
        if adaptive { return (divide(position &* output, by: input), pieces((position &+ 1) &* output, input)) }
        let last = position &+ padding
        let beyond = last &- kernel
        let from = beyond < 0 ? 0 : stride == 1 ? beyond &+ 1 : divide(beyond, by: stride) &+ 1
        return (from, Swift.min(output, (stride == 1 ? last : divide(last, by: stride)) &+ 1))
    }

    /// Whether adaptive windows are all of one size, side by side; and so they are told.
    var dividesEvenly: Bool { input > 0 && output > 0 && remainder(input, by: output) == 0 }
    mutating func becomeRegular() {
        kernel = divide(input, by: output)
        (stride, padding, dilation, adaptive) = (kernel, 0, 1, false)
    }

    /// How many elements the window counts, padding included, what ceil mode adds beyond it not.
    @inline(__always) func counted(_ index: Int) -> Int {
        let first = start(index)
        return Swift.min(first &+ kernel, input &+ padding) &- first
    }

    /// The windows whose kernel lies wholly inside the input.
    @inline(__always) var whole: (from: Int, to: Int) {
        if adaptive { return (0, 0) }
        let from = Swift.min(output, pieces(padding, stride))
        let room = input &- 1 &- (kernel &- 1) &* dilation &+ padding
        let to = room < 0 ? 0 : Swift.min(output, divide(room, by: stride) &+ 1)
        return (from, Swift.max(from, to))
    }
}

/// What a pooling's arrays and parameters say, checked against each other.
struct PoolingShape {
    var images = 0
    var channels = 0
    /// Whether both arrays have their channels next to each other in memory.
    var channelsLast = false
    var input = Space.ones
    var output = Space.ones
    var d = PoolingAxis(input: 1, output: 1, kernel: 1, stride: 1, padding: 0, dilation: 1, adaptive: false)
    var h = PoolingAxis(input: 1, output: 1, kernel: 1, stride: 1, padding: 0, dilation: 1, adaptive: false)
    var w = PoolingAxis(input: 1, output: 1, kernel: 1, stride: 1, padding: 0, dilation: 1, adaptive: false)
    var countPadding = false
    var divisor = 0

    /// Reads the shape; `o` and `i` are the arrays' argument numbers for the status, `parameter` that of the struct.
    mutating func read(
        output y: Descriptor, _ o: Int32, input x: Descriptor, _ i: Int32, _ p: UnsafePointer<spinetail_pooling>,
        _ parameter: Int32
    ) -> Int32 {
        let status = readPlanes(output: y, o, input: x, i)
        if status != Status.ok { return status }
        let kernel = Space(p.pointee.kernel)
        let stride = Space(p.pointee.stride)
        let padding = Space(p.pointee.padding)
        let adaptive = p.pointee.adaptive != 0
        let dilation = adaptive ? Space.ones : Space(p.pointee.dilation)  // windows have no gaps
        let limit = 1 << 31
        if kernel.smallest < 1 || stride.smallest < 1 || dilation.smallest < 1 || padding.smallest < 0
            || kernel.largest >= limit || stride.largest >= limit || dilation.largest >= limit
            || padding.largest >= limit || input.largest >= limit || output.largest >= limit
        {
            return Status.parameter(parameter)
        }
        if input.count == 0 && output.count != 0 { return Status.shape(i) }
        d = PoolingAxis(
            input: input.d, output: output.d, kernel: kernel.d, stride: stride.d, padding: padding.d,
            dilation: dilation.d, adaptive: adaptive)
        h = PoolingAxis(
            input: input.h, output: output.h, kernel: kernel.h, stride: stride.h, padding: padding.h,
            dilation: dilation.h, adaptive: adaptive)
        w = PoolingAxis(
            input: input.w, output: output.w, kernel: kernel.w, stride: stride.w, padding: padding.w,
            dilation: dilation.w, adaptive: adaptive)
        if !adaptive && input.count != 0 && output.count != 0 && !(d.fits && h.fits && w.fits) {
            return Status.shape(o)
        }
        countPadding = p.pointee.count_include_pad != 0
        divisor = Int(truncatingIfNeeded: p.pointee.divisor)
        if adaptive && d.dividesEvenly && h.dividesEvenly && w.dividesEvenly {
            d.becomeRegular()
            h.becomeRegular()
            w.becomeRegular()
        }
        return Status.ok
    }

    /// The part of `read` that needs no parameters.
    mutating func readPlanes(output y: Descriptor, _ o: Int32, input x: Descriptor, _ i: Int32) -> Int32 {
        let rank = x.rank
        if rank < 3 || rank > 5 { return Status.rank(i) }
        if y.rank != rank { return Status.rank(o) }
        if y.dtype != x.dtype { return Status.dtype(o) }
        if !y.isContiguous || !x.isContiguous {
            if !y.isChannelsLast { return Status.layout(o) }
            if !x.isChannelsLast { return Status.layout(i) }
            channelsLast = true
        }
        if y.extent(0) != x.extent(0) || y.extent(1) != x.extent(1) { return Status.shape(o) }
        images = x.extent(0)
        channels = x.extent(1)
        input = Space(of: x)
        output = Space(of: y)
        return Status.ok
    }

    var planes: Int { images &* channels }

    /// Elements that a window holds at most, roughly.
    var windowWork: Int {
        if d.adaptive { return Swift.max(1, divide(input.count, by: output.count)) }
        return d.kernel &* h.kernel &* w.kernel
    }
}
