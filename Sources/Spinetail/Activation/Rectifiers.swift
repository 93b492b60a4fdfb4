// Functions made of straight pieces, and those with a straight half. At a kink the gradient is PyTorch's; where a
// comparison decides, NaN takes the side that keeps it.

enum Identity: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { x }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L { grad }
    static var cost: Int { 115 }
}

/// max(x, 0). Saves output.
enum Relu: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.max(L.zero, x) }
    @inline(__always) static func values<L: Lanes>(_ x: Strip<L>, _ alpha: L, _ beta: L) -> Strip<L> {
        .max(Strip<L>(repeating: 0), x)
    }
    @inline(__always) static var takesStrips: Bool { true }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ y: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(y, L.zero), L.zero, grad)
    }
    static var cost: Int { 115 }
}

/// x, or alpha · x where x is not above 0.
enum LeakyRelu: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.less(L.zero, x), x, alpha * x)
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.less(L.zero, x), grad, alpha * grad)
    }
    static var cost: Int { 120 }
}

/// x, or alpha · (exp(beta · x) - 1) where x is not above 0.
enum Elu: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.less(L.zero, x), x, alpha * L.expm1(beta * x))
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(x, L.zero), grad * (alpha * beta) * L.exp(beta * x), grad)
    }
    static var cost: Int { 400 }
    static var gradientCost: Int { 270 }
}

/// Self-normalising ELU (Klambauer et al. 2017): ELU with alpha 1.6733 times 1.0507.
enum Selu: Activation {
    @inline(__always) private static func scale<L: Lanes>() -> L { L(repeating: 1.0507009873554804934193349852946) }
    @inline(__always) private static func both<L: Lanes>() -> L { L(repeating: 1.7580993408473768599402175208123) }
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.less(L.zero, x), scale() * x, both() * L.expm1(x))
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(x, L.zero), grad * both() * L.exp(x), scale() * grad)
    }
    static var cost: Int { 400 }
    static var gradientCost: Int { 270 }
}

/// x between alpha and beta, these outside. Saves output.
enum Hardtanh: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.min(beta, L.max(alpha, x)) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ y: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(y, alpha), L.zero, L.select(L.lessEqual(beta, y), L.zero, grad))
    }
    static var cost: Int { 115 }
}

/// (x + 3) / 6, kept within 0 ... 1.
enum Hardsigmoid: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.min(L(repeating: 6), L.max(L.zero, x + L(repeating: 3))) / L(repeating: 6)
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.less(L.abs(x), L(repeating: 3)), grad / L(repeating: 6), L.zero)
    }
    static var cost: Int { 230 }
    static var gradientCost: Int { 230 }
}

/// x · hardsigmoid(x)
enum Hardswish: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        x * L.min(L(repeating: 6), L.max(L.zero, x + L(repeating: 3))) / L(repeating: 6)
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        let three = L(repeating: 3)
        let slope = grad * (x / three + L(repeating: 0.5))
        return L.select(L.lessEqual(x, L.negate(three)), L.zero, L.select(L.less(x, three), slope, grad))
    }
    static var cost: Int { 230 }
    static var gradientCost: Int { 230 }
}

/// x moved towards 0 by alpha, 0 within.
enum Softshrink: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.less(alpha, x), x - alpha, L.select(L.less(x, L.negate(alpha)), x + alpha, x * L.zero))
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(L.abs(x), alpha), L.zero, grad)
    }
    static var cost: Int { 120 }
}

/// x, 0 where |x| is not above alpha.
enum Hardshrink: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(L.abs(x), alpha), L.zero, x)
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(L.abs(x), alpha), L.zero, grad)
    }
    static var cost: Int { 120 }
}

/// x, beta where x is not above alpha.
enum Threshold: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(x, alpha), beta, x)
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.lessEqual(x, alpha), L.zero, grad)
    }
    static var cost: Int { 120 }
}
