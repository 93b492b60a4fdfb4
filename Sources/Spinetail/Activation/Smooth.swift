// Smooth functions, from VectorMath. Infinities give what the formula gives, as in PyTorch: gelu(-∞) = -∞ · 0 = NaN.

/// x · Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016).
enum Gelu: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.gelu(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        grad * L.geluSlope(x)
    }
    static var cost: Int { 370 }
    static var gradientCost: Int { 380 }
}

/// x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))
enum GeluTanh: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.geluTanh(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        grad * L.geluTanhSlope(x)
    }
    static var cost: Int { 400 }
    static var gradientCost: Int { 420 }
}

/// x · sigmoid(x)
enum Silu: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.silu(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        grad * L.siluSlope(x)
    }
    static var cost: Int { 310 }
    static var gradientCost: Int { 400 }
}

/// x · tanh(softplus(x)) (Misra 2019). With e = eˣ the factor is n / (n + 2), n = e · (e + 2).
enum Mish: Activation {
    @inline(__always) private static func square<L: Lanes>(_ x: L) -> (e: L, n: L) {
        let e = L.exp(L.min(L(repeating: 30), x))
        return (e, e * (e + L(repeating: 2)))
    }
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        let (_, n) = square(x)
        return x * (n / (n + L(repeating: 2)))
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        let two = L(repeating: 2)
        let (e, n) = square(x)
        let t = n / (n + two)
        // d/dx n/(n+2) = 2 n' / (n+2)², n' = 2e(e+1); written so that nothing overflows
        let rise = (two * e / (n + two)) * (two * (e + L.one) / (n + two))
        // beyond 30 the slope is 1, at ∞ too
        return L.select(L.less(L(repeating: 30), x), grad, grad * L.fma(x, rise, t))
    }
    static var cost: Int { 360 }
    static var gradientCost: Int { 680 }
}

/// 1 / (1 + exp(-x)). Saves output.
enum Sigmoid: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.sigmoid(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ y: L, _ alpha: L, _ beta: L) -> L {
        grad * (L.one - y) * y
    }
    static var cost: Int { 310 }
}

/// log(sigmoid(x))
enum LogSigmoid: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.zero - L.softplus(L.negate(x))
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        grad * L.sigmoid(L.negate(x))
    }
    static var cost: Int { 850 }
    static var gradientCost: Int { 350 }
}

/// Hyperbolic tangent. Saves output.
enum Tanh: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.tanh(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ y: L, _ alpha: L, _ beta: L) -> L {
        grad * (L.one - y * y)
    }
    static var cost: Int { 270 }
}

/// log(1 + exp(alpha · x)) / alpha, and x itself where alpha · x > beta.
enum Softplus: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.less(beta, alpha * x), x, L.softplus(alpha * x) * (L.one / alpha))
    }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.select(L.less(beta, alpha * x), grad, grad * L.sigmoid(alpha * x))
    }
    static var cost: Int { 890 }
    static var gradientCost: Int { 380 }
}

/// x / (1 + |x|)
enum Softsign: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { x / (L.one + L.abs(x)) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        let d = L.one + L.abs(x)
        return grad / (d * d)
    }
    static var cost: Int { 250 }
    static var gradientCost: Int { 280 }
}

/// x - tanh(x)
enum Tanhshrink: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { x - L.tanh(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        let t = L.tanh(x)
        return grad * (t * t)
    }
    static var cost: Int { 290 }
    static var gradientCost: Int { 290 }
}

/// eˣ. Saves output.
enum Exp: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.exp(x) }
    @inline(__always) static func values<L: Lanes>(_ x: Strip<L>, _ alpha: L, _ beta: L) -> Strip<L> { .exp(x) }
    @inline(__always) static var takesStrips: Bool { true }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ y: L, _ alpha: L, _ beta: L) -> L { grad * y }
    static var cost: Int { 200 }
}

/// eˣ - 1. Saves output.
enum Expm1: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.expm1(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ y: L, _ alpha: L, _ beta: L) -> L {
        grad * (y + L.one)
    }
    static var cost: Int { 340 }
}

/// Natural logarithm.
enum Log: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.log(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L { grad / x }
    static var cost: Int { 380 }
    static var gradientCost: Int { 230 }
}

/// log(1 + x)
enum Log1p: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.log1p(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        grad / (x + L.one)
    }
    static var cost: Int { 460 }
    static var gradientCost: Int { 230 }
}

/// The error function.
enum Erf: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.erf(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        grad * (L(repeating: 1.12837916709551257390) * L.expNonPositive(L.negate(x * x)))
    }
    static var cost: Int { 480 }
    static var gradientCost: Int { 270 }
}

/// Sine and cosine.
enum Sine: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.sin(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        grad * L.cos(x)
    }
    static var cost: Int { 330 }
    static var gradientCost: Int { 380 }
}

enum Cosine: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.cos(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ x: L, _ alpha: L, _ beta: L) -> L {
        L.negate(grad * L.sin(x))
    }
    static var cost: Int { 330 }
    static var gradientCost: Int { 380 }
}

/// 1 / √x. Saves output.
enum InverseRoot: Activation {
    @inline(__always) static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L { L.one / L.sqrt(x) }
    @inline(__always) static func gradient<L: Lanes>(_ grad: L, _ y: L, _ alpha: L, _ beta: L) -> L {
        grad * L(repeating: -0.5) * (y * y * y)
    }
    static var cost: Int { 490 }
}
