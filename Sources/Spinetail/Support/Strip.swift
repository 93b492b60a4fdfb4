/// Four neighbouring vectors. Kernels that run down columns take a strip of them at a time: four chains of arithmetic that do
/// not wait for each other, and from each row 4 lines that lie side by side.
struct Strip<V: Lanes> {
    var a, b, c, d: V

    @inline(__always) static var width: Int { 4 &* V.width }

    @inline(__always) init(_ a: V, _ b: V, _ c: V, _ d: V) {
        self.a = a
        self.b = b
        self.c = c
        self.d = d
    }

    @inline(__always) init(repeating value: V.Scalar) {
        let v = V(repeating: value)
        self.init(v, v, v, v)
    }

    @inline(__always) static func load(_ p: UnsafePointer<V.Scalar>) -> Self {
        Self(.load(p), .load(p + V.width), .load(p + 2 &* V.width), .load(p + 3 &* V.width))
    }

    @inline(__always) func store(_ p: UnsafeMutablePointer<V.Scalar>) {
        a.store(p)
        b.store(p + V.width)
        c.store(p + 2 &* V.width)
        d.store(p + 3 &* V.width)
    }

    @inline(__always) static func + (x: Self, y: Self) -> Self { Self(x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d) }
    @inline(__always) static func - (x: Self, y: Self) -> Self { Self(x.a - y.a, x.b - y.b, x.c - y.c, x.d - y.d) }
    @inline(__always) static func * (x: Self, y: Self) -> Self { Self(x.a * y.a, x.b * y.b, x.c * y.c, x.d * y.d) }

    @inline(__always) static func fma(_ x: Self, _ y: Self, _ z: Self) -> Self {
        Self(V.fma(x.a, y.a, z.a), V.fma(x.b, y.b, z.b), V.fma(x.c, y.c, z.c), V.fma(x.d, y.d, z.d))
    }

    @inline(__always) static func max(_ x: Self, _ y: Self) -> Self {
        Self(V.max(x.a, y.a), V.max(x.b, y.b), V.max(x.c, y.c), V.max(x.d, y.d))
    }

    @inline(__always) static func expNonPositive(_ x: Self) -> Self {
        Self(V.expNonPositive(x.a), V.expNonPositive(x.b), V.expNonPositive(x.c), V.expNonPositive(x.d))
    }

    @inline(__always) static func log(_ x: Self) -> Self { Self(V.log(x.a), V.log(x.b), V.log(x.c), V.log(x.d)) }
}
