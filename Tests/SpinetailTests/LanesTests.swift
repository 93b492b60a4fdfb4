import CSpinetail
import Testing

@testable import Spinetail

/// Every operation of Lanes against the same thing done one scalar at a time.
private func check<E: Real & BinaryFloatingPoint>(_ type: E.Type) {
    let width = E.Lanes.width
    let a = (0..<width).map { E(Double($0 * 37 % 19) - 7.25) }
    let b = (0..<width).map { E(Double($0 * 11 % 13) + 0.5) }
    let x = E.Lanes.load(a)
    let y = E.Lanes.load(b)
    func values(_ lanes: E.Lanes) -> [E] {
        var out = [E](repeating: 0, count: width)
        lanes.store(&out)
        return out
    }
    func each(_ f: (E, E) -> E) -> [E] { zip(a, b).map(f) }
    #expect(values(x + y) == each { $0 + $1 })
    #expect(values(x - y) == each { $0 - $1 })
    #expect(values(x * y) == each { $0 * $1 })
    #expect(values(x / y) == each { $0 / $1 })
    #expect(values(E.Lanes.min(x, y)) == each { Swift.min($0, $1) })
    #expect(values(E.Lanes.max(x, y)) == each { Swift.max($0, $1) })
    #expect(values(E.Lanes.fma(x, y, x)) == each { $0 * $1 + $0 })  // these products are exact
    #expect(values(E.Lanes.sqrt(y)) == each { $1.squareRoot() })
    #expect(values(E.Lanes.abs(x)) == each { v, _ in Swift.abs(v) })
    #expect(values(E.Lanes.negate(x)) == each { v, _ in -v })
    #expect(values(E.Lanes.round(x)) == each { v, _ in v.rounded(.toNearestOrEven) })
    #expect(values(E.Lanes.copysign(y, x)) == each { $0 < 0 ? -$1 : $1 })
    #expect(values(E.Lanes.select(E.Lanes.less(x, y), x, y)) == each { $0 < $1 ? $0 : $1 })
    #expect(values(E.Lanes.select(E.Lanes.lessEqual(x, y), y, x)) == each { $0 <= $1 ? $1 : $0 })
    #expect(values(E.Lanes.select(E.Lanes.equal(x, x), y, x)) == b)
    #expect(values(E.Lanes.exp2Whole(E.Lanes.round(x))) == a.map { power($0.rounded(.toNearestOrEven)) })
    #expect(x.sum() == a.reduce(0, +))
    #expect(x.largest() == a.max()!)
    #expect(x.smallest() == a.min()!)
}

private func power<E: BinaryFloatingPoint>(_ exponent: E) -> E {
    var result: E = 1
    for _ in 0..<Int(Swift.abs(exponent)) { result *= exponent < 0 ? 0.5 : 2 }
    return result
}

/// A part of a vector never reads or writes beyond its count.
private func checkParts<E: Real & BinaryFloatingPoint>(_ type: E.Type) {
    let width = E.Lanes.width
    for count in 0..<width {
        let source = (0..<count).map { E(Double($0) + 1) }
        var out = [E](repeating: -1, count: width + 1)
        source.withUnsafeBufferPointer { memory in
            let lanes = count == 0 ? E.Lanes(repeating: 9) : E.Lanes.load(memory.baseAddress!, count: count, fill: 9)
            lanes.store(&out, count: count)
            #expect(out == source + [E](repeating: -1, count: width + 1 - count))
            lanes.store(&out)
            #expect(out == source + [E](repeating: 9, count: width - count) + [-1])
        }
    }
}

private func checkNaN<E: Real & BinaryFloatingPoint>(_ type: E.Type) {
    let nan = E.Lanes(repeating: .nan)
    let one = E.Lanes(repeating: 1)
    // The second operand wins where either is NaN: kernels order their operands by this.
    #expect(E.Lanes.max(nan, one).sum() == E(E.Lanes.width))
    #expect(E.Lanes.max(one, nan).sum().isNaN)
    #expect(E.Lanes.min(nan, one).sum() == E(E.Lanes.width))
    #expect(E.Lanes.min(one, nan).sum().isNaN)
}

@Test func floatLanes() {
    check(Float.self)
    checkParts(Float.self)
    checkNaN(Float.self)
    #expect(spinetail_vector_width() == Int32(FloatLanes.width))
}

@Test func doubleLanes() {
    check(Double.self)
    checkParts(Double.self)
    checkNaN(Double.self)
    #expect(2 * DoubleLanes.width == FloatLanes.width)
}
