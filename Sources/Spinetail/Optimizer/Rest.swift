/// What decays by a factor at each step of a unit that no longer learns ends among the smallest numbers there are, and
/// stays where rounding holds it. Arithmetic on those takes a hundred cycles and more, and changes nothing: rules do it on
/// zeros, and leave the number as it is.
struct Rest {
    /// The least number that does not stay, counted in the smallest number of its type; 0 where none is left alone.
    private let count: Int

    /// For numbers that are multiplied by `factor`, or from which 1 - factor of them is taken: they stay while that is less
    /// than half of the smallest number.
    init(factor: Double) {
        // As the kernel of either type has it: the largest share.
        let share = Swift.max(Swift.max(1 - factor, Double(Float(1 - factor))), 1 - Double(Float(factor)))
        var count = 1
        while count < 4096 && Double(count) * share < 0.5 { count &+= 1 }
        self.count = share >= 0 && share <= 1 && count > 1 ? count : 0
    }

    /// Parameters of at least this magnitude do not show what resting numbers would add.
    @inline(__always) static func floor<E: Real>(_ type: E.Type) -> Double { isSingle(type) ? 0x1p-100 : 0x1p-996 }

    /// The bound below which numbers are left as they are; 0 where they, times `reach`, could be seen in a number of at
    /// least `floor`.
    @inline(__always) func bound<E: Real>(_ type: E.Type, reach: Double) -> E {
        let bound = Double(count) * (Self.isSingle(type) ? 0x1p-149 : 0x1p-1074)
        let visible = Self.floor(type) * (Self.isSingle(type) ? 0x1p-26 : 0x1p-55)
        return bound * Swift.abs(reach) < visible ? E(bound) : E(0.0)
    }

    /// Lanes of `held` that stay: those below the bound whose gradient is 0.
    @inline(__always) static func lanes<V: Lanes>(_ held: V, gradient: V, bound: V) -> V.Mask {
        V.less(V.select(V.equal(gradient, .zero), V.abs(held), .one), bound)
    }

    /// The same, where a parameter must not show it either.
    @inline(__always) static func lanes<V: Lanes>(
        _ held: V, gradient: V, bound: V, parameter: V, floor: V
    ) -> V.Mask {
        let size = V.select(V.equal(gradient, .zero), V.abs(held), .one)
        return V.less(V.select(V.lessEqual(floor, V.abs(parameter)), size, .one), bound)
    }

    @inline(__always) private static func isSingle<E: Real>(_ type: E.Type) -> Bool { MemoryLayout<E>.size == 4 }
}
