internal import Devices

// What a run's settings say of documents in its windows.

extension WholeSequences {
    /// The attention of a run's micro-batches, of the student or of the teacher.
    convenience init(
        _ settings: TrainingEngine.Settings,
        of model: ModelConfiguration,
        device: any ComputeDevice
    ) {
        self.init(
            configuration: model,
            length: settings.length,
            documents: DocumentMarks(
                settings.documents,
                rows: settings.rows,
                length: settings.length,
                device: device
            ),
            device: device
        )
    }
}

extension NextTokenTargets {
    /// The targets of a run's micro-batches.
    init(_ settings: TrainingEngine.Settings, device: any ComputeDevice) {
        self.init(
            rows: settings.rows,
            length: settings.length,
            settings.documents,
            device: device
        )
    }
}

extension LossRows {
    /// The rows of a run's micro-batches that count.
    convenience init(_ settings: TrainingEngine.Settings) {
        self.init(
            rows: settings.rows,
            length: settings.length,
            settings.documents
        )
    }
}
