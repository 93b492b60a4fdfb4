import CSpinetail

/// Temporary memory. Buffers go back to a small cache, so that a kernel called in a loop does not pay for fresh pages
/// each time. Every function is safe in any thread, and a fork at the wrong moment only leaks one buffer.
enum Scratch {
    static let slots = 8
    /// Bytes that the cache holds at most, all slots together.
    static let largestCache = 64 << 20

    /// 64-byte aligned memory, or nil when there is none; `bytes` may be 0.
    static func take(_ bytes: Int) -> UnsafeMutableRawPointer? {
        if bytes < 0 || bytes > Int.max &- 8192 { return nil }
        if let block = cached(atLeast: bytes) { return block + 64 }
        let size = (bytes &+ 4095) & ~4095
        var block: UnsafeMutableRawPointer? = nil
        if posix_memalign(&block, 64, size &+ 64) != 0 {
            empty()
            if posix_memalign(&block, 64, size &+ 64) != 0 { return nil }
        }
        guard let block else { return nil }
        block.storeBytes(of: size, as: Int.self)
        return block + 64
    }

    static func give(_ memory: UnsafeMutableRawPointer?) {
        guard let memory, let cache = scratchCache() else { return }
        let block = memory - 64
        let size = block.load(as: Int64.self)
        if spinetail_atomic_add(&cachedBytes, size) &+ size > Int64(truncatingIfNeeded: largestCache) {
            drop(block)
            return
        }
        var keep = Int64(truncatingIfNeeded: Int(bitPattern: block))
        var slot = 0
        while slot < slots {
            keep = spinetail_atomic_exchange(cache + slot, keep)
            if keep == 0 { return }
            slot &+= 1
        }
        if let pushedOut = UnsafeMutableRawPointer(bitPattern: Int(truncatingIfNeeded: keep)) { drop(pushedOut) }
    }

    /// Frees everything in the cache.
    static func empty() {
        _ = cached(atLeast: Int.max)
    }

    /// The first block that is large enough; the smaller ones before it are freed, so the cache grows to what is needed.
    private static func cached(atLeast bytes: Int) -> UnsafeMutableRawPointer? {
        guard let cache = scratchCache() else { return nil }
        var slot = 0
        while slot < slots {
            let held = spinetail_atomic_exchange(cache + slot, 0)
            if let block = UnsafeMutableRawPointer(bitPattern: Int(truncatingIfNeeded: held)) {
                if block.load(as: Int.self) >= bytes {
                    _ = spinetail_atomic_add(&cachedBytes, 0 &- block.load(as: Int64.self))
                    return block
                }
                drop(block)
            }
            slot &+= 1
        }
        return nil
    }

    private static func drop(_ block: UnsafeMutableRawPointer) {
        _ = spinetail_atomic_add(&cachedBytes, 0 &- block.load(as: Int64.self))
        free(block)
    }
}

nonisolated(unsafe) private var cacheAddress: Int64 = 0
nonisolated(unsafe) private var cachedBytes: Int64 = 0

/// The slots of the cache, made at first use.
private func scratchCache() -> UnsafeMutablePointer<Int64>? {
    let held = spinetail_atomic_load(&cacheAddress)
    if let cache = UnsafeMutablePointer<Int64>(bitPattern: Int(truncatingIfNeeded: held)) { return cache }
    guard let fresh = calloc(Scratch.slots, 8) else { return nil }
    // Two threads may race here: one table wins, and the other thread uses it.
    if spinetail_atomic_replace(&cacheAddress, 0, Int64(truncatingIfNeeded: Int(bitPattern: fresh))) == 0 {
        free(fresh)
    }
    return UnsafeMutablePointer(bitPattern: Int(truncatingIfNeeded: spinetail_atomic_load(&cacheAddress)))
}
