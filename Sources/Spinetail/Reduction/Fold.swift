import CSpinetail

/// What is known of some elements of a line; each fold says what it keeps here.
struct Partial {
    var a = 0.0
    var b = 0.0
    var index = 0
}

/// One way to reduce. A line is cut into chunks by its length alone; chunks are merged in their order.
protocol Fold {
    associatedtype E: Real
    /// Rows of a chunk of columns: less where the columns are read twice and should stay in the L2 cache.
    static var rows: Int { get }
    /// Nanoseconds for 16 elements.
    static var cost: Int { get }
    /// `n` > 0 neighbouring elements, the first of which is number `first` of its line.
    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial
    /// `count` ≤ columnStrip columns of `n` > 0 rows, `pitch` elements apart, into scratch of columnScratch bytes.
    func columns(_ p: UnsafePointer<E>, _ n: Int, pitch: Int, count: Int, _ scratch: UnsafeMutableRawPointer)
    /// One of these columns.
    func column(_ scratch: UnsafeMutableRawPointer, _ j: Int, _ n: Int, first: Int) -> Partial
    func merge(_ x: Partial, _ y: Partial) -> Partial
    func finish(_ x: Partial) -> E
    /// `count` short rows of `n` > 0 neighbouring elements, `pitch` apart, nothing read at `limit` or beyond: their
    /// results in order into values and indices. False where there is no better way than one row after the other.
    func rows(
        _ p: UnsafePointer<E>, _ count: Int, _ n: Int, pitch: Int, limit: UnsafePointer<E>,
        _ values: UnsafeMutablePointer<E>?, _ indices: UnsafeMutablePointer<Int64>?, _ scratch: UnsafeMutableRawPointer
    ) -> Bool
}

extension Fold {
    @inline(__always) func rows(
        _ p: UnsafePointer<E>, _ count: Int, _ n: Int, pitch: Int, limit: UnsafePointer<E>,
        _ values: UnsafeMutablePointer<E>?, _ indices: UnsafeMutablePointer<Int64>?, _ scratch: UnsafeMutableRawPointer
    ) -> Bool { false }
}

let columnStrip = 1024
let columnScratch = columnStrip &* 8 &* 6

extension UnsafeMutableRawPointer {
    /// Zeros in the first tables, for `count` columns.
    @inline(__always) func clear(_ tables: Int, _ count: Int) {
        var number = 0
        while number < tables {
            memset(self + number &* columnStrip &* 8, 0, roundUp(count, 16) &* 8)
            number &+= 1
        }
    }

    /// The scratch of a strip of columns is cut into six tables.
    @inline(__always) func table<T>(_ number: Int, _ type: T.Type) -> UnsafeMutablePointer<T> {
        (self + number &* columnStrip &* 8).assumingMemoryBound(to: type)
    }
}

extension Lanes {
    /// A vector of which `left` elements are there, zeros after them; `whole` says that all are, and is a constant.
    @inline(__always) static func part(_ p: UnsafePointer<Scalar>, _ whole: Bool, _ left: Int, _ fill: Scalar) -> Self {
        whole ? load(p) : load(p, count: left, fill: fill)
    }
}

/// A sum of lanes that loses next to nothing: float32 in float64, float64 with what each addition lost.
struct PreciseSum<V: Lanes> {
    var a = DoubleLanes(repeating: 0)
    var b = DoubleLanes(repeating: 0)

    @inline(__always) static var isDouble: Bool { V.width == DoubleLanes.width }

    @inline(__always) mutating func add(_ t: V) {
        if Self.isDouble {
            let sum = a + t.low
            let part = sum - a
            b = b + ((a - (sum - part)) + (t.low - part))
            a = sum
        } else {
            a = a + t.low
            b = b + t.high
        }
    }

    /// All lanes; what float64 lost is in the second number.
    @inline(__always) var total: Partial {
        Self.isDouble ? Partial(a: a.sum(), b: b.sum()) : Partial(a: (a + b).sum())
    }

    /// The sums of the columns from j on, in two tables.
    @inline(__always) init(_ a: UnsafeMutablePointer<Double>, _ b: UnsafeMutablePointer<Double>, _ j: Int) {
        self.a = DoubleLanes.load(a + j)
        self.b = DoubleLanes.load(Self.isDouble ? b + j : a + j + DoubleLanes.width)
    }
    @inline(__always) init() {}
    @inline(__always) func store(_ a: UnsafeMutablePointer<Double>, _ b: UnsafeMutablePointer<Double>, _ j: Int) {
        self.a.store(a + j)
        self.b.store(Self.isDouble ? b + j : a + j + DoubleLanes.width)
    }
}

/// Sums of two chunks, with what is lost.
@inline(__always) func addPrecisely(_ x: Partial, _ y: Partial) -> Partial {
    let sum = x.a + y.a
    let part = sum - x.a
    return Partial(a: sum, b: x.b + y.b + ((x.a - (sum - part)) + (y.a - part)))
}

/// The value of a sum: an infinite one has lost nothing that counts.
@inline(__always) func settled(_ x: Partial) -> Double {
    let difference = x.a - x.a
    return difference == 0 ? x.a + x.b : x.a
}
