// Reference kernels of the losses.
#include <math.h>
#include <string.h>
#include "qat_transformer.h"

static float row_max(const float *x, size_t count, size_t *index) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (x[i] > x[best]) best = i;
    }
    *index = best;
    return x[best];
}

void qat_cross_entropy_f32_ref(float *logits, qat_loss_sum *sum,
                               const int32_t *targets, size_t R, size_t V, float gradient_scale) {
    for (size_t r = 0; r < R; r++) {
        float *row = logits + r * V;
        int32_t target = targets[r];
        if (target < 0) {
            memset(row, 0, V * sizeof(float));
            continue;
        }
        size_t best;
        float top = row_max(row, V, &best);
        double total = 0;
        double chosen = (double)row[target] - top;
        for (size_t i = 0; i < V; i++) {
            row[i] = expf(row[i] - top);
            total += row[i];
        }
        double loss = log(total) - chosen;
        float inverse = (float)(gradient_scale / total);
        for (size_t i = 0; i < V; i++) row[i] *= inverse;
        row[target] -= gradient_scale;
        sum->loss += loss;
        sum->rows += 1;
        sum->correct += best == (size_t)target;
    }
}

void qat_kl_divergence_f32_ref(float *student, float *teacher, qat_loss_sum *sum, size_t R,
                               size_t V, float temperature, float gradient_scale) {
    float inverse_temperature = 1.0f / temperature;
    for (size_t r = 0; r < R; r++) {
        float *s = student + r * V;
        float *t = teacher + r * V;
        size_t best_s, best_t;
        float top_s = row_max(s, V, &best_s), top_t = row_max(t, V, &best_t);
        double total_s = 0, total_t = 0, cross = 0;
        for (size_t i = 0; i < V; i++) {
            float a = (s[i] - top_s) * inverse_temperature;
            float b = (t[i] - top_t) * inverse_temperature;
            s[i] = expf(a);
            t[i] = expf(b);
            total_s += s[i];
            total_t += t[i];
            cross += (double)t[i] * ((double)b - a);
        }
        // sum_i p_i (log p_i - log q_i), with log p_i = b_i - log total_t and so on.
        double loss = cross / total_t - log(total_t) + log(total_s);
        float inverse_s = (float)(1.0 / total_s), inverse_t = (float)(1.0 / total_t);
        float slope = gradient_scale * temperature;
        for (size_t i = 0; i < V; i++) {
            t[i] *= inverse_t;
            s[i] = (s[i] * inverse_s - t[i]) * slope;
        }
        sum->loss += loss * temperature * temperature;
        sum->rows += 1;
        sum->correct += best_s == best_t;
    }
}
