import CSpinetail

/// What one vector of a panel of pixels takes from one place of the source: lane i with its bit set is element
/// place + i · step of a channel. Runs whose places continue each other's share one.
struct Piece {
    var place: Int
    var bits: UInt32
}

extension Source {
    /// Bytes that `pack` needs for its pieces.
    static func pieceBytes(taps: Int) -> Int {
        Tile<E>.isWide ? taps &* Tile<E>.columns &* MemoryLayout<Piece>.stride : 0
    }

    /// out[(channel · tapCount + tap) · Tile.columns + column] for at most Tile.columns pixels in runs. Channel after
    /// channel, for theirs lie apart while all taps of one see the same few lines.
    @inline(never)
    func pack(
        _ runs: UnsafeMutablePointer<Run>, _ runCount: Int, columns: Int, taps: UnsafePointer<Tap>, tapCount: Int,
        firstChannel: Int, channels: Int, pieces memory: UnsafeMutableRawPointer, into out: UnsafeMutablePointer<E>
    ) {
        let row = Tile<E>.columns
        if Tile<E>.isWide && step.w <= 2 {
            let pieces = memory.assumingMemoryBound(to: Piece.self)
            let most = list(runs, runCount, taps, tapCount, into: pieces)
            let from = base + firstChannel &* channel
            let vectors = 2 &* tapCount
            if step.w == 1 {
                if most <= 2 { return fill(out, channels, from, pieces, vectors, 2, second: false) }
                return fill(out, channels, from, pieces, vectors, most, second: false)
            }
            if most <= 2 { return fill(out, channels, from, pieces, vectors, 2, second: true) }
            return fill(out, channels, from, pieces, vectors, most, second: true)
        }
        var t = 0
        while t < tapCount {
            gather(
                runs, runCount, columns: columns, tap: taps[t], firstChannel: firstChannel, channels: channels,
                into: out + t &* row, row: tapCount &* row)
            t &+= 1
        }
    }

    /// The pieces of each tap's two vectors, as many places as there are lanes for each; returns the most that one has,
    /// at least 1. Up to there, and to two, the others' are empty.
    @inline(never)
    private func list(
        _ runs: UnsafeMutablePointer<Run>, _ runCount: Int, _ taps: UnsafePointer<Tap>, _ tapCount: Int,
        into out: UnsafeMutablePointer<Piece>
    ) -> Int {
        let width = E.Lanes.width
        var most = 1
        var v = 0
        while v < 2 &* tapCount {
            let begin = (v & 1) &* width
            let pieces = out + v &* width
            var i = 0
            while i < width {
                (pieces + i).initialize(to: Piece(place: 0, bits: 0))
                i &+= 1
            }
            var made = 0
            i = 0
            while i < runCount {
                let run = runs + i
                if begin == 0 { _ = locate(run, taps[v >> 1]) }
                let first = Swift.max(run.pointee.first &+ run.pointee.from, begin)
                let last = Swift.min(run.pointee.first &+ run.pointee.to, begin &+ width)
                if first < last {
                    let lane = first &- begin
                    let bits =
                        ((UInt32(1) << UInt32(truncatingIfNeeded: last &- first)) &- 1)
                        << UInt32(truncatingIfNeeded: lane)
                    let skipped = first &- run.pointee.first &- run.pointee.from
                    let place = run.pointee.place &+ (skipped &- lane) &* step.w
                    if made > 0 && pieces[made &- 1].place == place {
                        pieces[made &- 1].bits |= bits
                    } else {
                        pieces[made] = Piece(place: place, bits: bits)
                        made &+= 1
                    }
                }
                i &+= 1
            }
            most = Swift.max(most, made)
            v &+= 1
        }
        return most
    }

    @inline(__always)
    private func fill(
        _ out: UnsafeMutablePointer<E>, _ channels: Int, _ from: UnsafePointer<E>, _ pieces: UnsafePointer<Piece>,
        _ vectors: Int, _ most: Int, second: Bool
    ) {
        let width = E.Lanes.width
        // The next panel's pixels lie about as far on, with the rows that the stride leaves out.
        let across = Swift.max(1, Spinetail.pieces(extent.w, step.w))
        let next =
            divide(Tile<E>.columns, by: across) &* step.h &* extent.w
            &+ remainder(Tile<E>.columns, by: across) &* step.w
        var p = from
        var q = out
        var c = 0
        while c < channels {
            var piece = pieces
            var v = vectors
            while v > 0 {
                // The next panel's: channels are so far apart that the processor does not foresee them.
                spinetail_prefetch_far(p + (piece.pointee.place &+ next))
                if second { spinetail_prefetch_far(p + (piece.pointee.place &+ next &+ width)) }
                var x = E.Lanes.zero
                var s = 0
                while s < most {
                    let at = p + piece[s].place
                    x = second ? x.loadedSecond(at, bits: piece[s].bits) : x.loaded(at, bits: piece[s].bits)
                    s &+= 1
                }
                x.store(q)
                piece += width
                q += width
                v &-= 1
            }
            p += channel
            c &+= 1
        }
    }
}
