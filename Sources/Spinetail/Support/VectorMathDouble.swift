import CSpinetail

// Coefficients come from tools/fit_polynomials.py, which also states how good each fit is.
extension DoubleLanes: VectorMath {
    @inline(__always) static var exponentialLow: Self { Self(repeating: -745.14) }
    @inline(__always) static var exponentialHigh: Self { Self(repeating: 710) }
    @inline(__always) static var gateEnd: Self { Self(repeating: -760) }
    @inline(__always) static var gateNear: Double { 708 }
    @inline(__always) static var geluTanhEnd: Self { Self(repeating: -23) }
    @inline(__always) static var geluTanhNear: Double { 20.5 }
    @inline(__always) static var belowOne: Self { Self(repeating: -40) }
    @inline(__always) static var ln2High: Self { Self(repeating: 6.93147180369123816490e-01) }
    @inline(__always) static var ln2Low: Self { Self(repeating: 1.90821492927058770002e-10) }
    @inline(__always) static var tiny: Self { Self(repeating: 1e-30) }
    @inline(__always) static var huge: Self { Self(repeating: 1e300) }
    @inline(__always) static var smallestNormal: Self { Self(repeating: 2.2250738585072014e-308) }
    @inline(__always) static var largest: Self { Self(repeating: Double.greatestFiniteMagnitude) }
    @inline(__always) static var denormalScale: Self { Self(repeating: 18_014_398_509_481_984) }
    @inline(__always) static var denormalExponent: Self { Self(repeating: 54) }
    @inline(__always) static var erfIsOne: Self { Self(repeating: 6) }

    @inline(__always) static func tanh(_ x: Self) -> Self {
        let t = x * x
        let near = less(abs(x), Self(repeating: 0.55))
        return copysign(select(near, fma(x * t, tanhNear(t), x), tanhByExponential(x)), x)
    }

    @inline(__always) static func erf(_ x: Self) -> Self { erfByExponential(x) }

    @inline(__always) static var exp2Low: Double { -1022 }

    @inline(__always) static func exp2(_ t: Self) -> Self {
        let shifted = t + shift
        let power = exp2(shifted: shifted)
        let r = (t - (shifted - shift)) * Self(repeating: 0.6931471805599453)
        return fma(power, expm1Reduced(r), power)
    }

    /// (tanh(x) / x - 1) / t of t = x² for |x| ≤ 0.55.
    @inline(__always) static func tanhNear(_ t: Self) -> Self {
        var p = Self(repeating: 5.1022920710599254e-05)
        p = fma(p, t, Self(repeating: -0.00021030467071075492))
        p = fma(p, t, Self(repeating: 0.0005791385439406486))
        p = fma(p, t, Self(repeating: -0.0014532173297831228))
        p = fma(p, t, Self(repeating: 0.0035917198284309893))
        p = fma(p, t, Self(repeating: -0.008863194522800355))
        p = fma(p, t, Self(repeating: 0.021869485976452045))
        p = fma(p, t, Self(repeating: -0.053968253876164225))
        p = fma(p, t, Self(repeating: 0.13333333333168934))
        p = fma(p, t, Self(repeating: -0.33333333333332316))
        return p
    }

    @inline(__always) static func exponentialTail(_ r: Self) -> Self {
        var p = Self(repeating: 2.5020359001964677e-08)
        p = fma(p, r, Self(repeating: 2.7630763121486034e-07))
        p = fma(p, r, Self(repeating: 2.755753005062726e-06))
        p = fma(p, r, Self(repeating: 2.4801491730328573e-05))
        p = fma(p, r, Self(repeating: 0.0001984126956069086))
        p = fma(p, r, Self(repeating: 0.0013888888944871072))
        p = fma(p, r, Self(repeating: 0.008333333333473705))
        p = fma(p, r, Self(repeating: 0.04166666666652578))
        p = fma(p, r, Self(repeating: 0.16666666666666438))
        p = fma(p, r, Self(repeating: 0.5000000000000011))
        return p
    }

    @inline(__always) static func logarithmTail(_ f: Self) -> Self {
        var p = Self(repeating: 0.0824294511113694)
        p = fma(p, f, Self(repeating: -0.08324818535650433))
        p = fma(p, f, Self(repeating: 0.03495145628937908))
        p = fma(p, f, Self(repeating: -0.03845572033750677))
        p = fma(p, f, Self(repeating: 0.054858696572151616))
        p = fma(p, f, Self(repeating: -0.05745158899571318))
        p = fma(p, f, Self(repeating: 0.058581774825449746))
        p = fma(p, f, Self(repeating: -0.06230958425287036))
        p = fma(p, f, Self(repeating: 0.06668370762272399))
        p = fma(p, f, Self(repeating: -0.07144081642291016))
        p = fma(p, f, Self(repeating: 0.07692228726736215))
        p = fma(p, f, Self(repeating: -0.08333282602189329))
        p = fma(p, f, Self(repeating: 0.09090911460526062))
        p = fma(p, f, Self(repeating: -0.1000000132039179))
        p = fma(p, f, Self(repeating: 0.1111111106704507))
        p = fma(p, f, Self(repeating: -0.12499999979735178))
        p = fma(p, f, Self(repeating: 0.142857142861798))
        p = fma(p, f, Self(repeating: -0.16666666666827443))
        p = fma(p, f, Self(repeating: 0.1999999999999765))
        p = fma(p, f, Self(repeating: -0.24999999999999523))
        p = fma(p, f, Self(repeating: 0.33333333333333337))
        return p
    }

