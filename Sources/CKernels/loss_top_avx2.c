// AVX2 twins of the loss on a teacher's most likely tokens.
#if defined(__x86_64__)
#include "loss_avx2.h"
#include "loss_top.h"
#include "transformer_avx2.h"

QAT_AVX2 static void best_of(const float *row, qat_candidate *heap, size_t count, size_t k) {
    qat_heap_begin(heap, row, k);
    size_t i = k;
    for (; i + 8 <= count; i += 8) {
        __m256 worst = _mm256_set1_ps(heap[0].value);
        __m256 larger = _mm256_cmp_ps(_mm256_loadu_ps(row + i), worst, _CMP_GT_OQ);
        if (_mm256_movemask_ps(larger) == 0) continue;
        for (size_t j = i; j < i + 8; j++) qat_heap_offer(heap, k, row[j], j);
    }
    for (; i < count; i++) qat_heap_offer(heap, k, row[i], i);
}

QAT_AVX2 void qat_top_outcomes_f32_avx2(float *logits, int32_t *ids, float *log_probabilities,
                                        size_t R, size_t V, size_t k, float temperature) {
    float scale = 1.0f / temperature;
    qat_candidate heap[QAT_TOP_LIMIT];
    for (size_t r = 0; r < R; r++) {
        float *row = logits + r * V, *values = log_probabilities + r * (k + 1);
        int32_t *chosen = ids + r * k;
        best_of(row, heap, V, k);
        qat_heap_end(heap, chosen, k);
        float top = row[chosen[0]];
        qat_take_out(row, chosen, values, k, top, scale);
        qat_finish_outcomes(values, exponentials(row, V, top, scale), k, k < V);
    }
}

QAT_AVX2 void qat_top_divergence_f32_avx2(float *student, const int32_t *ids,
                                          const float *log_teacher, qat_loss_sum *sum, size_t R,
                                          size_t V, size_t k, const qat_top_divergence *settings) {
    float scale = 1.0f / settings->temperature, kept[QAT_TOP_LIMIT];
    for (size_t r = 0; r < R; r++) {
        float *row = student + r * V;
        const int32_t *chosen = ids + r * k;
        float top = row_max(row, V);
        int same = first_index(row, V, top) == (size_t)chosen[0];
        qat_take_out(row, chosen, kept, k, top, scale);
        double others = exponentials(row, V, top, scale);
        float factor = qat_top_loss(settings, kept, log_teacher + r * (k + 1), others, k, k < V, sum);
        scale_row(row, V, factor);
        for (size_t i = 0; i < k; i++) row[chosen[i]] = kept[i];
        sum->correct += (uint64_t)same;
    }
}
#endif
