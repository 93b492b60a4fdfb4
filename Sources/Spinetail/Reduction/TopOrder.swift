import CSpinetail

/// Whole numbers of the elements' own size that order as they do, the best the smallest: for the largest elements NaN
/// first; both zeros alike.
protocol OrderKey: FixedWidthInteger, UnsignedInteger {
    associatedtype Element: Real
    static func of(_ value: Element) -> Self
}

extension UInt32: OrderKey {
    /// The key for the smallest elements; its opposite is the one for the largest.
    @inline(__always) static func of(_ value: Float) -> UInt32 {
        let bits = (value + 0).bitPattern
        let sign = UInt32(bitPattern: Int32(bitPattern: bits) &>> 31)
        return value.isNaN ? UInt32.max : bits ^ (sign | 0x8000_0000)
    }
}

extension UInt64: OrderKey {
    @inline(__always) static func of(_ value: Double) -> UInt64 {
        let bits = (value + 0).bitPattern
        let sign = UInt64(bitPattern: Int64(bitPattern: bits) &>> 63)
        return value.isNaN ? UInt64.max : bits ^ (sign | 0x8000_0000_0000_0000)
    }
}

/// The k best of a row by radix: digits of eleven bits from the top find the k-th key, the better ones and as many equal
/// ones as are wanted are gathered in their order, and digits from the bottom sort them, which keeps equal ones in order.
struct TopOrder<K: OrderKey> {
    static var digit: Int { 11 }
    static var bins: Int { 1 << digit }
    static var levels: Int { K.bitWidth == 32 ? 3 : 6 }

    /// Bytes of memory that `select` needs.
    static func bytes(_ n: Int, _ k: Int) -> Int {
        let keys = roundUp(n &* MemoryLayout<K>.stride, 64)
        return keys &+ 2 &* roundUp(k &* MemoryLayout<K>.stride, 64) &+ 2 &* roundUp(k &* 4, 64) &+ levels &* bins &* 8
    }

    private let keys, better, other: UnsafeMutablePointer<K>
    private let places, others: UnsafeMutablePointer<UInt32>
    private let counts: UnsafeMutablePointer<Int>

    init(_ memory: UnsafeMutableRawPointer, _ n: Int, _ k: Int) {
        let keyBytes = roundUp(k &* MemoryLayout<K>.stride, 64), placeBytes = roundUp(k &* 4, 64)
        let afterKeys = memory + roundUp(n &* MemoryLayout<K>.stride, 64)
        keys = memory.assumingMemoryBound(to: K.self)
        better = afterKeys.assumingMemoryBound(to: K.self)
        other = (afterKeys + keyBytes).assumingMemoryBound(to: K.self)
        places = (afterKeys + 2 &* keyBytes).assumingMemoryBound(to: UInt32.self)
        others = (afterKeys + 2 &* keyBytes + placeBytes).assumingMemoryBound(to: UInt32.self)
        counts = (afterKeys + 2 &* keyBytes + 2 &* placeBytes).assumingMemoryBound(to: Int.self)
    }

    @inline(__always) private func bin(_ key: K, _ level: Int) -> Int {
        Int(truncatingIfNeeded: key &>> K(truncatingIfNeeded: level &* Self.digit)) & (Self.bins &- 1)
    }

    /// The places of the k best of n elements in order; 0 < k <= n < 2³².
    func select(_ x: UnsafePointer<K.Element>, _ n: Int, _ k: Int, largest: Bool) -> UnsafePointer<UInt32> {
        let flip: K = largest ? K.max : 0
        var i = 0
        while i < n {
            keys[i] = K.of(x[i]) ^ flip
            i &+= 1
        }
        // The k-th key, digit by digit, until all that share its digits are wanted.
        var prefix: K = 0, known: K = 0
        var wanted = k
        var level = Self.levels
        while level > 0 {
            level &-= 1
            let (bin, before, size) = find(n, level, prefix, known, wanted)
            prefix |= K(truncatingIfNeeded: bin) &<< K(truncatingIfNeeded: level &* Self.digit)
            known |= K(truncatingIfNeeded: Self.bins &- 1) &<< K(truncatingIfNeeded: level &* Self.digit)
            wanted &-= before
            if size == wanted { break }
        }
        gather(n, k, prefix, known, wanted)
        return sort(k)
    }

    /// Among the keys with the digits known so far, the bin of the wanted one at the next level, how many stand before
    /// that bin, and how many in it.
    private func find(_ n: Int, _ level: Int, _ prefix: K, _ known: K, _ wanted: Int) -> (Int, Int, Int) {
        memset(counts, 0, Self.bins &* 8)
        var i = 0
        if known == 0 {
            while i < n {
                counts[bin(keys[i], level)] &+= 1
                i &+= 1
            }
        } else {
            while i < n {
                if keys[i] & known == prefix { counts[bin(keys[i], level)] &+= 1 }
                i &+= 1
            }
        }
        var number = 0, before = 0
        while number < Self.bins &- 1 && before &+ counts[number] < wanted {
            before &+= counts[number]
            number &+= 1
        }
        return (number, before, counts[number])
    }

    /// All keys below the prefix and the first `ties` that share it, in their order: k in all.
    private func gather(_ n: Int, _ k: Int, _ prefix: K, _ known: K, _ ties: Int) {
        var left = ties, found = 0
        var i = 0
        while i < n && found < k {
            let head = keys[i] & known
            let equal = head == prefix && left > 0
            better[found] = keys[i]
            places[found] = UInt32(truncatingIfNeeded: i)
            left &-= equal ? 1 : 0
            found &+= head < prefix || equal ? 1 : 0
            i &+= 1
        }
    }

    /// Sorts what has been gathered, and says where the places are then.
    private func sort(_ k: Int) -> UnsafePointer<UInt32> {
        memset(counts, 0, Self.levels &* Self.bins &* 8)
        var i = 0
        while i < k {
            var level = 0
            while level < Self.levels {
                counts[level &* Self.bins &+ bin(better[i], level)] &+= 1
                level &+= 1
            }
            i &+= 1
        }
        var from = (keys: better, places: places), to = (keys: other, places: others)
        var level = 0
        while level < Self.levels {
            let starts = counts + level &* Self.bins
            if starts[bin(from.keys[0], level)] < k {  // else they agree in this digit
                var sum = 0, number = 0
                while number < Self.bins {
                    let count = starts[number]
                    starts[number] = sum
                    sum &+= count
                    number &+= 1
                }
                i = 0
                while i < k {
                    let digit = bin(from.keys[i], level)
                    let place = starts[digit]
                    starts[digit] = place &+ 1
                    to.keys[place] = from.keys[i]
                    to.places[place] = from.places[i]
                    i &+= 1
                }
                swap(&from, &to)
            }
            level &+= 1
        }
        return UnsafePointer(from.places)
    }
}
