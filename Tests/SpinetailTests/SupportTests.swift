import CSpinetail
import Testing

@testable import Spinetail

@Test func scratchIsAlignedAndReused() {
    let first = Scratch.take(1000)
    #expect(first != nil)
    #expect(Int(bitPattern: first) % 64 == 0)
    Scratch.give(first)
    let second = Scratch.take(500)
    #expect(second == first)
    Scratch.give(second)
    #expect(Scratch.take(-1) == nil)
    #expect(Scratch.take(Int.max) == nil)
}
