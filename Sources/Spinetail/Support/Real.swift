import CSpinetail

/// The element types that kernels compute in: Float and Double.
protocol Real: Comparable, SignedNumeric, ExpressibleByFloatLiteral {
    associatedtype Lanes: Spinetail.Lanes where Lanes.Scalar == Self
    static var dtype: Int32 { get }
    static func / (a: Self, b: Self) -> Self
    static var infinity: Self { get }
    static var nan: Self { get }
    var isNaN: Bool { get }
    init(_ value: Double)
    init(_ value: Int)
    var double: Double { get }
    static func sqrt(_ a: Self) -> Self
}

extension Float: Real {
    typealias Lanes = FloatLanes
    @inline(__always) static var dtype: Int32 { Int32(SPINETAIL_FLOAT32) }
    @inline(__always) var double: Double { Double(self) }
    @inline(__always) static func sqrt(_ a: Float) -> Float { a.squareRoot() }
}

extension Double: Real {
    typealias Lanes = DoubleLanes
    @inline(__always) static var dtype: Int32 { Int32(SPINETAIL_FLOAT64) }
    @inline(__always) var double: Double { self }
    @inline(__always) static func sqrt(_ a: Double) -> Double { a.squareRoot() }
}
