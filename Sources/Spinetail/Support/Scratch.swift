import CSpinetail

/// Temporary memory. Buffers go back to a small cache, so that a kernel called in a loop does not pay for fresh pages
/// each time. Every function is safe in any thread, and a fork at the wrong moment only leaks one buffer.
enum Scratch {
    private static let slots = 8
    private static let largestCached = 64 << 20

    /// 64-byte aligned memory, or nil when there is none; `bytes` may be 0.
    static func take(_ bytes: Int) -> UnsafeMutableRawPointer? {
        if bytes < 0 || bytes > Int.max &- 4096 { return nil }
        guard let cache = scratchCache() else { return nil }
        var slot = 0
        while slot < slots {
            let held = spinetail_atomic_exchange(cache + slot, 0)
            if let block = UnsafeMutableRawPointer(bitPattern: Int(truncatingIfNeeded: held)) {
                if block.load(as: Int.self) >= bytes { return block + 64 }
                free(block)
            }
            slot &+= 1
        }
        let size = (bytes &+ 4095) & ~4095
        var block: UnsafeMutableRawPointer? = nil
        if posix_memalign(&block, 64, size &+ 64) != 0 { return nil }
        guard let block else { return nil }
        block.storeBytes(of: size, as: Int.self)
        return block + 64
    }

    static func give(_ memory: UnsafeMutableRawPointer?) {
        guard let memory, let cache = scratchCache() else { return }
        let block = memory - 64
        if block.load(as: Int.self) > largestCached {
            free(block)
            return
        }
        var keep = Int64(truncatingIfNeeded: Int(bitPattern: block))
        var slot = 0
        while slot < slots {
            keep = spinetail_atomic_exchange(cache + slot, keep)
            if keep == 0 { return }
            slot &+= 1
        }
        free(UnsafeMutableRawPointer(bitPattern: Int(truncatingIfNeeded: keep)))
    }
}

nonisolated(unsafe) private var cacheWord: Int64 = 0

/// The slots of the cache, made at first use.
private func scratchCache() -> UnsafeMutablePointer<Int64>? {
    let held = spinetail_atomic_load(&cacheWord)
    if let cache = UnsafeMutablePointer<Int64>(bitPattern: Int(truncatingIfNeeded: held)) { return cache }
    guard let fresh = calloc(8, 8) else { return nil }
    // Two threads may race here: the loser's table is dropped from sight, 64 bytes once in a process.
    spinetail_atomic_store(&cacheWord, Int64(truncatingIfNeeded: Int(bitPattern: fresh)))
    return fresh.assumingMemoryBound(to: Int64.self)
}
