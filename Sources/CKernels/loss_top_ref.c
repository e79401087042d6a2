// Reference kernels of the loss on a teacher's most likely tokens.
#include "loss_top.h"

static double exponentials(float *row, size_t count, float top, float scale) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        row[i] = expf((row[i] - top) * scale);
        sum += row[i];
    }
    return sum;
}

void qat_top_outcomes_f32_ref(float *logits, int32_t *ids, float *log_probabilities, size_t R,
                              size_t V, size_t k, float temperature) {
    float scale = 1.0f / temperature;
    qat_candidate heap[QAT_TOP_LIMIT];
    for (size_t r = 0; r < R; r++) {
        float *row = logits + r * V, *values = log_probabilities + r * (k + 1);
        int32_t *chosen = ids + r * k;
        qat_heap_begin(heap, row, k);
        for (size_t i = k; i < V; i++) qat_heap_offer(heap, k, row[i], i);
        qat_heap_end(heap, chosen, k);
        float top = row[chosen[0]];
        qat_take_out(row, chosen, values, k, top, scale);
        qat_finish_outcomes(values, exponentials(row, V, top, scale), k, k < V);
    }
}

void qat_top_divergence_f32_ref(float *student, const int32_t *ids, const float *log_teacher,
                                qat_loss_sum *sum, size_t R, size_t V, size_t k,
                                const qat_top_divergence *settings) {
    float scale = 1.0f / settings->temperature, kept[QAT_TOP_LIMIT];
    for (size_t r = 0; r < R; r++) {
        float *row = student + r * V;
        const int32_t *chosen = ids + r * k;
        size_t best = 0;
        for (size_t i = 1; i < V; i++) {
            if (row[i] > row[best]) best = i;
        }
        float top = row[best];
        qat_take_out(row, chosen, kept, k, top, scale);
        double others = exponentials(row, V, top, scale);
        float factor = qat_top_loss(settings, kept, log_teacher + r * (k + 1), others, k, k < V, sum);
        for (size_t i = 0; i < V; i++) row[i] *= factor;
        for (size_t i = 0; i < k; i++) row[chosen[i]] = kept[i];
        sum->correct += best == (size_t)chosen[0];
    }
}
