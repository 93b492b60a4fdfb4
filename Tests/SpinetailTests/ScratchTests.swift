import CSpinetail
import Testing

@testable import Spinetail

@Suite(.serialized) struct ScratchTests {
    @Test func isAligned() {
        for bytes in [0, 1, 63, 64, 4096, 100_000] {
            let memory = Scratch.take(bytes)
            #expect(memory != nil)
            #expect(Int(bitPattern: memory) % 64 == 0)
            memory?.initializeMemory(as: UInt8.self, repeating: 7, count: bytes)
            Scratch.give(memory)
        }
    }

    @Test func isReused() {
        Scratch.empty()
        let first = Scratch.take(1000)
        Scratch.give(first)
        let second = Scratch.take(500)
        #expect(second == first)
        Scratch.give(second)
    }

    @Test func twoAtOnceAreTwo() {
        let first = Scratch.take(64)
        let second = Scratch.take(64)
        #expect(first != second)
        Scratch.give(first)
        Scratch.give(second)
    }

    @Test func refusesWhatCannotBe() {
        #expect(Scratch.take(-1) == nil)
        #expect(Scratch.take(Int.max) == nil)
        #expect(Scratch.take(Int.max - 8193) == nil)
        #expect(Scratch.take(1 << 60) == nil)
        Scratch.give(nil)
    }

    @Test func theCacheIsBounded() {
        // Far more than the slots hold, and a block larger than the whole cache: all come back, none is lost or kept twice.
        Scratch.empty()
        let many = (0..<3 * Scratch.slots).map { Scratch.take(1000 + $0) }
        #expect(Set(many).count == many.count)
        many.forEach(Scratch.give)
        let large = Scratch.take(Scratch.largestCache + 1)
        #expect(large != nil)
        Scratch.give(large)
        let again = (0..<3 * Scratch.slots).map { _ in Scratch.take(100) }
        #expect(Set(again).count == again.count)
        again.forEach(Scratch.give)
        Scratch.empty()
    }
}
