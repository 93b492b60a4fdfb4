// swift-tools-version: 6.2
import PackageDescription

// The Python build sets SPINETAIL_EMBEDDED: the kernels become Embedded Swift, which needs no runtime.
// Plain `swift build` and `swift test` compile the same sources as ordinary Swift.
let embedded = Context.environment["SPINETAIL_EMBEDDED"] != nil

let package = Package(
    name: "Spinetail",
    products: [
        .library(name: "Spinetail", type: .static, targets: ["Spinetail"])
    ],
    targets: [
        // MARK: - Floor 0: the contract, headers only
        .target(name: "CSpinetail"),

        // MARK: - Floor 1: the kernels
        .target(
            name: "Spinetail",
            dependencies: ["CSpinetail"],
            swiftSettings: [
                .unsafeFlags(["-enforce-exclusivity=unchecked"])
            ]
                + (embedded
                    ? [
                        .enableExperimentalFeature("Embedded"),
                        .unsafeFlags(["-wmo", "-Xfrontend", "-function-sections"]),
                    ] : [])
        ),

        // MARK: - Tests of what Python cannot see
        .testTarget(name: "SpinetailTests", dependencies: ["Spinetail", "CSpinetail"]),
    ]
)