    @inline(__always) static func erfNear(_ t: Self) -> Self {
        var p = Self(repeating: 1.435372675691099e-10)
        p = fma(p, t, Self(repeating: -1.6470295575889744e-09))
        p = fma(p, t, Self(repeating: 1.601454241690564e-08))
        p = fma(p, t, Self(repeating: -1.6557306109786384e-07))
        p = fma(p, t, Self(repeating: 1.6481073687242024e-06))
        p = fma(p, t, Self(repeating: -1.4926882269019199e-05))
        p = fma(p, t, Self(repeating: 0.00012055386221717024))
        p = fma(p, t, Self(repeating: -0.0008548328536427193))
        p = fma(p, t, Self(repeating: 0.005223977652700777))
        p = fma(p, t, Self(repeating: -0.026866170648031696))
        p = fma(p, t, Self(repeating: 0.112837916709711))
        p = fma(p, t, Self(repeating: -0.376126389031841))
        p = fma(p, t, Self(repeating: 0.1283791670955126))
        return p
    }

    @inline(__always) static func erfFar(_ a: Self) -> Self {
        var p = Self(repeating: 2.0144346556692507e-13)
        p = fma(p, a, Self(repeating: -9.966451295847602e-12))
        p = fma(p, a, Self(repeating: 2.3234275622889347e-10))
        p = fma(p, a, Self(repeating: -3.3929939873032544e-09))
        p = fma(p, a, Self(repeating: 3.478289112079773e-08))
        p = fma(p, a, Self(repeating: -2.65532549990577e-07))
        p = fma(p, a, Self(repeating: 1.5593489745727463e-06))
        p = fma(p, a, Self(repeating: -7.14671800803463e-06))
        p = fma(p, a, Self(repeating: 2.544809538519072e-05))
        p = fma(p, a, Self(repeating: -6.778322410202498e-05))
        p = fma(p, a, Self(repeating: 0.00011709293604044097))
        p = fma(p, a, Self(repeating: -3.2635296635956455e-05))
        p = fma(p, a, Self(repeating: -0.0005379764846271778))
        p = fma(p, a, Self(repeating: 0.001659454990935053))
        p = fma(p, a, Self(repeating: -0.00018917407131042896))
        p = fma(p, a, Self(repeating: -0.01913657425224873))
        p = fma(p, a, Self(repeating: 0.10277491585892978))
        p = fma(p, a, Self(repeating: 0.6366193612462512))
        p = fma(p, a, Self(repeating: 1.1283792014237395))
        return p
    }

    @inline(__always) static func sineTail(_ t: Self) -> Self {
        var p = Self(repeating: 1.589543218536254e-10)
        p = fma(p, t, Self(repeating: -2.5050734379725815e-08))
        p = fma(p, t, Self(repeating: 2.7557313538494274e-06))
        p = fma(p, t, Self(repeating: -0.00019841269829358525))
        p = fma(p, t, Self(repeating: 0.00833333333332184))
        p = fma(p, t, Self(repeating: -0.1666666666666663))
        return p
    }

    @inline(__always) static func cosineTail(_ t: Self) -> Self {
        var p = Self(repeating: -1.135873283207151e-11)
        p = fma(p, t, Self(repeating: 2.087570511586129e-09))
        p = fma(p, t, Self(repeating: -2.755731421530146e-07))
        p = fma(p, t, Self(repeating: 2.4801587288997478e-05))
        p = fma(p, t, Self(repeating: -0.0013888888888873338))
        p = fma(p, t, Self(repeating: 0.041666666666666595))
        return p
    }

    /// (a + 4) · e^(a²/2) · Φ(-a) of t = (a - 4) / (a + 4), 0 ≤ a ≤ 39, less its constant, by t.
    @inline(__always) static func normalTail(_ t: Self) -> Self {
        var p = Self(repeating: -1.62698971736259e-09)
        p = Self.fma(p, t, Self(repeating: -4.062122610450239e-09))
        p = Self.fma(p, t, Self(repeating: 4.940733216114962e-09))
        p = Self.fma(p, t, Self(repeating: 2.5583053251517194e-08))
        p = Self.fma(p, t, Self(repeating: 9.060059317998602e-09))
        p = Self.fma(p, t, Self(repeating: -9.544697295883342e-08))
        p = Self.fma(p, t, Self(repeating: -1.5182473729695328e-07))
        p = Self.fma(p, t, Self(repeating: 2.814239324554065e-07))
        p = Self.fma(p, t, Self(repeating: 1.0202487780663535e-06))
        p = Self.fma(p, t, Self(repeating: -6.354648110425333e-07))
        p = Self.fma(p, t, Self(repeating: -5.919898866306334e-06))
        p = Self.fma(p, t, Self(repeating: 7.189060417767587e-07))
        p = Self.fma(p, t, Self(repeating: 3.514467517313703e-05))
        p = Self.fma(p, t, Self(repeating: -1.9088213349065094e-06))
        p = Self.fma(p, t, Self(repeating: -0.00023109494197365302))
        p = Self.fma(p, t, Self(repeating: 0.00013334440121780925))
        p = Self.fma(p, t, Self(repeating: 0.0016308184588454766))
        p = Self.fma(p, t, Self(repeating: -0.003479692375614812))
        p = Self.fma(p, t, Self(repeating: -0.00754018896679739))
        p = Self.fma(p, t, Self(repeating: 0.06039657489132825))
        p = Self.fma(p, t, Self(repeating: -0.18652185795965684))
        p = Self.fma(p, t, Self(repeating: 0.38713740074220726))
        p = Self.fma(p, t, Self(repeating: -0.6078966419718921))
        return p
    }
}
