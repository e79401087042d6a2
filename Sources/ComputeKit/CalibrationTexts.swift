public import JobSpecs
public import ModelFiles
public import Transformer

extension DataOptions {
    /// What is calibrated on, a text for each file or corpus; corpora stay where they are.
    ///
    /// `paths`: Of the files, or of the corpora.
    ///
    /// - Throws: ``ModelFileError``, naming the file and the place.
    public func calibrationTexts(
        paths: [String],
        _ tokens: TextTokens
    ) throws(ModelFileError) -> [any TokenText] {
        var texts: [any TokenText] = []
        for path in paths {
            switch implementation {
            case .text: texts.append(try TextCorpus.load(paths: [path], key: textKey, tokens))
            case .mmap:
                let documents = try CorpusDocuments([IndexedCorpus(path: path)])
                texts.append(
                    CorpusText(documents, vocabularySize: tokens.vocabularySize)
                )
            }
        }
        return texts
    }
}
