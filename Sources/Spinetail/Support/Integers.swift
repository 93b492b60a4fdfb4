/// Integer arithmetic on sizes that cannot trap: operands are not negative, and a division by zero gives zero.

@inline(__always) func divide(_ a: Int, by b: Int) -> Int {
    b == 0 ? 0 : Int(bitPattern: UInt(bitPattern: a) / UInt(bitPattern: b))
}

@inline(__always) func remainder(_ a: Int, by b: Int) -> Int {
    b == 0 ? 0 : Int(bitPattern: UInt(bitPattern: a) % UInt(bitPattern: b))
}

/// How many steps cover the value.
@inline(__always) func pieces(_ value: Int, _ step: Int) -> Int { divide(value &+ step &- 1, by: step) }

/// The next multiple of step.
@inline(__always) func roundUp(_ value: Int, _ step: Int) -> Int { pieces(value, step) &* step }
