import CSpinetail

/// What becomes of a gradient before a rule takes it: it is scaled (by -1 to maximize), cut to ±bound, and the parameter's
/// decays are added. Nothing of it costs a pass over memory.
struct GradientChange {
    let scale, bound, l1, decay: Double

    @inline(__always) func lanes<V: Lanes>(_ type: V.Type) -> GradientLanes<V> {
        GradientLanes(
            scale: V(repeating: V.Scalar(scale)), bound: V(repeating: V.Scalar(bound)), l1: V(repeating: V.Scalar(l1)),
            decay: V(repeating: V.Scalar(decay)), decays: l1 != 0 || decay != 0)
    }

    /// The same without the decay of squares, for rules whose decay is decoupled from the gradient.
    func decoupled(_ flags: Int64) -> GradientChange {
        let apart = flags & Int64(SPINETAIL_OPTIMIZER_DECOUPLED) != 0
        return GradientChange(scale: scale, bound: bound, l1: l1, decay: apart ? 0 : decay)
    }

    /// What a decoupled decay leaves of a parameter.
    func keep(_ lr: Double, _ flags: Int64) -> Double {
        flags & Int64(SPINETAIL_OPTIMIZER_DECOUPLED) != 0 ? 1 - lr * decay : 1
    }
}

struct GradientLanes<V: Lanes> {
    let scale, bound, l1, decay: V
    let decays: Bool

    @inline(__always) func apply(_ gradient: V, _ parameter: V) -> V {
        // min and max give their second argument where one is NaN.
        let cut = V.min(bound, V.max(V.negate(bound), gradient * scale))
        if !decays { return cut }
        let sign = V.select(V.equal(parameter, .zero), .zero, V.copysign(l1, parameter))
        return V.fma(decay, parameter, cut) + sign
    }
}
