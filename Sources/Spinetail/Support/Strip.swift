import CSpinetail

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

    /// Asks for the memory of a strip before it is needed.
    @inline(__always) static func fetch(_ p: UnsafeRawPointer) {
        var offset = 0
        while offset < 4 &* MemoryLayout<V>.size {
            spinetail_prefetch(p + offset)
            offset &+= 64
        }
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

    /// eˣ, with one question for the four vectors whether all are within what the short way takes.
    @inline(__always) static func exp(_ x: Self) -> Self {
        let most = V.max(V.max(V.abs(x.a), V.abs(x.b)), V.max(V.abs(x.c), V.abs(x.d)))
        if V.anyBeyond(most, V.gateNear) { return Self(V.exp(x.a), V.exp(x.b), V.exp(x.c), V.exp(x.d)) }
        return Self(V.expNear(x.a), V.expNear(x.b), V.expNear(x.c), V.expNear(x.d))
    }

    @inline(__always) static func expNonPositive(_ x: Self) -> Self {
        Self(V.expNonPositive(x.a), V.expNonPositive(x.b), V.expNonPositive(x.c), V.expNonPositive(x.d))
    }

    @inline(__always) static func log(_ x: Self) -> Self { Self(V.log(x.a), V.log(x.b), V.log(x.c), V.log(x.d)) }
}
