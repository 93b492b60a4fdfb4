import CSpinetail

/// Bytes from a tile's first row of A to the others. Each odd multiple is a value of its own, which the processor scales
/// by 2, 4 or 8 while it loads. If LLVM knew how they belong together, it would go from row to row by additions that
/// wait for each other, one cycle each: longer than the multiply-adds of a step take.
struct RowSteps {
    let one: Int
    let three: Int
    let five: Int
    let seven: Int
    let nine: Int
    let eleven: Int
    let thirteen: Int
    let fifteen: Int

    @inline(__always) init(bytes: Int) {
        one = Int(truncatingIfNeeded: spinetail_opaque(Int64(truncatingIfNeeded: bytes)))
        three = Int(truncatingIfNeeded: spinetail_opaque(Int64(truncatingIfNeeded: 3 &* bytes)))
        five = Int(truncatingIfNeeded: spinetail_opaque(Int64(truncatingIfNeeded: 5 &* bytes)))
        seven = Int(truncatingIfNeeded: spinetail_opaque(Int64(truncatingIfNeeded: 7 &* bytes)))
        nine = Int(truncatingIfNeeded: spinetail_opaque(Int64(truncatingIfNeeded: 9 &* bytes)))
        eleven = Int(truncatingIfNeeded: spinetail_opaque(Int64(truncatingIfNeeded: 11 &* bytes)))
        thirteen = Int(truncatingIfNeeded: spinetail_opaque(Int64(truncatingIfNeeded: 13 &* bytes)))
        fifteen = Int(truncatingIfNeeded: spinetail_opaque(Int64(truncatingIfNeeded: 15 &* bytes)))
    }

    /// One step of depth: x and y += the column of A at `a` times two vectors of B.
    @inline(__always) func add<E: Real, let rows: Int>(
        _ x: inout InlineArray<rows, E.Lanes>, _ y: inout InlineArray<rows, E.Lanes>, _ a: UnsafePointer<E>,
        _ b0: E.Lanes, _ b1: E.Lanes
    ) {
        let a = UnsafeRawPointer(a)
        add(0, a, b0, b1, &x, &y)
        if rows > 1 { add(1, a + one, b0, b1, &x, &y) }
        if rows > 2 { add(2, a + 2 &* one, b0, b1, &x, &y) }
        if rows > 3 { add(3, a + three, b0, b1, &x, &y) }
        if rows > 4 { add(4, a + 4 &* one, b0, b1, &x, &y) }
        if rows > 5 { add(5, a + five, b0, b1, &x, &y) }
        if rows > 6 { add(6, a + 2 &* three, b0, b1, &x, &y) }
        if rows > 7 { add(7, a + seven, b0, b1, &x, &y) }
        if rows > 8 { add(8, a + 8 &* one, b0, b1, &x, &y) }
        if rows > 9 { add(9, a + nine, b0, b1, &x, &y) }
        if rows > 10 { add(10, a + 2 &* five, b0, b1, &x, &y) }
        if rows > 11 { add(11, a + eleven, b0, b1, &x, &y) }
        if rows > 12 { add(12, a + 4 &* three, b0, b1, &x, &y) }
    }

    /// The same for a single vector of B.
    @inline(__always) func add<E: Real, let rows: Int>(
        _ x: inout InlineArray<rows, E.Lanes>, _ a: UnsafePointer<E>, _ b: E.Lanes
    ) {
        let a = UnsafeRawPointer(a)
        add(0, a, b, &x)
        if rows > 1 { add(1, a + one, b, &x) }
        if rows > 2 { add(2, a + 2 &* one, b, &x) }
        if rows > 3 { add(3, a + three, b, &x) }
        if rows > 4 { add(4, a + 4 &* one, b, &x) }
        if rows > 5 { add(5, a + five, b, &x) }
        if rows > 6 { add(6, a + 2 &* three, b, &x) }
        if rows > 7 { add(7, a + seven, b, &x) }
        if rows > 8 { add(8, a + 8 &* one, b, &x) }
        if rows > 9 { add(9, a + nine, b, &x) }
        if rows > 10 { add(10, a + 2 &* five, b, &x) }
        if rows > 11 { add(11, a + eleven, b, &x) }
        if rows > 12 { add(12, a + 4 &* three, b, &x) }
        if rows > 13 { add(13, a + thirteen, b, &x) }
        if rows > 14 { add(14, a + 2 &* seven, b, &x) }
        if rows > 15 { add(15, a + fifteen, b, &x) }
    }

    @inline(__always) private func add<L: Lanes, let rows: Int>(
        _ r: Int, _ a: UnsafeRawPointer, _ b0: L, _ b1: L, _ x: inout InlineArray<rows, L>,
        _ y: inout InlineArray<rows, L>
    ) {
        let value = L(repeating: a.load(as: L.Scalar.self))
        x[unchecked: r] = L.fma(value, b0, x[unchecked: r])
        y[unchecked: r] = L.fma(value, b1, y[unchecked: r])
    }

    @inline(__always) private func add<L: Lanes, let rows: Int>(
        _ r: Int, _ a: UnsafeRawPointer, _ b: L, _ x: inout InlineArray<rows, L>
    ) {
        x[unchecked: r] = L.fma(L(repeating: a.load(as: L.Scalar.self)), b, x[unchecked: r])
    }
}
