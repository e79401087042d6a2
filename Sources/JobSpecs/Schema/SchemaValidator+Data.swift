// What the data section of a job contradicts itself by.
extension SchemaValidator {
    /// Checks that lists of texts hold names alone.
    mutating func checkNames(_ data: DataOptions) {
        for place in data.weightsAmongNames {
            report(
                place.hasPrefix("train")
                    ? "a weight among names; write names alone, and \"train_weights\": [0.3, 0.7] beside them"
                    : "a weight among names; only training texts are drawn from by weight, so write names alone",
                at: "$.data.\(place)"
            )
        }
    }

    /// Checks that there is something to train on.
    mutating func checkTraining(_ data: DataOptions) {
        guard data.training.isEmpty, data.generated == nil else { return }
        report(
            "missing; name training texts, or let the teacher make some: "
                + "\"generated\": {\"windows\": 1000}",
            at: "$.data.train"
        )
    }

    /// Checks the weights of training texts.
    mutating func checkMixture(_ data: DataOptions) {
        guard data.isMixture else { return }
        let path = "$.data.train_weights"
        if data.trainingWeights.count != data.training.count {
            report(
                "\(data.trainingWeights.count) weights for \(data.training.count) names in data.train; write one "
                    + "for each",
                at: path
            )
        }
        if data.generated != nil {
            report(
                "not allowed with generated, which has no weight; leave one of both out",
                at: path
            )
        }
        if data.implementation.isCorpus, data.loaderType == .cyclic {
            report(
                "not allowed with \"cyclic\", which goes through one text; leave dataloader_type out",
                at: path
            )
        }
    }

    /// Checks what corpora do not go with.
    mutating func checkCorpora(_ spec: TrainSpec) {
        guard spec.data.implementation.isCorpus else { return }
        if spec.data.namesSampling {
            report(
                "not allowed with \"mmap\"; dataloader_type says in which order a corpus is read",
                at: "$.data.sampling"
            )
        }
        // NumPy, whose generator Megatron shuffles by, refuses more.
        if spec.seed > UInt64(UInt32.max) {
            report(
                "\(spec.seed) is not allowed with \"mmap\"; expected at most \(UInt32.max), as Megatron "
                    + "does",
                at: "$.seed"
            )
        }
        if let splits = spec.data.splits, splits.training == 0 {
            report(
                "not allowed: the first share, which is trained on, is 0",
                at: "$.data.splits_string"
            )
        }
    }
}
