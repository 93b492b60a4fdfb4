import CSpinetail
import Testing

@testable import Spinetail

/// A descriptor with the given shape and byte strides, for the time of the call.
private func describe<T>(
    _ shape: [Int], _ strides: [Int], dtype: Int32 = Int32(SPINETAIL_FLOAT32), _ body: (Descriptor) -> T
) -> T {
    shape.withUnsafeBufferPointer { shape in
        strides.withUnsafeBufferPointer { strides in
            var array = spinetail_array(
                data: nil, shape: shape.baseAddress, strides: strides.baseAddress, dtype: dtype,
                rank: Int32(shape.count))
            return withUnsafePointer(to: &array, body)
        }
    }
}

@Test func extentsCountFromBothEnds() {
    describe([2, 3, 4], [48, 16, 4]) { view in
        #expect(view.extent(0) == 2)
        #expect(view.extent(-1) == 4)
        #expect(view.extent(3) == 1)
        #expect(view.extent(-4) == 1)
        #expect(view.byteStride(-2) == 16)
        #expect(view.byteStride(7) == 0)
        #expect(view.stride(1, of: Float.self) == 4)
        #expect(view.count == 24)
        #expect(view.hasShape(of: view))
    }
}

@Test(arguments: [
    ([2, 3], [12, 4], true), ([2, 3], [4, 8], false), ([2, 3], [-12, 4], false), ([1, 3], [999, 4], true),
    ([2, 0], [7, 7], true), ([], [], true), ([5], [0], false), ([1], [0], true),
])
func contiguous(shape: [Int], strides: [Int], expected: Bool) {
    describe(shape, strides) { #expect($0.isContiguous == expected) }
}

@Test func itemSizes() {
    let sizes: [(Int, Int)] = [
        (SPINETAIL_FLOAT32, 4), (SPINETAIL_FLOAT64, 8), (SPINETAIL_FLOAT16, 2), (SPINETAIL_BFLOAT16, 2),
        (SPINETAIL_INT8, 1), (SPINETAIL_UINT8, 1), (SPINETAIL_INT32, 4), (SPINETAIL_INT64, 8), (SPINETAIL_BOOL, 1),
    ].map { (Int($0.0), $0.1) }
    for (dtype, size) in sizes { describe([1], [size], dtype: Int32(dtype)) { #expect($0.itemSize == size) } }
}

@Test func shapesDiffer() {
    describe([2, 3], [12, 4]) { a in
        describe([3, 2], [8, 4]) { b in #expect(!a.hasShape(of: b)) }
        describe([2, 3, 1], [12, 4, 4]) { b in #expect(!a.hasShape(of: b)) }
        #expect(a.hasShape(2, 3))
        #expect(!a.hasShape(3, 2))
        #expect(!a.hasShape(6))
        #expect(a.holds(Float.self))
        #expect(!a.holds(Double.self))
    }
}
