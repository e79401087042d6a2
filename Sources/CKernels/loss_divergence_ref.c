// Reference kernels of the divergences other than KL(teacher || student), and of hidden states.
#include <float.h>
#include <math.h>
#include "qat_transformer.h"

static size_t top_index(const float *x, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (x[i] > x[best]) best = i;
    }
    return best;
}

void qat_reverse_kl_f32_ref(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                            float temperature, float gradient_scale) {
    float inverse_temperature = 1.0f / temperature, slope = gradient_scale * temperature;
    for (size_t r = 0; r < R; r++) {
        float *s = student + r * V;
        float *t = teacher + r * V;
        size_t best_s = top_index(s, V), best_t = top_index(t, V);
        float top_s = s[best_s], top_t = t[best_t];
        double total_s = 0, total_t = 0, cross = 0;
        for (size_t i = 0; i < V; i++) {
            float a = (s[i] - top_s) * inverse_temperature;
            float b = (t[i] - top_t) * inverse_temperature;
            float e = expf(a);
            total_s += e;
            total_t += expf(b);
            cross += (double)e * ((double)a - b);
        }
        // Mean of a - b under the student; the logs of both sums cancel in the gradient.
        double mean = cross / total_s;
        float inverse = (float)(1.0 / total_s), middle = (float)mean;
        for (size_t i = 0; i < V; i++) {
            float a = (s[i] - top_s) * inverse_temperature;
            float b = (t[i] - top_t) * inverse_temperature;
            s[i] = expf(a) * inverse * ((a - b) - middle) * slope;
        }
        sum->loss += (mean - log(total_s) + log(total_t)) * temperature * temperature;
        sum->rows += 1;
        sum->correct += best_s == best_t;
    }
}

void qat_jensen_shannon_f32_ref(float *student, float *teacher, qat_loss_sum *sum, size_t R,
                                size_t V, float temperature, float beta, float gradient_scale) {
    float inverse_temperature = 1.0f / temperature, rest = 1.0f - beta;
    for (size_t r = 0; r < R; r++) {
        float *s = student + r * V;
        float *t = teacher + r * V;
        size_t best_s = top_index(s, V), best_t = top_index(t, V);
        float top_s = s[best_s], top_t = t[best_t];
        double total_s = 0, total_t = 0, from_s = 0, from_t = 0;
        for (size_t i = 0; i < V; i++) {
            s[i] = expf((s[i] - top_s) * inverse_temperature);
            t[i] = expf((t[i] - top_t) * inverse_temperature);
            total_s += s[i];
            total_t += t[i];
        }
        float inverse_s = (float)(1.0 / total_s), inverse_t = (float)(1.0 / total_t);
        for (size_t i = 0; i < V; i++) {
            float q = s[i] * inverse_s, p = t[i] * inverse_t;
            // Where a probability is 0, its logarithm is any number and weighs nothing.
            float mixture = fmaxf(beta * p + rest * q, FLT_MIN);
            float log_q = logf(fmaxf(q / mixture, FLT_MIN));
            from_s += (double)q * log_q;
            from_t += (double)p * logf(fmaxf(p / mixture, FLT_MIN));
            s[i] = q;
            t[i] = log_q;
        }
        // d/dq_i is (1 - beta) log(q_i / m_i).
        float middle = (float)from_s, slope = gradient_scale * temperature * rest;
        for (size_t i = 0; i < V; i++) s[i] = s[i] * (t[i] - middle) * slope;
        sum->loss += (beta * from_t + rest * from_s) * temperature * temperature;
        sum->rows += 1;
        sum->correct += best_s == best_t;
    }
}

void qat_hidden_error_f32(float *d, const float *x, const float *t, qat_loss_sum *sum, size_t R,
                          size_t C, float gradient_scale) {
    for (size_t r = 0; r < R; r++) {
        const float *a = x + r * C, *b = t + r * C;
        double distance = 0, length = 0;
        for (size_t i = 0; i < C; i++) {
            double difference = (double)a[i] - b[i];
            distance += difference * difference;
            length += (double)b[i] * b[i];
        }
        double inverse = length == 0 ? 0 : 1 / length;
        float slope = (float)(2 * gradient_scale * inverse);
        for (size_t i = 0; i < C; i++) d[r * C + i] = (a[i] - b[i]) * slope;
        sum->loss += distance * inverse;
        sum->rows += 1;
    }
}
