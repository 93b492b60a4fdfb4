import CSpinetail

/// Depth, height, width: extents, steps or offsets along the spatial axes.
struct Space {
    var d: Int
    var h: Int
    var w: Int

    @inline(__always) init(_ d: Int, _ h: Int, _ w: Int) {
        self.d = d
        self.h = h
        self.w = w
    }

    @inline(__always) init(_ numbers: (Int64, Int64, Int64)) {
        d = Int(truncatingIfNeeded: numbers.0)
        h = Int(truncatingIfNeeded: numbers.1)
        w = Int(truncatingIfNeeded: numbers.2)
    }

    /// The spatial extents of (N, C, [D, [H,]] W), 1 for axes that are not there.
    @inline(__always) init(of array: Descriptor) {
        d = array.rank >= 5 ? array.extent(-3) : 1
        h = array.rank >= 4 ? array.extent(-2) : 1
        w = array.extent(-1)
    }

    @inline(__always) static var ones: Space { Space(1, 1, 1) }
    @inline(__always) var count: Int { d &* h &* w }
    @inline(__always) var smallest: Int { Swift.min(d, h, w) }
    @inline(__always) var largest: Int { Swift.max(d, h, w) }
    @inline(__always) static func == (a: Space, b: Space) -> Bool { a.d == b.d && a.h == b.h && a.w == b.w }
}

/// What a convolution's three arrays and its parameters say, checked against each other.
struct ConvolutionShape {
    var images = 0
    var channels = 0
    var filters = 0
    var groups = 1
    var input = Space.ones
    var output = Space.ones
    var kernel = Space.ones
    var stride = Space.ones
    var padding = Space.ones
    var dilation = Space.ones
    var algorithm = Int(SPINETAIL_CONVOLUTION_AUTOMATIC)
    /// Whether input and output have their channels next to each other in memory.
    var channelsLast = false

    @inline(__always) var groupChannels: Int { divide(channels, by: groups) }
    @inline(__always) var groupFilters: Int { divide(filters, by: groups) }
    /// Multiply-adds in all.
    @inline(__always) var work: Int {
        images &* output.count &* filters &* groupChannels &* kernel.count
    }

    /// Reads the shape. `o`, `i`, `w` are the arrays' argument numbers for the status. A transposed convolution may have
    /// an input larger than its output reaches, so `exact` is false there.
    mutating func read(
        output y: Descriptor, _ o: Int32, input x: Descriptor, _ i: Int32, weight k: Descriptor, _ w: Int32,
        _ p: UnsafePointer<spinetail_convolution>, _ parameter: Int32, exact: Bool
    ) -> Int32 {
        let rank = x.rank
        if rank < 3 || rank > 5 { return Status.rank(i) }
        if y.rank != rank { return Status.rank(o) }
        if k.rank != rank { return Status.rank(w) }
        if y.dtype != x.dtype { return Status.dtype(o) }
        if k.dtype != x.dtype { return Status.dtype(w) }
        if !y.isContiguous || !x.isContiguous {
            if !y.isChannelsLast { return Status.layout(o) }
            if !x.isChannelsLast { return Status.layout(i) }
            channelsLast = true
        }
        images = x.extent(0)
        input = Space(of: x)
        output = Space(of: y)
        let status = read(weight: k, w, p, parameter)
        if status != Status.ok { return status }
        if channels != x.extent(1) { return Status.shape(i) }
        if y.extent(0) != images || y.extent(1) != filters { return Status.shape(o) }
        if exact {
            let after = Space(p.pointee.padding_after)
            if !reaches(input.d, output.d, kernel.d, stride.d, padding.d &+ after.d, dilation.d)
                || !reaches(input.h, output.h, kernel.h, stride.h, padding.h &+ after.h, dilation.h)
                || !reaches(input.w, output.w, kernel.w, stride.w, padding.w &+ after.w, dilation.w)
            {
                return Status.shape(o)
            }
        }
        return Status.ok
    }

    /// The same where input and output must have their channels next to each other in memory.
    mutating func readChannelsLast(
        output y: Descriptor, _ o: Int32, input x: Descriptor, _ i: Int32, weight k: Descriptor, _ w: Int32,
        _ p: UnsafePointer<spinetail_convolution>, _ parameter: Int32
    ) -> Int32 {
        let status = read(output: y, o, input: x, i, weight: k, w, p, parameter, exact: true)
        if status != Status.ok { return status }
        if !y.isChannelsLast { return Status.layout(o) }
        if !x.isChannelsLast { return Status.layout(i) }
        channelsLast = true
        return Status.ok
    }

    /// What the weights and the parameters say, without input and output.
    mutating func read(
        weight k: Descriptor, _ w: Int32, _ p: UnsafePointer<spinetail_convolution>, _ parameter: Int32
    ) -> Int32 {
        if k.rank < 3 || k.rank > 5 { return Status.rank(w) }
        if !k.isContiguous { return Status.layout(w) }
        filters = k.extent(0)
        groups = Int(truncatingIfNeeded: p.pointee.groups)
        channels = groups &* k.extent(1)
        kernel = Space(of: k)
        stride = Space(p.pointee.stride)
        padding = Space(p.pointee.padding_before)
        dilation = Space(p.pointee.dilation)
        algorithm = Int(truncatingIfNeeded: p.pointee.algorithm)
        let after = Space(p.pointee.padding_after)
        let limit = 1 << 31
        if stride.smallest < 1 || dilation.smallest < 1 || padding.smallest < 0 || after.smallest <= 0 &- limit
            || groups < 1 || algorithm < 0 || algorithm > Int(SPINETAIL_CONVOLUTION_WINOGRAD2)
            || stride.largest >= limit || dilation.largest >= limit || padding.largest >= limit
            || after.largest >= limit || kernel.largest >= limit
        {
            return Status.parameter(parameter)
        }
        if groupFilters &* groups != filters || groupChannels != k.extent(1) || kernel.smallest < 1 {
            return Status.shape(w)
        }
        return Status.ok
    }

    /// Whether an output extent is what the input's gives.
    private func reaches(
        _ input: Int, _ output: Int, _ kernel: Int, _ stride: Int, _ padding: Int, _ dilation: Int
    )
        -> Bool
    {
        let span = input &+ padding &- dilation &* (kernel &- 1) &- 1
        return span >= 0 && divide(span, by: stride) &+ 1 == output
    }
}
