import CSpinetail

/// The average pooling that networks use most: windows side by side, two elements wide, that cover the input. Its rows
/// follow each other in memory without a look at planes and borders.
extension PoolingShape {
    var isPairs: Bool {
        !d.adaptive && h.dilation == 1 && w.dilation == 1 && d.kernel == 1 && d.stride == 1 && d.padding == 0
            && h.kernel == h.stride && h.padding == 0
            && h.input == h.output &* h.kernel && w.kernel == 2 && w.stride == 2 && w.padding == 0
            && w.input == 2 &* w.output
    }

    var pairDivisor: Int { divisor != 0 ? divisor : 2 &* h.kernel }
}

struct AveragePairs<E: Real>: ParallelTask {
    let output: UnsafeMutablePointer<E>
    let input: UnsafePointer<E>
    let rows: Int
    let rowsPerTask: Int
    let width: Int
    let kernel: Int
    let divisor: E

    func run(_ index: Int, worker: Int) {
        var row = index &* rowsPerTask
        let end = Swift.min(rows, row &+ rowsPerTask)
        while row < end {
            let x = input + row &* kernel &* 2 &* width
            if kernel == 2 { run(x, output + row &* width, 2) } else { run(x, output + row &* width, kernel) }
            row &+= 1
        }
    }

    @inline(__always) private func run(_ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ kernel: Int) {
        let lanes = E.Lanes.width
        let divisors = E.Lanes(repeating: divisor)
        var i = 0
        while i &+ lanes <= width {
            var total = E.Lanes.loadSecond(x + 2 &* i) + E.Lanes.loadSecond(x + 2 &* i + 1)
            var k = 1
            while k < kernel {
                let line = x + (2 &* k &* width &+ 2 &* i)
                total = total + (E.Lanes.loadSecond(line) + E.Lanes.loadSecond(line + 1))
                k &+= 1
            }
            (total / divisors).store(y + i)
            i &+= lanes
        }
        if i < width {
            let count = width &- i
            var total = E.Lanes.zero
            var k = 0
            while k < kernel {
                let line = x + (2 &* k &* width &+ 2 &* i)
                total = total + (E.Lanes.loadSecond(line, count: count) + E.Lanes.loadSecond(line + 1, count: count))
                k &+= 1
            }
            (total / divisors).store(y + i, count: count)
        }
    }
}

struct SpreadPairs<E: Real>: ParallelTask {
    let dinput: UnsafeMutablePointer<E>
    let doutput: UnsafePointer<E>
    let rows: Int
    let rowsPerTask: Int
    let width: Int
    let kernel: Int
    let divisor: E

    func run(_ index: Int, worker: Int) {
        var row = index &* rowsPerTask
        let end = Swift.min(rows, row &+ rowsPerTask)
        while row < end {
            let dy = doutput + row &* width
            let dx = dinput + row &* kernel &* 2 &* width
            if kernel == 2 { run(dy, dx, 2) } else { run(dy, dx, kernel) }
            row &+= 1
        }
    }

    @inline(__always) private func run(_ dy: UnsafePointer<E>, _ dx: UnsafeMutablePointer<E>, _ kernel: Int) {
        let lanes = E.Lanes.width
        let divisors = E.Lanes(repeating: divisor)
        var i = 0
        while i &+ lanes <= width {
            let share = E.Lanes.load(dy + i) / divisors
            let low = E.Lanes.zipLow(share, share)
            let high = E.Lanes.zipHigh(share, share)
            var k = 0
            while k < kernel {
                let line = dx + (2 &* k &* width &+ 2 &* i)
                low.store(line)
                high.store(line + lanes)
                k &+= 1
            }
            i &+= lanes
        }
        if i < width {
            let rest = 2 &* (width &- i)
            let share = E.Lanes.load(dy + i, count: width &- i, fill: 0) / divisors
            let low = E.Lanes.zipLow(share, share)
            let high = E.Lanes.zipHigh(share, share)
            var k = 0
            while k < kernel {
                let line = dx + (2 &* k &* width &+ 2 &* i)
                if rest < lanes {
                    low.store(line, count: rest)
                } else {
                    low.store(line)
                    if rest > lanes { high.store(line + lanes, count: rest &- lanes) }
                }
                k &+= 1
            }
        }
    }
}
