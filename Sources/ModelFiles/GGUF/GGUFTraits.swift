internal import Transformer

/// How llama.cpp has a family of models: what it computes without being told, and what it can be told.
///
/// - SeeAlso: llama.cpp, `src/models/*.cpp` and `conversion/*.py`.
struct GGUFTraits: Sendable {
    /// Kinds of scaling of the rotary embedding.
    enum RotaryScaling: Sendable {
        /// `rope.scaling.type` `linear`.
        case linear
        /// `rope.scaling.type` `yarn`.
        case yarn
        /// The tensor `rope_freqs`, which is how Llama 3's is stored.
        case factors
        /// The tensors `rope_factors_short` and `rope_factors_long`.
        case longRope
    }

    /// What becomes of windows.
    enum Windows: Sendable {
        /// There are none.
        case none
        /// They are in the metadata, but llama.cpp's graphs of the family see everything.
        case carried
        /// They are computed.
        case computed
    }

    /// Which head llama.cpp takes.
    enum Head: Sendable {
        /// The tensor `output`, or else the embedding.
        case either
        /// The embedding always.
        case embedding
        /// The tensor `output` always.
        case own
    }

    /// `general.architecture`, which begins the keys.
    var architecture: String
    /// Whether the converter interleaves the halves of each head's rows of queries and keys.
    var permutesQueriesAndKeys: Bool
    /// Modules that may have biases.
    var biases: Set<LinearModule>
    /// Scalings that are computed.
    var rotaryScalings: Set<RotaryScaling>
    /// The names of tensors that hold several modules, by the module's in Hugging Face folders.
    var fusedNames: [String: String] = [:]
    /// What becomes of windows.
    var windows: Windows
    /// Which head is taken.
    var head: Head
    /// Whether all heads together are as wide as the residual stream.
    var hasHeadsOfHiddenSize: Bool

    init(
        architecture: String,
        permutesQueriesAndKeys: Bool = false,
        biases: Set<LinearModule> = Set(LinearModule.allCases),
        rotaryScalings: Set<RotaryScaling>,
        windows: Windows = .none,
        head: Head = .either,
        hasHeadsOfHiddenSize: Bool = false
    ) {
        self.architecture = architecture
        self.permutesQueriesAndKeys = permutesQueriesAndKeys
        self.biases = biases
        self.rotaryScalings = rotaryScalings
        self.windows = windows
        self.head = head
        self.hasHeadsOfHiddenSize = hasHeadsOfHiddenSize
    }
}
