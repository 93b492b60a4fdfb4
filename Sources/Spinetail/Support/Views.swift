import CSpinetail

/// What a kernel receives for one array.
public typealias Descriptor = UnsafePointer<spinetail_array>

extension UnsafePointer where Pointee == spinetail_array {
    @inline(__always) var rank: Int { Int(truncatingIfNeeded: pointee.rank) }
    @inline(__always) var dtype: Int32 { pointee.dtype }

    /// Extent of one axis; negative axes count from the end. 1 outside the rank.
    @inline(__always) func extent(_ axis: Int) -> Int {
        let axis = axis < 0 ? axis &+ rank : axis
        guard axis >= 0, axis < rank, let shape = pointee.shape else { return 1 }
        return shape[axis]
    }

    /// Stride of one axis in bytes; negative axes count from the end. 0 outside the rank.
    @inline(__always) func byteStride(_ axis: Int) -> Int {
        let axis = axis < 0 ? axis &+ rank : axis
        guard axis >= 0, axis < rank, let strides = pointee.strides else { return 0 }
        return strides[axis]
    }

    /// Stride of one axis in elements of 1 << shift bytes.
    @inline(__always) func stride<E>(_ axis: Int, of type: E.Type) -> Int {
        byteStride(axis) / MemoryLayout<E>.stride
    }

    /// Elements in all, which the caller's allocation bounds.
    var count: Int {
        var total = 1
        var axis = 0
        while axis < rank {
            total = total &* extent(axis)
            axis &+= 1
        }
        return total
    }

    var itemSize: Int {
        switch Int(truncatingIfNeeded: pointee.dtype) {
        case Int(SPINETAIL_FLOAT32), Int(SPINETAIL_INT32): return 4
        case Int(SPINETAIL_FLOAT64), Int(SPINETAIL_INT64): return 8
        case Int(SPINETAIL_FLOAT16), Int(SPINETAIL_BFLOAT16): return 2
        default: return 1
        }
    }

    /// Row-major without gaps; axes of extent 1 may have any stride, and an empty array is contiguous.
    var isContiguous: Bool {
        var expected = itemSize
        var axis = rank &- 1
        while axis >= 0 {
            let size = extent(axis)
            if size != 1 && byteStride(axis) != expected { return count == 0 }
            expected = expected &* size
            axis &-= 1
        }
        return true
    }

    /// Whether neighbours along the last axis are neighbours in memory.
    var hasContiguousLastAxis: Bool { extent(-1) <= 1 || byteStride(-1) == itemSize || pointee.data == nil }

    func hasShape(of other: Descriptor) -> Bool {
        if rank != other.rank { return false }
        var axis = 0
        while axis < rank {
            if extent(axis) != other.extent(axis) { return false }
            axis &+= 1
        }
        return true
    }

    func hasShape(_ a: Int) -> Bool { rank == 1 && extent(0) == a }
    func hasShape(_ a: Int, _ b: Int) -> Bool { rank == 2 && extent(0) == a && extent(1) == b }

    /// The elements, or nil for an empty array; the dtype has been checked.
    @inline(__always) func pointer<E>(_ type: E.Type) -> UnsafeMutablePointer<E>? {
        pointee.data?.assumingMemoryBound(to: E.self)
    }

    @inline(__always) func holds<E: Real>(_ type: E.Type) -> Bool { pointee.dtype == E.dtype }
}
