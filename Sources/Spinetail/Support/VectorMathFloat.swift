import CSpinetail

// Coefficients come from tools/fit_polynomials.py, which also states how good each fit is.
extension FloatLanes: VectorMath {
    @inline(__always) static var exponentialLow: Self { Self(repeating: -103.98) }
    @inline(__always) static var exponentialHigh: Self { Self(repeating: 89) }
    @inline(__always) static var gateEnd: Self { Self(repeating: -112) }
    @inline(__always) static var gateNear: Float { 87 }
    @inline(__always) static var geluTanhEnd: Self { Self(repeating: -12.5) }
    @inline(__always) static var geluTanhNear: Float { 9.8 }
    @inline(__always) static var belowOne: Self { Self(repeating: -20) }
    @inline(__always) static var ln2High: Self { Self(repeating: 0.693359375) }
    @inline(__always) static var ln2Low: Self { Self(repeating: -2.12194440e-4) }
    @inline(__always) static var tiny: Self { Self(repeating: 1e-15) }
    @inline(__always) static var huge: Self { Self(repeating: 1e30) }
    @inline(__always) static var smallestNormal: Self { Self(repeating: Float.leastNormalMagnitude) }
    @inline(__always) static var largest: Self { Self(repeating: Float.greatestFiniteMagnitude) }
    @inline(__always) static var denormalScale: Self { Self(repeating: 33_554_432) }
    @inline(__always) static var denormalExponent: Self { Self(repeating: 25) }
    @inline(__always) static var erfIsOne: Self { Self(repeating: 3.95) }

    @inline(__always) static func tanh(_ x: Self) -> Self {
        if spinetail_has_tables() == 0 { return tanhByExponential(x) }
        return copysign(spinetail_tanh_by_table(abs(x)), x)
    }

    @inline(__always) static func erf(_ x: Self) -> Self {
        if spinetail_has_tables() == 0 { return erfByExponential(x) }
        return copysign(spinetail_erf_by_table(abs(x)), x)
    }

    @inline(__always) static var exp2Low: Float { -126 }

    @inline(__always) static func exp2(_ t: Self) -> Self {
        let f = spinetail_fraction_f32(t)
        var p = Self(repeating: 0.0018669514684006572)
        p = fma(p, f, Self(repeating: 0.009017481468617916))
        p = fma(p, f, Self(repeating: 0.055799514055252075))
        p = fma(p, f, Self(repeating: 0.2401645928621292))
        p = fma(p, f, Self(repeating: 0.6931512951850891))
        p = fma(p, f, Self(repeating: 1))
        return spinetail_scale_whole_f32(p, t)
    }

    @inline(__always) static func exponentialTail(_ r: Self) -> Self {
        var p = Self(repeating: 0.0013839054154232144)
        p = fma(p, r, Self(repeating: 0.008369198068976402))
        p = fma(p, r, Self(repeating: 0.04166810214519501))
        p = fma(p, r, Self(repeating: 0.16666516661643982))
        p = fma(p, r, Self(repeating: 0.4999999403953552))
        return p
    }

    @inline(__always) static func logarithmTail(_ f: Self) -> Self {
        var p = Self(repeating: 0.11728201061487198)
        p = fma(p, f, Self(repeating: -0.12882602214813232))
        p = fma(p, f, Self(repeating: 0.10822070389986038))
        p = fma(p, f, Self(repeating: -0.12187860161066055))
        p = fma(p, f, Self(repeating: 0.14298953115940094))
        p = fma(p, f, Self(repeating: -0.166800856590271))
        p = fma(p, f, Self(repeating: 0.1999976485967636))
        p = fma(p, f, Self(repeating: -0.24999810755252838))
        p = fma(p, f, Self(repeating: 0.3333333432674408))
        return p
    }

    @inline(__always) static func erfNear(_ t: Self) -> Self {
        var p = Self(repeating: 7.806917710695416e-05)
        p = fma(p, t, Self(repeating: -0.0007997856009751558))
        p = fma(p, t, Self(repeating: 0.005187162198126316))
        p = fma(p, t, Self(repeating: -0.026853347197175026))
        p = fma(p, t, Self(repeating: 0.11283578723669052))
        p = fma(p, t, Self(repeating: -0.3761262595653534))
        p = fma(p, t, Self(repeating: 0.12837916612625122))
        return p
    }

    @inline(__always) static func erfFar(_ a: Self) -> Self {
        var p = Self(repeating: -0.00021064694738015532)
        p = fma(p, a, Self(repeating: 0.0031869765371084213))
        p = fma(p, a, Self(repeating: -0.022798558697104454))
        p = fma(p, a, Self(repeating: 0.10511629283428192))
        p = fma(p, a, Self(repeating: 0.635831356048584))
        p = fma(p, a, Self(repeating: 1.128480076789856))
        return p
    }

    @inline(__always) static func sineTail(_ t: Self) -> Self {
        var p = Self(repeating: -0.00019518293265718967)
        p = fma(p, t, Self(repeating: 0.008332189172506332))
        p = fma(p, t, Self(repeating: -0.16666655242443085))
        return p
    }

    @inline(__always) static func cosineTail(_ t: Self) -> Self {
        var p = Self(repeating: 2.4432327336398885e-05)
        p = fma(p, t, Self(repeating: -0.0013887309469282627))
        p = fma(p, t, Self(repeating: 0.04166664555668831))
        return p
    }

    /// (a + 4) · e^(a²/2) · Φ(-a) of t = (a - 4) / (a + 4), 0 ≤ a ≤ 15, in float64 and as exact as float32 needs.
    @inline(__always) static func normalTail(_ t: DoubleLanes) -> DoubleLanes {
        var p = DoubleLanes(repeating: 1.8443877949900926e-05)
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: -7.822761453651028e-06))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: -0.00021615957666683289))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: 0.00014029831726615694))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: 0.001625000036911871))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: -0.0034823708018416697))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: -0.007539096958576647))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: 0.060396980476917286))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: -0.18652195162451968))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: 0.3871373799520121))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: -0.6078966394931634))
        p = DoubleLanes.fma(p, t, DoubleLanes(repeating: 0.7552851305745899))
        return p
    }

    @inline(__always) static func tanhNear(_ t: Self) -> Self {
        var p = Self(repeating: -0.006242855452001095)
        p = fma(p, t, Self(repeating: 0.021050715819001198))
        p = fma(p, t, Self(repeating: -0.0538475476205349))
        p = fma(p, t, Self(repeating: 0.13332544267177582))
        p = fma(p, t, Self(repeating: -0.33333316445350647))
        return p
    }
}
